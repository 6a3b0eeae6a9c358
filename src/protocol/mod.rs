//! [1] The Sentry wire format: bytes -> types. Pure; imports nothing of ours but `ids`.

pub mod auth_header;
pub mod category;
pub mod dsn;
pub mod envelope;
pub mod event;
pub mod kind;
pub mod public_key;
pub mod stamped_item;
pub mod store_body;
pub mod tally;

pub use auth_header::{AuthHeader, parse_sentry_auth};
pub use category::Category;
pub use dsn::Dsn;
pub use envelope::{Envelope, EnvelopeError, EnvelopeHeader, Item, ItemHeader, parse_envelope};
pub use event::Event;
pub use kind::{EventKind, Level};
pub use public_key::PublicKey;
pub use stamped_item::{Stamp, StampedItem};
pub use store_body::{StoreBodyError, decode_store_body};
pub use tally::{Outcome, Tally, TallyKey};
