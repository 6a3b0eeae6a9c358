-- A note on a settled reception lives from the day it was settled: what waits for days before it is settled may come again
-- right after that.

alter table settled_ingest add column settled_on date not null default current_date;
create index settled_ingest_settled on settled_ingest (settled_on);
