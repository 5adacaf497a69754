-- Invariants. Each view must always be empty.

create view fleet.check_slot as
select s.slot_id, 'holds an attempt that has ended or is not its own' as fault
from fleet.slot s
where s.attempt is not null
  and not exists (select from fleet.attempt a
                  where a.attempt = s.attempt and a.slot_id = s.slot_id and a.executor = s.executor and a.ended_at is null
                    and a.freed_at is null)
union all
select a.slot_id, 'attempt ' || a.attempt || ' is not proven ended and holds no slot' from fleet.attempt a
where a.ended_at is null and a.freed_at is null and not exists (select from fleet.slot s where s.slot_id = a.slot_id and s.attempt = a.attempt)
union all
select null, 'executor ' || e.agent_id || ' has ' || count(s.slot_id) || ' slots'
from fleet.executor e left join fleet.slot s on s.executor = e.executor and not s.retiring
group by e.executor
having count(s.slot_id) <> case when e.enabled then e.max_concurrency else 0 end
union all
select null, 'attempt ' || f.attempt || ' is listed as one that holds no slot, and is none' from fleet.freed f
where not exists (select from fleet.attempt a where a.attempt = f.attempt and a.ended_at is null and a.freed_at is not null)
union all
select a.slot_id, 'attempt ' || a.attempt || ' holds no slot, and nobody would find it' from fleet.attempt a
where a.ended_at is null and a.freed_at is not null and not exists (select from fleet.freed f where f.attempt = a.attempt)
union all
select a.slot_id, 'attempt ' || a.attempt || ' is of no task' from fleet.attempt a where not exists (select from fleet.task t where t.task = a.task)
union all
select s.slot_id, 'is there ' || count(*) || ' times' from fleet.slot s group by s.slot_id having count(*) > 1
union all
select null, 'executor ' || s.executor || ' has ' || count(*) || ' slots of number ' || s.ordinal from fleet.slot s
group by s.executor, s.ordinal having count(*) > 1
union all
select s.slot_id, 'is retiring and free' from fleet.slot s where s.retiring and s.attempt is null;
comment on view fleet.check_slot is 'A slot is held exactly while its attempt is not proven ended and no person freed it; slots fit max_concurrency.';

create view fleet.check_live as
select task, count(*) as live from fleet.attempt where ended_at is null and abandoned_at is null group by task having count(*) > 1;
comment on view fleet.check_live is 'No task has two live attempts.';

-- Each table is read once, in order: row by row a million tasks take minutes.
create view fleet.check_status_event as
with step as (
    select e.task, e.from_status, e.to_status, lag(e.to_status) over w as before, row_number() over w as place,
           lead(e.event_id) over w is null as newest
    from fleet.event e where e.to_status is not null window w as (partition by e.task order by e.event_id)
), told as (
    select s.task, max(s.to_status) filter (where s.newest) as to_status,
           bool_and(s.place = 1 or s.from_status is not distinct from s.before) as chain,
           bool_or(s.place = 1 and s.from_status is not null) as cut
    from step s group by s.task
)
select t.task_id, t.status, x.to_status as told, x.chain and not x.cut as chain
from fleet.task t
join fleet.horizon h on h.name = 'event'
left join told x on x.task = t.task
where (x.to_status is distinct from t.status or not x.chain or (x.cut and coalesce(t.created_at >= h.before, true)))
  and not (x.to_status is null and coalesce(t.changed_at < h.before, false));
comment on view fleet.check_status_event is 'Every change of status has its event, and the events make one chain, as far back as history is kept.';

create view fleet.check_epoch as
select t.task_id, a.number, a.epoch, 'epoch without as many adoptions' as fault
from fleet.attempt a join fleet.task t on t.task = a.task
join fleet.horizon h on h.name = 'event'
left join (select e.task, e.attempt, count(*) as adoptions from fleet.event e where e.event_type = 'adopted' group by e.task, e.attempt) e
  on e.task = a.task and e.attempt = a.number
where a.epoch - 1 < coalesce(e.adoptions, 0)
   or (a.epoch - 1 > coalesce(e.adoptions, 0) and not coalesce(a.claimed_at < h.before, false))
union all
select t.task_id, t.attempt_number, null, 'attempt numbers have holes or are ahead'
from fleet.task t
left join (select a.task, count(*) as attempts, max(a.number) as newest from fleet.attempt a group by a.task) a on a.task = t.task
where t.attempt_number <> coalesce(a.attempts, 0) or t.attempt_number <> coalesce(a.newest, 0);
comment on view fleet.check_epoch is 'Attempt numbers count up; every change of owner raised the epoch by one and has its event.';

