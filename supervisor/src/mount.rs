//! Would the data survive the container, and where in it is a volume? Told from the table of mounts.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What the container's engine leaves in its root directory: Docker's mark and Podman's.
const MARKS: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];

/// Folders of a data directory that deployments with several volumes have one on, that of most worth first.
const VOLUMES: [&str; 2] = ["postgres/data", "postgres"];
/// What people and commands look for in a data directory.
const LINKED: [&str; 7] = ["format", "backups", "logs", "run", "secrets", "spool", "uploads"];

/// Where data for `data_dir` is kept.
///
/// That is `data_dir` itself, unless it lies in a container's own layer with a volume on its folder `postgres`, as in
/// `-v postgres-data:/data/postgres -v redis-data:/data/redis`. Then all of it goes there: a database without its
/// passwords, or without the events that wait in the spool, would be of little use.
pub fn root_of(data_dir: &Path) -> PathBuf {
    let is_laid_out = data_dir.join("format").symlink_metadata().is_ok_and(|format| format.is_file());
    if is_laid_out || !is_lost_with_container(data_dir) {
        return data_dir.to_path_buf();
    }
    inner_volume(&mounts(), data_dir).unwrap_or_else(|| data_dir.to_path_buf())
}

fn inner_volume(table: &str, data_dir: &Path) -> Option<PathBuf> {
    let is_mounted = |path: &PathBuf| points(table).any(|(point, _)| Path::new(point) == path);
    VOLUMES.iter().map(|name| data_dir.join(name)).find(is_mounted)
}

/// Makes what is in `root` reachable through `data_dir`, and says what that means.
///
/// # Errors
/// When a link cannot be made; everything works all the same, with `--data-dir`.
pub fn link(data_dir: &Path, root: &Path) -> io::Result<String> {
    for name in LINKED {
        let place = data_dir.join(name);
        if place.symlink_metadata().is_err() {
            symlink(root.join(name), place)?;
        }
    }
    let table = mounts();
    let others = points(&table).map(|(point, _)| Path::new(point));
    let unused: Vec<String> = others
        .filter(|point| point.starts_with(data_dir) && *point != root)
        .map(|point| point.display().to_string())
        .collect();
    let unused = if unused.is_empty() { String::new() } else { format!("; nothing is kept in {}", unused.join(", ")) };
    let (shown, root) = (data_dir.display(), root.display());
    Ok(format!("{shown} is no volume, but {root} is: all data is kept there{unused}. One volume on {shown} is better"))
}

fn mounts() -> String {
    std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default()
}

/// True when `data_dir` lies in a container's own layer, which is gone when the container is.
pub fn is_lost_with_container(data_dir: &Path) -> bool {
    let table = mounts();
    let real = data_dir.canonicalize().unwrap_or_else(|_| data_dir.to_path_buf());
    let (point, kind) = mount_of(&table, &real);
    point == "/" && (kind == "overlay" || MARKS.into_iter().any(|mark| Path::new(mark).exists()))
}

/// The innermost mount that `path` is on: where it is mounted, and its file system.
fn mount_of<'a>(table: &'a str, path: &Path) -> (&'a str, &'a str) {
    // What is mounted last covers the rest.
    points(table).filter(|(point, _)| path.starts_with(point)).max_by_key(|(point, _)| point.len()).unwrap_or_default()
}

/// Where something is mounted, and its file system.
fn points(table: &str) -> impl Iterator<Item = (&str, &str)> {
    // "36 35 98:0 /mnt1 /mnt/parent rw,noatime master:1 - ext3 /dev/root rw"
    table.lines().filter_map(|line| {
        let (before, behind) = line.split_once(" - ")?;
        Some((before.split(' ').nth(4)?, behind.split(' ').next()?))
    })
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
    fn a_volume_on_the_folder_of_the_database_takes_everything() {
        let table =
            |point: &str| format!("24 22 254:0 /volumes/x/_data {point} rw,relatime master:1 - ext4 /dev/vda rw\n");
        let volume = |table: &str| inner_volume(table, Path::new("/data"));
        assert_eq!(volume(&table("/data/postgres")), Some("/data/postgres".into()));
        assert_eq!(volume(&table("/data/postgres/data")), Some("/data/postgres/data".into()));
        assert_eq!(volume(&table("/data/redis")), None);
        assert_eq!(volume(&table("/database/postgres")), None);
    }

    #[test]
    fn links_lead_to_what_is_elsewhere_and_leave_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let (data, root) = (folder.path().join("data"), folder.path().join("data/postgres"));
        std::fs::create_dir_all(root.join("logs")).unwrap();
        std::fs::create_dir(data.join("backups")).unwrap();
        for _ in 0..2 {
            let said = link(&data, &root).unwrap();
            assert!(said.contains("all data is kept there."), "{said}");
        }
        std::fs::write(data.join("logs/a"), "x").unwrap();
        assert!(root.join("logs/a").exists() && data.join("backups").symlink_metadata().unwrap().is_dir());
    }

    #[test]
    fn the_box_is_as_wide_as_its_text() {
        let lines = warning(Path::new("/data"));
        assert_eq!(lines.first().map(String::len), lines.get(1).map(String::len));
        assert!(lines.concat().contains("/data"));
    }
}
