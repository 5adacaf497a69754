-- For people with psql. No bodies, prompts, output or addresses here: those are in views/full.sql.
-- tasks, running, attempts and hosts fit a line of 160 characters; all else about the same things is in the view of their details,
-- to be read by \x.

create view fleet.tasks as
select t.task_id, t.status, t.attempt_number as attempt, a.epoch, n.name as node, e.host_id, e.agent_type,
       case when a.ended_at is null then a.phase end as phase, date_trunc('second', t.changed_at) as since, t.failure_reason
from fleet.task t
left join fleet.attempt a on a.task = t.task and a.number = t.attempt_number
left join fleet.executor e on e.executor = a.executor
left join fleet.node n on n.node = a.node;
comment on view fleet.tasks is 'Every task with its newest attempt: status, who has it, where, since when. More in task_details.';

create view fleet.task_details as
select t.task_id, t.status, t.title, t.source, t.repo, t.issue_number, t.task_type, t.labels, t.requirements, t.priority,
       coalesce(e.kind, t.execution_mode) as execution_mode, t.attempt_number as attempt, e.agent_id, a.outcome, t.failure_reason, r.advice, t.hold, t.hold_at, t.requested_by,
       t.retry_count, t.max_retries, t.attempts, t.max_attempts_total, t.review_count, t.timeout_secs, t.cancel_at is not null as cancel_asked,
       t.cancel_by, t.cancel_reason, t.branch_name, t.base_branch, p.until as pinned_until, t.kept_at, t.kept_by, t.kept_reason, t.submitted_by, t.created_at, t.run_at, t.assigned_at, t.started_at, t.completed_at, t.changed_at
from fleet.task t
left join fleet.attempt a on a.task = t.task and a.number = t.attempt_number
left join fleet.executor e on e.executor = a.executor
left join fleet.pin p on p.task = t.task
left join fleet.reason r on r.reason = t.failure_reason;
comment on view fleet.task_details is
    'Every task with all that is known of it: what is wanted, how often it was tried, why it failed, when.';

create view fleet.running as
select t.task_id, t.status, a.number as attempt, a.epoch, n.name as node, e.host_id, e.agent_type, a.phase,
       date_trunc('second', coalesce(a.unreachable_at, a.started_at, a.starting_at, a.claimed_at)) as since, a.phase_reason
from fleet.slot s
join fleet.attempt a on a.attempt = s.attempt
join fleet.task t on t.task = a.task
join fleet.executor e on e.executor = a.executor
left join fleet.node n on n.node = a.node;
comment on view fleet.running is 'Every attempt that is not proven ended: each holds a slot. More in attempt_details.';

create view fleet.held_tasks as
select t.task_id, t.hold, date_trunc('second', t.hold_at) as since, t.requested_by, i.refused as labels_refused, h.says, h.help, i.html_url
from fleet.delayed d
join fleet.task t on t.task = d.task
join fleet.hold_text h on h.hold = t.hold
left join fleet.issue i on i.issue = t.issue;
comment on view fleet.held_tasks is 'Tasks that could start and are held: why, since when, and what ends that.';

create view fleet.held_slots as
select e.host_id, e.agent_id, t.task_id, a.number as attempt, t.status, a.phase, u.since as unseen_since,
       case when u.since = a.unreachable_at then a.phase_reason else 'its worker is gone, and no other took it over' end as reason,
       r.advice, a.abandoned_reason, format('select fleet.free_slot(%L, %s, ''say why'');', t.task_id, a.number) as freed_with
from fleet.slot s
join fleet.attempt a on a.attempt = s.attempt
join fleet.task t on t.task = a.task
join fleet.executor e on e.executor = a.executor
left join fleet.node n on n.node = a.node
left join fleet.reason r on r.reason = a.phase_reason
cross join lateral (select least(a.unreachable_at, n.dead_at, n.stopped_at) as since) u
where u.since is not null;
comment on view fleet.held_slots is 'Slots held by runs that nobody sees: since when, why, and the call by which a person frees each.';

create view fleet.queue_overview as
select l.requirements, l.mode, l.repo, w.waiting, w.delayed, w.oldest, w.next_run_at,
       (select count(*) from fleet.executor_lane el join fleet.executor_now x on x.executor = el.executor
        where el.lane = l.lane)::int as executors,
       (select coalesce(sum(x.free), 0) from fleet.executor_lane el join fleet.executor_now x on x.executor = el.executor
        where el.lane = l.lane and x.status = 'online')::int as free_slots
from fleet.lane l
join (select t.lane, count(*) filter (where d.task is null) as waiting, count(d.task) as delayed,
             min(t.changed_at) as oldest, min(d.run_at) as next_run_at
      from (select task from fleet.queue union all select task from fleet.delayed) q
      join fleet.task t on t.task = q.task
      left join fleet.delayed d on d.task = t.task
      group by t.lane) w on w.lane = l.lane;
comment on view fleet.queue_overview is 'What waits, by requirements: how many, since when, who could take it and has room.';

