use std::fs::File;

use chrono::Timelike;
use tempfile::TempDir;
use tokio::sync::mpsc::error::TryRecvError;

use super::*;
use crate::log::{Format, LogSettings};
use crate::plan::LogRules;
use crate::schedule::{Line, Timetable, Window, Work};
use crate::task::RestartRules;

/// A folder `run/`, kept by one timetable after the other.
struct Place {
    folder: TempDir,
    inbox: mpsc::UnboundedReceiver<Message>,
    messages: mpsc::UnboundedSender<Message>,
}

impl Place {
    fn new() -> Self {
        let (messages, inbox) = mpsc::unbounded_channel();
        Self { folder: tempfile::tempdir().unwrap(), inbox, messages }
    }

    fn run(&self) -> OwnedFd {
        File::open(self.folder.path()).unwrap().into()
    }

    fn start(&self, schedules: Vec<Schedule>) -> Timetable {
        let (folder, rules) = (self.folder.path().to_path_buf(), LogRules::default());
        let log = Log::start(LogSettings { folder, rules, format: Format::Text }).unwrap();
        Timetable::start(schedules, Zone::UTC, Arc::new(self.run()), log, self.messages.clone())
    }

    /// The last run of this supervisor kept this schedule, and was stopped two days ago.
    fn remember(&self, schedule: &Schedule, last: Option<LastRun>) {
        let rule = format!("{} UTC", schedule.line.source());
        let since = Utc::now() - TimeDelta::days(2);
        let mut memory = Memory::fresh();
        memory.schedules.insert(schedule.name.clone(), Remembered { rule, since, done: vec![], last });
        memory.write(&self.run()).unwrap();
    }

    async fn due(&mut self) -> Due {
        match self.inbox.recv().await {
            Some(Message::Due(due)) => due,
            other => panic!("{other:?}"),
        }
    }

    fn is_quiet(&mut self) -> bool {
        matches!(self.inbox.try_recv(), Err(TryRecvError::Empty))
    }
}

/// A daily schedule whose last time was so long ago.
fn passed(ago: TimeDelta) -> Schedule {
    let at = Utc::now() - ago;
    let line = Line::parse(&format!("{} {} * * *", at.minute(), at.hour())).unwrap();
    let (name, work) = ("night".to_owned(), Work::Backup);
    Schedule { name, line, zone: None, work, jitter_s: 0, catch_up_s: 0, window: None, rules: RestartRules::default() }
}

/// All orders given so far are obeyed, and what came of them is to be seen.
async fn settle(timetable: &Timetable) {
    for _ in 0..2 {
        timetable.freeze(timetable.overview().frozen).await.unwrap();
    }
}

fn last(timetable: &Timetable) -> LastRun {
    timetable.overview().schedules[0].last.clone().unwrap()
}

#[tokio::test]
async fn what_was_missed_is_caught_up_once_everything_is_up_and_never_again() {
    let mut place = Place::new();
    let schedule = Schedule { catch_up_s: 7_200, ..passed(TimeDelta::minutes(90)) };
    place.remember(&schedule, None);
    let timetable = place.start(vec![schedule.clone()]);
    settle(&timetable).await;
    assert!(place.is_quiet(), "nothing before everything is up");
    timetable.is_up();
    let due = place.due().await;
    assert!(due.caught_up && due.skip.is_none(), "{due:?}");
    assert_eq!(due.task, crate::task::Task::BackupCreate { to: None });
    let late = Utc::now() - due.moment.at;
    assert!((TimeDelta::minutes(90)..TimeDelta::minutes(92)).contains(&late), "{late}");
    settle(&timetable).await;
    assert_eq!(last(&timetable), LastRun::running(due.moment.at));
    drop(timetable);
    let timetable = place.start(vec![schedule]);
    timetable.is_up();
    settle(&timetable).await;
    assert!(place.is_quiet());
    let last = last(&timetable);
    assert_eq!(
        (last.result, last.reason.unwrap().as_str()),
        (RunResult::Failed, "the supervisor was stopped meanwhile")
    );
}

#[tokio::test]
async fn what_was_missed_too_long_ago_is_told_and_not_done() {
    let mut place = Place::new();
    let schedule = Schedule { catch_up_s: 3_600, ..passed(TimeDelta::minutes(90)) };
    place.remember(&schedule, None);
    let timetable = place.start(vec![schedule]);
    timetable.is_up();
    let reason = place.due().await.skip.unwrap();
    assert!(reason.contains("too long ago"), "{reason}");

    let mut place = Place::new();
    let schedule = passed(TimeDelta::minutes(90));
    place.remember(&schedule, None);
    for _ in 0..2 {
        let timetable = place.start(vec![schedule.clone()]);
        timetable.is_up();
        settle(&timetable).await;
        assert!(place.is_quiet(), "nobody asked for it");
        let last = last(&timetable);
        assert_eq!((last.result, last.reason.unwrap().as_str()), (RunResult::Missed, "the appliance was down"));
    }
}

#[tokio::test]
async fn what_was_due_before_there_was_the_schedule_was_not_missed() {
    let mut place = Place::new();
    let schedule = Schedule { catch_up_s: 7_200, ..passed(TimeDelta::minutes(90)) };
    let timetable = place.start(vec![schedule.clone()]);
    timetable.is_up();
    settle(&timetable).await;
    assert!(place.is_quiet(), "a new appliance");
    drop(timetable);
    let mut other = schedule.clone();
    other.line = Line::parse("7 7 7 7 *").unwrap();
    place.remember(&other, None);
    let timetable = place.start(vec![schedule]);
    timetable.is_up();
    settle(&timetable).await;
    assert!(place.is_quiet() && timetable.overview().schedules[0].last.is_none(), "another line");
}

