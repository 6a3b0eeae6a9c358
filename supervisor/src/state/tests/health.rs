//! Stories of services that hang, are stopped, or fail their checks.

use super::story::{PLAN, Story, tell};
use crate::state::*;

/// The plan with a watchdog for web.
fn watched() -> Story {
    up(&PLAN.replace("ready = \"notify\"", "ready = \"notify\"\nwatchdog_s = 12"))
}

fn up(text: &str) -> Story {
    let mut story = Story::new(text);
    for line in
        ["begin", "spawned db.1", "ready db.1", "exited task.1 0", "swept task.1", "spawned web.1", "ready web.1"]
    {
        story.tell(line);
    }
    story
}

#[test]
fn a_silent_service_shows_after_5_s_and_is_killed_after_12_s() {
    let mut story = watched();
    tell(
        &mut story,
        &[(4_000, "alive web.1", &[]), (4_000, "alive web.1", &[]), (4_999, "tick", &[]), (1, "tick", &[])],
    );
    assert_eq!((story.health("web"), story.deadline()), ("does not report".to_owned(), Some(20_000)));
    tell(&mut story, &[(500, "alive web.1", &[])]);
    assert_eq!(story.health("web"), "ok");
    tell(&mut story, &[(5_000, "tick", &[]), (6_999, "tick", &[]), (1, "tick", &["examine web.1"])]);
    assert_eq!(story.health("web"), "has not reported for 12 s; being replaced");
    tell(
        &mut story,
        &[
            (5, "examined web.1", &["KILL web.1"]),
            // What comes now is too late.
            (1, "alive web.1", &[]),
            (1, "exited web.1 KILL", &["sweep web.1"]),
            (3, "swept web.1", &["spawn web.2"]),
            (300, "ready web.2", &[]),
        ],
    );
    assert_eq!(story.states(), "db=ready task=done web=ready");
}

#[test]
fn a_report_that_comes_while_the_silent_one_is_looked_at_saves_it() {
    let mut story = watched();
    tell(
        &mut story,
        &[
            (5_000, "tick", &[]),
            (7_000, "tick", &["examine web.1"]),
            (500, "alive web.1", &[]),
            (5, "examined web.1", &[]),
            (1_000, "tick", &[]),
        ],
    );
    assert_eq!((story.health("web"), story.deadline()), ("ok".to_owned(), Some(17_500)));
    // Who has said itself that it hangs is not saved by a report.
    tell(
        &mut story,
        &[(0, "alarm web.1", &["examine web.1"]), (0, "alive web.1", &[]), (5, "examined web.1", &["KILL web.1"])],
    );
}

#[test]
fn looking_at_a_process_does_not_delay_its_end_for_long() {
    let mut story = watched();
    tell(&mut story, &[(5_000, "tick", &[]), (7_000, "tick", &["examine web.1"]), (1_000, "tick", &["KILL web.1"])]);
}

#[test]
fn a_hang_counts_as_a_failure_and_ends_with_the_code_of_health() {
    let mut story = watched();
    for run in 1..=4 {
        tell(&mut story, &[(5_000, "tick", &[]), (7_000, "tick", &[&format!("examine web.{run}")])]);
        story.tell(&format!("examined web.{run}"));
        story.tell(&format!("exited web.{run} KILL"));
        let told = story.tell(&format!("swept web.{run}"));
        if run == 4 {
            assert_eq!(told, ["INT db.1"]);
            break;
        }
        if told.is_empty() {
            story.now = story.retry_of("web");
            story.tell("tick");
        }
        story.tell(&format!("ready web.{}", run + 1));
    }
    story.tell("exited db.1 0");
    assert_eq!(story.tell("swept db.1"), ["finish 11"]);
}

#[test]
fn nobody_is_killed_after_a_pause_of_our_own() {
    let mut story = watched();
    story.tell("alive web.1");
    // Frozen for an hour, as in a container that was paused.
    tell(&mut story, &[(3_600_000, "tick", &[])]);
    assert_eq!(story.health("web"), "ok");
    tell(&mut story, &[(4_999, "tick", &[])]);
    assert_eq!(story.health("web"), "ok");
    // Frozen again when it was silent already.
    tell(&mut story, &[(1, "tick", &[])]);
    assert_eq!(story.health("web"), "does not report");
    tell(&mut story, &[(60_000, "alive web.1", &[]), (5_000, "tick", &[])]);
    assert_eq!(story.states(), "db=ready task=done web=ready");
}

#[test]
fn a_service_that_says_it_hangs_is_replaced_at_once() {
    let mut story = watched();
    tell(&mut story, &[(100, "alarm web.1", &["examine web.1"]), (3, "examined web.1", &["KILL web.1"])]);
    // Without a watchdog nobody has promised anything.
    let mut story = Story::up();
    tell(&mut story, &[(100, "alarm web.1", &[]), (100, "alive web.1", &[]), (60_000, "tick", &[])]);
    assert_eq!(story.states(), "db=ready task=done web=ready");
}

