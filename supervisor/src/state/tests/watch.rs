//! What the changes of a story are called.

use super::story::{PLAN, Story};
use crate::state::*;

/// Tells the lines to the machine, and says what has changed with each.
fn changes(story: &mut Story, watch: &mut Watch, lines: &[&str]) -> Vec<String> {
    let mut told = Vec::new();
    for line in lines {
        story.tell(line);
        watch.look(story.state.as_ref().unwrap(), |change| {
            let service = change.service.unwrap_or_else(|| "-".to_owned());
            let generation = change.generation.map_or_else(String::new, |generation| format!(".{generation}"));
            told.push(format!("{} {service}{generation} {}", change.kind, change.level.name()));
        });
    }
    told
}

#[test]
fn a_first_start_and_a_failure_are_told_once_each() {
    let (mut story, mut watch) = (Story::new(PLAN), Watch::default());
    let lines = ["begin", "spawned db.1", "tick", "ready db.1", "spawned task.1", "exited task.1 0", "swept task.1"];
    let told = changes(&mut story, &mut watch, &lines);
    assert_eq!(
        told,
        ["starting db.1 info", "ready db.1 info", "starting task.1 info", "exited task.1 info", "done task info"]
    );
    let told = changes(&mut story, &mut watch, &["spawned web.1", "ready web.1"]);
    assert_eq!(told, ["starting web.1 info", "ready web.1 info", "up - info"]);
    let told = changes(&mut story, &mut watch, &["exited web.1 KILL", "swept web.1"]);
    assert_eq!(told, ["exited web.1 warn", "backoff web warn"]);
}

#[test]
fn a_replacement_and_the_ordered_stop_are_told() {
    let (mut story, mut watch) = (Story::up(), Watch::default());
    changes(&mut story, &mut watch, &["tick"]);
    let told = changes(&mut story, &mut watch, &["restart web", "spawned web.2", "ready web.2", "exited web.1 0"]);
    let expected =
        ["starting web.2 info", "draining web.1 info", "ready web.2 info", "replaced web.2 info", "exited web.1 info"];
    assert_eq!(told, expected);
    changes(&mut story, &mut watch, &["swept web.1"]);
    let told =
        changes(&mut story, &mut watch, &["term", "exited web.2 0", "swept web.2", "exited db.1 0", "swept db.1"]);
    assert_eq!(told[..3], ["stopping web.2 info", "shutdown - info", "exited web.2 info"]);
    assert_eq!(told.last().unwrap(), "stopped - info");
}