create view fleet.check_queue as
select t.task_id, t.status, 0::bigint as rows
from fleet.task t
where t.status = 'created' and not exists (select from fleet.queue q where q.task = t.task)
  and not exists (select from fleet.delayed d where d.task = t.task)
union all
select coalesce(t.task_id, 'task ' || w.task),
       case when t.task is null then 'waits but does not exist' when t.status <> 'created' then t.status else 'in a wrong lane or rank' end, null
from (select q.task, q.lane, q.prio from fleet.queue q union all select d.task, null, null from fleet.delayed d) w
left join fleet.task t on t.task = w.task
where t.status is distinct from 'created' or w.lane <> t.lane or w.prio <> -t.priority
union all
select t.task_id, 'waits more than once', w.rows
from (select x.task, count(*) as rows from (select q.task from fleet.queue q union all select d.task from fleet.delayed d) x
      group by x.task having count(*) > 1) w
join fleet.task t on t.task = w.task
union all
select t.task_id, 'is pinned to an executor, and its lane is another', null
from fleet.pin p join fleet.task t on t.task = p.task left join fleet.lane l on l.lane = t.lane
where t.completed_at is not null or l.pinned is distinct from p.executor;
comment on view fleet.check_queue is
    'A created task waits in exactly one of queue and delayed; no other task waits. A pin is that of its task''s lane.';

create view fleet.check_executor_lane as
select executor, lane, 'missing' as fault from (table fleet.executor_lane_wanted except table fleet.executor_lane) m
union all
select executor, lane, 'too many' from (table fleet.executor_lane except table fleet.executor_lane_wanted) m
union all
select e.executor, t.lane, 'runs what it may not'
from fleet.attempt a
join fleet.task t on t.task = a.task
join fleet.executor e on e.executor = a.executor
where a.ended_at is null and t.execution_mode not in ('undecided', e.kind);
comment on view fleet.check_executor_lane is 'executor_lane is what its definition says.';

create view fleet.check_status as
select t.task_id, t.status, 'no attempt lives' as fault from fleet.task t
where t.status in ('assigned', 'running', 'agent_lost')
  and not exists (select from fleet.attempt a where a.task = t.task and a.ended_at is null and a.abandoned_at is null)
union all
select t.task_id, t.status, 'an attempt lives' from fleet.attempt a join fleet.task t on t.task = a.task
where a.ended_at is null and a.abandoned_at is null and t.status in ('created', 'completed', 'failed', 'cancelled')
  and not (t.status = 'failed' and t.failure_reason = 'host_lost')
union all
select t.task_id, t.status, 'over max_attempts_total' from fleet.task t
where t.attempts > t.max_attempts_total or (t.status = 'created' and t.attempts >= t.max_attempts_total)
union all
select t.task_id, t.status, 'ended without a time, or not ended with one' from fleet.task t
where (t.status in ('completed', 'failed', 'cancelled')) <> (t.completed_at is not null)
union all
select t.task_id, t.status, 'names a reason of failure while a run lives' from fleet.task t
where t.status in ('assigned', 'running', 'agent_lost') and t.failure_reason is not null
union all
select t.task_id, t.status, 'running but never seen started'
from fleet.task t join fleet.attempt a on a.task = t.task and a.number = t.attempt_number
where t.status = 'running' and a.started_at is null;
comment on view fleet.check_status is 'No status that its facts contradict.';

create view fleet.check_list as
select coalesce(w.task, e.task) as task, coalesce(w.status, e.status) as status,
       case when w.task is null then 'is in ended and has not ended so' else 'is not in ended' end as fault
from (select t.task, t.status collate "C" as status from fleet.task t
      where t.status not in ('created', 'assigned', 'running', 'agent_lost')) w
full join fleet.ended e on e.status = w.status and e.task = w.task
where w.task is null or e.task is null
union all
select t.task, l, 'is not in task_label' from fleet.task t, unnest(t.labels) l
where not exists (select from fleet.task_label x where x.label = l and x.task = t.task)
union all
select x.task, x.label, 'is in task_label and not among the labels' from fleet.task_label x
where not exists (select from fleet.task t where t.task = x.task and x.label = any (t.labels));
comment on view fleet.check_list is 'What lists read is what the tasks say: ended by status, task_label by labels.';

