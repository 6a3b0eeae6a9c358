//! What can go wrong between us and PostgreSQL, sorted by what the caller can do about it.

use sqlx::error::ErrorKind;

/// The result of every function of the store.
pub type Result<T> = std::result::Result<T, StoreError>;

/// A failed call of the store. Its text is the whole story: there is no further source to print.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection, or a server that is starting, stopping, read-only or out of a resource: nothing is
    /// wrong with the data, try again when PostgreSQL is back.
    #[error("PostgreSQL is not available: {0}")]
    Unavailable(sqlx::Error),
    /// Another transaction was in the way (deadlock, serialization, time-out): try again at once.
    #[error("another transaction was in the way: {0}")]
    Conflict(sqlx::Error),
    /// A row with the same unique value exists; names the constraint.
    #[error("there is already such a row ({0})")]
    Duplicate(String),
    /// The values cannot be stored (too long, out of range, an unknown reference, a NUL in a text):
    /// trying again is of no use.
    #[error("the data cannot be stored: {0}")]
    Data(sqlx::Error),
    /// The settings do not lead to a database.
    #[error("{0}")]
    Settings(String),
    /// Anything else: a schema that does not fit, a fault of ours.
    #[error("database error: {0}")]
    Internal(sqlx::Error),
}

impl StoreError {
    /// True when the same call may succeed later without any change to the data.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Conflict(_))
    }

    /// True when the unique constraint `name` stood in the way.
    pub fn is_duplicate_of(&self, name: &str) -> bool {
        matches!(self, Self::Duplicate(constraint) if constraint == name)
    }

    /// The SQLSTATE, when PostgreSQL gave one.
    pub fn code(&self) -> Option<String> {
        match self {
            Self::Unavailable(error) | Self::Conflict(error) | Self::Data(error) | Self::Internal(error) => {
                error.as_database_error().and_then(sqlx::error::DatabaseError::code).map(std::borrow::Cow::into_owned)
            }
            Self::Duplicate(_) => Some("23505".to_owned()),
            Self::Settings(_) => None,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            away if is_away(away) => Self::Unavailable(error),
            sqlx::Error::Encode(_) => Self::Data(error),
            sqlx::Error::Database(database) => {
                if database.kind() == ErrorKind::UniqueViolation {
                    return Self::Duplicate(database.constraint().unwrap_or("unknown constraint").to_owned());
                }
                match sqlstate_group(database.code().as_deref().unwrap_or_default()) {
                    Group::Conflict => Self::Conflict(error),
                    Group::Data => Self::Data(error),
                    Group::Unavailable | Group::Other => Self::Internal(error),
                }
            }
            _ => Self::Internal(error),
        }
    }
}

/// True for what [`StoreError::is_retryable`] is true for, before it is sorted.
pub(super) fn is_temporary(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    is_away(error) || sqlstate_group(code.as_deref().unwrap_or_default()) == Group::Conflict
}

/// No connection, or a server that cannot do anything at the moment.
fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(database) => {
            sqlstate_group(database.code().as_deref().unwrap_or_default()) == Group::Unavailable
        }
        _ => false,
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Group {
    Unavailable,
    Conflict,
    Data,
    Other,
}

/// Sorts a SQLSTATE; its first two characters are its class.
fn sqlstate_group(code: &str) -> Group {
    match code {
        // Shutdown, crash of a neighbour, starting up; a read-only (standby) server.
        "57P01" | "57P02" | "57P03" | "57P05" | "25006" => Group::Unavailable,
        // Cancelled by a time-out; a lock not had in time.
        "57014" | "55P03" => Group::Conflict,
        // An index row over the size limit.
        "54000" => Group::Data,
        _ => match code.get(..2) {
            // Connection, authorisation (a password being changed), resources (disk, memory, connections), system.
            Some("08" | "28" | "53" | "58") => Group::Unavailable,
            Some("40") => Group::Conflict,
            Some("22" | "23") => Group::Data,
            _ => Group::Other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_what_helps() {
        for (code, group) in [
            ("57P03", Group::Unavailable),
            ("08006", Group::Unavailable),
            ("53300", Group::Unavailable),
            ("53100", Group::Unavailable),
            ("40P01", Group::Conflict),
            ("40001", Group::Conflict),
            ("22P05", Group::Data),
            ("22021", Group::Data),
            ("23503", Group::Data),
            ("54000", Group::Data),
            ("42P01", Group::Other),
            ("", Group::Other),
        ] {
            assert_eq!(sqlstate_group(code), group, "{code}");
        }
    }

    #[test]
    fn connection_trouble_is_retryable_and_bad_data_is_not() {
        let refused = sqlx::Error::Io(std::io::ErrorKind::ConnectionRefused.into());
        assert!(StoreError::from(refused).is_retryable());
        assert!(!StoreError::Duplicate("project_slug".to_owned()).is_retryable());
        assert!(!StoreError::from(sqlx::Error::RowNotFound).is_retryable());
    }
}
