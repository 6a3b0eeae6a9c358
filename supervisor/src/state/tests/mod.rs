//! Stories told to the machine, one line per event, with what it must answer.

mod chance;
mod hardship;
mod health;
mod reload;
mod story;
mod watch;
mod weather;

use super::*;
use story::{PLAN, Story, tell};

#[test]
fn services_start_in_order_of_readiness() {
    let mut story = Story::new(PLAN);
    tell(
        &mut story,
        &[
            (0, "begin", &["spawn db.1"]),
            (1, "spawned db.1", &[]),
            (9, "ready db.1", &["spawn task.1"]),
            (5, "exited task.1 0", &["sweep task.1", "spawn web.1"]),
            (0, "swept task.1", &[]),
            (0, "spawned web.1", &[]),
        ],
    );
    assert_eq!(story.states(), "db=ready task=done web=starting");
    tell(&mut story, &[(7, "ready web.1", &[])]);
    assert_eq!(story.states(), "db=ready task=done web=ready");
    assert_eq!(story.deadline(), None, "an idle appliance wakes nobody");
}

#[test]
fn the_ordered_stop_goes_backwards_and_keeps_its_deadlines() {
    let mut story = Story::up();
    tell(
        &mut story,
        &[
            (0, "term", &["close", "TERM web.1"]),
            (1_999, "tick", &[]),
            (1, "tick", &["KILL web.1"]),
            (10, "exited web.1 KILL", &["sweep web.1"]),
            (5, "swept web.1", &["INT db.1"]),
            (0, "term", &[]),
            (6_400, "tick", &[]),
            (85, "tick", &["QUIT db.1"]),
            (499, "tick", &[]),
            (1, "tick", &["KILL db.1"]),
            (3, "exited db.1 KILL", &["sweep db.1"]),
            (1, "swept db.1", &["finish 0"]),
            (9, "tick", &[]),
        ],
    );
}

#[test]
fn a_ladder_that_begins_late_leaves_time_between_its_steps() {
    let mut story = Story::up();
    tell(
        &mut story,
        &[
            (0, "term", &["close", "TERM web.1"]),
            (2_000, "tick", &["KILL web.1"]),
            (1_400, "exited web.1 KILL", &["sweep web.1"]),
            // The sweep takes its time: the clock of the ordered stop is beyond the last step.
            (7_000, "swept web.1", &["INT db.1"]),
            (2_124, "tick", &[]),
            (1, "tick", &["QUIT db.1"]),
            (499, "tick", &[]),
            (1, "tick", &["KILL db.1"]),
        ],
    );
}

#[test]
fn a_process_that_outlives_kill_does_not_keep_what_it_needs_from_being_stopped() {
    let mut story = Story::up();
    tell(&mut story, &[(0, "term", &["close", "TERM web.1"]), (2_000, "tick", &["KILL web.1"])]);
    let due = story.deadline().unwrap() - story.now;
    assert_eq!(due, 1_500);
    tell(
        &mut story,
        &[
            (due, "tick", &["INT db.1"]),
            (10, "exited db.1 0", &["sweep db.1"]),
            (0, "swept db.1", &[]),
            (10, "exited web.1 KILL", &["sweep web.1"]),
            (0, "swept web.1", &["finish 0"]),
        ],
    );
}

#[test]
fn tasks_of_the_supervisor_end_before_any_service_is_stopped() {
    let mut story = Story::up();
    tell(
        &mut story,
        &[
            (0, "tasks run", &[]),
            (10, "term", &["close"]),
            (1_500, "tick", &[]),
            // The clock of the ordered stop has been running: PostgreSQL's deadlines count from the signal.
            (500, "tasks end", &["TERM web.1"]),
        ],
    );
}

#[test]
fn a_stop_during_the_first_start_works_too() {
    let mut story = Story::new(PLAN);
    tell(
        &mut story,
        &[
            (0, "begin", &["spawn db.1"]),
            (0, "term", &["close", "INT db.1"]),
            (0, "spawned db.1", &[]),
            (0, "ready db.1", &[]),
            (0, "exited db.1 0", &["sweep db.1"]),
            (0, "swept db.1", &["finish 0"]),
        ],
    );
}

