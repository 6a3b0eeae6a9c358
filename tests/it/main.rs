//! Black-box tests of the application, in one binary.

#[cfg(test)]
#[allow(dead_code, unused_imports, reason = "a kit: which helpers are in use changes with the tests")]
#[path = "../support/mod.rs"]
mod support;

#[cfg(test)]
mod admin;
#[cfg(test)]
mod alert;
#[cfg(test)]
mod api;
#[cfg(test)]
mod appliance;
#[cfg(test)]
mod architecture;
#[cfg(test)]
mod beat;
#[cfg(test)]
mod dictionary;
#[cfg(test)]
mod filters;
#[cfg(test)]
mod grouping_upgrade;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod ingest;
#[cfg(test)]
mod ingest_keys;
#[cfg(test)]
mod items;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod load_generator;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod recipes;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod spool;
#[cfg(test)]
mod status_socket;
#[cfg(test)]
mod store;
#[cfg(test)]
mod sub_path;
#[cfg(test)]
mod web;
#[cfg(test)]
mod web_alerts;
#[cfg(test)]
mod web_merge;
