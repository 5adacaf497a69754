-- HTTP agents: executors that are themselves the node that owns what they run.

alter table fleet.node drop constraint node_kind_check;
alter table fleet.node add constraint node_kind_check check (kind in ('server', 'worker', 'agent'));
alter table fleet.node add column dead_due timestamptz;
create index node_dead_due on fleet.node (dead_due) where dead_due is not null;
comment on table fleet.node is 'Server and worker processes, and HTTP agents. The beat is the lease of everything that the node owns.';
comment on column fleet.node.dead_due is
    'of an agent: dead from then on unless it gives a beat; null once it is gone and nothing that it owned is left';

alter table fleet.executor
    add column node uuid references fleet.node on delete set null,
    add column hostname text,
    add column metadata jsonb not null default '{}',
    add column repositories text[],
    add column beat_secs int,
    add column beat_misses int,
    add column handover_secs int;
create index executor_node on fleet.executor (node) where node is not null;
comment on column fleet.executor.node is 'of an HTTP agent: as which node it lives now, or lived last';
comment on column fleet.executor.repositories is 'of an HTTP agent: whose tasks it may have, as its token is bound; null: any';
comment on column fleet.executor.beat_secs is 'of an HTTP agent: it gives a beat that often, and is dead after beat_misses of them, as configured';
comment on column fleet.executor.handover_secs is 'of an HTTP agent: what it was given and does not begin within this time goes back';

alter table fleet.attempt
    add column due_at timestamptz,
    add column question text,
    add column answer text,
    add column late jsonb;
create index attempt_due on fleet.attempt (due_at) where ended_at is null and due_at is not null;
comment on column fleet.attempt.due_at is
    'of an HTTP agent''s attempt: when tend() ends it: not begun, too long, or not stopped though asked to';
comment on column fleet.attempt.question is 'what it asks (needs_input); null when nothing is open';
comment on column fleet.attempt.answer is 'the answer, told by each heartbeat until the agent says that it runs';
comment on column fleet.attempt.late is 'the first receipt that came after its end: evidence only';

create index slot_retiring on fleet.slot (executor) where retiring;

insert into fleet.setting (name, value, low, high, comment) values
    ('agent_days', 90, 1, 3650, 'HTTP agents that gave no heartbeat for so long are deregistered'),
    ('agent_output_max', 67108864, 1024, 1099511627776, 'an HTTP agent may store so many bytes of output for one attempt');
