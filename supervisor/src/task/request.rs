//! What a task is told.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{RestartRules, exit};
use crate::channels::{Channel, Channels};
use crate::context::Context;
use crate::datadir::owner;
use crate::files::Owner;
use crate::secrets::Role;
use crate::settings::Secret;

/// The standard input of a task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskRequest {
    /// What to do.
    pub task: Task,
    /// Where, and with what.
    pub place: Place,
}

/// What there is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Task {
    /// Replace web and worker by fresh generations, check everything and report.
    ScheduledRestart {
        /// Who wants it.
        trigger: Trigger,
        /// The moment the schedule named.
        #[serde(default)]
        scheduled_for: Option<DateTime<Utc>>,
        /// Only say what would be done.
        #[serde(default)]
        dry_run: bool,
        /// What it keeps to; of one by hand the supervisor fills them in.
        #[serde(default)]
        rules: RestartRules,
    },
    /// Make a backup.
    BackupCreate {
        /// The folder it goes to, instead of `backups/`.
        #[serde(default)]
        to: Option<PathBuf>,
    },
    /// Restore a backup somewhere aside and compare.
    BackupVerify {
        /// The backup.
        file: PathBuf,
    },
    /// The same with the newest of `backups/`: by schedule.
    BackupVerifyNewest,
    /// Put a backup in the place of the data.
    BackupRestore {
        /// The backup.
        file: PathBuf,
        /// Only say what would be done.
        #[serde(default)]
        dry_run: bool,
    },
    /// Clear up after a restore or verification that was killed: begun by the supervisor itself.
    BackupRecover,
    /// Only report that a restart by schedule did not take place: begun by the supervisor itself.
    ReportSkipped {
        /// The moment the schedule named.
        scheduled_for: DateTime<Utc>,
        /// Why not: one sentence.
        reason: String,
    },
    /// Put a report into the outbox again.
    ReportResend {
        /// Which [default: the latest].
        #[serde(default)]
        id: Option<String>,
        /// For this channel [default: for all].
        #[serde(default)]
        channel: Option<Channel>,
    },
    /// Send a message to the channels, once and at once, and tell what became of it.
    ReportTest {
        /// To this one [default: to all].
        #[serde(default)]
        channel: Option<Channel>,
    },
    /// Send the reports that wait in `spool/reports/`; ends when none is left or all hope is lost.
    Deliver,
}

impl Task {
    /// Its name in the logs, which is also the name of its log file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ScheduledRestart { .. } | Self::ReportSkipped { .. } => "scheduled-restart",
            Self::BackupCreate { .. }
            | Self::BackupVerify { .. }
            | Self::BackupVerifyNewest
            | Self::BackupRestore { .. }
            | Self::BackupRecover => "backup",
            Self::Deliver | Self::ReportResend { .. } | Self::ReportTest { .. } => "deliver",
        }
    }

    /// Every name a task can have.
    pub const NAMES: [&'static str; 3] = ["scheduled-restart", "backup", "deliver"];

    /// What is going on while it runs, for a person.
    pub fn shown(&self) -> &'static str {
        match self {
            Self::ScheduledRestart { .. } => "a scheduled restart",
            Self::BackupCreate { .. } => "a backup",
            Self::BackupVerify { .. } | Self::BackupVerifyNewest => "the verification of a backup",
            Self::BackupRestore { .. } => "a restore",
            Self::BackupRecover => "the recovery from a restore or verification that was killed",
            Self::ReportSkipped { .. } => "the report of a restart that was skipped",
            Self::ReportResend { .. } => "putting a report into the outbox again",
            Self::ReportTest { .. } => "a test of the channels",
            Self::Deliver => "the delivery of reports",
        }
    }

    /// Whether the other one may not begin while this one runs: of those that work on the data there is one at a time,
    /// and one delivery.
    pub fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Deliver, Self::Deliver) => true,
            _ => self.is_exclusive() && other.is_exclusive(),
        }
    }

    /// Whether it works on the data, or with the services as they are.
    pub fn is_exclusive(&self) -> bool {
        use Task::{Deliver, ReportResend, ReportSkipped, ReportTest};
        !matches!(self, Deliver | ReportSkipped { .. } | ReportResend { .. } | ReportTest { .. })
    }
}

/// Who wants a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// The schedule.
    Schedule,
    /// A person.
    Manual,
}

/// What a task ends with: its exit code, and the JSON document on its standard output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskOutcome {
    /// 0, or one of [`super::exit`].
    pub exit: u8,
    /// What came of it. A task that could not do its work says why in the member `error`.
    pub result: Value,
}

