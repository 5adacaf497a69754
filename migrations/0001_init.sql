-- The tables of Agent Fleet. Runs as fleet_owner inside the transaction of ./apply; never edited once landed.
-- Conventions: `<noun>` is also the name of a table's key; public texts end in _id; ms are bigint.

-- ---------------------------------------------------------------- the fleet itself

create table fleet.incarnation (
    one boolean primary key default true check (one),
    fleet_id text not null,
    timeline bigint not null,
    system_id text not null,
    made_at timestamptz not null default now()
);
comment on table fleet.incarnation is 'Which fleet this is (random, made once) and which database it was made on.';

insert into fleet.incarnation (fleet_id, timeline, system_id)
select substr(replace(gen_random_uuid()::text, '-', ''), 1, 16), c.timeline_id, s.system_identifier::text
from pg_control_checkpoint() c, pg_control_system() s;

create table fleet.setting (
    name text primary key,
    value bigint not null check (value >= 0),
    comment text not null
);
comment on table fleet.setting is 'Tunables of the SQL functions; change with fleet.set(name, value).';

insert into fleet.setting (name, value, comment) values
    ('beat_ms', 3000, 'a node renews this often'),
    ('dead_ms', 10000, 'a node whose beat stood still this long, as watched by another node, is dead'),
    ('lease_ms', 45000, 'a node whose last good renew is older fences itself'),
    ('open_grace_ms', 60000, 'no verdict of death sooner after the database opened'),
    ('host_fresh_ms', 180000, 'a worker''s report about a host counts for claims this long'),
    ('lost_ms', 180000, 'an attempt unreachable this long shows its task as agent_lost'),
    ('reattach_ms', 10800000, 'an attempt unreachable this long is given up: its task fails, its slot stays held'),
    ('retry_base_ms', 10000, 'back-off before the first retry; doubles with each'),
    ('retry_max_ms', 600000, 'longest back-off before a retry'),
    ('release_base_ms', 2000, 'back-off after the first release; doubles with each'),
    ('release_max_ms', 300000, 'longest back-off after a release'),
    ('delivery_days', 30, 'webhook deliveries are remembered this long'),
    ('idempotency_hours', 24, 'idempotency keys are remembered this long'),
    ('node_days', 30, 'stopped and dead nodes are remembered this long');

create table fleet.latch (name text primary key);
comment on table fleet.latch is 'Rows locked by functions that must run one at a time. Not advisory locks: any login could hold those.';
insert into fleet.latch (name) values ('lanes'), ('partitions');

create table fleet.node (
    node uuid primary key,
    kind text not null check (kind in ('server', 'worker')),
    name text not null,
    version text not null,
    config_hash text not null,
    beat bigint not null default 0,
    beat_at timestamptz not null default clock_timestamp(),
    started_at timestamptz not null default clock_timestamp(),
    stopped_at timestamptz,
    dead_at timestamptz,
    dead_by uuid
) with (fillfactor = 20);
comment on table fleet.node is 'Server and worker processes. The beat is the lease of everything that the node owns.';

create unlogged table fleet.waiter (node uuid primary key);
comment on table fleet.waiter is 'Nodes that sleep and want a NOTIFY on fleet_work; losing it costs a slow poll only.';

-- ---------------------------------------------------------------- hosts and what runs on them

create table fleet.host (
    host_id text primary key,
    origin text not null check (origin in ('config', 'api')),
    hostname text not null,
    port int not null check (port between 0 and 65535),
    ssh_user text not null,
    work_dir text not null,
    workspace text not null,
    repositories text[] not null,
    -- identity as first seen; '' = not told yet. Another one is another machine.
    host_key text not null default '',
    machine text not null default '',
    owner text not null default '',
    boot text not null default '',
    disk_free bigint,
    cordoned_at timestamptz,
    cordoned_by text,
    cordon_reason text,
    made_at timestamptz not null default now(),
    check ((cordoned_at is null) = (cordoned_by is null) and (cordoned_at is null) = (cordon_reason is null))
);
comment on column fleet.host.repositories is 'whose tasks may run here: owner/name, owner/*, or *; empty = none of any repository';

create table fleet.node_host (
    node uuid not null references fleet.node on delete cascade,
    host_id text not null references fleet.host,
    reachable boolean not null default false,
    reason text not null default 'not tried yet',
    reported_at timestamptz not null default now(),
    primary key (node, host_id)
) with (fillfactor = 50);
create index node_host_host on fleet.node_host (host_id);
comment on table fleet.node_host is 'Which hosts a worker''s configuration lists, and whether it reaches them.';

create table fleet.executor (
    executor int generated always as identity primary key,
    agent_id text not null unique,
    kind text not null check (kind in ('ssh_cli', 'http_pull')),
    host_id text references fleet.host,
    agent_type text not null,
    capabilities text[] not null,
    max_concurrency int not null check (max_concurrency between 0 and 1000),
    enabled boolean not null default true,
    version text,
    made_at timestamptz not null default now(),
    check ((kind = 'ssh_cli') = (host_id is not null))
);
comment on table fleet.executor is 'What runs tasks: a host and an agent type, or one HTTP agent.';

