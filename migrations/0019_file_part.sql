-- A large file is stored in parts, each with a row of its own.

-- What the parts of a file have in common; none: the only part.
alter table attachment add column file_id uuid;
-- 0: the first. `size` is that of the whole file in every row.
alter table attachment add column part smallint not null default 0;
