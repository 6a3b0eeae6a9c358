//! One file per role and admin command.
