//! Stories of a database that does not answer, and of a full disk.

use super::story::{PLAN, Story, tell};

/// The plan of a volume that has been in use before.
fn known() -> String {
    let without = "start_without = { services = [\"task\"], after_s = 3, if_exists = \"x\" }";
    PLAN.replace(
        "after = [\"db\"]",
        "after = [\"db\"]\nretry = { exit = [75], if_exists = \"x\" }\nbackoff = { max_s = 2 }",
    )
    .replace("after = [\"task\"]", &format!("after = [\"task\"]\n{without}"))
}

#[test]
fn web_does_not_wait_for_a_long_recovery_for_ever() {
    let mut story = Story::new(&known());
    tell(&mut story, &[(0, "begin", &["spawn db.1"]), (1, "spawned db.1", &[])]);
    assert_eq!(story.deadline(), Some(3_000));
    assert_eq!(story.health("web"), "waits for task");
    tell(
        &mut story,
        &[
            (2_999, "tick", &["spawn web.1"]),
            (1, "ready web.1", &[]),
            (600_000, "ready db.1", &["spawn task.1"]),
            (5, "exited task.1 0", &["sweep task.1"]),
            (0, "swept task.1", &[]),
        ],
    );
    assert_eq!(story.states(), "db=ready task=done web=ready");
    assert_eq!(story.deadline(), None, "an idle appliance wakes nobody");
    // What comes after is still stopped first.
    tell(&mut story, &[(0, "term", &["close", "TERM web.1"])]);
}

#[test]
fn what_it_cannot_go_without_is_waited_for() {
    let text = known().replace(
        "[service.task]",
        "[service.prepare]\nkind = \"exec\"\ncommand = [\"p\"]\noneshot = true\n[service.task]",
    );
    let mut story = Story::new(&text.replace("after = [\"task\"]", "after = [\"prepare\", \"task\"]"));
    tell(
        &mut story,
        &[
            (0, "begin", &["spawn db.1", "spawn prepare.1"]),
            (5_000, "tick", &[]),
            (0, "exited prepare.1 0", &["sweep prepare.1", "spawn web.1"]),
        ],
    );
}

#[test]
fn a_task_that_asks_for_it_is_tried_again_for_as_long_as_it_takes() {
    let mut story = Story::new(&known());
    story.tell("begin");
    story.tell("ready db.1");
    for run in 1..40 {
        let (exited, swept) = (format!("exited task.{run} 75"), format!("swept task.{run}"));
        tell(&mut story, &[(0, &exited, &[&format!("sweep task.{run}")])]);
        let told = story.tell(&swept);
        let next = format!("spawn task.{}", run + 1);
        if told != [next.as_str()] {
            assert_eq!(story.health("task"), "failed (exit 75)");
            story.now = story.retry_of("task");
            assert!(story.tell("tick").contains(&next));
        }
    }
    assert!(story.now <= 39 * 2_000, "the distance has a limit: {}", story.now);
    // Another failure is as final as ever.
    tell(&mut story, &[(0, "exited task.40 1", &["sweep task.40", "close"])]);
}

#[test]
fn on_a_new_volume_the_same_code_is_a_failure() {
    let mut story = Story::new(PLAN);
    story.tell("begin");
    story.tell("ready db.1");
    tell(&mut story, &[(0, "exited task.1 75", &["sweep task.1", "close"])]);
}

#[test]
fn while_the_disk_is_full_nothing_is_given_up_and_space_ends_the_wait() {
    let mut story = Story::up();
    for run in 1..40 {
        story.tell("full");
        let exited = story.tell(&format!("exited db.{run} 1"));
        assert!(exited.contains(&format!("sweep db.{run}")), "{exited:?}");
        let next = format!("spawn db.{}", run + 1);
        let mut told = story.tell(&format!("swept db.{run}"));
        let mut looks = 0;
        while !told.contains(&next) {
            story.now = story.deadline().unwrap();
            told = story.tell("tick");
            looks += told.iter().filter(|line| *line == "look").count();
            assert!(looks <= 40, "{told:?}");
        }
    }
    story.tell("full");
    story.tell("exited db.40 1");
    story.tell("swept db.40");
    assert_eq!(story.states(), "db=backoff task=done web=ready");
    assert_eq!(story.health("db"), "ended before it was ready (exit 1); the data disk has 3 MB free");
    tell(
        &mut story,
        &[
            (1_000, "tick", &["look"]),
            (0, "full", &[]),
            (1_000, "tick", &["look"]),
            (0, "room", &["spawn db.41"]),
            (9, "ready db.41", &[]),
        ],
    );
    assert_eq!(story.deadline(), None, "nobody looks at the disk any more");
    // From here on failures count as ever.
    for run in 41..50 {
        story.tell(&format!("exited db.{run} 1"));
        story.tell(&format!("swept db.{run}"));
        story.now = story.deadline().unwrap_or(story.now);
        story.tell("tick");
    }
    tell(&mut story, &[(0, "exited db.50 1", &["sweep db.50", "close", "TERM web.1"])]);
}

#[test]
fn a_task_waits_for_space_too_but_its_verdicts_count() {
    for (code, is_final) in [("1", false), ("13", true)] {
        let mut story = Story::new(PLAN);
        story.tell("begin");
        story.tell("ready db.1");
        story.tell("full");
        let told = story.tell(&format!("exited task.1 {code}"));
        assert_eq!(told.contains(&"close".to_owned()), is_final, "{told:?}");
    }
}

#[test]
fn a_late_start_of_a_patient_service_is_tried_again_for_ever() {
    let mut story = Story::new(&PLAN.replace("ready_within_s = 10", "ready_within_s = 10\npatient = true"));
    for line in ["begin", "ready db.1", "exited task.1 0", "swept task.1"] {
        story.tell(line);
    }
    for run in 1..20 {
        story.now += 10_000;
        assert_eq!(story.tell("tick"), [format!("TERM web.{run}")]);
        story.tell(&format!("exited web.{run} 0"));
        story.tell(&format!("swept web.{run}"));
        story.now += 4_000;
        story.tell("tick");
    }
    assert_eq!(story.states(), "db=ready task=done web=starting");
}
