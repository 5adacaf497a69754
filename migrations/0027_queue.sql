-- A claim and an end write few index entries: an update of an attempt stays within its page, for no index has a column that changes at
-- its end. Attempts that are not proven ended are found by the slots that hold them (view live); those whose slot a person gave to
-- others, here.

create table fleet.freed (attempt bigint primary key);
comment on table fleet.freed is 'Attempts that are not proven ended and hold no slot any more: a person freed it.';
insert into fleet.freed (attempt) select attempt from fleet.attempt where ended_at is null and freed_at is not null;

drop index fleet.attempt_live, fleet.attempt_node, fleet.attempt_due, fleet.attempt_left;

-- the deadline of what runs: an end takes it away
update fleet.attempt set due_at = null where ended_at is not null and due_at is not null;
create index attempt_due on fleet.attempt (due_at) where due_at is not null;

create index attempt_left on fleet.attempt (executor, attempt)
    where run is not null and (run_removed_at is null or folder_removed_at is null);

-- Attempts go with their task (retain), and a view checks it: the key was looked up at each claim.
alter table fleet.attempt drop constraint attempt_task_fkey;