create table fleet.slot (
    slot_id bigint generated always as identity primary key,
    executor int not null references fleet.executor,
    retiring boolean not null default false,
    attempt bigint
) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0);
create index slot_executor on fleet.slot (executor);
comment on table fleet.slot is 'One row per unit of max_concurrency, holding the attempt that is not proven ended, or null.';

create table fleet.lane (
    lane int generated always as identity primary key,
    requirements text[] not null,
    mode text not null check (mode in ('undecided', 'ssh_cli', 'http_pull')),
    repo text,
    pinned int references fleet.executor,
    unique nulls not distinct (requirements, mode, repo, pinned)
);
comment on table fleet.lane is 'Tasks that exactly the same executors may take wait in one lane.';

create table fleet.executor_lane (
    executor int not null references fleet.executor,
    lane int not null references fleet.lane,
    primary key (executor, lane)
);
create index executor_lane_lane on fleet.executor_lane (lane);

-- ---------------------------------------------------------------- tasks

create table fleet.transition (
    from_status text not null,
    to_status text not null,
    comment text not null,
    primary key (from_status, to_status)
);
comment on table fleet.transition is 'Every allowed change of task.status; any other raises AF001.';

insert into fleet.transition (from_status, to_status, comment) values
    ('created', 'assigned', 'claimed'),
    ('created', 'cancelled', 'cancelled before anything ran'),
    ('assigned', 'running', 'the agent''s process was seen'),
    ('assigned', 'created', 'given back, or a retry follows'),
    ('assigned', 'completed', 'ended before it was seen running'),
    ('assigned', 'failed', 'ended before it was seen running, or given back too often'),
    ('assigned', 'cancelled', 'cancelled before the start'),
    ('assigned', 'agent_lost', 'its host is out of reach for long'),
    ('running', 'completed', 'ended well'),
    ('running', 'failed', 'ended badly, no retry left'),
    ('running', 'cancelled', 'stopped on request'),
    ('running', 'created', 'ended badly, a retry follows'),
    ('running', 'agent_lost', 'its host is out of reach for long'),
    ('agent_lost', 'assigned', 'in reach again, the start is being looked at'),
    ('agent_lost', 'running', 'in reach again'),
    ('agent_lost', 'completed', 'in reach again, had ended well'),
    ('agent_lost', 'failed', 'in reach again, had ended badly; or given up by a person'),
    ('agent_lost', 'cancelled', 'stopped on request'),
    ('agent_lost', 'created', 'in reach again, a retry follows; or abandoned by a person'),
    ('completed', 'created', 'resubmitted'),
    ('failed', 'created', 'retried or resubmitted'),
    ('cancelled', 'created', 'retried or resubmitted');

create table fleet.reason (
    reason text primary key,
    advice text not null
);
comment on table fleet.reason is 'Why an attempt ended, and what a person can do about it.';

create table fleet.task (
    task bigint generated always as identity primary key,
    task_id text not null unique check (length(task_id) between 1 and 512),
    source text not null check (source in ('forgejo', 'api')),
    task_type text,
    title text not null,
    body text not null,
    content_hash bytea not null,
    labels text[] not null,
    requirements text[] not null,
    execution_mode text not null check (execution_mode in ('undecided', 'ssh_cli', 'http_pull')),
    priority int not null,
    repo text,
    issue_number int,
    branch_name text not null,
    timeout_secs int not null check (timeout_secs > 0),
    max_retries int not null check (max_retries >= 0),
    max_attempts_total int not null check (max_attempts_total > 0),
    metadata jsonb not null default '{}',
    submitted_by text not null,
    created_at timestamptz not null default now(),
    -- all below changes; none of it is indexed, so that updates stay within the page
    status text not null default 'created',
    lane int not null,
    attempt_number int not null default 0,
    attempts int not null default 0,
    retry_count int not null default 0,
    release_count int not null default 0,
    executor int,
    failure_reason text,
    run_at timestamptz not null default now(),
    assigned_at timestamptz,
    started_at timestamptz,
    completed_at timestamptz,
    changed_at timestamptz not null default now(),
    cancel_at timestamptz,
    cancel_by text,
    cancel_reason text
) with (fillfactor = 50);
comment on column fleet.task.attempt_number is 'number of the newest attempt; only grows, also over resubmissions';
comment on column fleet.task.attempts is 'attempts since it was last submitted, for max_attempts_total';
comment on column fleet.task.executor is 'who has it, or had it last; null while it waits';

create table fleet.queue (
    lane int not null,
    prio int not null,
    task bigint not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);
create unique index queue_lane on fleet.queue (lane, prio, task);
comment on table fleet.queue is 'Tasks that may start now; the claim deletes the row. prio = -priority.';

create table fleet.delayed (
    run_at timestamptz not null,
    task bigint not null primary key
);
create index delayed_due on fleet.delayed (run_at);
comment on table fleet.delayed is 'Tasks that may not start yet; promote() moves them into their lanes.';

