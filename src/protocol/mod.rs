//! [1] The Sentry wire format: bytes -> types. Pure; imports nothing of ours but `ids`.

pub mod auth_header;
pub mod category;
pub mod crash_form;
pub mod dsn;
pub mod envelope;
pub mod event;
pub mod filter_settings;
pub mod kept_item;
pub mod kind;
pub mod lenient_json;
pub mod msgpack;
pub mod multipart;
pub mod privacy_settings;
pub mod public_key;
pub mod security_report;
pub mod stamped_item;
pub mod store_body;
pub mod tally;

pub use auth_header::{AuthHeader, parse_sentry_auth};
pub use category::Category;
pub use crash_form::{Crash, crash_event, event_of_form, fields_of_item, says_what_crashed};
pub use dsn::Dsn;
pub use envelope::{Envelope, EnvelopeError, EnvelopeHeader, Item, ItemHeader, parse_envelope, parse_envelope_header};
pub use event::Event;
pub use filter_settings::{Filter, FilterSettings};
pub use kept_item::KeptItem;
pub use kind::{EventKind, Level};
pub use msgpack::{read_msgpack, read_msgpack_stream};
pub use multipart::{MultipartError, Part, boundary_of, parse_multipart};
pub use privacy_settings::PrivacySettings;
pub use public_key::PublicKey;
pub use security_report::{SecurityReports, Violation, parse_security_reports};
pub use stamped_item::{Stamp, StampedItem};
pub use store_body::{StoreBodyError, decode_store_body};
pub use tally::{Outcome, Tally, TallyKey};
