//! The text of `postgresql.conf` and `pg_hba.conf`, written anew at each start.

use crate::tuning::Memory;

const MB: u64 = 1024 * 1024;

/// What the two files depend on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inputs {
    pub(super) memory: Memory,
    /// Listen on port 5432 of every address, too.
    pub(super) expose: bool,
    /// `/dev/shm` has room for dynamic shared memory.
    pub(super) has_shared_memory_room: bool,
}

/// `postgresql.conf`.
pub(super) fn server(inputs: Inputs) -> String {
    let Inputs { memory, expose, has_shared_memory_room } = inputs;
    let listen = if expose { "0.0.0.0" } else { "" };
    let dynamic = if has_shared_memory_room { "posix" } else { "mmap" };
    let shared_buffers = memory.shared_buffers / MB;
    let effective_cache = memory.effective_cache / MB;
    let maintenance = memory.maintenance / MB;
    format!(
        "\
# Written at each start; changes made here are lost. Use ALTER SYSTEM for settings of your own.
listen_addresses = '{listen}'
port = 5432
unix_socket_directories = '../run'
unix_socket_permissions = 0777
max_connections = 40
password_encryption = 'scram-sha-256'

shared_buffers = {shared_buffers}MB
effective_cache_size = {effective_cache}MB
maintenance_work_mem = {maintenance}MB
work_mem = 4MB
huge_pages = off
dynamic_shared_memory_type = {dynamic}
jit = off
random_page_cost = 1.1

max_worker_processes = 2
max_parallel_workers = 2
max_parallel_workers_per_gather = 0
max_parallel_maintenance_workers = 0
max_logical_replication_workers = 0
autovacuum = on
autovacuum_max_workers = 2

wal_level = replica
max_wal_senders = 3
max_replication_slots = 3
min_wal_size = 64MB
max_wal_size = 512MB
checkpoint_timeout = 10min
fsync = on
full_page_writes = on
synchronous_commit = on
# After a crash: one sync of the file system instead of one of each of a thousand files, which takes seconds.
recovery_init_sync_method = syncfs

log_destination = 'stderr'
logging_collector = off
log_line_prefix = '[%p] '
log_checkpoints = off
log_statement = 'none'
lc_messages = 'C'
timezone = 'UTC'
log_timezone = 'UTC'
"
    )
}

/// `pg_hba.conf`: a password on every way in.
pub(super) fn access(expose: bool) -> String {
    let mut text = "\
# Written at each start; changes made here are lost.
local all all scram-sha-256
local replication all scram-sha-256
"
    .to_owned();
    if expose {
        text.push_str("host all all 0.0.0.0/0 scram-sha-256\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(expose: bool) -> Inputs {
        Inputs { memory: Memory::divide(1024 * MB), expose, has_shared_memory_room: false }
    }

    #[test]
    fn nothing_listens_on_the_network_unless_told_to() {
        assert!(server(inputs(false)).contains("listen_addresses = ''\n"));
        assert!(!access(false).contains("host"));
        assert!(server(inputs(true)).contains("listen_addresses = '0.0.0.0'\n"));
        assert!(access(true).contains("host all all 0.0.0.0/0 scram-sha-256"));
    }

    #[test]
    fn every_way_in_asks_for_a_password() {
        for line in access(true).lines().filter(|line| !line.starts_with('#')) {
            assert!(line.ends_with(" scram-sha-256"), "{line}");
        }
    }

    #[test]
    fn sizes_are_whole_megabytes() {
        let text = server(inputs(false));
        assert!(text.contains("shared_buffers = 16MB\n"));
        assert!(text.contains("dynamic_shared_memory_type = mmap\n"));
    }
}
