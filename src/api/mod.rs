//! [7a] The REST API under `/api/0/`, a file per resource.
