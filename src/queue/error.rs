//! What can go wrong with a queue.

/// Why a queue operation failed.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Redis is away, starting, too slow or full. Later it may work.
    #[error("Redis is not available: {0}")]
    Unavailable(String),
    /// The settings cannot work: a bad address, or a password file that cannot be read.
    #[error("cannot set up the Redis client: {0}")]
    Settings(String),
}

impl From<fred::error::Error> for QueueError {
    fn from(error: fred::error::Error) -> Self {
        Self::Unavailable(error.details().to_owned())
    }
}

/// Redis answers so while it reads its files after a start: the connection is fine, the data is not there yet.
pub(super) fn is_loading(error: &fred::error::Error) -> bool {
    error.details().starts_with("LOADING")
}

/// The stream or its group is not there (any more).
pub(super) fn is_group_missing(error: &fred::error::Error) -> bool {
    error.details().starts_with("NOGROUP")
}