#[test]
fn a_stopped_service_shows_at_once_and_is_well_when_woken_in_time() {
    let mut story = watched();
    tell(&mut story, &[(4_000, "alive web.1", &[]), (1_000, "halted web.1", &[])]);
    assert_eq!(story.health("web"), "stopped by SIGSTOP");
    tell(&mut story, &[(4_000, "tick", &[]), (6_000, "woken web.1", &[])]);
    assert_eq!(story.health("web"), "ok");
    tell(&mut story, &[(100, "alive web.1", &[]), (4_999, "tick", &[])]);
    assert_eq!(story.health("web"), "ok");
}

#[test]
fn a_service_that_stays_stopped_is_asked_to_end() {
    // Found by the watchdog; the first signal wakes it, so it may end in order.
    let mut story = watched();
    tell(
        &mut story,
        &[
            (1_000, "halted web.1", &[]),
            (4_000, "tick", &[]),
            (7_000, "tick", &["examine web.1"]),
            (3, "examined web.1", &["TERM web.1"]),
            (0, "woken web.1", &[]),
            (2_000, "tick", &["KILL web.1"]),
        ],
    );
    // Without a watchdog.
    let mut story = Story::up();
    tell(&mut story, &[(1_000, "halted web.1", &[]), (14_999, "tick", &[]), (1, "tick", &["examine web.1"])]);
    story.tell("examined web.1");
    tell(&mut story, &[(5, "exited web.1 0", &["sweep web.1"]), (1, "swept web.1", &["spawn web.2"])]);
}

#[test]
fn a_bundled_server_that_is_stopped_is_woken_and_never_killed() {
    let text = "[service.postgres]\nkind = \"bundled\"\nready = \"probe\"\nready_within_s = 0\n";
    let mut story = Story::new(text);
    for line in ["begin", "spawned postgres.1", "ready postgres.1"] {
        story.tell(line);
    }
    tell(
        &mut story,
        &[
            (10, "halted postgres.1", &[]),
            (15_000, "tick", &["CONT postgres.1"]),
            (0, "woken postgres.1", &[]),
            // Its probe fails: it recovers, or is slow.
            (10, "sick postgres.1", &[]),
        ],
    );
    for _ in 0..100 {
        tell(&mut story, &[(10_000, "sick postgres.1", &[])]);
    }
    assert_eq!(story.health("postgres"), "refused");
}

#[test]
fn without_liveness_a_hang_only_shows() {
    let text = PLAN.replace("ready = \"notify\"", "ready = \"notify\"\nwatchdog_s = 12\nliveness = false");
    let mut story = up(&text);
    tell(&mut story, &[(5_000, "tick", &[]), (3_600_000, "tick", &[]), (0, "alarm web.1", &[])]);
    assert_eq!(story.deadline(), None);
    assert_eq!(story.health("web"), "does not report");
    tell(&mut story, &[(0, "halted web.1", &[]), (3_600_000, "tick", &[])]);
    assert_eq!((story.health("web"), story.deadline()), ("stopped by SIGSTOP".to_owned(), None));
}

#[test]
fn a_check_that_fails_three_times_in_a_row_replaces_the_service() {
    let text = PLAN.replace("ready = \"notify\"", "ready = \"check\"\ncheck = { tcp = \"127.0.0.1:1\" }");
    let mut story = up(&text);
    for line in ["failing web.1", "failing web.1", "passing web.1", "failing web.1", "failing web.1"] {
        assert!(story.tell(line).is_empty());
        assert_eq!(story.health("web"), if line == "passing web.1" { "ok" } else { "it answers 500" });
    }
    tell(
        &mut story,
        &[
            (10, "failing web.1", &["examine web.1"]),
            (10, "examined web.1", &["TERM web.1"]),
            (10, "exited web.1 0", &["sweep web.1"]),
            (0, "swept web.1", &["spawn web.2"]),
        ],
    );
    for (change, most) in [("failures = 0", 500), ("failures = 1", 1)] {
        let mut story = up(&text.replace("127.0.0.1:1\"", &format!("127.0.0.1:1\", {change}")));
        let mut told = Vec::new();
        for _ in 0..most {
            told.extend(story.tell("failing web.1"));
        }
        assert_eq!(told.len(), usize::from(most == 1), "{change}: {told:?}");
    }
}

#[test]
fn a_service_that_stops_by_itself_is_started_again_and_may_not_linger() {
    let mut story = watched();
    tell(&mut story, &[(100, "leaving web.1", &[])]);
    assert_eq!(story.states(), "db=ready task=done web=stopping");
    tell(
        &mut story,
        &[
            // It need not report any more.
            (29_999, "tick", &[]),
            (0, "exited web.1 0", &["sweep web.1"]),
            (0, "swept web.1", &["spawn web.2"]),
            (0, "ready web.2", &[]),
            (0, "leaving web.2", &[]),
            (20_000, "extend web.2 20000", &[]),
            (19_999, "tick", &[]),
            (1, "tick", &["examine web.2"]),
            (0, "examined web.2", &["TERM web.2"]),
        ],
    );
}