create view fleet.hosts as
select h.host_id, h.status, h.reason_code, x.agent_type, x.status as agent_status, x.capabilities, x.max_concurrency, x.running, x.free
from fleet.host_now h
left join fleet.executor_now x on x.host_id = h.host_id and not x.gone
where not h.gone;
comment on view fleet.hosts is 'Hosts and their agents: reachable or not, in service or not, slots in use and free. Why, in host_details.';

create view fleet.host_details as
select h.host_id, h.status, h.reason_code, h.reason, h.origin, x.agent_type, x.status as agent_status, x.account, x.out_reason, x.capabilities,
       x.max_concurrency, x.running, x.free, x.version, h.repositories, h.checked_at, h.disk_free, h.cordoned_by, h.cordoned_at,
       h.cordon_reason, h.differs, h.owner_changed_at
from fleet.host_now h
left join fleet.executor_now x on x.host_id = h.host_id and not x.gone
where not h.gone;
comment on view fleet.host_details is 'Hosts and their agents with all that is known of them: why not reachable, why not in service.';
comment on column fleet.host_details.owner_changed_at is
    'when the file that says whose its work_dir is was found changed, by one of its runs or a person';
comment on column fleet.host_details.differs is 'workers whose configurations differ about this host; the newest counts';

create view fleet.agents as
select x.agent_id, x.status, x.out_since, case when x.out_until <> 'infinity' then x.out_until end as out_until, x.out_reason, r.advice,
       x.account, x.capabilities, x.max_concurrency, x.running, x.free, x.version
from fleet.executor_now x
left join fleet.executor e on e.executor = x.executor
left join fleet.account k on k.account = x.out_account
left join fleet.reason r on r.reason = case when x.out_account is null then e.out_reason else k.reason end and x.out_since is not null
where not x.gone;
comment on view fleet.agents is
    'What runs tasks: in service, or out of it with the reason; fleet.executor_accept(agent_id) or fleet.unpark(account) puts it back.';

create view fleet.accounts as
select account, state, agents, running, max_concurrency, parked_at as parked_since,
       case when parked_until <> 'infinity' then parked_until end as parked_until, reason, limit_window, told_until, reported_by, detail, advice
from fleet.account_now where not gone;
comment on view fleet.accounts is
    'Logins of agents: open; parked, with the reason; half_open: one run goes first. fleet.park(account, reason, until), fleet.unpark(account).';
comment on column fleet.accounts.told_until is 'when the limit ends, as the agent told; null while parked by a limit: it did not say';

create view fleet.reasons as select reason, class, retry, advice from fleet.reason;
comment on view fleet.reasons is 'Why attempts end and hosts are down: what follows, and what a person can do about it.';

create view fleet.history as
select e.at, t.task_id, e.event_type, e.from_status, e.to_status, e.attempt, e.actor, e.payload, e.event_id
from fleet.event e
join fleet.task t on t.task = e.task;
comment on view fleet.history is 'What happened, newest last: select * from fleet.history where task_id = … order by event_id.';

create view fleet.attempts as
select t.task_id, a.number as attempt, e.agent_id, a.phase, a.outcome, a.reason,
       date_trunc('second', a.started_at) as started_at, date_trunc('second', a.ended_at) as ended_at
from fleet.attempt a
join fleet.task t on t.task = a.task
join fleet.executor e on e.executor = a.executor;
comment on view fleet.attempts is 'Every attempt: who ran it and how it ended. More in attempt_details.';

create view fleet.attempt_details as
select t.task_id, a.number as attempt, a.epoch, e.agent_id, coalesce(n.name, a.node::text) as node, a.adopted_from, a.run, t.title, a.phase,
       a.phase_reason, a.outcome, a.reason, r.advice, a.exit_status, a.exit_signal, a.proof, a.stdout_bytes, a.stderr_bytes, a.output_at,
       t.timeout_secs, t.cancel_at is not null as cancel_asked, a.claimed_at, a.starting_at, a.started_at, a.unreachable_at, a.ended_at,
       a.abandoned_at, a.abandoned_reason, a.freed_at, a.freed_reason, a.report ->> 'model' as model,
       a.report ->> 'agent_version' as agent_version, a.report ->> 'isolation' as isolation, a.report ->> 'sandbox' as sandbox,
       a.report -> 'tokens' as tokens, (a.report ->> 'cost_usd')::numeric as cost_usd, a.report ->> 'cost_source' as cost_source
from fleet.attempt a
join fleet.task t on t.task = a.task
join fleet.executor e on e.executor = a.executor
left join fleet.node n on n.node = a.node
left join fleet.reason r on r.reason = a.reason;
comment on view fleet.attempt_details is
    'Every attempt with all that is known of it: output, exit, proof of its end, what people did to it.';
comment on column fleet.attempt_details.proof is 'what was looked at on the host before its end counted as proven';

