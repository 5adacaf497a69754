-- What runs of a repository leave behind, what people ask of a task when a run has ended, and where it goes on.

alter table fleet.task add column base_branch text;
comment on column fleet.task.base_branch is 'the branch from which its own begins; null: the default branch of its repository';

alter table fleet.attempt
    add column work jsonb,
    add column ordinal int;
comment on column fleet.attempt.work is
    'of a run with a workspace: branch, base, head, what was pushed, how much was changed; null: it has none';
comment on column fleet.attempt.ordinal is 'that of its slot';
comment on column fleet.attempt.question is
    'what it asks (needs_input). While the run lives: null when nothing is open; after its end: what it ended with';

alter table fleet.slot add column ordinal int;
update fleet.slot s set ordinal = x.place
from (select slot_id, row_number() over (partition by executor order by slot_id) - 1 as place from fleet.slot) x
where x.slot_id = s.slot_id;
alter table fleet.slot alter column ordinal set not null, add check (ordinal >= 0);
create unique index slot_ordinal on fleet.slot (executor, ordinal);
drop index fleet.slot_executor;
comment on column fleet.slot.ordinal is 'the smallest number that was free among those of its executor: which of its accounts the slot runs as';

create table fleet.follow (
    follow bigint generated always as identity primary key,
    task bigint not null references fleet.task,
    number int not null,
    last int,
    kind text not null check (kind in ('answer', 'continue')),
    question text,
    text text not null,
    shown text not null,
    asked_by text not null,
    asked_at timestamptz not null default now()
);
create index follow_task on fleet.follow (task, number);
comment on table fleet.follow is 'What people asked of a task after one of its runs: the attempts that follow are told.';
comment on column fleet.follow.number is 'the attempt that it follows';
comment on column fleet.follow.last is 'the last attempt that was told; null: the next one is, too';
comment on column fleet.follow.shown is 'the text without credentials, for everybody but the agent';

create table fleet.pin (
    task bigint primary key references fleet.task,
    executor int not null references fleet.executor,
    ordinal int,
    until timestamptz not null
);
create index pin_until on fleet.pin (until);
comment on table fleet.pin is
    'Tasks whose lane is that of the executor which has their session and workspace, and when anyone may have them after all.';

comment on column fleet.pin.ordinal is 'that of the slot of its last run, where its session is if accounts are separate';

insert into fleet.setting (name, value, low, high, comment) values
    ('follow_pin_ms', 1800000, 0, 604800000,
     'a task goes on where its session and workspace are; after so long without a start there anyone may take it');

insert into fleet.transition (from_status, to_status, comment) values
    ('assigned', 'review_pending', 'ended before it was seen running, with a question'),
    ('running', 'review_pending', 'ended with a question'),
    ('agent_lost', 'review_pending', 'in reach again, had ended with a question'),
    ('failed', 'review_pending', 'given up too soon: it had ended with a question'),
    ('review_pending', 'created', 'answered, continued or retried'),
    ('review_pending', 'cancelled', 'cancelled instead of answered');
