//! Takes secrets out of a normalised event: by the names of fields, and by the form of what is in a text.
//!
//! It runs before titles, derived tags and grouping, so that no secret gets into any of them. What is ordinary costs
//! one pass over its bytes ([`suspicion`]); only what looks suspicious is read again. Each change leaves a remark in the
//! event's `_meta`, without the value.

mod address;
mod assignment;
mod command;
mod content;
mod event;
mod item;
mod markup;
mod name;
mod notation;
mod number;
mod phrase;
mod remark;
mod rules;
mod shapes;
mod sql;
mod suspicion;
mod text;
mod token;
mod value;

pub use self::rules::ScrubRules;

pub(super) use self::event::scrub;
pub(super) use self::item::scrub_item;

/// Stands where a secret was.
const FILTERED: &str = "[Filtered]";

#[cfg(test)]
mod tests;
