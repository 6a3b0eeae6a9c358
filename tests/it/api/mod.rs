//! `/api/0/` over a real database: shapes, pages, permissions.

mod alerts;
mod issue_list;
mod merge;
mod pages;
mod permissions;
mod queries;
pub(crate) mod seed;
mod shapes;
mod updates;
