//! [3] Durable work queues on Redis Streams; knows nothing of Sentry.
//!
//! | key | what it is |
//! |---|---|
//! | `q:NAME` | the stream: one entry for each piece of work, field `d` holds its bytes. Never trimmed (`MAXLEN` would delete work that is under way); it shrinks as work is acknowledged |
//! | group `workers` on it | who has read what. Made when it is missing, from the stream's very beginning |
//! | consumer `worker-SLOT` | one for each worker slot, the same after a restart: what the last process left unfinished is *pending* under that name, and is read first |
//! | `{q:NAME}:data` | a random name of the data that Redis serves; another one, or none, means that it has lost what it had |
//! | `q:NAME:dead` | entries that can never be done, with the reason and the first id |
//!
//! **Append** is done when Redis has answered. **Read** gives pending entries first, then new ones. An entry
//! stays pending until it is **acknowledged** (XACK and XDEL in one pipeline) or **buried** among the dead
//! letters; so work is done at least once, and whoever does it must bear doing it twice.
//!
//! Redis may go away and come back at any time: the client reconnects by itself; whatever a broken
//! connection may have swallowed is pending, and is looked for after each reconnection.

mod client;
mod consumer;
mod control;
mod dead;
mod error;
mod hands;
mod keys;
mod leftovers;
mod overview;
mod producer;
mod reply;
mod seat;
mod settler;
mod shipping;
mod task;

pub use consumer::{Consumer, Entry};
pub use control::Delayed;
pub use dead::{DeadLetter, Wish};
pub use error::QueueError;
pub use keys::Queue;
pub use overview::Overview;
pub use producer::Producer;
pub use seat::Seat;
pub use settler::Settler;
pub use shipping::{Added, EntryId, Look, Shipping};
pub use task::Task;
