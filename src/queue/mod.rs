//! [3] Durable work queues on Redis Streams; knows nothing of Sentry.
//!
//! | key | what it is |
//! |---|---|
//! | `q:NAME` | the stream: one entry for each piece of work, field `d` holds its bytes. Never trimmed (`MAXLEN` would delete work that is under way); it shrinks as work is acknowledged |
//! | group `workers` on it | who has read what. Made when it is missing, from the stream's very beginning |
//! | consumer `worker-SLOT` | one for each worker slot, the same after a restart: what the last process left unfinished is *pending* under that name, and is read first |
//! | `{q:NAME}:data` | a random name of the data that Redis serves; another one, or none, means that it has lost what it had |
//! | consumer `handed-back` | nobody: what a worker that ended in order did not get done is pending under this name, and whoever looks first takes it |
//! | `q:NAME:alive:CONSUMER` | there while that worker lives (30 s, renewed every 2 s). What is pending under a name without it is taken over; an empty name without it goes |
//! | `q:NAME:delayed` | sorted set of work whose time has not come, by its time; any worker moves what is due into the stream, in one script |
//! | `q:NAME:dedup:KEY` | there while a task with that key waits; no other is taken in meanwhile |
//! | `q:NAME:paused` | there while nobody shall read the queue, by a person's order |
//! | `q:NAME:dead` | entries that can never be done: the work, the reason, the first id, when, how often it was given out. The latest 1,000, of together 8 MiB (`q:NAME:dead:bytes`) |
//!
//! **Append** is done when Redis has answered. **Read** gives leftovers first, then new entries. An entry
//! stays pending until it is **acknowledged** (XACK and XDEL in one pipeline) or **buried** among the dead
//! letters; so work is done at least once, and whoever does it must bear doing it twice.
//!
//! **Poison.** Redis counts deliveries, and would count every look at what is pending (XREADGROUP from an id raises the
//! count, measured on 7.0). So leftovers are listed with XPENDING and taken with XCLAIM, which sets the count: it goes up
//! only when the process that had the entry is gone without having handed it back, or excused it because something else
//! was to blame (a database that is away). An entry whose worker died twice is given out with nothing else in the
//! process's hands, of any queue; after five deaths it is hopeless, and its reader buries it. Once one has ended the worker
//! all by itself, other work goes first for a while after each start: many such entries cost many restarts, but none of
//! them in a row, and the rest goes on.
//!
//! Redis may go away and come back at any time, empty or not: the client reconnects by itself; whatever a broken
//! connection may have swallowed is pending, and is looked for after each reconnection.
//!
//! A [`Seat`] is one worker process at its queues, with one pulse for all: signs of life, delayed work, pauses, leftovers
//! of others. A read that waits is ended early (CLIENT UNBLOCK) when the pulse finds something to do or the worker ends, so
//! that idle workers wake up for the pulse only. Scripts name keys of one queue that begin alike; they need one server.

mod client;
mod consumer;
mod control;
mod counters;
mod dead;
mod error;
mod hands;
mod inspect;
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
pub use counters::{Counters, Window};
pub use dead::{DeadLetter, Wish};
pub use error::QueueError;
pub use inspect::{Find, Finds, Place};
pub use keys::Queue;
pub use overview::Overview;
pub use producer::Producer;
pub use seat::Seat;
pub use settler::Settler;
pub use shipping::{Added, EntryId, Look, Shipping};
pub use task::Task;
