//! [5] All SQL and nothing else; a file per table or aggregate.
//!
//! Functions take a pool or a connection and typed values, and return typed rows. The caller owns
//! transactions that span several calls. Every list has a limit and an index behind it.

pub mod event_batch;
