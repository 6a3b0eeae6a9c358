//! A program in the place of `redis-server` that starts the real one with a library preloaded or with more settings.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::appliance::Instance;

/// What the real server is started with.
#[derive(Debug, Default)]
pub(super) struct Wrapper<'a> {
    /// A library, and the variables it reads.
    pub(super) preload: Option<(&'a Path, &'a [(&'a str, &'a str)])>,
    /// Lines added to the configuration.
    pub(super) configuration: &'a str,
}

impl Wrapper<'_> {
    /// Puts it first on the search path of the instance's supervisor.
    pub(super) fn install(&self, instance: &mut Instance) {
        let mut script = "#!/bin/sh\n".to_owned();
        for (name, value) in self.preload.map_or(&[][..], |(_, variables)| variables) {
            writeln!(script, "export {name}='{value}'").unwrap();
        }
        if let Some((library, _)) = self.preload {
            writeln!(script, "export LD_PRELOAD='{}'", library.display()).unwrap();
        }
        let real = find("redis-server").display().to_string();
        if !self.configuration.is_empty() {
            // The supervisor's configuration comes on standard input.
            writeln!(script, "file=$(mktemp) && cat >\"$file\" && echo '{}' >>\"$file\"", self.configuration).unwrap();
            writeln!(script, "exec <\"$file\" && rm \"$file\"").unwrap();
        }
        writeln!(script, "exec {real} \"$@\"").unwrap();
        let folder = instance.root().join("bin");
        std::fs::create_dir(&folder).unwrap();
        let program = folder.join("redis-server");
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        instance.set_env("PATH", &format!("{}:{SEARCHED}", folder.display()));
    }
}

/// Where the tests' programs find others.
const SEARCHED: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn find(program: &str) -> PathBuf {
    let found = SEARCHED.split(':').map(|folder| Path::new(folder).join(program)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{program} is not installed"))
}
