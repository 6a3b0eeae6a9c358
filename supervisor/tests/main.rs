//! The supervisor as a process, with tiny services.

mod boot;
mod conduct;
