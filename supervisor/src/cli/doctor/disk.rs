//! Room for the data.

use std::fs::File;
use std::io;

use super::{Finding, Patient};
use crate::cli::output::size;
use crate::disk::Room;
use crate::mount;

/// Less than a tenth and less than this free is little, in bytes.
const LITTLE: u64 = 5 << 30;

/// Fewer files than this that can still be made are few.
const FEW: u64 = 10_000;

pub(super) fn look(patient: &Patient) -> Vec<Finding> {
    let shown = patient.data.display();
    let mut findings = Vec::new();
    match File::open(&patient.data) {
        Ok(folder) => findings.extend(Room::of(&folder).as_ref().map(room)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = format!("The data directory {shown} does not exist.");
            let fix = "Name the right one with --data-dir or DATA_DIR; the first start makes it.";
            return vec![Finding::warn("disk", text, fix)];
        }
        Err(error) => {
            let text = format!("The data directory {shown} cannot be opened: {error}.");
            return vec![Finding::bad("disk", text, "Ask as its owner (sudo), or correct its permissions.")];
        }
    }
    if mount::is_lost_with_container(&patient.data) {
        let text = format!("{shown} is no volume: all data is lost when the container is removed.");
        findings.push(Finding::bad("volume", text, "Start the container with a volume: -v glitchbox:/data"));
    }
    findings
}

fn room(room: &Room) -> Finding {
    let (free, all) = (size(room.free), size(room.size));
    let fix = "Make room, or give the data directory a larger disk; shorter retention (GLITCHTIP_MAX_EVENT_LIFE_DAYS) needs less.";
    if let Some(lack) = room.lack() {
        return Finding::bad("disk", format!("No event can be stored: {lack}."), fix);
    }
    if room.free < room.size / 10 && room.free < LITTLE {
        return Finding::warn("disk", format!("The data disk has {free} of {all} free."), fix);
    }
    match room.files {
        Some(files) if files < FEW => {
            let fix = "Remove small files from that disk, or make a file system with more inodes.";
            Finding::warn("disk", format!("The data disk can hold {files} more files (inodes)."), fix)
        }
        _ => Finding::ok("disk", format!("The data disk has {free} of {all} free.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::Verdict;

    const GB: u64 = 1 << 30;

    #[test]
    fn room_is_judged_by_share_and_size_and_files() {
        let judge = |size, free, files| room(&Room { size, free, files }).verdict;
        assert_eq!(judge(100 * GB, 50 * GB, None), Verdict::Ok);
        assert_eq!(judge(1_000 * GB, 50 * GB, Some(1_000_000)), Verdict::Ok, "5 %, but plenty");
        assert_eq!(judge(20 * GB, GB, None), Verdict::Warn);
        assert_eq!(judge(20 * GB, 10 * GB, Some(500)), Verdict::Warn);
        assert_eq!(judge(20 * GB, 1_000, None), Verdict::Bad);
    }
}
