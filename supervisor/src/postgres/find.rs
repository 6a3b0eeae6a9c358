//! Which of the installed PostgreSQL versions to use.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Fault;

/// Major versions we know, best first.
const KNOWN: [u32; 3] = [17, 16, 15];
/// Where Debian and Ubuntu put the versions side by side.
const VERSIONS: &str = "/usr/lib/postgresql";

/// An installed PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The folder with `postgres` and `initdb`.
    pub bin: PathBuf,
    /// Its major version.
    pub major: u32,
}

/// The server for a cluster of version `cluster`, or for a new one. `data_dir` is for the message only.
///
/// # Errors
/// Exit code 15 when none is installed, 13 when there is one but none that fits the cluster.
pub fn find(cluster: Option<u32>, data_dir: &Path, search_path: &[PathBuf]) -> Result<Server, Fault> {
    choose(cluster, data_dir, installed(Path::new(VERSIONS), search_path))
}

fn choose(cluster: Option<u32>, data_dir: &Path, installed: Vec<Server>) -> Result<Server, Fault> {
    let Some(newest) = installed.iter().map(|server| server.major).max() else {
        let package = cluster.map_or_else(|| "postgresql".to_owned(), |major| format!("postgresql-{major}"));
        return Err(Fault::configuration(format!(
            "No PostgreSQL server (version 15, 16 or 17) is installed. Install it with: apt-get install {package}; or set DATABASE_URL to use one elsewhere."
        )));
    };
    let wanted = cluster.unwrap_or(newest);
    if let Some(server) = installed.into_iter().find(|server| server.major == wanted) {
        return Ok(server);
    }
    let data_dir = data_dir.display();
    Err(Fault::data_directory(if wanted > newest {
        format!(
            "The data directory {data_dir} holds a PostgreSQL {wanted} cluster, newer than the PostgreSQL {newest} installed here."
        )
    } else {
        format!(
            "The data directory {data_dir} holds a PostgreSQL {wanted} cluster, and PostgreSQL {wanted} is not installed here. Install it with: apt-get install postgresql-{wanted}."
        )
    }))
}

/// The folders where Debian and Ubuntu put PostgreSQL's programs, of every version there is.
pub(super) fn folders() -> impl Iterator<Item = PathBuf> {
    let versions = std::fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    versions.map(|version| version.path().join("bin"))
}

/// Servers of known versions: Debian's folders, and failing that the first one on the search path.
fn installed(versions: &Path, search_path: &[PathBuf]) -> Vec<Server> {
    let is_server = |bin: &Path| bin.join("postgres").is_file() && bin.join("initdb").is_file();
    let packaged: Vec<Server> = KNOWN
        .into_iter()
        .map(|major| Server { bin: versions.join(major.to_string()).join("bin"), major })
        .filter(|server| is_server(&server.bin))
        .collect();
    if !packaged.is_empty() {
        return packaged;
    }
    let on_path = search_path.iter().filter(|bin| bin.is_absolute() && is_server(bin)).find_map(|bin| {
        let major = ask_version(&bin.join("postgres"))?;
        KNOWN.contains(&major).then(|| Server { bin: bin.clone(), major })
    });
    on_path.into_iter().collect()
}

/// The major version a `postgres` program says it is.
fn ask_version(program: &Path) -> Option<u32> {
    let output = Command::new(program).arg("--version").env_clear().output().ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

/// The major version in "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)".
pub(super) fn parse_version(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("(PostgreSQL) ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn servers(majors: &[u32]) -> Vec<Server> {
        majors.iter().map(|major| Server { bin: PathBuf::new(), major: *major }).collect()
    }

    fn chosen(cluster: Option<u32>, majors: &[u32]) -> Result<u32, (u8, String)> {
        choose(cluster, Path::new("/data"), servers(majors))
            .map(|server| server.major)
            .map_err(|fault| (fault.exit, fault.message))
    }

    #[test]
    fn a_cluster_decides_and_a_new_one_gets_the_newest() {
        assert_eq!(chosen(None, &[17, 15]), Ok(17));
        assert_eq!(chosen(Some(15), &[17, 15]), Ok(15));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let (exit, message) = chosen(Some(18), &[17, 15]).unwrap_err();
        assert_eq!(exit, 13);
        assert!(message.contains("newer"), "{message}");
        let (exit, message) = chosen(Some(16), &[17, 15]).unwrap_err();
        assert_eq!(exit, 13);
        assert!(message.contains("postgresql-16"), "{message}");
        let (exit, message) = chosen(None, &[]).unwrap_err();
        assert_eq!(exit, 15);
        assert!(message.contains("apt-get install postgresql;"), "{message}");
        assert!(chosen(Some(16), &[]).unwrap_err().1.contains("postgresql-16"));
    }

    #[test]
    fn folders_by_version_come_before_the_search_path() {
        let root = tempfile::tempdir().unwrap();
        let make = |folder: PathBuf, version: &str| {
            std::fs::create_dir_all(&folder).unwrap();
            for name in ["postgres", "initdb"] {
                let file = folder.join(name);
                std::fs::write(&file, format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")).unwrap();
                std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
            }
            folder
        };
        let old = make(root.path().join("old"), "14.2");
        let good = make(root.path().join("good"), "16.3 (Custom)");
        let path = [old, good.clone()];
        assert_eq!(installed(root.path(), &path), [Server { bin: good, major: 16 }]);
        make(root.path().join("15/bin"), "15.1");
        assert_eq!(installed(root.path(), &path)[0].major, 15);
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(parse_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_version("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(parse_version("redis"), None);
    }
}
