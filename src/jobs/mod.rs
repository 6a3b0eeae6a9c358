//! Every background job, one short file each; this is the list and the beat table.
//!
//! | job | when | what |
//! |---|---|---|
//! | `store_events` | always | queue -> process -> PostgreSQL, in batches |
//! | `make_partitions` | hourly, in one worker | the event table's partitions of the coming days |
//! | `train_dictionaries` | at the start, every five minutes, and when a new project is busy; made by one worker, taken up by each | what the payloads of a project are compressed with |

pub mod beat;
mod make_partitions;
mod prepare;
pub mod store_events;
mod train_dictionaries;
mod write_batch;

use std::time::Duration;

use beat::{Beat, When};

/// What is done at fixed intervals, and at the start.
pub const BEATS: &[Beat] = &[
    Beat {
        name: "make_partitions",
        when: When::InOneWorker(Duration::from_hours(1)),
        limit: Duration::from_mins(2),
        run: |app| Box::pin(make_partitions::run(app)),
    },
    Beat {
        name: "train_dictionaries",
        when: When::InEachWorker(Duration::from_mins(5)),
        limit: Duration::from_mins(5),
        run: |app| Box::pin(train_dictionaries::run(app)),
    },
];
