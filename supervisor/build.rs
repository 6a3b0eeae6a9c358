//! Links the program at a fixed address.
//!
//! The tables of all time zones are full of pointers. At a random address each of them is written anew at every start,
//! which makes a megabyte of memory the process's own before it has done anything; at a fixed one they stay pages of
//! the file, and only those that are looked at are read. Stack, heap and libraries keep their random addresses.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-arg-bin=supervisor=-no-pie");
}
