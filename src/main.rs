//! The application's binary; what it does is in `cli`.

fn main() {}
