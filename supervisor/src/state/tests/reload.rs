//! Another plan while everything runs.

use super::story::{PLAN, Story, tell};

fn changed(from: &str, to: &str) -> String {
    assert!(PLAN.contains(from), "{from}");
    PLAN.replace(from, to)
}

#[test]
fn a_changed_service_is_replaced_as_by_a_restart() {
    let mut story = Story::up();
    assert_eq!(story.reload(&changed("[\"web\"]", "[\"web\", \"-v\"]")), ["spawn web.2"]);
    tell(
        &mut story,
        &[
            (0, "spawned web.2", &[]),
            (300, "ready web.2", &["USR2 web.1", "reloaded +web: web is ready (generation 2, 300 ms)"]),
            (100, "exited web.1 0", &["sweep web.1"]),
            (0, "swept web.1", &[]),
        ],
    );
    assert_eq!(story.reload(&changed("[\"web\"]", "[\"web\", \"-v\"]")), ["reloaded "]);
}

#[test]
fn those_that_change_go_one_after_another_where_one_comes_after_the_other() {
    let mut story = Story::up();
    let next =
        changed("[\"web\"]", "[\"web\", \"-v\"]").replace("[\"db\"]\nready_within", "[\"db\", \"-v\"]\nready_within");
    assert_eq!(story.reload(&next), ["INT db.1"]);
    tell(
        &mut story,
        &[
            (10, "exited db.1 0", &["sweep db.1"]),
            (0, "swept db.1", &["spawn db.2"]),
            (5, "ready db.2", &["spawn web.2"]),
            (
                9,
                "ready web.2",
                &[
                    "USR2 web.1",
                    "reloaded +db: db is ready (generation 2, 5 ms) | +web: web is ready (generation 2, 9 ms)",
                ],
            ),
        ],
    );
}

#[test]
fn settings_that_need_no_process_count_at_once() {
    let mut story = Story::up();
    let next = changed("stop = [\"INT\", \"QUIT@8.5\", \"KILL@9\"]", "stop = [\"TERM\", \"KILL@1\"]");
    assert_eq!(story.reload(&next), ["reloaded +db: counts from now on"]);
    tell(&mut story, &[(0, "stop db", &["TERM db.1"]), (1_000, "tick", &["KILL db.1"])]);
}

#[test]
fn a_ladder_that_changes_while_it_is_climbed_still_ends_in_a_kill() {
    let mut story = Story::up();
    tell(&mut story, &[(0, "stop db", &["INT db.1"]), (8_500, "tick", &["QUIT db.1"])]);
    let next = changed("stop = [\"INT\", \"QUIT@8.5\", \"KILL@9\"]", "stop = [\"KILL\"]");
    assert_eq!(story.reload(&next), ["reloaded +db: counts from now on", "KILL db.1"]);
}

#[test]
fn what_goes_is_stopped_last_unless_something_that_needs_it_has_kept_its_settings() {
    let (_, web) = PLAN.split_once("[service.web]").unwrap();
    let without = format!("[service.web]{web}").replace("after = [\"task\"]\n", "");
    let mut story = Story::up();
    let next = without.replace("[\"web\"]", "[\"web\", \"-v\"]");
    assert_eq!(story.reload(&next), ["spawn web.2"]);
    // The task has been done: it goes at once, and then the database it came after.
    tell(&mut story, &[(1, "ready web.2", &["USR2 web.1", "INT db.1"])]);
    tell(
        &mut story,
        &[
            (1, "exited db.1 0", &["sweep db.1"]),
            (
                0,
                "swept db.1",
                &["reloaded +web: web is ready (generation 2, 1 ms) | +task: task is stopped | +db: db is stopped"],
            ),
        ],
    );
    assert_eq!(story.states(), "web=ready");

    let mut story = Story::up();
    assert_eq!(story.reload(&next), ["spawn web.2"]);
    let answer = story.tell("exited web.2 1");
    assert_eq!(
        answer.last().map(|text| text.contains("-task: stays: web, which comes after it, has its former settings")),
        Some(true),
        "{answer:?}"
    );
}

#[test]
fn a_stop_by_hand_ends_the_trial_and_the_new_settings_stay() {
    let mut story = Story::up();
    let next = changed("[\"web\"]", "[\"web\", \"-v\"]");
    story.reload(&next);
    let told = story.tell("stop web");
    assert_eq!(told, ["close", "reloaded -web: web was stopped meanwhile", "TERM web.1", "TERM web.2"]);
    for line in ["exited web.1 0", "exited web.2 0", "swept web.1", "swept web.2"] {
        story.tell(line);
    }
    assert_eq!(story.reload(&next), ["reloaded "]);
}

#[test]
fn a_service_that_is_down_is_not_started_by_other_settings() {
    let mut story = Story::up();
    for line in ["stop web", "exited web.1 0", "swept web.1"] {
        story.tell(line);
    }
    let told = story.reload(&changed("[\"web\"]", "[\"web\", \"-v\"]"));
    assert_eq!(told, ["reloaded +web: counts from its next start on"]);
}

#[test]
fn reloads_are_refused_while_another_is_under_way_and_at_the_end() {
    let mut story = Story::up();
    let next = changed("[\"web\"]", "[\"web\", \"-v\"]");
    story.reload(&next);
    assert_eq!(story.reload(PLAN), ["not reloaded: another reload is under way"]);
    let told = story.tell("term");
    assert_eq!(told[..2], ["close", "reloaded -web: the appliance is stopping"]);
    assert_eq!(story.reload(PLAN), ["not reloaded: the appliance is stopping"]);
}

#[test]
fn a_start_that_may_take_for_ever_does_not_keep_the_reload_from_its_end() {
    let mut story = Story::up();
    let next = changed("ready_within_s = 10", "ready_within_s = 0");
    let next = next.replace("[\"web\"]", "[\"web\", \"-v\"]");
    assert_eq!(story.reload(&next), ["spawn web.2"]);
    assert_eq!(story.deadline(), Some(60_000));
    tell(&mut story, &[(59_999, "tick", &[]), (1, "tick", &["reloaded +web: is still starting; counts from now on"])]);
    assert_eq!(story.deadline(), None);
    assert_eq!(story.reload(&next), ["reloaded "]);
    tell(&mut story, &[(1_000, "ready web.2", &["USR2 web.1"])]);
}

#[test]
fn a_new_task_that_takes_long_is_left_alone_and_taken_out_if_it_fails() {
    let mut story = Story::up();
    let next = format!("{PLAN}[service.long]\nkind = \"exec\"\ncommand = [\"l\"]\noneshot = true\n");
    assert_eq!(story.reload(&next), ["spawn long.1"]);
    tell(
        &mut story,
        &[
            (60_000, "tick", &["reloaded +long: is still running; if it fails, it is taken out again"]),
            (9, "exited long.1 1", &["sweep long.1"]),
            (0, "swept long.1", &[]),
        ],
    );
    assert_eq!(story.states(), "db=ready task=done web=ready");
}

#[test]
fn a_listener_that_nobody_wants_any_more_is_closed() {
    let mut story = Story::up();
    story.reload(&changed("listen = true\n", ""));
    let told = story.tell("ready web.2");
    assert!(told.contains(&"close".to_owned()), "{told:?}");
}
