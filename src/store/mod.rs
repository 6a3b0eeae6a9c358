//! [5] All SQL and nothing else; a file per table or aggregate.
//!
//! Functions take a pool or a connection and typed values, and return typed rows. The caller owns
//! transactions that span several calls. Every list has a limit and an index behind it.

pub mod alert;
pub mod alert_delivery;
pub mod alert_draft;
pub mod alert_test;
pub mod api_token;
pub mod canary_run;
pub mod error;
pub mod event_batch;
pub mod event_lookup;
pub mod filtered_item;
pub mod instance;
pub mod issue_expiry;
pub mod issue_merge;
pub mod issue_query;
pub mod issue_search;
pub mod issue_stats;
pub mod issue_status;
pub mod issue_tags;
pub mod job_run;
pub mod kept_item;
pub mod ledger;
pub mod member;
pub mod notice;
pub mod organization;
pub mod outcome;
pub mod page;
pub mod partition;
pub mod payload;
pub mod payload_dictionary;
pub mod pool;
pub mod project;
pub mod project_key;
pub mod project_rules;
pub mod rate_limit;
pub mod rejected_item;
pub mod schema;
pub mod session;
pub mod settled_ingest;
pub mod slug;
pub mod user;

pub use error::{Result, StoreError};
