-- What is read from Forgejo, for people: single issues and pull requests, and repositories as a whole.

create view fleet.readings as
select l.kind, r.repo, coalesce(i.number, u.number) as number,
       case when l.taken_until > now() then 'reading' when l.done = l.seq then 'read' when r.parked_until > now() then 'parked'
            when l.tries > 0 then 'failing' else 'waiting' end as state,
       case when r.parked_until > now() then r.parked_reason else l.reason end as reason, l.tries,
       case when l.done < l.seq then date_trunc('second', greatest(l.due_at, r.parked_until)) end as due_at,
       date_trunc('second', l.begun_at) as begun_at, (select n.name from fleet.node n where n.node = l.taken_by) as worker
from fleet.look l
left join fleet.issue i on l.kind = 'issue' and i.issue = l.id
left join fleet.pull u on l.kind = 'pull' and u.pull = l.id
left join fleet.repository x on x.repository_id = u.repository_id
join fleet.repository r on r.repo = coalesce(i.repo, x.repo);
comment on view fleet.readings is 'Issues and pull requests as they are read from Forgejo: what waits, is being read, fails and why.';

create view fleet.repositories as
select r.repo, r.repository_id,
       case when r.parked_until > now() then 'parked' when r.read_until > now() then 'reading' when r.read_tries > 0 then 'failing'
            when r.read_at is null then 'new' else 'read' end as state,
       case when r.parked_until > now() then r.parked_reason else r.read_reason end as reason,
       case when r.parked_until > now() then date_trunc('second', r.parked_until) end as parked_until,
       date_trunc('second', r.read_at) as read_at, date_trunc('second', r.read_due) as read_due, r.read_since,
       coalesce(d.due, 0) as readings_due
from fleet.repository r
left join (
    select coalesce(i.repo, x.repo) as repo, count(*) as due from fleet.look l
    left join fleet.issue i on l.kind = 'issue' and i.issue = l.id
    left join fleet.pull u on l.kind = 'pull' and u.pull = l.id
    left join fleet.repository x on x.repository_id = u.repository_id
    where l.done < l.seq
    group by 1) d on d.repo = r.repo;
comment on view fleet.repositories is
    'Repositories and how they are read: parked ones are neither read nor told, with the reason; fleet.unpark_repository(repo) asks at once.';
