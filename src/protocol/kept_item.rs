//! Items beside events, as they are kept: what their payloads say in one form.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::ids::EventId;

/// What an item beside events says.
#[derive(Debug, Clone, PartialEq)]
pub enum KeptItem {
    /// `session`: one update of one session.
    Session(SessionUpdate),
    /// `sessions`: numbers of sessions that are over.
    SessionCounts(Vec<SessionCount>),
    /// `check_in`: a job of a monitor has begun or ended.
    CheckIn(CheckIn),
    /// `user_report` and `feedback`: what somebody wrote.
    Feedback(Feedback),
    /// `attachment`: a file that goes with an event.
    Attachment(Attachment),
    /// `log`: records of a log.
    Logs(Vec<LogRecord>),
    /// `span` and `transaction`: pieces of traces.
    Spans(Vec<Span>),
}

/// A user of a release, told from others and not to be told who: the beginning of a hash of project and id.
pub type UserHash = [u8; 16];

/// How far a session has come. A later one of the list never goes back to an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i16)]
pub enum SessionStatus {
    /// It goes on, as far as anybody knows.
    Ok = 0,
    /// Ended by its user.
    Exited = 1,
    /// Ended after an error that nobody handled, and the program went on.
    Unhandled = 2,
    /// Ended without a word: a hang, a lost device.
    Abnormal = 3,
    /// Ended by a crash.
    Crashed = 4,
}

impl SessionStatus {
    /// The number stored for the status.
    pub const fn code(self) -> i16 {
        self as i16
    }
}

/// One update of one session. Updates come in any order, and some never.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionUpdate {
    /// The session, unique in its project.
    pub sid: Uuid,
    /// Whose it is.
    pub user: Option<UserHash>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When this update was made.
    pub updated_at: DateTime<Utc>,
    /// The release it runs.
    pub release: String,
    /// The environment it runs in.
    pub environment: Option<String>,
    /// How far it has come.
    pub status: SessionStatus,
    /// Errors so far; at least one in a session that has crashed.
    pub errors: i32,
    /// Orders the updates of a session.
    pub sequence: i64,
    /// Seconds it has lasted.
    pub duration_s: Option<f32>,
}

/// Sessions of one release, environment and moment that are over, counted by the SDK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionCount {
    /// When they began; SDKs round to the minute.
    pub started_at: DateTime<Utc>,
    /// Whose they are, where the SDK counts by user.
    pub user: Option<UserHash>,
    /// Their release.
    pub release: String,
    /// Their environment.
    pub environment: Option<String>,
    /// Ended without an error.
    pub exited: i64,
    /// Ended with one.
    pub errored: i64,
    /// Ended with one that nobody handled.
    pub unhandled: i64,
    /// Ended without a word.
    pub abnormal: i64,
    /// Ended by a crash.
    pub crashed: i64,
}

/// What a job says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum CheckInStatus {
    /// It has begun.
    InProgress = 0,
    /// It has ended well.
    Ok = 1,
    /// It has failed.
    Error = 2,
    /// It has said something else.
    Unknown = 3,
}

impl CheckInStatus {
    /// The number stored for the status.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// True when the job is over.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Ok | Self::Error)
    }
}

/// One check-in of a monitor.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckIn {
    /// The run it is about; none: the latest that has begun.
    pub id: Option<Uuid>,
    /// The monitor, unique in its project.
    pub slug: String,
    /// The environment it runs in.
    pub environment: String,
    /// What the job says.
    pub status: CheckInStatus,
    /// Milliseconds it took, as the job says.
    pub duration_ms: Option<i64>,
    /// The job's release.
    pub release: Option<String>,
    /// The trace it belongs to.
    pub trace_id: Option<Uuid>,
    /// What the monitor is to expect; makes the monitor if there is none.
    pub config: Option<MonitorConfig>,
}

