//! [2] The public edge: key, caps, decode, enqueue, 200.
