-- What a death and an end are proven by: the lock of a worker's session, what was looked at on the host, a person's word.

alter table fleet.node
    add number int generated always as identity unique,
    add lock_pid int,
    add lock_at timestamptz,
    add lock_trouble text,
    add gone_at timestamptz;
comment on column fleet.node.number is 'the key of its session lock, in the class of fleet.lock_class()';
comment on column fleet.node.lock_at is 'since when its LISTEN session holds its lock; null: it holds none, and only its beat tells of its death';
comment on column fleet.node.lock_trouble is 'why it holds none';
comment on column fleet.node.gone_at is 'the first look that found its lock gone; null: it is there';

insert into fleet.setting (name, value, low, high, comment) values
    ('lock_grace_ms', 15000, 0, 600000,
     'no verdict of death by a session lock that is gone sooner after the database opened or the watcher connected');

alter table fleet.attempt
    add proof text,
    add freed_at timestamptz,
    add freed_by text,
    add freed_reason text,
    add check (freed_at is null or abandoned_at is not null);
comment on column fleet.attempt.proof is 'what was looked at on the host before its end counted as proven';
comment on column fleet.attempt.freed_at is 'a person gave its slot to others before its end was proven; what still comes of it is evidence only';

alter table fleet.host add owner_changed_at timestamptz;
comment on column fleet.host.owner_changed_at is 'when the file that says whose this work_dir is was last found changed on the same machine';
