//! The justfile and the environment files: what they promise without a container.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::appliance::Instance;

/// Every recipe of the contract.
const RECIPES: &[&str] = &[
    "deploy-test",
    "build",
    "clean",
    "logs",
    "logs-supervisor",
    "logs-app",
    "logs-celery",
    "logs-worker",
    "logs-pgsql",
    "logs-redis",
    "logs-migrate",
    "logs-web-errors",
    "logs-celery-errors",
    "logs-scheduled-restart",
    "logs-scheduled-restart-errors",
    "logs-errors",
    "backup",
    "restore",
    "run-migrate",
    "run-scheduled-restart",
    "it-shell",
    "it-shell-psql",
    "it-shell-redis",
    "admin",
    "push",
    "package-to-zip",
    "check",
    "test",
    "bench",
    "fmt",
];

/// An environment file as deployments of the seed have it: quotes, and comments behind values.
const SEED: &str = r#"
# Container
CONTAINER_NAME=glitchtip-aio
IMAGE_NAME=glitchtip-aio
DATA_DIR=./data
DEFAULT_PORT=8000
DEFAULT_DOMAIN=http://localhost:8000
GLITCHTIP_DOMAIN=https://errors.example.com
ALLOWED_HOSTS="errors.example.com,.svc.cluster.local,.localhost,127.0.0.1,[::1]"
CSRF_TRUSTED_ORIGINS=https://errors.example.com,http://localhost:8000
SECRET_KEY=                    # generate one
DEBUG=false
ENABLE_USER_REGISTRATION=false
ENABLE_ORGANIZATION_CREATION=false
DEFAULT_FROM_EMAIL=glitchtip@localhost
PERSIST_DATA=false             # keep the data
EXPOSE_WEB_PORT=true           # to the host
EXPOSE_DB_PORT=false          # to the host
EXPOSE_REDIS_PORT=false       # to the host
DB_PASSWORD=                  # generate one
REDIS_PASSWORD=              # optional
DATABASE_POOL=false          # pooling
EMAIL_URL=consolemail://
MAX_UPLOAD_SIZE=10485760      # 10 MB
GLITCHTIP_MAX_EVENT_LIFE_DAYS=90
GLITCHTIP_MAX_TRANSACTION_EVENT_LIFE_DAYS=180
GLITCHTIP_MAX_FILE_LIFE_DAYS=180
FEISHU_GROUP_DEVOPS_ROBOT_WEBHOOK_URL=  # where reports go
"#;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// just with these arguments in `folder`, and with nothing of the environment that recipes look at.
fn just(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(root().join("tests/just"));
    command.args(arguments).current_dir(folder).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", folder);
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A folder with the justfile and nothing else.
fn folder_with_justfile() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(root().join("justfile"), folder.path().join("justfile")).unwrap();
    folder
}

#[test]
fn every_recipe_is_there_and_explained() {
    let folder = folder_with_justfile();
    let dump: Value = serde_json::from_str(&text(&just(folder.path(), &["--dump", "--dump-format", "json"]))).unwrap();
    let recipes = dump["recipes"].as_object().unwrap();
    for name in RECIPES {
        let recipe = recipes.get(*name).unwrap_or_else(|| panic!("there is no recipe {name}"));
        assert!(recipe["doc"].is_string(), "{name} is not explained");
        assert!(recipe["attributes"].to_string().contains("group"), "{name} is in no group");
    }
    assert_eq!(dump["aliases"]["it-django-mange"]["target"], "admin");
    let listed = text(&just(folder.path(), &[]));
    for name in RECIPES {
        assert!(listed.lines().any(|line| line.split_whitespace().next() == Some(name)), "{name} is not listed");
    }
    assert!(!listed.contains(" _"), "{listed}");
}