#[test]
fn a_crash_is_restarted_at_once_then_ever_slower_and_given_up_at_the_cap() {
    let mut story = Story::up();
    tell(&mut story, &[(1_000, "exited web.1 1", &["sweep web.1"]), (3, "swept web.1", &["spawn web.2"])]);
    tell(&mut story, &[(10, "exited web.2 1", &["sweep web.2"]), (0, "swept web.2", &[])]);
    assert_eq!(story.states(), "db=ready task=done web=backoff");
    let due = story.deadline().unwrap() - story.now;
    assert!((750..=1_000).contains(&due), "{due}");
    tell(&mut story, &[(due, "tick", &["spawn web.3"]), (0, "unspawnable web.3", &[])]);
    let due = story.deadline().unwrap() - story.now;
    assert!((1_500..=2_000).contains(&due), "{due}");
    tell(&mut story, &[(due, "tick", &["spawn web.4"])]);
    tell(&mut story, &[(0, "exited web.4 1", &["sweep web.4", "close", "close"])]);
    tell(
        &mut story,
        &[(0, "swept web.4", &["INT db.1"]), (0, "exited db.1 0", &["sweep db.1"]), (0, "swept db.1", &["finish 10"])],
    );
}

#[test]
fn a_healthy_spell_makes_the_next_restart_immediate_again() {
    let mut story = Story::up();
    for generation in 1..20 {
        let next = format!("spawn web.{}", generation + 1);
        tell(&mut story, &[(30_000, &format!("exited web.{generation} KILL"), &[&format!("sweep web.{generation}")])]);
        tell(&mut story, &[(0, &format!("swept web.{generation}"), &[&next])]);
        tell(&mut story, &[(0, &format!("ready web.{}", generation + 1), &[])]);
    }
}

#[test]
fn losing_the_database_restarts_it_and_leaves_web_alone() {
    let mut story = Story::up();
    tell(
        &mut story,
        &[
            (5, "exited db.1 KILL", &["sweep db.1"]),
            (0, "exited web.1 1", &["sweep web.1"]),
            (1, "swept web.1", &["spawn web.2"]),
            (9, "swept db.1", &["spawn db.2"]),
            (0, "ready db.2", &[]),
        ],
    );
}

#[test]
fn a_restart_with_overlap_drains_the_old_once_the_new_is_ready() {
    let mut story = Story::up();
    tell(
        &mut story,
        &[
            (0, "restart web", &["spawn web.2"]),
            (0, "spawned web.2", &[]),
            (300, "ready web.2", &["USR2 web.1", "3 ok: web is ready (generation 2, 300 ms)"]),
            (100, "exited web.1 0", &["sweep web.1"]),
            (0, "swept web.1", &[]),
        ],
    );
    assert_eq!(story.states(), "db=ready task=done web=ready");
}

#[test]
fn an_old_generation_that_does_not_drain_is_stopped() {
    let mut story = Story::up();
    tell(&mut story, &[(0, "restart web", &["spawn web.2"])]);
    story.tell("ready web.2");
    tell(
        &mut story,
        &[
            (30_000, "tick", &["TERM web.1"]),
            (2_000, "tick", &["KILL web.1"]),
            (1, "exited web.1 KILL", &["sweep web.1"]),
        ],
    );
    assert_eq!(story.states(), "db=ready task=done web=ready");
}

#[test]
fn a_generation_that_fails_its_probe_leaves_the_old_one_in_place() {
    let mut story = Story::up();
    tell(
        &mut story,
        &[
            (0, "restart web", &["spawn web.2"]),
            (10, "unfit web.2", &["TERM web.2"]),
            (
                5,
                "exited web.2 0",
                &["sweep web.2", "3 no: web: the new generation failed its probe: it answers 503; generation 1 stays"],
            ),
            (1, "swept web.2", &[]),
            (0, "restart web", &["spawn web.3"]),
            (10, "probed web.3", &["USR2 web.1", "3 ok: web is ready (generation 3, 10 ms)"]),
        ],
    );
}

