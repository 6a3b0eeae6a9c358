//! Stopping in order: one token, one tracker, one deadline.
