//! Black-box tests of the application, in one binary.
