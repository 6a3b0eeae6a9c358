-- Whether a project has hashes of an earlier grouping is asked for each new issue.
create index issue_hash_version on issue_hash (project_id, version);
