//! Would the data survive the container? Told from the table of mounts.

use std::path::Path;

/// What the container's engine leaves in its root directory: Docker's mark and Podman's.
const MARKS: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];

/// True when `data_dir` lies in a container's own layer, which is gone when the container is.
pub fn is_lost_with_container(data_dir: &Path) -> bool {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let real = data_dir.canonicalize().unwrap_or_else(|_| data_dir.to_path_buf());
    let (point, kind) = mount_of(&table, &real);
    point == "/" && (kind == "overlay" || MARKS.into_iter().any(|mark| Path::new(mark).exists()))
}

/// The innermost mount that `path` is on: where it is mounted, and its file system.
fn mount_of<'a>(table: &'a str, path: &Path) -> (&'a str, &'a str) {
    // "36 35 98:0 /mnt1 /mnt/parent rw,noatime master:1 - ext3 /dev/root rw"; what is mounted last covers the rest.
    let mounts = table.lines().filter_map(|line| {
        let (before, behind) = line.split_once(" - ")?;
        Some((before.split(' ').nth(4)?, behind.split(' ').next()?))
    });
    let holds = mounts.filter(|(point, _)| path.starts_with(point));
    holds.max_by_key(|(point, _)| point.len()).unwrap_or_default()
}

/// The warning, a box that cannot be overlooked.
pub fn warning(data_dir: &Path) -> Vec<String> {
    let shown = data_dir.display();
    let lines = [
        format!("NO VOLUME IS MOUNTED ON {shown}: ALL DATA IS LOST WHEN THIS CONTAINER IS REMOVED."),
        format!("Keep it with: docker run -v glitchbox:{shown} ..."),
    ];
    let bar = "!".repeat(lines.iter().map(String::len).max().unwrap_or_default());
    let [first, second] = lines;
    vec![bar.clone(), first, second, bar]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_counts() {
        let table = "\
22 1 0:30 / / rw,relatime - overlay overlay rw,lowerdir=/x
23 22 0:31 / /proc rw - proc proc rw
24 22 254:0 /volumes/glitchbox/_data /data rw,relatime master:1 - ext4 /dev/vda rw
";
        let of = |path: &str| mount_of(table, Path::new(path));
        assert_eq!(of("/data"), ("/data", "ext4"));
        assert_eq!(of("/data/postgres"), ("/data", "ext4"));
        assert_eq!(of("/database"), ("/", "overlay"));
        assert_eq!(mount_of("", Path::new("/data")), ("", ""));
    }

    #[test]
    fn the_box_is_as_wide_as_its_text() {
        let lines = warning(Path::new("/data"));
        assert_eq!(lines.first().map(String::len), lines.get(1).map(String::len));
        assert!(lines.concat().contains("/data"));
    }
}