impl TaskOutcome {
    /// Done.
    pub fn done(result: Value) -> Self {
        Self { exit: 0, result }
    }

    /// Failed: one sentence says why.
    pub fn failed(sentence: impl Into<String>) -> Self {
        Self { exit: exit::FAILED, result: json!({ "error": sentence.into() }) }
    }
}

/// Everything a task may need. The working directory of a task is the data directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Place {
    /// The data directory's absolute path, for showing to people.
    pub shown: PathBuf,
    /// The supervisor's version.
    pub version: String,
    /// The supervisor's process id.
    pub supervisor: u32,
    /// The appliance's port.
    pub port: u16,
    /// `GLITCHTIP_DOMAIN`, or `http://localhost:PORT`; without a slash at the end.
    pub public_url: String,
    /// The time zone of schedules and reports; none is UTC.
    pub timezone: Option<String>,
    /// The application's program; none when the plan has no role of it.
    pub app: Option<PathBuf>,
    /// The database.
    pub postgres: PostgresPlace,
    /// The queue.
    pub redis: RedisPlace,
    /// Owner of `secrets/`, `spool/` and `uploads/`; none when everything is ours.
    pub app_owner: Option<Owner>,
    /// Where reports go.
    pub channels: Channels,
    /// Every secret known, for redaction of whatever leaves the appliance.
    pub secrets: Vec<Secret>,
    /// Which backups are kept.
    pub backup: BackupRules,
}

/// The database.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PostgresPlace {
    /// Our own, behind its socket in `run/`.
    Bundled {
        /// The folder with `pg_dump` and the like.
        bin: PathBuf,
        /// Its major version.
        major: u32,
        /// Who runs it and owns the cluster; none when everything is ours.
        user: Option<Owner>,
        /// Password of the role `postgres`.
        superuser_password: Secret,
        /// Password of the role `glitchbox`.
        app_password: Secret,
    },
    /// The one of `DATABASE_URL`.
    External {
        /// Its address, password included.
        url: Secret,
    },
    /// The plan has none.
    Absent,
}

/// The queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RedisPlace {
    /// Our own, behind `run/redis/redis.sock`.
    Bundled {
        /// Its password.
        password: Secret,
    },
    /// The one of `REDIS_URL`.
    External {
        /// Its address, password included.
        url: Secret,
    },
    /// The plan has none.
    Absent,
}

/// Which backups are made by themselves, and which are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRules {
    /// One is made before each restart by schedule.
    pub nightly: bool,
    /// At most so many are kept.
    pub keep: u32,
    /// And none that is older than so many days; but always the newest good one.
    pub max_age_days: u32,
    /// Making one, or verifying one, that takes longer is broken off, in seconds.
    pub within_s: u32,
}

impl Default for BackupRules {
    fn default() -> Self {
        Self { nightly: true, keep: 7, max_age_days: 30, within_s: 7_200 }
    }
}

impl BackupRules {
    /// The longest a backup, or its verification, may take.
    pub fn limit(self) -> Duration {
        Duration::from_secs(u64::from(self.within_s))
    }
}

impl Place {
    /// What the appliance of `context` is.
    pub fn new(context: &Context, backup: BackupRules) -> Self {
        let settings = &context.settings;
        let password = |role| context.secrets.role(role).cloned().unwrap_or_else(|| Secret::new(""));
        let postgres = match (&context.postgres, &settings.database_url) {
            (Some(server), _) => PostgresPlace::Bundled {
                bin: server.bin.clone(),
                major: server.major,
                user: owner(context.users.postgres.as_ref()),
                superuser_password: password(Role::Postgres),
                app_password: password(Role::App),
            },
            (None, Some(url)) => PostgresPlace::External { url: url.clone() },
            (None, None) => PostgresPlace::Absent,
        };
        let redis = match (&context.secrets.redis, &settings.redis_url) {
            (Some(password), _) => RedisPlace::Bundled { password: password.clone() },
            (None, Some(url)) => RedisPlace::External { url: url.clone() },
            (None, None) => RedisPlace::Absent,
        };
        let mut channels = settings.channels.clone();
        channels.webhook_secret.clone_from(&context.secrets.webhook);
        Self {
            shown: context.data.path.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            supervisor: std::process::id(),
            port: settings.port,
            public_url: settings.public_url.clone(),
            timezone: settings.timezone.clone(),
            app: context.app.as_ref().map(|app| app.path.clone()),
            postgres,
            redis,
            app_owner: owner(context.users.app.as_ref()),
            channels,
            secrets: context.secret_values().collect(),
            backup,
        }
    }
}
