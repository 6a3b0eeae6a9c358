//! [6] Rules -> decisions -> messages. Pure: the jobs do what is decided here.
//!
//! | file | what |
//! |---|---|
//! | `throttle` | how many messages a destination gets |
//! | `pace` | how fast they go out to one address |
//! | `content` | what a message says, in the reader's language |
//! | `mail`, `html` | the same as a mail |
//! | `webhook` | the same as the body of a request |
//! | `test_message` | what a test says |
//! | `signal` | wakes the sender |

pub mod content;
mod html;
pub mod mail;
pub mod pace;
pub mod signal;
pub mod test_message;
#[cfg(test)]
mod tests;
pub mod throttle;
pub mod webhook;
mod words;

pub use signal::Signal;
