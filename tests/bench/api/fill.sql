-- A fleet with a history: :tasks tasks of which 1.5 % failed, 0.5 % were cancelled, :live run, :waiting wait, the rest is completed. Four
-- agents on two hosts (and their slots), 20 repositories, a label on half of the tasks and one on every 10,000th. Tables are written
-- directly, as the functions would have left them. Schema t (tests/sql/t.sql) has to be there.
\set ON_ERROR_STOP on
set synchronous_commit = off;
begin;
select t.worker('w1', t.host('h1', '{code:rust,docs}', 150), t.host('h2', '{code:rust,code:go}', 150),
                t.host('h3', '{code:go}', 20, 'claude-code'), t.host('h4', '{review}', 20, 'opencode'));
select count(fleet.lane_for(array[l], 'undecided', 'acme/repo-' || r))
from generate_series(0, 19) r, unnest('{code:rust,code:go,docs,review}'::text[]) l;

create temp table plan as
select i, case when i > n - :waiting then 'created' when i > n - :waiting - :live then 'running'
               when i % 67 = 0 then 'failed' when i % 200 = 0 then 'cancelled' else 'completed' end as status,
       (array['code:rust', 'code:go', 'docs', 'review'])[1 + (i * 7) % 4] as skill, 'acme/repo-' || (i::bigint * i) % 20 as repo,
       case when i % 5 = 0 then 'forgejo' else 'api' end as source,
       now() - interval '30 days' + (interval '30 days' / :tasks) * i as at
from generate_series(1, :tasks) i, (select :tasks as n) n;

insert into fleet.task (task_id, source, title, body, content_hash, labels, requirements, execution_mode, priority, repo, issue_number,
                        branch_name, timeout_secs, max_retries, max_attempts_total, metadata, submitted_by, created_at, lane, status,
                        attempt_number, attempts, executor, failure_reason, run_at, assigned_at, started_at, completed_at, changed_at)
select case when source = 'forgejo' then p.repo || '#' || i else 't-' || lpad(to_hex(i::bigint * 7919), 12, '0') end, source,
       'Mend the ' || skill || ' part of module number ' || i, repeat('What is to be done, in some words. ', 8), sha256(i::text::bytea),
       array['agent:' || skill] || case when i % 2 = 0 then '{bug}'::text[] else '{}' end
           || case when i % 10000 = 0 then '{rare}'::text[] else '{}' end || ('area:' || i % 50),
       array[skill], 'undecided', 0, p.repo, case when source = 'forgejo' then i end, 'task/t-' || i, 1800, 2, 10, '{}', 'token:ci', at,
       l.lane, p.status, case when p.status = 'created' then 0 else 1 end, case when p.status = 'created' then 0 else 1 end,
       case when p.status <> 'created' then e.executor end, case when p.status = 'failed' then 'exit_nonzero' end, at,
       case when p.status <> 'created' then at + interval '1 s' end, case when p.status <> 'created' then at + interval '2 s' end,
       case when p.status in ('completed', 'failed', 'cancelled') then at + interval '9 min' end, at + interval '9 min'
from plan p
join fleet.lane l on l.requirements = array[p.skill] and l.repo = p.repo
join (select executor, row_number() over (order by executor) as k from fleet.executor) e on e.k = 1 + p.i % 2
order by p.i;

insert into fleet.attempt (task, number, executor, slot_id, node, nonce, phase, run, command, prompt, stdout_bytes, outcome, reason,
                           exit_status, report, claimed_at, starting_at, started_at, ended_at)
select t.task, 1, t.executor, 0, t.node('w1'), md5(t.task::text), case when t.status = 'running' then 'running' else 'ended' end, 'r',
       'agent', repeat('Do as the issue says. ', 10), 5000,
       case t.status when 'completed' then 'succeeded' when 'failed' then 'failed' when 'cancelled' then 'cancelled' end,
       t.failure_reason, case t.status when 'completed' then 0 when 'failed' then 1 end, '{"summary": "Done."}', t.assigned_at,
       t.assigned_at, t.started_at, t.completed_at
from fleet.task t where t.status <> 'created' order by t.task;

-- the live ones hold slots
with s as (select slot_id, executor, row_number() over (partition by executor order by slot_id) as k from fleet.slot),
     a as (select attempt, executor, row_number() over (partition by executor order by attempt) as k from fleet.attempt where ended_at is null)
update fleet.slot x set attempt = a.attempt from a join s using (executor, k) where x.slot_id = s.slot_id;
update fleet.attempt a set slot_id = s.slot_id from fleet.slot s where s.attempt = a.attempt;

insert into fleet.queue (lane, prio, task) select lane, 0, task from fleet.task where status = 'created' order by task;
insert into fleet.ended (status, task) select status, task from fleet.task where status in ('completed', 'failed', 'cancelled') order by task;
do $$
begin
    for i in 0 .. (select max(task) / 10000 from fleet.task) loop
        perform fleet.index_labels(array(select generate_series(i * 10000 + 1, i * 10000 + 10000)));
    end loop;
end $$;
insert into fleet.event (task, event_type, from_status, to_status, attempt, actor)
select t.task, coalesce(e.event_type, t.status), e.from_status, coalesce(e.event_type, t.status), e.attempt, 'node:w1'
from fleet.task t
join (values (1, 'created', null, null), (2, 'assigned', 'created', 1), (3, 'running', 'assigned', 1),
             (4, null, 'running', 1)) e (o, event_type, from_status, attempt)
  on e.o <= case t.status when 'created' then 1 when 'running' then 3 else 4 end
order by t.task, e.o;
commit;
vacuum analyze;
