//! Every background job, one short file each; this is the list and the beat table.
