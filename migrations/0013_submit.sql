-- A key's answer is that of its request, of one task or of many.

alter table fleet.idempotency
    alter column answer type text using answer::text,
    add column status int;
update fleet.idempotency set status = 201 where answer is not null;
comment on column fleet.idempotency.status is 'HTTP status of the answer';

-- ids are compared, never sorted for people
alter table fleet.task alter column task_id type text collate "C";