/// When a monitor expects check-ins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Schedule {
    /// A line of five fields, or an alias such as `@daily`.
    Crontab {
        /// The line.
        value: String,
    },
    /// Once in so many units.
    Interval {
        /// How many.
        value: u32,
        /// `minute`, `hour`, `day`, `week`, `month` or `year`.
        unit: &'static str,
    },
}

/// What a monitor expects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MonitorConfig {
    /// When.
    pub schedule: Schedule,
    /// Minutes a check-in may be late.
    pub checkin_margin: u32,
    /// Minutes a run may take.
    pub max_runtime: u32,
    /// The zone of a crontab line.
    pub timezone: String,
    /// Failures in a row that make an issue.
    pub failure_issue_threshold: u32,
    /// Good runs in a row that resolve it.
    pub recovery_threshold: u32,
    /// `user:…` or `team:…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// How somebody came to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i16)]
pub enum FeedbackKind {
    /// A report on an error: one for each event, and the last one counts.
    Report = 0,
    /// Feedback of its own.
    Feedback = 1,
}

impl FeedbackKind {
    /// The number stored for the kind.
    pub const fn code(self) -> i16 {
        self as i16
    }
}

/// What somebody wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct Feedback {
    /// How it came.
    pub kind: FeedbackKind,
    /// Its own id; a report has that of its event.
    pub id: EventId,
    /// The event it is about.
    pub event_id: Option<EventId>,
    /// What it says.
    pub message: String,
    /// Who wrote.
    pub name: Option<String>,
    /// Where to answer.
    pub email: Option<String>,
    /// The page it was written on.
    pub url: Option<String>,
    /// What asked for it.
    pub source: Option<String>,
    /// The replay that belongs to it.
    pub replay_id: Option<Uuid>,
    /// The release it is about.
    pub release: Option<String>,
    /// The environment it is about.
    pub environment: Option<String>,
    /// When it was written.
    pub occurred_at: DateTime<Utc>,
}

/// One record of a log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRecord {
    /// When it was written.
    pub logged_at: DateTime<Utc>,
    /// Severity as OpenTelemetry counts it: 1 (trace) to 24 (fatal), four to a level.
    pub severity: i16,
    /// Its text.
    pub body: String,
    /// The trace it belongs to.
    pub trace_id: Option<Uuid>,
    /// The span it was written in.
    pub span_id: Option<i64>,
    /// The release that wrote it.
    pub release: Option<String>,
    /// The environment it was written in.
    pub environment: Option<String>,
    /// What else it says, by name.
    pub attributes: Map<String, Value>,
}

/// One piece of a trace: something that took time.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// The trace.
    pub trace_id: Uuid,
    /// The span, unique in its trace: eight bytes, read as a number.
    pub span_id: i64,
    /// The span that it is a part of.
    pub parent_span_id: Option<i64>,
    /// The span of the whole request or page it belongs to.
    pub segment_id: Option<i64>,
    /// True for that span itself: what SDKs called a transaction.
    pub is_segment: bool,
    /// The transaction's name, or a description.
    pub name: String,
    /// What kind of work: `http.server`, `db`, ...
    pub op: String,
    /// How it ended: `ok`, or an error by OpenTelemetry's name.
    pub status: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// Milliseconds it took.
    pub duration_ms: f64,
    /// The release it ran in.
    pub release: Option<String>,
    /// The environment it ran in.
    pub environment: Option<String>,
    /// The transaction event it came in.
    pub event_id: Option<EventId>,
    /// What else it says, by OpenTelemetry's names where there are such.
    pub attributes: Map<String, Value>,
}

/// A file that goes with an event, which may come later or never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its name, without folders.
    pub name: String,
    /// Its MIME type, as the SDK says.
    pub content_type: String,
    /// What it is to the event: `event.attachment`, `event.view_hierarchy`, `event.minidump`, ...
    pub kind: String,
    /// Bytes of the whole file.
    pub size: i64,
    /// What its parts have in common, if it came in parts.
    pub file_id: Option<Uuid>,
    /// Which part this is; 0: the first or only one.
    pub part: i16,
    /// What is in it, or in this part of it.
    pub content: Bytes,
}
