//! [7b] The pages, a file per page.
