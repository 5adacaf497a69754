-- Executors, hosts and nodes as they are now; the functions' common ground. Not granted to readers themselves, but views for
-- them are built on these: no function of ours here, for a view's functions run with the reader's rights.

-- (slot_id > 0: nodes' calls are planned without scans; one here would make every plan look as dear.)
create view fleet.live as
select s.attempt from fleet.slot s where s.attempt is not null and s.slot_id > 0
union all
select f.attempt from fleet.freed f;
comment on view fleet.live is 'Attempts that are not proven ended.';

-- On which executors of hosts a node may place work; `state` is that of their account.
create view fleet.placeable as
select nh.node, e.executor, k.state
from fleet.node_host nh
join fleet.host h on h.host_id = nh.host_id
join fleet.executor e on e.host_id = h.host_id
join fleet.account k on k.account = e.account
where nh.reachable and nh.reported_at > now() - (select s.value * interval '1 ms' from fleet.setting s where s.name = 'host_fresh_ms')
  and h.cordoned_at is null and e.enabled and coalesce(e.out_until <= now(), true);

-- What the living workers see of a host.
create view fleet.host_reach as
select nh.host_id, max(nh.reported_at) as seen_at,
       bool_or(nh.reachable and nh.reported_at > now() - f.fresh) as reachable,
       string_agg(distinct n.name || ': ' || nh.reason, '; ') filter (where not nh.reachable) as reason,
       (array_agg(nh.reason_code order by nh.reported_at desc) filter (where not nh.reachable))[1] as reason_code
from fleet.node_host nh
join fleet.node n on n.node = nh.node and n.dead_at is null and n.stopped_at is null
cross join (select make_interval(secs => value / 1000.0) as fresh from fleet.setting where name = 'host_fresh_ms') f
group by nh.host_id;

-- Where the configuration of a living worker differs about a host from those of other living ones.
create view fleet.host_differs as
select nh.node, nh.host_id,
       string_agg(format('worker %s has another %s', o.name, k.members), '; ' order by o.name, o.node) as differs
from fleet.node_host nh
join fleet.node n on n.node = nh.node and n.dead_at is null and n.stopped_at is null
join fleet.node_host oh on oh.host_id = nh.host_id and oh.node <> nh.node and oh.entry <> nh.entry
join fleet.node o on o.node = oh.node and o.dead_at is null and o.stopped_at is null
cross join lateral (
    select string_agg(a.key, ', ' order by a.key) as members
    from jsonb_each(nh.entry) a where a.value is distinct from oh.entry -> a.key) k
group by nh.node, nh.host_id;

create view fleet.account_now as
select k.account, k.state, k.parked_at, k.parked_until, k.reason, k.detail, r.advice, k.limit_window, k.told_until, k.reported_by, k.parks, k.probe,
       x.agents, x.running, x.max_concurrency, x.agents = '{}' as gone,
       case when k.state = 'half_open' then format('account %s opens again: one run goes first', k.account)
            when k.state = 'open' then null
            when k.reason = 'parked' then format('account %s is parked%s by %s: %s', k.account, ' until ' || u.until, k.reported_by, k.detail)
            when r.retry = 'quota' then format('quota of account %s until %s, %s', k.account, u.until, case
                when k.told_until is not null then 'as reported by the agent' else 'when one run tries again: the agent did not say when it ends' end)
            else format('account %s: %s', k.account, concat_ws(': ', k.reason, k.detail)) end as why
from fleet.account k
left join fleet.reason r on r.reason = k.reason
cross join lateral (
    select case when k.parked_until <> 'infinity' then to_char(k.parked_until at time zone 'UTC', case
        when (k.parked_until at time zone 'UTC')::date = (now() at time zone 'UTC')::date then 'HH24:MI "UTC"' else 'YYYY-MM-DD HH24:MI "UTC"' end)
        end as until) u
cross join lateral (
    select coalesce(array_agg(e.agent_id order by e.agent_id), '{}') as agents, coalesce(sum(e.max_concurrency), 0)::int as max_concurrency,
           (select count(s.attempt) from fleet.executor b join fleet.slot s on s.executor = b.executor where b.account = k.account)::int as running
    from fleet.executor e left join fleet.host h on h.host_id = e.host_id
    where e.account = k.account and e.enabled and h.forgotten_at is null) x;

create view fleet.executor_now as
select e.executor, e.agent_id, e.kind, e.host_id, e.agent_type, coalesce(h.hostname, e.hostname) as hostname, e.capabilities, e.max_concurrency, e.version,
       e.account, e.enabled, h.cordoned_at, h.cordoned_by, h.cordon_reason, s.running,
       case when e.enabled and h.cordoned_at is null and u.since is null then s.free else 0 end as free,
       r.seen_at, r.reachable, r.reason, u.since as out_since, u.until as out_until, u.why as out_reason, u.account as out_account,
       case when not e.enabled then 'disabled' when h.cordoned_at is not null then 'cordoned'
            when u.until = 'infinity' then 'out_of_service' when u.since is not null then 'resting'
            when r.reachable then 'online' else 'offline' end as status,
       h.forgotten_at is not null or ((h.cordoned_by is not distinct from 'config' or not e.enabled) and s.running = 0) as gone
from fleet.executor e
left join fleet.account k on k.account = e.account and (k.state = 'parked' or k.probe is not null)
left join lateral (
    select o.* from (
        select e.out_since as since, e.out_until as until, concat_ws(': ', e.out_reason, e.out_detail) as why, null::text as account
        where e.out_until > now()
        union all
        select n.parked_at, case n.state when 'parked' then n.parked_until end, n.why, n.account from fleet.account_now n where n.account = k.account) o
    order by o.until desc nulls last limit 1) u on true
left join fleet.host h on h.host_id = e.host_id
left join lateral (
    select r.seen_at, r.reachable, r.reason from fleet.host_reach r where r.host_id = e.host_id
    union all
    select n.beat_at, n.dead_at is null and n.stopped_at is null, 'it gives no heartbeat'
    from fleet.node n where n.node = e.node) r on true
left join lateral (
    select count(x.attempt)::int as running,
           count(*) filter (where x.attempt is null and not x.retiring)::int as free
    from fleet.slot x where x.executor = e.executor) s on true;

create view fleet.host_now as
select h.host_id, h.origin, h.hostname, h.port, h.ssh_user, h.work_dir, h.workspace, h.repositories, h.disk_free, h.made_at, h.owner_changed_at,
       h.cordoned_at, h.cordoned_by, h.cordon_reason, r.seen_at as checked_at,
       case when h.cordoned_at is not null then 'cordoned' when r.reachable then 'online' else 'offline' end as status,
       case when h.cordoned_at is not null then h.cordon_reason
            when not coalesce(r.reachable, false) then coalesce(r.reason, 'no worker reported it lately') end as reason,
       case when h.cordoned_at is not null then 'cordoned'
            when not coalesce(r.reachable, false) then coalesce(r.reason_code, 'unreachable') end as reason_code,
       (select string_agg(distinct n.name, ', ')
        from fleet.host_differs d join fleet.node n on n.node = d.node where d.host_id = h.host_id) as differs,
       h.forgotten_at is not null or (h.cordoned_by is not distinct from 'config' and not exists (
           select from fleet.slot s join fleet.executor e on e.executor = s.executor
           where e.host_id = h.host_id and s.attempt is not null)) as gone
from fleet.host h
left join fleet.host_reach r on r.host_id = h.host_id;

create view fleet.node_now as
select n.node, n.kind, n.name, n.version, n.config_hash, n.beat, n.beat_at, n.started_at, n.stopped_at, n.dead_at,
       case when n.dead_at is not null then 'dead' when n.stopped_at is not null then 'stopped'
            when n.beat_at < clock_timestamp() - d.after then 'silent' else 'live' end as status,
       (select count(*) from fleet.live v join fleet.attempt a on a.attempt = v.attempt where a.node = n.node)::int as running,
       case when n.lock_at is not null then 'lock, beat'
            else 'beat' || coalesce(': ' || case n.lock_trouble
                when 'pooled' then 'its LISTEN session is lent by a pooler' when 'taken' then 'another session holds its lock'
                when 'forbidden' then 'fleet_owner may not take advisory locks' else n.lock_trouble end, '') end as watched_by
from fleet.node n
cross join (select make_interval(secs => value / 1000.0) as after from fleet.setting where name = 'dead_ms') d
where n.kind <> 'agent';

-- The definition of executor_lane.
create view fleet.executor_lane_wanted as
select e.executor, l.lane
from fleet.executor e
left join fleet.host h on h.host_id = e.host_id
join fleet.lane l on l.requirements <@ e.capabilities
where e.enabled and l.mode in ('undecided', e.kind) and (l.pinned is null or l.pinned = e.executor)
  and coalesce(e.host_id <> all (l.barred), true)
  and case
      when h.host_id is null and e.repositories is null then true
      when l.repo is null then coalesce(h.repositories = '{}', false) or coalesce(h.repositories, e.repositories) && '{*,none}'
      else exists (
       select from unnest(coalesce(h.repositories, e.repositories)) p
       where p = '*' or lower(p) = lower(l.repo)
          or (p like '%/*' and lower(split_part(p, '/', 1)) = lower(split_part(l.repo, '/', 1)))) end;

-- What holds a waiting task, in words, and what ends that.
create view fleet.hold_text as
select v.hold, v.says, v.help
from (values
    ('permission_pending', 'Forgejo is being asked who put its label there, and what that person may do',
     'nothing: it is asked by any worker that has forgejo.token'),
    ('needs_approval', 'somebody who may start work has to approve it',
     'the comment /agent approve on its issue, by somebody who may write to the repository or is in forgejo.trigger_users; or fleet.approve(task_id)'),
    ('text_changed', 'its issue was edited by somebody who may not start work',
     'the comment /agent approve on its issue, by somebody who may write to the repository or is in forgejo.trigger_users; or fleet.approve(task_id);'
     ' or the text as it was'),
    ('reading', 'its issue is read once more before it starts', 'nothing: it is read by any worker that has forgejo.token'),
    ('daily_limit', 'the runs of a day are used up (runs_per_issue_day, runs_per_sender_day, runs_per_day)', 'nothing: it goes on by itself')
) v (hold, says, help);
