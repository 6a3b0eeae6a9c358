//! What every HTTP surface shares: accept loop, errors, client address, pagination.

pub mod allowed_hosts;
pub mod client_info;
mod connection;
pub mod error;
pub mod health;
pub mod listener;
pub mod metrics_access;
pub mod pagination;
pub mod server;
pub mod status_socket;
mod sub_path;
mod timed_body;
mod traffic;

pub use client_info::ClientInfo;
pub use error::ApiError;
pub use traffic::Traffic;
