//! The admin commands, run as people run them.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use glitchbox::auth::{api_token, password, permission};
use glitchbox::ids::ProjectId;
use glitchbox::jobs::clean_up;
use glitchbox::store::{job_run, member, organization, partition, project, user};
use serde_json::Value;

use crate::support::TestDatabase;

/// A database and a data directory.
struct Instance {
    database: TestDatabase,
    dir: tempfile::TempDir,
}

impl Instance {
    /// Before its first boot.
    async fn empty() -> Self {
        Self { database: TestDatabase::new().await, dir: tempfile::tempdir().unwrap() }
    }

    /// After its first boot.
    async fn new() -> Self {
        let instance = Self::empty().await;
        instance.ok(&["migrate"]);
        instance
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_glitchbox"));
        command.args(arguments).env_clear().env("DATABASE_URL", self.database.url()).env("DATA_DIR", self.dir.path());
        command.env("GLITCHTIP_DOMAIN", "https://errors.example.com").stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What a command that succeeds prints.
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// What a command that fails with this code says.
    fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        text
    }

    fn password_file(&self) -> std::path::PathBuf {
        self.dir.path().join("secrets/admin-password")
    }
}

async fn can_enter(instance: &Instance, email: &str, text: &str) -> bool {
    let user = user::find_by_email(instance.database.pool(), email).await.unwrap().unwrap();
    password::verify(text.to_owned(), user.password_hash).await
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn the_first_migrate_sets_up_what_is_needed_and_the_second_nothing() {
    let instance = Instance::new().await;
    let pool = instance.database.pool();
    let file = instance.password_file();
    let password = std::fs::read_to_string(&file).unwrap();
    assert_eq!((password.len(), mode(&file), mode(file.parent().unwrap())), (24, 0o600, 0o700));
    assert!(can_enter(&instance, "admin@localhost", &password).await);
    let project = project::find(pool, ProjectId(1)).await.unwrap().unwrap();
    assert_eq!(project.slug, "default");
    let admin = user::find_by_email(pool, "admin@localhost").await.unwrap().unwrap();
    let role = member::find_role(pool, project.organization_id, admin.id).await.unwrap();
    assert_eq!((admin.is_superuser, role), (true, Some(member::Role::Owner)));
    assert_eq!(partition::list(pool, partition::Table::Event).await.unwrap().len(), 9);

    let before = instance.ok(&["key", "list", "--json"]);
    std::fs::remove_file(&file).unwrap();
    instance.ok(&["migrate"]);
    assert!(!file.exists());
    assert_eq!(instance.ok(&["key", "list", "--json"]), before);
    assert_eq!(instance.json(&["project", "create", "Next"])["id"], 2);
}

#[tokio::test]
async fn a_given_password_is_used_and_not_written_down() {
    let instance = Instance::empty().await;
    let mut migrate = instance.command(&["migrate"]);
    migrate.env("ADMIN_EMAIL", "Boss@Example.com").env("ADMIN_PASSWORD", "correct horse");
    assert!(migrate.output().unwrap().status.success());
    assert!(!instance.password_file().exists());
    assert!(can_enter(&instance, "boss@example.com", "correct horse").await);
    let banner = instance.ok(&["banner"]);
    assert!(banner.contains("boss@example.com") && !banner.contains("password"), "{banner}");
}

#[tokio::test]
async fn two_first_boots_at_once_make_one_organization() {
    let instance = Instance::empty().await;
    let children: Vec<_> = (0..3).map(|_| instance.command(&["migrate"]).spawn().unwrap()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(organization::count(instance.database.pool()).await.unwrap(), 1);
    let password = std::fs::read_to_string(instance.password_file()).unwrap();
    assert!(can_enter(&instance, "admin@localhost", &password).await);
}

#[tokio::test]
async fn a_password_file_that_cannot_be_written_leaves_no_account() {
    let instance = Instance::empty().await;
    std::fs::write(instance.dir.path().join("secrets"), "in the way").unwrap();
    let text = instance.fails(12, &["migrate"]);
    assert!(text.contains("secrets"), "{text}");
    assert_eq!(organization::count(instance.database.pool()).await.unwrap(), 0);
    std::fs::remove_file(instance.dir.path().join("secrets")).unwrap();
    instance.ok(&["migrate"]);
    assert!(
        project::find(instance.database.pool(), ProjectId(1)).await.unwrap().is_some(),
        "number 1 at the second try"
    );
}

#[tokio::test]
async fn a_newer_schema_is_left_alone() {
    let instance = Instance::empty().await;
    sqlx::query(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (9999, 'from the future', true, '', 0)",
    )
    .execute(instance.database.pool())
    .await
    .unwrap();
    let text = instance.fails(13, &["migrate"]);
    assert!(text.contains("newer version") && text.contains("9999"), "{text}");
    assert_eq!(organization::count(instance.database.pool()).await.unwrap(), 0);
}

#[tokio::test]
async fn an_unreachable_database_is_said_so() {
    let instance = Instance::new().await;
    let run = |arguments: &[&str]| {
        let mut command = instance.command(arguments);
        command.env("DATABASE_URL", "postgres://u:hunter2222@127.0.0.1:1/x").output().unwrap()
    };
    let output = run(&["migrate"]);
    assert_eq!(output.status.code(), Some(12));
    let output_of_list = run(&["user", "list"]);
    assert_eq!(output_of_list.status.code(), Some(1));
    for output in [output, output_of_list] {
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("PostgreSQL") && !text.contains("hunter2222"), "{text}");
    }
    let output = instance.command(&["user", "list"]).env_remove("DATABASE_URL").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && text.contains("DATA_DIR"), "{text}");
}

