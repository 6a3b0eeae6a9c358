//! Tests of scrubbing as a whole.

mod corpus;
mod held_out;
mod places;
mod properties;
mod rules;
mod timing;
