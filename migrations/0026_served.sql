-- What a closing takes back: an ask that had no run is served again when the issue is opened.

alter table fleet.issue add column served_before bigint;
comment on column fleet.issue.served_before is 'served as it was before the task waited; null: not known';
