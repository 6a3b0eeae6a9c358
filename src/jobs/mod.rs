//! Every background job, one short file each; this is the list and the beat table.
//!
//! | job | when | what |
//! |---|---|---|
//! | `store_events` | always | queue -> process -> PostgreSQL, in batches |
//! | `send_alerts` | when there is news, else every ten minutes | notices -> mail and webhooks |
//! | `send_tests` | when somebody asks on the page of an alert | a test message -> mail or webhook |
//! | `make_partitions` | hourly, in one worker | the event table's partitions of the coming days |
//! | `move_events` | every two minutes, in one worker | events of issues that were merged or split, as far as they are not there yet |
//! | `prune_notices` | daily, in one worker | forgets what was told 30 days ago |
//! | `clean_up` | daily, in one worker | drops what has outlived its time: days of events and what hangs on them, sessions |
//! | `remove_files` | daily, in each worker | as `clean_up`, for the files of the worker's own disk |
//! | `train_dictionaries` | at the start and every five minutes in each worker, and when a new project is busy; made by one worker, taken up by each | what the payloads of a project are compressed with |

pub mod beat;
pub mod clean_up;
mod hang_guard;
mod job;
mod make_partitions;
mod move_events;
mod prepare;
mod project_rules;
mod prune_notices;
pub mod remove_files;
pub mod runner;
pub mod send_alerts;
mod send_tests;
pub mod store_events;
mod train_dictionaries;
mod write_batch;
mod write_filtered;

pub use job::{Job, Kind, Retry};
pub use send_tests::SendTests;

use std::time::Duration;

use beat::{Beat, When};
use train_dictionaries::TrainDictionaries;

/// What is done when somebody asks for it.
pub const KINDS: &[Kind] = &[Kind::of::<SendTests>(), Kind::of::<TrainDictionaries>()];

/// What is done at fixed intervals, and at the start.
pub const BEATS: &[Beat] = &[
    Beat {
        name: "make_partitions",
        when: When::InOneWorker(Duration::from_hours(1)),
        limit: Duration::from_mins(2),
        run: |app| Box::pin(make_partitions::run(app)),
    },
    Beat {
        name: "move_events",
        when: When::InOneWorker(Duration::from_mins(2)),
        limit: Duration::from_mins(30),
        run: |app| Box::pin(move_events::run(app)),
    },
    Beat {
        name: clean_up::NAME,
        when: When::Daily,
        limit: Duration::from_hours(1),
        run: |app| Box::pin(clean_up::run(app)),
    },
    Beat {
        name: "remove_files",
        when: When::InEachWorker(Duration::from_hours(24)),
        limit: Duration::from_hours(1),
        run: |app| Box::pin(remove_files::run(app)),
    },
    Beat {
        name: "prune_notices",
        when: When::Daily,
        limit: Duration::from_mins(10),
        run: |app| Box::pin(prune_notices::run(app)),
    },
    Beat {
        name: "train_dictionaries",
        when: When::InEachWorker(Duration::from_mins(5)),
        limit: Duration::from_mins(5),
        run: |app| Box::pin(train_dictionaries::run(app)),
    },
];
