//! The whole thing as it is run: the supervisor on a data directory of its own, with PostgreSQL,
//! Redis, web and worker.

mod backup;
mod backup_faults;
mod bad_input;
pub(crate) mod browser;
mod faults;
mod instance;
mod lifecycle;
mod load;
mod outage;
mod receiver;
mod restarts;
mod scheduled_restart;
mod sdk;
pub(crate) mod webdriver;

pub(crate) use instance::Instance;
