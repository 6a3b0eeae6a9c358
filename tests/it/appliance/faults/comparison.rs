//! The comparison itself: one that never complains would prove nothing.

use std::time::Duration;

use super::Trial;
use super::trial::compare;

#[test]
fn a_missing_row_a_second_one_and_each_wrong_count_are_noticed() {
    let mut trial = Trial::new();
    trial.load();
    std::thread::sleep(Duration::from_secs(1));
    trial.settle("nothing happened");
    let (instance, told) = (&trial.instance, trial.told());
    let one = instance.sql("select event_id from event limit 1");
    let changes = [
        (
            format!(
                "create table kept as select * from event where event_id = '{one}'; delete from event where event_id = '{one}'"
            ),
            "insert into event table kept; drop table kept".to_owned(),
            "1 acknowledged events are missing",
        ),
        (
            format!(
                "create table kept as select * from event where event_id = '{one}'; \
                 update kept set received_on = received_on + 1; insert into event table kept"
            ),
            format!(
                "delete from event where event_id = '{one}' and received_on = (select received_on from kept); drop table kept"
            ),
            "1 events are stored more than once",
        ),
        counted("issue", "event_count", "counts of 1 issues are not"),
        counted("issue_hourly", "event_count", "counts of 1 issues by the hour are not"),
        counted("outcome_hourly", "quantity", "counted as stored"),
    ];
    for (change, undo, wanted) in changes {
        instance.sql(&change);
        let (_, complaints) = compare(instance, told);
        assert!(complaints.iter().any(|complaint| complaint.contains(wanted)), "{change}: {complaints:#?}");
        instance.sql(&undo);
        assert_eq!(compare(instance, told).1, [""; 0], "{undo}");
    }

    let mut other = told.clone();
    other.acknowledged.insert("0".repeat(32));
    let taken = other.sent.pop_first().unwrap();
    let complaints = compare(instance, &other).1.join("\n");
    assert!(complaints.contains(&format!("acknowledged events are missing: {}", "0".repeat(32))), "{complaints}");
    assert!(complaints.contains(&format!("1 events are stored that nobody sent: {taken}")), "{complaints}");
}

/// One more in a single row, and back.
fn counted(table: &str, column: &str, wanted: &'static str) -> (String, String, &'static str) {
    let change = |by: &str| {
        let row = format!("select ctid from {table} order by {column} desc limit 1");
        format!("update {table} set {column} = {column} {by} where ctid = ({row})")
    };
    (change("+ 1"), change("- 1"), wanted)
}
