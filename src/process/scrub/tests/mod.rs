//! Tests of scrubbing as a whole.

mod corpus;
mod places;
mod properties;
mod rules;
mod timing;