#[test]
fn time_is_extended_while_starting_draining_and_stopping_but_not_while_everything_stops() {
    let mut story = watched();
    tell(
        &mut story,
        &[
            (0, "restart web", &["spawn web.2"]),
            (9_000, "extend web.2 5000", &[]),
            (0, "alive web.1", &[]),
            (4_900, "tick", &[]),
            (0, "ready web.2", &["USR2 web.1", "3 ok: web is ready (generation 2, 13900 ms)"]),
            (0, "leaving web.1", &[]),
            (0, "extend web.1 40000", &[]),
        ],
    );
    for _ in 0..9 {
        tell(&mut story, &[(4_000, "alive web.2", &[])]);
    }
    tell(
        &mut story,
        &[
            (4_000, "tick", &["TERM web.1"]),
            (1_000, "extend web.1 3000", &[]),
            (1_000, "alive web.2", &[]),
            (2_000, "tick", &["KILL web.1"]),
            (0, "exited web.1 KILL", &["sweep web.1"]),
            (0, "swept web.1", &[]),
            (0, "term", &["close", "TERM web.2"]),
            (0, "extend web.2 60000", &[]),
            (2_000, "tick", &["KILL web.2"]),
        ],
    );
    let mut story = watched();
    tell(&mut story, &[(0, "restart web", &["spawn web.2"]), (10_000, "alive web.1", &["TERM web.2"])]);
}

#[test]
fn an_old_generation_that_hangs_while_it_drains_is_killed_without_further_ado() {
    let mut story = watched();
    tell(&mut story, &[(0, "restart web", &["spawn web.2"])]);
    tell(
        &mut story,
        &[
            (1_000, "ready web.2", &["USR2 web.1", "3 ok: web is ready (generation 2, 1000 ms)"]),
            (4_000, "alive web.2", &[]),
            (0, "tick", &[]),
            (4_000, "alive web.2", &[]),
            (3_000, "tick", &["examine web.1"]),
            (0, "examined web.1", &["KILL web.1"]),
            (0, "exited web.1 KILL", &["sweep web.1"]),
            (0, "swept web.1", &[]),
        ],
    );
    assert_eq!(story.states(), "db=ready task=done web=ready");
}

#[test]
fn a_hung_generation_does_not_block_the_next() {
    let mut story = watched();
    tell(
        &mut story,
        &[
            (5_000, "tick", &[]),
            (4_000, "restart web", &["spawn web.2"]),
            (3_000, "tick", &["examine web.1"]),
            (0, "examined web.1", &["KILL web.1"]),
            (0, "exited web.1 KILL", &["sweep web.1"]),
            (0, "swept web.1", &[]),
            (500, "ready web.2", &["3 ok: web is ready (generation 2, 3500 ms)"]),
        ],
    );
}

#[test]
fn never_ready_ends_with_the_code_of_health_and_a_code_of_its_own_wins() {
    for (change, code) in [("", "finish 11"), ("\nfail_exit = 99", "finish 99")] {
        let text = PLAN.replace("ready = \"notify\"", &format!("ready = \"notify\"{change}"));
        let mut story = Story::new(&text);
        for line in ["begin", "ready db.1", "exited task.1 0", "swept task.1"] {
            story.tell(line);
        }
        for run in 1..=4 {
            story.now += 10_000;
            assert_eq!(story.tell("tick"), [format!("TERM web.{run}")]);
            story.tell(&format!("exited web.{run} 0"));
            story.tell(&format!("swept web.{run}"));
            story.now += 4_000;
            story.tell("tick");
        }
        story.tell("exited db.1 0");
        assert_eq!(story.tell("swept db.1"), [code]);
    }
}

#[test]
fn an_idle_appliance_with_watchdogs_wakes_for_silence_only() {
    let mut story = watched();
    story.now += 4_000;
    story.tell("alive web.1");
    assert_eq!(story.deadline(), Some(story.now + 5_000));
    let status: Vec<ServiceStatus> = story.state.as_ref().unwrap().status();
    assert!(status.iter().all(ServiceStatus::is_well));
}

#[test]
fn what_the_check_misses_shows_while_the_service_starts() {
    let text = PLAN.replace("ready = \"notify\"", "ready = \"check\"\ncheck = { tcp = \"127.0.0.1:1\" }");
    let mut story = Story::new(&text);
    for line in ["begin", "ready db.1", "exited task.1 0", "swept task.1"] {
        story.tell(line);
    }
    for _ in 0..10 {
        tell(&mut story, &[(900, "failing web.1", &[])]);
    }
    assert_eq!(
        (story.health("web"), story.states()),
        ("it answers 500".into(), "db=ready task=done web=starting".into())
    );
    tell(&mut story, &[(1_000, "tick", &["TERM web.1"])]);
    story.tell("exited web.1 0");
    assert_eq!(story.health("web"), "-");
    tell(&mut story, &[(0, "swept web.1", &["spawn web.2"]), (0, "failing web.2", &[]), (9, "ready web.2", &[])]);
    assert_eq!(story.health("web"), "ok");
}
