//! What every HTTP surface shares: accept loop, errors, client address, pagination.