#[test]
fn the_only_generation_serves_although_it_is_not_quite_well() {
    let mut story = Story::up();
    tell(&mut story, &[(0, "exited web.1 1", &["sweep web.1"]), (1, "swept web.1", &["spawn web.2"])]);
    tell(&mut story, &[(10, "unfit web.2", &[])]);
    assert_eq!(story.states(), "db=ready task=done web=ready");
}

#[test]
fn a_new_generation_that_fails_is_thrown_away_and_the_old_stays() {
    let no = |why: &str| format!("3 no: web: the new generation {why}; generation 1 stays");
    for (event, why, swept) in [
        ("exited web.2 3", "ended before it was ready (exit 3)", true),
        ("unspawnable web.2", "cannot be started: exec: no", false),
    ] {
        let mut story = Story::up();
        tell(&mut story, &[(0, "restart web", &["spawn web.2"])]);
        let told = story.tell(event);
        assert_eq!(told.last(), Some(&no(why)));
        assert_eq!(told.contains(&"sweep web.2".to_owned()), swept);
        story.tell("swept web.2");
        assert_eq!(story.states(), "db=ready task=done web=ready");
        tell(&mut story, &[(0, "restart web", &["spawn web.3"])]);
    }
    let mut story = Story::up();
    tell(
        &mut story,
        &[
            (0, "restart web", &["spawn web.2"]),
            (10_000, "tick", &["TERM web.2"]),
            (9, "exited web.2 KILL", &["sweep web.2", &no("was not ready within 10 s")]),
            (0, "swept web.2", &[]),
        ],
    );
    assert_eq!(story.states(), "db=ready task=done web=ready");
}

#[test]
fn when_the_old_one_dies_during_a_restart_the_new_one_takes_over() {
    let mut story = Story::up();
    tell(
        &mut story,
        &[
            (0, "restart web", &["spawn web.2"]),
            (5, "exited web.1 KILL", &["sweep web.1"]),
            (0, "swept web.1", &[]),
            (5, "ready web.2", &["3 ok: web is ready (generation 2, 10 ms)"]),
        ],
    );
}

#[test]
fn restart_without_overlap_stops_first_and_nobody_else() {
    let mut story = Story::up();
    tell(
        &mut story,
        &[
            (0, "restart db", &["INT db.1"]),
            (8_500, "tick", &["QUIT db.1"]),
            (5, "exited db.1 0", &["sweep db.1"]),
            (5, "swept db.1", &["spawn db.2"]),
            (7, "ready db.2", &["3 ok: db is ready (generation 2, 7 ms)"]),
        ],
    );
}

#[test]
fn stop_closes_the_listener_and_start_brings_the_service_back() {
    let mut story = Story::up();
    tell(
        &mut story,
        &[
            (0, "stop web", &["close", "TERM web.1"]),
            (5, "exited web.1 0", &["sweep web.1"]),
            (5, "swept web.1", &["2 ok: web is stopped"]),
            (60_000, "tick", &[]),
            (0, "stop web", &["close", "2 ok: web is stopped"]),
            (0, "start web", &["spawn web.2"]),
            (7, "ready web.2", &["1 ok: web is ready (generation 2, 7 ms)"]),
            (0, "start web", &["1 ok: web is already running"]),
        ],
    );
}

#[test]
fn a_start_that_fails_says_why() {
    let mut story = Story::up();
    for line in ["stop web", "exited web.1 0", "swept web.1"] {
        story.tell(line);
    }
    tell(
        &mut story,
        &[
            (0, "start web", &["spawn web.2"]),
            (0, "exited web.2 3", &["sweep web.2", "1 no: web ended before it was ready (exit 3)"]),
            (0, "swept web.2", &["spawn web.3"]),
        ],
    );
}

