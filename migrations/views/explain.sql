-- Why a task is not running: one row per executor that could be asked, in words, and one word for the kind of it.

create view fleet.explanations as
select t.task_id, e.agent_id, null::boolean as can_take,
       'the task is ' || t.status || case
           when t.status in ('assigned', 'running', 'agent_lost')
               then format(' (attempt %s, %s%s)', a.number, a.phase, coalesce(': ' || nullif(a.phase_reason, ''), ''))
           else to_char(coalesce(t.completed_at, t.changed_at) at time zone 'UTC', ' "since" YYYY-MM-DD"T"HH24:MI:SS"Z"')
                || coalesce(': ' || t.failure_reason, '') end as reason,
       null as code
from fleet.task t
left join fleet.attempt a on a.task = t.task and a.number = t.attempt_number
left join fleet.executor e on e.executor = a.executor
where t.status <> 'created'
union all
select t.task_id, null, false, 'no agent is known: no worker has brought its configuration yet', 'nobody'
from fleet.task t
where t.status = 'created' and not exists (select from fleet.executor)
union all
select t.task_id, x.agent_id, w.why is null,
       coalesce(w.why, format('can take it now: %s free slots, %s tasks ahead of it in its lane', x.free, a.ahead)), c.code
from fleet.task t
-- by the index, and no more than a person wants to know
cross join lateral (select case when count(*) > 1000 then 'more than 1000' else count(*)::text end as ahead
                    from (select from fleet.queue q where q.lane = t.lane and (q.prio, q.task) < (-t.priority, t.task)
                          limit 1001) q) a
left join fleet.delayed d on d.task = t.task and d.run_at > now()
left join fleet.hold_text h on h.hold = t.hold
left join fleet.lane o on o.lane = t.lane
left join fleet.pin p on p.task = t.task
cross join fleet.executor_now x
cross join lateral (select array(select r from unnest(t.requirements) r where r <> all (x.capabilities)) as missing) m
cross join lateral (select case
    when m.missing <> '{}' then 'capability'
    when t.execution_mode not in ('undecided', x.kind) then 'mode'
    when not x.enabled then 'gone'
    when o.pinned <> x.executor then case when p.task is null then 'assigned' else 'pinned' end
    when x.host_id = any (o.barred) then 'barred'
    when not exists (select from fleet.executor_lane_wanted l where l.executor = x.executor and l.lane = t.lane) then 'repository'
    when x.cordoned_at is not null then 'cordoned'
    when x.status in ('out_of_service', 'resting') then case when x.out_account is not null then 'account' else x.status end
    when not coalesce(x.reachable, false) then 'offline'
    when d.run_at is not null then case when h.hold is null then 'waits' else 'held' end
    when x.free = 0 then 'full'
    end as code) c
cross join lateral (select case c.code
    when 'capability' then 'lacks ' || array_to_string(m.missing, ', ')
    when 'mode' then format('the task wants %s, this is %s', t.execution_mode, x.kind)
    when 'gone' then case x.kind when 'http_pull' then 'was deregistered' else 'is not in the configuration any more' end
    when 'assigned' then format('the task is assigned to %s', (select e.agent_id from fleet.executor e where e.executor = o.pinned))
    when 'pinned' then format('the task goes on at %s, which has its session and workspace; from %s on anyone may take it',
                              (select e.agent_id from fleet.executor e where e.executor = o.pinned),
                              to_char(p.until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
    when 'barred' then 'its host just failed it: another one is tried first'
    when 'repository' then format(case x.kind when 'http_pull' then 'the token that registered it is not bound to %s' else 'its host does not list %s' end,
                                  coalesce('repository ' || t.repo, 'none: tasks of no repository'))
    when 'cordoned' then format('its host is cordoned by %s: %s', x.cordoned_by, x.cordon_reason)
    when 'account' then x.out_reason || case x.status when 'out_of_service' then format('; fleet.unpark(%L) opens it', x.out_account) else '' end
    when 'out_of_service'
        then format('is out of service since %s: %s; fleet.executor_accept(%L) puts it back',
                    to_char(x.out_since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), x.out_reason, x.agent_id)
    when 'resting'
        then format('rests until %s: %s', to_char(x.out_until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), x.out_reason)
    when 'offline'
        then case x.kind when 'http_pull'
                 then 'is offline: it gives no heartbeat' || coalesce(to_char(x.seen_at at time zone 'UTC', '", the last at" YYYY-MM-DD"T"HH24:MI:SS"Z"'), '')
                 else 'its host is offline: ' || coalesce(x.reason, 'no worker reported it reachable lately') end
    when 'held' then format('would take it, but the task is held (%s): %s', h.hold, h.says)
    when 'waits' then to_char(d.run_at at time zone 'UTC', '"would take it, but the task waits until" YYYY-MM-DD"T"HH24:MI:SS"Z"')
    when 'full' then format('slots full: all %s are in use', x.max_concurrency)
    end as why) w
where t.status = 'created';
comment on view fleet.explanations is 'Why a task is not running, one row per executor: where task_id = ….';