#[tokio::test]
async fn frozen_or_outside_of_its_window_it_is_skipped_with_the_reason() {
    let mut place = Place::new();
    let at = Utc::now() + TimeDelta::hours(3);
    let window = Window::parse(&format!("{:02}:00-{:02}:59", at.hour(), at.hour())).unwrap();
    let schedule = Schedule { catch_up_s: 7_200, window: Some(window), ..passed(TimeDelta::minutes(90)) };
    place.remember(&schedule, None);
    let timetable = place.start(vec![schedule]);
    timetable.is_up();
    assert_eq!(place.due().await.skip.unwrap(), format!("it would begin outside of {window}"));

    let mut place = Place::new();
    let schedule = Schedule { catch_up_s: 7_200, ..passed(TimeDelta::minutes(90)) };
    place.remember(&schedule, None);
    let timetable = place.start(vec![schedule.clone()]);
    let frozen = Frozen { since: Utc::now(), until: None, reason: Some("moving house".to_owned()) };
    timetable.freeze(Some(frozen.clone())).await.unwrap();
    drop(timetable);
    // It outlives the supervisor.
    let timetable = place.start(vec![schedule]);
    timetable.is_up();
    assert_eq!(place.due().await.skip.unwrap(), "schedules are frozen: moving house");
    settle(&timetable).await;
    assert_eq!(timetable.overview().frozen, Some(frozen));
    assert_eq!(last(&timetable).result, RunResult::Skipped);
    timetable.freeze(None).await.unwrap();
    settle(&timetable).await;
    assert_eq!(timetable.overview().frozen, None);
}

#[tokio::test]
async fn a_window_is_held_against_the_time_of_the_line_unless_the_run_is_late() {
    let place = Place::new();
    let (folder, rules) = (place.folder.path().to_path_buf(), LogRules::default());
    let log = Log::start(LogSettings { folder, rules, format: Format::Text }).unwrap();
    let (run, shown) = (Arc::new(place.run()), watch::channel(Overview::default()).0);
    let keeper = Keeper::new(Zone::UTC, run, log, place.messages.clone(), shown);
    let schedule = Schedule {
        line: Line::parse("0 3 * * *").unwrap(),
        jitter_s: 7_200,
        window: Some(Window::parse("03:00-03:01").unwrap()),
        ..passed(TimeDelta::hours(3))
    };
    let evening = "2026-11-19T20:00:00Z".parse().unwrap();
    let skip = |late: TimeDelta| {
        let mut kept = keeper.take_up(schedule.clone(), None, evening);
        kept.look(evening, true, None, &keeper.log);
        let next = kept.next.unwrap();
        assert!(
            next.at > "2026-11-20T03:01:00Z".parse::<DateTime<Utc>>().unwrap(),
            "jitter takes it outside: {next:?}"
        );
        kept.look(next.at + late, true, None, &keeper.log).unwrap().skip
    };
    assert_eq!(skip(TimeDelta::seconds(1)), None);
    assert_eq!(skip(TimeDelta::minutes(30)).unwrap(), "it would begin outside of 03:00-03:01");
}

#[tokio::test]
async fn a_freeze_with_an_end_ends_by_itself() {
    let place = Place::new();
    let timetable = place.start(vec![passed(TimeDelta::hours(3))]);
    let now = Utc::now();
    timetable.freeze(Some(Frozen { since: now, until: Some(now), reason: None })).await.unwrap();
    settle(&timetable).await;
    assert_eq!(timetable.overview().frozen, None);
}

#[tokio::test]
async fn notes_are_kept_and_schedules_can_be_replaced() {
    let place = Place::new();
    let schedule = passed(TimeDelta::hours(3));
    let timetable = place.start(vec![schedule.clone()]);
    let at = Utc::now();
    let run = LastRun { finished_at: Some(at), result: RunResult::Ok, ..LastRun::running(at) };
    timetable.note("night", run.clone());
    timetable.note("night", LastRun::skipped(at - TimeDelta::days(1), at, "of an older time".to_owned()));
    timetable.note("nobody", LastRun::running(at));
    settle(&timetable).await;
    assert_eq!(last(&timetable), run);
    // Later by up to five minutes, always the same.
    let spread = Schedule { jitter_s: 300, ..schedule.clone() };
    let other = Schedule { name: "other".to_owned(), ..schedule.clone() };
    timetable.replace(vec![other, spread.clone()]);
    settle(&timetable).await;
    let [other, night] = &timetable.overview().schedules[..] else { panic!("{:?}", timetable.overview()) };
    assert_eq!((other.name.as_str(), &other.last, night.last.as_ref()), ("other", &None, Some(&run)));
    let memory = Memory::recall(&place.run()).unwrap().unwrap();
    assert_eq!(night.next.unwrap() - other.next.unwrap(), memory.jitter("night", 300));
    drop(timetable);
    let timetable = place.start(vec![spread]);
    settle(&timetable).await;
    assert_eq!((last(&timetable), timetable.overview().schedules[0].next), (run, night.next));
    timetable.replace(Vec::new());
    settle(&timetable).await;
    assert!(timetable.overview().schedules.is_empty());
}