create view fleet.work as
select t.task_id, a.number as attempt, coalesce(a.work ->> 'branch', t.branch_name) as branch, a.work ->> 'state' as state,
       left(a.work ->> 'pushed', 12) as pushed, (a.work ->> 'commits')::bigint as commits, (a.work ->> 'files')::bigint as files,
       (a.work ->> 'insertions')::bigint as insertions, (a.work ->> 'deletions')::bigint as deletions,
       (a.work ->> 'leftovers')::bigint as leftovers, (a.work ->> 'withheld')::bigint as withheld, a.work ->> 'rescue' as rescue,
       a.work ->> 'base_branch' as base_branch, a.work ->> 'base' as base, a.work ->> 'head' as head, a.work ->> 'reason' as reason,
       t.repo, e.agent_id, a.ended_at
from fleet.attempt a
join fleet.task t on t.task = a.task
join fleet.executor e on e.executor = a.executor
where a.work is not null;
comment on view fleet.work is 'What runs in repositories came to: which branch, what was pushed, how much was changed, what was kept and why.';
comment on column fleet.work.rescue is 'the branch on which commits were saved that could not go to the task''s own';
comment on column fleet.work.withheld is 'files that look like secrets and were not committed';

create view fleet.pulls as
select t.task_id, r.number, r.state, r.merged, r.draft, t.status, r.state = 'open' or r.closed_round = t.round as counts, r.checks, r.head_ref, r.head_sha,
       r.base_ref, r.title, r.html_url, r.author, r.updated_at, r.read_at
from fleet.pull r
join fleet.task t on t.task = r.task;
comment on view fleet.pulls is 'Pull requests from tasks'' own branches, and which of them count: the newest that does decides.';

create view fleet.responses as
select r.made_at, t.task_id, r.number, r.comment, r.reaction, r.text from fleet.response r join fleet.task t on t.task = r.task;
comment on view fleet.responses is 'What is said back to comments: a reaction, and a line when a command was refused or not understood.';

create view fleet.nodes as
select name, kind, status, running, watched_by, version, config_hash, beat_at, started_at, stopped_at, dead_at, node
from fleet.node_now where status in ('live', 'silent') or running > 0;
comment on view fleet.nodes is 'Server and worker processes and their beats; ended ones only while something of theirs runs.';
comment on column fleet.nodes.watched_by is 'what tells of its death: its session''s lock at once, else its beat after dead_ms';

create view fleet.deliveries as
select received_at, event, action, repo, number, sender, result, reason, detail, task_id, delivery_id from fleet.delivery;
comment on view fleet.deliveries is 'Verified webhook deliveries and what came of each.';

create view fleet.settings as select name, value, low, high, comment from fleet.setting;
comment on view fleet.settings is 'Tunables; an operator changes one with fleet.set(name, value).';

-- changes: "status: created → cancelled, reason: twice"; what stayed is left out.
create view fleet.audit_trail as
select a.at, a.actor as who, a.address as from_where, a.action as what, a.object, c.changes, a.token_prefix, a.request_id, a.before, a.after
from fleet.audit a
cross join lateral (
    select string_agg(concat(k, ': ', (a.before ->> k) || ' → ', coalesce(a.after ->> k, 'none')), ', ' order by k) as changes
    from (select jsonb_object_keys(a.before) as k union select jsonb_object_keys(a.after)) x
    where a.before -> k is distinct from a.after -> k) c
order by a.audit desc;
comment on view fleet.audit_trail is 'Every change that a person or a registering agent made, newest first: who, from where, what, before and after.';

create view fleet.kept_workspaces as
select t.task_id, e.host_id as host, split_part(a.run, '.', 1) as folder, a.folder_kept as why, date_trunc('second', a.folder_kept_at) as since,
       t.status, date_trunc('second', t.completed_at) as ended
from fleet.attempt a
join fleet.task t on t.task = a.task
join fleet.executor e on e.executor = a.executor
where a.folder_kept is not null and a.folder_removed_at is null;
comment on view fleet.kept_workspaces is
    'Workspaces that are old and stay on their host all the same: unpushed commits, uncommitted work, or what keeps it from being pushed.';

create view fleet.tellings as
select t.task_id, case when o.parked_at is not null then 'parked' when o.taken_by is not null then 'being told'
                       when o.failing_since is not null then 'failing' when o.told < o.dirty then 'due' else 'told' end as state,
       case when o.tell_at < 'infinity' and o.parked_at is null then date_trunc('second', o.tell_at) end as next_at,
       date_trunc('second', o.told_at) as told_at, o.tries, coalesce(o.parked_reason, o.trouble) as why, n.name as node, o.label,
       o.comment_id, o.called
from fleet.outbox o
join fleet.task t on t.task = o.task
left join fleet.node n on n.node = o.taken_by;
comment on view fleet.tellings is
    'What Forgejo is told of tasks of issues: whether it was, when it is next, and why it was not. fleet.retell(task_id) tells what is parked.';
comment on column fleet.tellings.comment_id is 'of the tracking comment';
comment on column fleet.tellings.called is 'for what a person was mentioned last';
