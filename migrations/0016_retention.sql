-- How long things are kept, what stays on a person's word, and what of it was removed from the hosts.

insert into fleet.setting (name, value, low, high, comment) values
    ('log_days', 30, 0, 36500, 'output is kept this long; 0: for ever'),
    ('event_days', 90, 0, 36500, 'history is kept this long, to the end of its month; 0: for ever'),
    ('task_days', 365, 0, 36500, 'an ended task is kept this long, and what belongs to it; 0: for ever'),
    ('run_dir_days', 7, 0, 36500, 'the directory of a run stays on its host this long after the run''s end; 0: for ever'),
    ('task_dir_days', 7, 0, 36500, 'the working directory of a task stays on its hosts this long after the task''s end; 0: for ever'),
    ('task_dir_failed_days', 30, 0, 36500, 'the same of a task that failed; 0: for ever'),
    ('sweep_ms', 3600000, 1000, 604800000, 'how often a worker asks a host for what may be removed there');

-- What is not done at every call: not before due_at, and from `position` on.
alter table fleet.latch
    add column due_at timestamptz not null default '-infinity',
    add column position bigint not null default 0;
insert into fleet.latch (name) values ('retain');

create table fleet.horizon (
    name text primary key,
    before timestamptz,
    xid xid8,
    event_id bigint,
    looked_at timestamptz,
    tried_at timestamptz,
    held_by text
);
comment on table fleet.horizon is 'Up to where output and history were removed, and who kept that from going on: written by retain() alone.';
comment on column fleet.horizon.before is 'what was written before was removed, except that of kept tasks; null: nothing was';
comment on column fleet.horizon.xid is 'of history: the last position (xid, event_id) that was removed';
comment on column fleet.horizon.looked_at is 'when what takes the place of removed partitions was last looked through';
comment on column fleet.horizon.held_by is 'who was in the way at the last try; null: nobody';
insert into fleet.horizon (name) values ('log'), ('event'), ('vacuum');

alter table fleet.task
    add column kept_at timestamptz,
    add column kept_by text,
    add column kept_reason text,
    add check ((kept_at is null) = (kept_by is null) and (kept_at is null) = (kept_reason is null));
create index task_kept on fleet.task (task) where kept_at is not null;
comment on column fleet.task.kept_at is 'a person wants it to stay for ever, with all that belongs to it';

alter table fleet.attempt
    add column run_removed_at timestamptz,
    add column folder_removed_at timestamptz;
create index attempt_left on fleet.attempt (executor, ended_at)
    where ended_at is not null and run is not null and (run_removed_at is null or folder_removed_at is null);
comment on column fleet.attempt.run_removed_at is 'its run directory is not on its host any more; null: it may be';
comment on column fleet.attempt.folder_removed_at is 'the working directory of its task was removed from its host since; null: it may be there';

alter table fleet.host
    add column swept_at timestamptz,
    add column swept_by uuid;
comment on column fleet.host.swept_at is 'when a worker last asked it for what may be removed there';