create view fleet.check_hold as
select t.task_id, t.hold, 'is held and does not wait' as fault from fleet.task t where t.hold is not null and t.status <> 'created'
union all
select t.task_id, t.hold, 'is held without a time, or has a time that never comes' from fleet.task t
left join fleet.delayed d on d.task = t.task
where t.status = 'created' and (t.hold is null or t.hold not in ('permission_pending', 'needs_approval', 'text_changed'))
                            <> (d.run_at is distinct from 'infinity')
union all
select t.task_id, t.hold, 'is a hold that nobody knows, or that of no issue' from fleet.task t
where t.issue is null and t.hold is not null
   or t.hold not in ('permission_pending', 'needs_approval', 'text_changed', 'reading', 'daily_limit')
union all
select t.task_id, i.repo || '#' || i.number, 'is the task of an issue that is called otherwise, or is not there' from fleet.task t
left join fleet.issue i on i.issue = t.issue
where t.issue is not null and (t.repo, t.issue_number) is distinct from (i.repo, i.number);
comment on view fleet.check_hold is 'A hold that a person ends keeps its task aside until then; the others end by time. A task is called as its issue.';

create view fleet.check_agent as
select e.agent_id, a.attempt, 'is not owned by a node of its agent, or nothing ends it when that is silent' as fault
from fleet.attempt a
join fleet.executor e on e.executor = a.executor
left join fleet.node n on n.node = a.node
where a.ended_at is null and e.kind = 'http_pull'
  and (n.kind is distinct from 'agent' or n.name <> e.agent_id or a.due_at is null or n.dead_due is null and a.phase <> 'claimed')
union all
select e.agent_id, a.attempt, 'is owned by an agent, and runs on a host' from fleet.attempt a
join fleet.executor e on e.executor = a.executor
join fleet.node n on n.node = a.node
where a.ended_at is null and e.kind = 'ssh_cli' and (n.kind <> 'worker' or a.due_at is not null)
union all
select e.agent_id, null, 'is registered, and nothing would find that it is silent' from fleet.executor e
left join fleet.node n on n.node = e.node
where e.kind = 'http_pull' and e.enabled and n.node is not null and n.dead_at is null and n.dead_due is null;
comment on view fleet.check_agent is 'What an HTTP agent runs is its own, and is ended when it falls silent.';

create view fleet.check_outbox as
select t.task_id, 'is to be told, and nobody ever would' as fault
from fleet.outbox o join fleet.task t on t.task = o.task
where o.told < o.dirty and o.parked_at is null and o.tell_at = 'infinity'
union all
select t.task_id, 'is told, and is of no issue'
from fleet.outbox o join fleet.task t on t.task = o.task
where t.issue_number is null
union all
select o.task::text, 'is of a task that is gone'
from fleet.outbox o where not exists (select from fleet.task t where t.task = o.task);
comment on view fleet.check_outbox is 'What Forgejo has to be told is due at some time, or parked; and it is of an issue.';

create view fleet.check_pull as
select t.task_id, t.status, x.fault
from (select distinct on (r.task) r.* from fleet.pull r join fleet.task t on t.task = r.task
      where r.state = 'open' or r.closed_round = t.round
      order by r.task, r.state = 'open' desc, r.number desc) r
join fleet.task t on t.task = r.task
cross join lateral (
    select case when r.merged and t.status <> 'completed' then 'its pull request was merged'
                when r.state = 'open' and t.status in ('completed', 'failed') then 'its pull request is open'
                when r.state = 'closed' and not r.merged and t.status not in ('failed', 'cancelled') then 'its pull request was closed' end as fault) x
where x.fault is not null
  and not exists (select from fleet.attempt a where a.task = t.task and a.ended_at is null and a.abandoned_at is null)
union all
select t.task_id, t.status, 'is under review, and neither asks nor has an open pull request'
from fleet.ended e join fleet.task t on t.task = e.task
where e.status = 'review_pending' and t.failure_reason is distinct from 'needs_input'
  and not exists (select from fleet.pull r where r.task = t.task and r.state = 'open')
union all
select r.task::text, null, 'is gone, and a pull request of it is not' from fleet.pull r
where not exists (select from fleet.task t where t.task = r.task);
comment on view fleet.check_pull is 'A task of which nothing runs is what its pull request says.';