create table fleet.attempt (
    attempt bigint generated always as identity primary key,
    task bigint not null references fleet.task,
    number int not null check (number > 0),
    epoch int not null default 1 check (epoch > 0),
    executor int not null,
    slot_id bigint not null,
    node uuid not null,
    nonce text not null,
    phase text not null default 'claimed'
        check (phase in ('claimed', 'starting', 'running', 'unreachable', 'stopping', 'ended')),
    phase_reason text,
    run text,
    command text,
    prompt text,
    stdout_bytes bigint not null default 0,
    stderr_bytes bigint not null default 0,
    checkpoint text,
    output_at timestamptz,
    host_state jsonb,
    adopted_from text,
    adopted_silence_ms bigint,
    exit_status int,
    exit_signal int,
    outcome text check (outcome in ('succeeded', 'no_change', 'failed', 'timed_out', 'cancelled', 'lost', 'released')),
    reason text,
    report jsonb,
    settled text,
    claimed_at timestamptz not null default now(),
    starting_at timestamptz,
    started_at timestamptz,
    unreachable_at timestamptz,
    ended_at timestamptz,
    abandoned_at timestamptz,
    abandoned_by text,
    abandoned_reason text,
    unique (task, number),
    check ((ended_at is null) = (phase <> 'ended') and (ended_at is null) = (outcome is null))
) with (fillfactor = 50);
create unique index attempt_live on fleet.attempt (task) where ended_at is null and abandoned_at is null;
create index attempt_node on fleet.attempt (node) where ended_at is null;
-- No foreign keys to executor and reason: their few rows would be share-locked by every claim and every end.
comment on table fleet.attempt is 'One run of a task. Its lease is the beat of its node.';
comment on column fleet.attempt.epoch is '1 at the claim, +1 at every change of owner';
comment on column fleet.attempt.settled is 'the status that the task got when this attempt ended: the answer to a repeated finish';
comment on column fleet.attempt.report is 'what the agent says of itself: a claim, not a fact';

-- ---------------------------------------------------------------- history and output

create sequence fleet.event_id;
create table fleet.event (
    event_id bigint not null default nextval('fleet.event_id'),
    xid xid8 not null default pg_current_xact_id(),
    at timestamptz not null default now(),
    task bigint not null,
    event_type text not null,
    from_status text,
    to_status text,
    attempt int,
    actor text,
    payload jsonb,
    primary key (event_id, at)
) partition by range (at);
create index event_task on fleet.event (task, event_id);
alter sequence fleet.event_id owned by fleet.event.event_id;
comment on table fleet.event is 'Append-only history, one partition a month (UTC).';

create table fleet.log (
    attempt bigint not null,
    stream text not null check (stream in ('stdout', 'stderr')),
    start bigint not null,
    pos bigint not null,
    at timestamptz not null default now(),
    bytes bytea not null
) partition by range (at);
create index log_start on fleet.log (attempt, stream, start);
create index log_pos on fleet.log (attempt, pos);
comment on table fleet.log is 'Output in chunks, one partition a day (UTC).';
comment on column fleet.log.start is 'offset of the first byte in its stream';
comment on column fleet.log.pos is 'offset of the first byte in the order of arrival, both streams counted';

-- ---------------------------------------------------------------- Forgejo

create table fleet.repository (
    repo text primary key,
    made_at timestamptz not null default now()
);

create table fleet.issue (
    issue bigint generated always as identity primary key,
    repo text not null references fleet.repository,
    number int not null check (number > 0),
    labels text[] not null default '{}',
    refused text[] not null default '{}',
    state text not null default 'open',
    html_url text,
    updated_at timestamptz,
    labels_at timestamptz,
    unique (repo, number)
);
comment on column fleet.issue.refused is
    'agent:* labels that a sender who may not start work put there: they count for nobody until they were taken away';
comment on column fleet.issue.labels is 'as last told by an admitted delivery: work starts at the edge from no agent:* label to some';

create table fleet.delivery (
    delivery bigint generated always as identity primary key,
    delivery_id text not null,
    sha256 text not null,
    event text not null,
    event_type text,
    action text,
    repo text,
    number int,
    sender text,
    result text not null check (result in ('accepted', 'duplicate', 'ignored')),
    reason text not null,
    task_id text,
    received_at timestamptz not null default now()
);
create index delivery_delivery_id on fleet.delivery (delivery_id);
create index delivery_sha256 on fleet.delivery (sha256);
create index delivery_received on fleet.delivery (received_at);
comment on table fleet.delivery is 'Every verified webhook delivery and what came of it; no bodies.';

-- ---------------------------------------------------------------- access

create table fleet.token (
    token_id bigint generated always as identity primary key,
    name text not null check (name <> ''),
    scope text not null check (scope in ('admin', 'operate', 'submit', 'agent', 'read')),
    hash bytea not null unique check (length(hash) = 32),
    prefix text not null,
    repositories text[],
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);

create table fleet.idempotency (
    token_id bigint not null,
    key text not null,
    request_hash text not null,
    xid xid8 not null default pg_current_xact_id(),
    task_id text,
    answer json,
    made_at timestamptz not null default now(),
    primary key (token_id, key)
);
create index idempotency_made on fleet.idempotency (made_at);