#[tokio::test]
async fn the_banner_names_everything_but_the_password() {
    let instance = Instance::new().await;
    let output = instance.command(&["banner"]).env("GLITCHBOX_DATA_DIR_SHOWN", "/srv/glitchbox").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let dsn = instance.json(&["key", "list"])[0]["dsn"].as_str().unwrap().to_owned();
    for part in ["https://errors.example.com", "admin@localhost", "/srv/glitchbox/secrets/admin-password", &dsn] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains(&std::fs::read_to_string(instance.password_file()).unwrap()));
}

#[tokio::test]
async fn people() {
    let instance = Instance::new().await;
    let created = instance.json(&["user", "create", "Ann@Example.com", "--name", "Ann", "--org", "default"]);
    assert_eq!(created["email"], "ann@example.com");
    assert!(can_enter(&instance, "ann@example.com", created["password"].as_str().unwrap()).await);
    assert!(instance.fails(1, &["user", "create", "ann@example.com"]).contains("already a user"));
    instance.fails(2, &["user", "create", "nonsense"]);
    instance.fails(2, &["user", "paint"]);

    let mut child = instance
        .command(&["user", "reset-password", "ann@example.com", "--password-stdin", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"a new password\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && !String::from_utf8_lossy(&output.stdout).contains("a new password"));
    assert!(can_enter(&instance, "ann@example.com", "a new password").await);

    let rows = instance.json(&["user", "list"]);
    assert_eq!(rows.as_array().unwrap().len(), 2);
    assert!(rows[1].get("password").is_none());
    let organizations = instance.json(&["user", "organizations", "ann@example.com"]);
    assert_eq!((&organizations[0]["slug"], &organizations[0]["role"]), (&"default".into(), &"member".into()));
    let changed =
        instance.json(&["user", "update", "ann@example.com", "--email", "anna@example.com", "--language", "zh-CN"]);
    assert_eq!(
        (&changed["email"], &changed["language"], &changed["name"]),
        (&"anna@example.com".into(), &"zh-CN".into(), &"Ann".into())
    );
    assert!(instance.fails(1, &["user", "info", "ann@example.com"]).contains("no user `ann@example.com`"));

    // The last superuser cannot be lost by a slip.
    for arguments in [["user", "superuser", "admin@localhost", "off"], ["user", "active", "admin@localhost", "off"]] {
        assert!(instance.fails(1, &arguments).contains("last active superuser"));
    }
    assert!(instance.fails(1, &["user", "delete", "admin@localhost"]).contains("last active superuser"));
    assert_eq!(instance.json(&["user", "superuser", "anna@example.com"])["is_superuser"], true);
    assert_eq!(instance.json(&["user", "active", "admin@localhost", "off"])["is_active"], false);
    instance.ok(&["user", "delete", "admin@localhost"]);
    assert_eq!(instance.json(&["user", "list"]).as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn organizations_projects_and_keys() {
    let instance = Instance::new().await;
    assert_eq!(instance.json(&["org", "create", "Acme Shop"])["slug"], "acme-shop");
    assert!(instance.fails(1, &["org", "create", "x", "--slug", "acme-shop"]).contains("already an organization"));
    instance.fails(2, &["org", "create", "x", "--slug", "Not A Slug"]);
    assert!(instance.fails(2, &["org", "create", " "]).contains("cannot be empty"));
    assert!(instance.fails(2, &["project", "create", ""]).contains("cannot be empty"));
    let member = instance.json(&["org", "add-user", "acme-shop", "admin@localhost", "--role", "owner"]);
    assert_eq!(member["role"], "owner");
    instance.ok(&["org", "remove-user", "acme-shop", "admin@localhost"]);
    assert!(instance.fails(1, &["org", "remove-user", "acme-shop", "admin@localhost"]).contains("no member"));
    assert!(instance.fails(1, &["org", "add-user", "nowhere", "admin@localhost"]).contains("`nowhere`"));
    assert!(instance.ok(&["org", "list"]).contains("acme-shop"));

    assert!(instance.fails(1, &["project", "create", "Web"]).contains("--org"));
    let project = instance.json(&["project", "create", "Web", "--org", "acme-shop", "--platform", "python"]);
    let dsn = project["dsn"].as_str().unwrap();
    assert!(dsn.starts_with("https://") && dsn.ends_with("@errors.example.com/2"), "{dsn}");
    assert!(instance.fails(1, &["project", "create", "Web", "--org", "acme-shop"]).contains("already has a project"));
    assert_eq!(instance.json(&["project", "list", "--org", "acme-shop"])[0]["organization"], "acme-shop");
    assert_eq!(instance.json(&["project", "list"]).as_array().unwrap().len(), 2);

    let key = instance.json(&["key", "create", "--project", "web", "--label", "second"]);
    assert_eq!((&key["project"], &key["label"]), (&"web".into(), &"second".into()));
    assert_eq!(instance.json(&["key", "disable", dsn])["is_active"], false);
    let rows = instance.json(&["key", "list", "--project", "web"]);
    let active: Vec<bool> = rows.as_array().unwrap().iter().map(|row| row["is_active"].as_bool().unwrap()).collect();
    assert_eq!(active, [false, true]);
    assert_eq!(instance.json(&["key", "enable", dsn])["is_active"], true);
    assert!(instance.fails(1, &["key", "disable", "feed"]).contains("no key `feed`"));

    // Without an address in the environment, the one the instance was started with.
    let mut list = instance.command(&["key", "list", "--json"]);
    let output = list.env_remove("GLITCHTIP_DOMAIN").output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("@errors.example.com/1"));
}

#[tokio::test]
async fn tokens() {
    let instance = Instance::new().await;
    let pool = instance.database.pool();
    let created = instance.json(&[
        "token",
        "create",
        "--user",
        "admin@localhost",
        "--scope",
        "event:write,org:read",
        "--label",
        "ci",
    ]);
    let token = created["token"].as_str().unwrap();
    assert!(token.starts_with("sntryu_") && token.len() == 71, "{token}");
    let text = instance.fails(2, &["token", "create", "--user", "admin@localhost", "--scope", "event:fly"]);
    assert!(text.contains("event:fly") && text.contains("project:releases"), "{text}");
    instance.fails(1, &["token", "create", "--user", "nobody@localhost", "--scope", "event:read"]);
    let plain = instance.ok(&["token", "create", "--user", "admin@localhost", "--scope", "event:read"]);
    assert_eq!(plain.trim().len(), 71);

    let mut headers = http::HeaderMap::new();
    headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
    let actor = api_token::authenticate(pool, &headers).await.unwrap();
    assert_eq!(actor.user.email, "admin@localhost");
    permission::require_scope(&actor, "event:read").unwrap();
    permission::require_scope(&actor, "org:read").unwrap();
    assert_eq!(permission::require_scope(&actor, "project:read").unwrap_err().status(), 403);
    let used: i64 = sqlx::query_scalar("select count(*) from api_token where last_used_at is not null")
        .fetch_one(pool)
        .await
        .unwrap();
    assert_eq!(used, 1);

    let listed = instance.json(&["token", "list", "--user", "admin@localhost"]);
    assert_eq!(listed[0]["label"], "ci");
    assert!(listed[0].get("token").is_none() && listed[0]["last_used_at"].is_string(), "{listed}");
    let id = listed[1]["id"].to_string();
    assert_eq!(instance.json(&["token", "revoke", "--user", "admin@localhost", &id])["revoked"], true);
    assert!(instance.fails(1, &["token", "revoke", "--user", "admin@localhost", &id]).contains("has no token"));
    headers.insert("authorization", format!("Bearer {}", plain.trim()).parse().unwrap());
    assert_eq!(api_token::authenticate(pool, &headers).await.unwrap_err().status(), 401);
    headers.insert("authorization", format!("Bearer {token}").parse().unwrap());

    sqlx::query("update app_user set is_active = false").execute(pool).await.unwrap();
    assert_eq!(api_token::authenticate(pool, &headers).await.unwrap_err().status(), 401);
    headers.insert("authorization", "Bearer nonsense".parse().unwrap());
    assert_eq!(api_token::authenticate(pool, &headers).await.unwrap_err().to_string(), "Invalid token");
    let error = api_token::authenticate(pool, &http::HeaderMap::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "Authentication credentials were not provided.");
}

#[tokio::test]
async fn maintenance_removes_what_is_due_and_says_what() {
    let instance = Instance::new().await;
    let pool = instance.database.pool();
    sqlx::query(
        "insert into session (token_hash, user_id, expires_at)
         select sha256(n::text::bytea), id, now() - interval '1 hour' from app_user, generate_series(1, 3) n",
    )
    .execute(pool)
    .await
    .unwrap();
    let file = instance.dir.path().join("uploads/old");
    std::fs::create_dir(instance.dir.path().join("uploads")).unwrap();
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(91 * 24);
    std::fs::File::create(&file).unwrap().set_modified(long_ago).unwrap();

    // A worker is at it.
    let turn = job_run::take_turn(pool, clean_up::NAME).await.unwrap().unwrap();
    assert!(instance.fails(1, &["maintenance"]).contains("a worker is cleaning up"));
    assert!(file.exists());
    turn.pass().await.unwrap();

    let mut invalid = instance.command(&["maintenance"]);
    let output = invalid.env("GLITCHTIP_MAX_FILE_LIFE_DAYS", "soon").output().unwrap();
    assert_eq!(output.status.code(), Some(15));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("GLITCHTIP_MAX_FILE_LIFE_DAYS: "));

    let removed = |rows: &Value, what: &str| {
        rows.as_array().unwrap().iter().find(|row| row["what"] == what).unwrap()["removed"].clone()
    };
    let rows = instance.json(&["maintenance"]);
    assert_eq!((removed(&rows, "sessions"), removed(&rows, "files")), (3.into(), 1.into()));
    assert!(!file.exists());
    assert!(
        job_run::find(pool, clean_up::NAME).await.unwrap().succeeded_at.is_some(),
        "the worker need not do it again"
    );
    assert!(instance.ok(&["maintenance"]).starts_with("WHAT "));
}