#[test]
fn a_stop_overtakes_a_restart() {
    let mut story = Story::up();
    tell(
        &mut story,
        &[
            (0, "restart web", &["spawn web.2"]),
            (0, "stop web", &["close", "3 no: web was stopped meanwhile", "TERM web.1", "TERM web.2"]),
            (0, "exited web.2 0", &["sweep web.2"]),
            (0, "exited web.1 0", &["sweep web.1"]),
            (0, "swept web.1", &[]),
            (0, "swept web.2", &["2 ok: web is stopped"]),
        ],
    );
}

#[test]
fn a_failing_task_ends_the_start_with_its_own_exit_code() {
    for (code, finish) in [("1", "finish 12"), ("13", "finish 13"), ("14", "finish 12"), ("KILL", "finish 12")] {
        let mut story = Story::new(PLAN);
        for line in ["begin", "spawned db.1", "ready db.1"] {
            story.tell(line);
        }
        tell(
            &mut story,
            &[
                (0, &format!("exited task.1 {code}"), &["sweep task.1", "close"]),
                (0, "swept task.1", &["INT db.1"]),
                (0, "exited db.1 0", &["sweep db.1"]),
                (0, "swept db.1", &[finish]),
            ],
        );
    }
}

#[test]
fn the_preparation_is_not_repeated_under_running_servers() {
    let mut story = Story::new("[service.prepare]\nkind = \"bundled\"\noneshot = true\n");
    story.tell("begin");
    story.tell("exited prepare.1 0");
    story.tell("swept prepare.1");
    for verb in ["start", "restart"] {
        let answer = story.tell(&format!("{verb} prepare"));
        assert!(answer.iter().any(|line| line.contains("has done its work")), "{answer:?}");
        assert_eq!(answer.len(), 1, "nothing is started: {answer:?}");
    }
}

#[test]
fn a_task_repeated_by_hand_may_fail_without_harm() {
    let mut story = Story::up();
    tell(
        &mut story,
        &[
            (0, "restart task", &["spawn task.2"]),
            (0, "exited task.2 1", &["sweep task.2", "3 no: task failed (exit 1)"]),
            (0, "swept task.2", &[]),
            (0, "start task", &["spawn task.3"]),
            (4, "exited task.3 0", &["sweep task.3", "1 ok: task is done (4 ms)"]),
        ],
    );
}

#[test]
fn requests_during_the_stop_are_refused() {
    let mut story = Story::up();
    story.tell("restart web");
    tell(
        &mut story,
        &[
            (0, "term", &["close", "3 no: the appliance is stopping", "TERM web.1", "TERM web.2"]),
            (0, "start db", &["1 no: the appliance is stopping"]),
        ],
    );
}

#[test]
fn health_shows_in_the_status_and_changes_nothing_else() {
    let mut story = Story::up();
    tell(&mut story, &[(0, "sick db.1", &[])]);
    let status = story.state.as_ref().unwrap().status();
    assert_eq!((status[0].state.as_str(), status[0].health.as_str(), status[0].is_well()), ("ready", "refused", false));
    tell(&mut story, &[(0, "well db.1", &[])]);
    assert!(story.state.as_ref().unwrap().status().iter().all(ServiceStatus::is_well));
}

#[test]
fn an_unessential_service_that_is_given_up_stops_nothing() {
    let text = "[service.a]\nkind = \"exec\"\ncommand = [\"a\"]\nessential = false\nbackoff = { attempts = 1 }\n";
    let mut story = Story::new(text);
    tell(
        &mut story,
        &[
            (0, "begin", &["spawn a.1"]),
            (0, "ready a.1", &[]),
            (0, "exited a.1 1", &["sweep a.1"]),
            (0, "swept a.1", &[]),
            (9_000_000, "tick", &[]),
        ],
    );
    assert_eq!(story.states(), "a=failed");
    tell(&mut story, &[(0, "start a", &["spawn a.2"])]);
}
