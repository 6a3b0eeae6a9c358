//! What the store's errors are to a caller.

use crate::http::ApiError;
use crate::store::StoreError;
use crate::store::issue_query::QueryError;
use crate::store::page::InvalidCursor;

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Conflict(_) => Self::Unavailable("The database"),
            other => Self::Internal(other.into()),
        }
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        Self::BadRequest(error.to_string())
    }
}

impl From<InvalidCursor> for ApiError {
    fn from(error: InvalidCursor) -> Self {
        Self::BadRequest(error.to_string())
    }
}