#[test]
fn recipes_for_work_on_the_code_do_what_they_say() {
    let folder = folder_with_justfile();
    let path = |name: &str| folder.path().join(name);
    let package = "[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    fs::write(path("Cargo.toml"), package).unwrap();
    fs::write(path("Cargo.lock"), "version = 4\n\n[[package]]\nname = \"small\"\nversion = \"0.1.0\"\n").unwrap();
    fs::create_dir(path("src")).unwrap();
    fs::write(path("src/lib.rs"), "pub fn  answer( )->u8{ 42 }\n").unwrap();
    fs::create_dir(path("scripts")).unwrap();
    for name in ["test", "bench"] {
        let script = path(&format!("scripts/{name}"));
        fs::write(&script, format!("#!/bin/sh\necho {name} $# \"$@\"\n")).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let with_rust = |arguments: &[&str]| {
        let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
        let folder_of =
            |name: &str, usual: &str| std::env::var_os(name).map_or_else(|| home.join(usual), PathBuf::from);
        let mut command = Command::new(root().join("tests/just"));
        command.args(arguments).current_dir(folder.path());
        command
            .env("CARGO_HOME", folder_of("CARGO_HOME", ".cargo"))
            .env("RUSTUP_HOME", folder_of("RUSTUP_HOME", ".rustup"));
        command.env("CARGO_TARGET_DIR", path("target")).env("HOME", folder.path()).output().unwrap()
    };
    assert!(!with_rust(&["check"]).status.success(), "it is not formatted");
    text(&with_rust(&["fmt"]));
    assert_eq!(fs::read_to_string(path("src/lib.rs")).unwrap(), "pub fn answer() -> u8 {\n    42\n}\n");
    text(&with_rust(&["check"]));
    assert_eq!(text(&with_rust(&["test", "--container", "a b"])), "test 2 --container a b\n");
    assert_eq!(text(&with_rust(&["bench", "boot"])), "bench 1 boot\n");
}

#[test]
fn a_site_has_recipes_and_settings_of_its_own() {
    let folder = folder_with_justfile();
    fs::write(folder.path().join("my.justfile"), "site-hello:\n    @echo \"hello from $CONTAINER_NAME\"\n").unwrap();
    assert_eq!(text(&just(folder.path(), &["site-hello"])), "hello from glitchbox\n");
    fs::write(folder.path().join(".env"), SEED).unwrap();
    assert_eq!(text(&just(folder.path(), &["site-hello"])), "hello from glitchtip-aio\n");
    fs::write(folder.path().join(".env"), read(".env.example")).unwrap();
    assert_eq!(text(&just(folder.path(), &["site-hello"])), "hello from glitchbox\n");
}

#[test]
fn push_asks_for_a_registry() {
    let output = just(folder_with_justfile().path(), &["push"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "Set REGISTRY, as in REGISTRY=registry.example.com/team.\n");
}

#[test]
fn the_zip_file_holds_what_git_does_not_ignore() {
    let folder = folder_with_justfile();
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
            .args(arguments)
            .current_dir(folder.path());
        text(&command.env("HOME", folder.path()).output().unwrap())
    };
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    git(&["init", "--quiet"]);
    write(".gitignore", "/data\n.env\n/*.zip\n");
    write("kept.txt", "before");
    write("deleted.txt", "");
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "first"]);
    write("kept.txt", "after");
    write("folder/new file.txt", "new");
    write("data/secret", "");
    write(".env", "");
    fs::remove_file(folder.path().join("deleted.txt")).unwrap();
    let status = git(&["status", "--porcelain"]);

    assert_eq!(text(&just(folder.path(), &["package-to-zip"])), "glitchbox.zip\n");
    // A second time it replaces the first.
    text(&just(folder.path(), &["package-to-zip"]));
    let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nprint('\\n'.join(n for n in z.namelist() if n[-1] != '/'))\n\
                  print(z.read('glitchbox/kept.txt').decode())";
    let listed =
        text(&Command::new("python3").args(["-c", script]).arg(folder.path().join("glitchbox.zip")).output().unwrap());
    let mut listed: Vec<&str> = listed.lines().collect();
    assert_eq!(listed.pop(), Some("after"));
    listed.sort_unstable();
    let wanted = [".gitignore", "folder/new file.txt", "justfile", "kept.txt"].map(|name| format!("glitchbox/{name}"));
    assert_eq!(listed, wanted);
    assert_eq!(git(&["status", "--porcelain"]), status, "the index of the repository has changed");
}

/// The variables of an environment file as `docker run --env-file` takes them: whatever stands behind the `=`.
fn as_docker_reads(file: &str) -> BTreeMap<&str, &str> {
    let lines = file.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once('=').unwrap()).collect()
}

#[test]
fn environment_files_of_ours_and_of_the_seed_are_sound() {
    let example = read(".env.example");
    for file in [SEED, example.as_str()] {
        for (program, arguments) in [("supervisor", ["check"]), ("glitchbox", ["check"])] {
            let mut command = Instance::new().command(program, &arguments);
            let output = command.envs(as_docker_reads(file)).output().unwrap();
            assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn env_example_explains_every_variable_in_both_languages() {
    let example = read(".env.example");
    let mut comment = String::new();
    for line in example.lines() {
        match line.split_once('=') {
            _ if line.starts_with('#') => comment.push_str(line),
            Some((name, value)) => {
                let is_chinese = comment.chars().any(|letter| ('\u{4e00}'..='\u{9fff}').contains(&letter));
                let is_english = comment.contains(|letter: char| letter.is_ascii_lowercase());
                assert!(is_chinese && is_english, "{name} is not explained: {comment:?}");
                assert_eq!(value, value.trim(), "{name} has blanks around its value");
                assert!(!value.contains(['#', '"', '\'']), "{name} has a comment or quotes behind it: {value}");
            }
            None => {
                assert_eq!(line, "", "not a variable");
                comment.clear();
            }
        }
    }
    // What everybody has to choose, or what would be everybody's, is empty.
    let values = as_docker_reads(&example);
    for (name, value) in &values {
        let is_secret = ["_KEY", "_PASSWORD", "_SECRET", "_URL"].iter().any(|ending| name.ends_with(ending));
        assert!(!is_secret || value.is_empty(), "{name} has a value");
    }
    for name in as_docker_reads(SEED).keys() {
        assert!(values.contains_key(name), "{name} is missing");
    }
}

#[test]
fn the_readmes_and_env_example_name_the_variables_that_the_code_reads() {
    let mut sources = String::new();
    for folder in ["src/config", "supervisor/src"] {
        collect(&root().join(folder), &mut sources);
    }
    let recipes = ["justfile", "scripts/deploy", "scripts/backup"].map(read).concat();
    let example = read(".env.example");
    for name in as_docker_reads(&example).keys() {
        let is_read = sources.contains(&format!("\"{name}\"")) || recipes.contains(name);
        assert!(is_read, "nothing reads {name}, which .env.example explains");
        for readme in ["README.md", "README.zh-CN.md"] {
            assert!(read(readme).contains(&format!("`{name}`")), "{readme} says nothing of {name}");
        }
    }
}

fn collect(folder: &Path, sources: &mut String) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            collect(&path, sources);
        } else {
            sources.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}
