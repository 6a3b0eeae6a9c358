//! The supervisor as a process, with tiny services.

mod boot;
