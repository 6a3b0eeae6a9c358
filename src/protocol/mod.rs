//! [1] The Sentry wire format: bytes -> types. Pure; imports nothing of ours but `ids`.

pub mod kind;
pub mod stamped_item;

pub use kind::{EventKind, Level};
pub use stamped_item::StampedItem;
