-- What lists read, newest first by task number, so that no list reads the whole table. None of it is an index on a column of task that
-- a claim or an end changes: those updates stay within their page.

create table fleet.ended (
    status text collate "C" not null,
    task bigint not null,
    primary key (status, task)
) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
comment on table fleet.ended is 'Tasks that neither wait nor run, by their status: written by move() alone.';

create table fleet.task_label (
    label text collate "C" not null,
    task bigint not null,
    primary key (label, task)
);
comment on table fleet.task_label is 'The labels of task.labels, each once, for lists: written at the submission.';

insert into fleet.ended (status, task)
select status, task from fleet.task where status not in ('created', 'assigned', 'running', 'agent_lost');

insert into fleet.task_label (label, task)
select distinct l collate "C", t.task from fleet.task t, unnest(t.labels) l;

create index queue_task on fleet.queue (task);
create index attempt_executor on fleet.attempt (executor, task);

-- tokens are bound to repositories whatever their case, and to 'none'
create index task_repo on fleet.task ((lower(coalesce(repo, 'none')) collate "C"), task);
create index task_forgejo on fleet.task (task) where source = 'forgejo';

insert into fleet.setting (name, value, low, high, comment) values
    ('list_budget', 1000, 10, 100000,
     'so many tasks a list looks at for one page; a rare pair of filters may then give a short page and a next one');
