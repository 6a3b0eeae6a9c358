//! PID 1 of the appliance and the operator's tool.

fn main() {}
