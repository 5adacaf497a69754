-- Hosts made by the API, drained hosts, executors that a person parked.

alter table fleet.host
    add entry jsonb,
    add revision int not null default 0,
    add drain_until timestamptz,
    add check (origin = 'config' or entry is not null),
    add check (drain_until is null or cordoned_at is not null);
comment on column fleet.host.entry is 'made by the API: the whole entry, as under hosts of a configuration; its paths are the workers''';
comment on column fleet.host.revision is 'counts the entries; a worker names the one that it has taken';
comment on column fleet.host.drain_until is 'when what still runs there is stopped and given back; infinity: it is waited for';

alter table fleet.attempt add drained_at timestamptz;
comment on column fleet.attempt.drained_at is 'its host is being emptied: it is to be stopped, and its task waits again';

alter table fleet.executor add out_by text;
comment on column fleet.executor.out_by is 'who parked it; null: its runs told of a limit or failed';
