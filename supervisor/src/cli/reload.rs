//! `supervisor reload`.

use std::path::PathBuf;

use super::output::{print, print_json, tell};
use crate::control::{Client, Failure};

pub(super) async fn reload(data_dir: PathBuf, dry_run: bool, json: bool) -> Result<u8, Failure> {
    let answer = Client::connect(&data_dir).await?.reload(dry_run).await?;
    if json {
        print_json(&answer);
        return Ok(answer.exit);
    }
    for fault in answer.error.iter().chain(&answer.faults) {
        tell(&format!("supervisor: {fault}"));
    }
    for change in &answer.reloaded.settings {
        print(&change.to_string());
    }
    for taken in &answer.reloaded.services {
        print(&taken.to_string());
        for key in &taken.change.keys {
            print(&format!("  {key}"));
        }
    }
    let (_, verdict) = answer.verdict();
    match answer.exit {
        0 if dry_run && !answer.reloaded.is_empty() => {
            print("Nothing has been changed: this is what a reload would do.");
        }
        0 => print(verdict),
        _ => tell(&format!("supervisor: {verdict}")),
    }
    Ok(answer.exit)
}
