//! First and later starts with real servers, in a data directory as awkward as they come: more than 150 characters
//! deep and, for root, below a folder closed to the services' users.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod appliance;
mod cluster;
mod refusals;
mod servers;
mod template;
