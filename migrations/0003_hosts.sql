-- What a worker found of a host and under which way in, executors out of service, and which failures are tried again.

alter table fleet.node add retry_on text[] not null default '{all}';
comment on column fleet.node.retry_on is 'reasons, classes of them, or all: what its configuration lets be tried again';

alter table fleet.host add forgotten_at timestamptz;
comment on column fleet.host.forgotten_at is 'a person took it out of sight; the history of its runs stays';

alter table fleet.node_host
    add way int not null default 0,
    add entry jsonb not null default '{}',
    add reason_code text;
comment on column fleet.node_host.way is 'number of the way in (address, user, key, work_dir); a report under another one counts for nothing';
comment on column fleet.node_host.entry is 'the host as this worker''s configuration has it: workers that differ are told and shown';
comment on column fleet.node_host.reason_code is 'one word of fleet.reason for the kind of trouble; reason says it in full';

alter table fleet.executor
    add found boolean,
    add start_failures int not null default 0,
    add out_since timestamptz,
    add out_until timestamptz,
    add out_reason text,
    add out_detail text,
    add check ((out_until is null) = (out_since is null) and (out_until is null) = (out_reason is null));
comment on column fleet.executor.found is 'did the last hello find its agent''s command';
comment on column fleet.executor.out_until is
    'it gets nothing until then; infinity = until it is looked at again, its configuration changes, or fleet.executor_accept()';

alter table fleet.attempt add retry_at timestamptz;
comment on column fleet.attempt.retry_at is 'when the limit that ended it is over, as the agent says; bounded';

alter table fleet.lane add barred text[] not null default '{}';
alter table fleet.lane drop constraint lane_requirements_mode_repo_pinned_key;
alter table fleet.lane add unique nulls not distinct (requirements, mode, repo, pinned, barred);
comment on column fleet.lane.barred is 'hosts where its tasks just failed: others first, for a while';

alter table fleet.reason
    add class text not null default 'agent',
    add retry text not null default 'soon'
        check (retry in ('never', 'soon', 'later', 'other_host', 'elsewhere'));
comment on column fleet.reason.class is 'as retry_on of the configuration names it';
comment on column fleet.reason.retry is
    'never; soon; later (longer waits, its executor rests meanwhile); other_host (soon, another host first); '
    'elsewhere (its executor goes out of service, only another one may try)';

insert into fleet.setting (name, value, comment) values
    ('retry_later_ms', 300000, 'first wait after a limit or a trouble of the provider; doubles with each'),
    ('retry_later_max_ms', 3600000, 'longest such wait when the agent does not say when its limit ends'),
    ('limit_max_ms', 604800000, 'longest wait for the end of a limit that the agent told'),
    ('rest_max_ms', 86400000, 'longest rest of an executor whose provider refuses; then one run tries'),
    ('other_host_ms', 120000, 'how long a task waits for another host after the last one failed it'),
    ('start_failures_max', 3, 'so many failed starts in a row put an executor out of service');
