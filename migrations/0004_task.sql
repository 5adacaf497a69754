-- Branches are named task/<slug>, as fleet.slug_of() makes it; hosts with a list take tasks of no repository only where it says so;
-- a delivery's record says in words what came of it.

alter table fleet.task drop constraint task_task_id_check;
alter table fleet.task add constraint task_id_not_empty check (task_id <> '');

update fleet.task t
set branch_name = 'task/' || case
    when t.task_id ~ '^[a-z0-9]([a-z0-9-]{0,47}[a-z0-9])?$' and t.task_id !~ '-[0-9a-f]{8}$' then t.task_id
    else coalesce(nullif(s.left, ''), 'task') || '-' || left(encode(sha256(convert_to(t.task_id, 'UTF8')), 'hex'), 8) end
from fleet.task x
cross join lateral (
    select trim(trailing '-' from left(trim(both '-' from
        regexp_replace(lower(x.task_id collate "C"), '[^a-z0-9]+', '-', 'g')), 40)) as left) s
where x.task = t.task;

delete from fleet.executor_lane el
using fleet.lane l, fleet.executor e, fleet.host h
where l.lane = el.lane and e.executor = el.executor and h.host_id = e.host_id
  and l.repo is null and h.repositories <> '{}' and not h.repositories && '{*,none}';

comment on column fleet.host.repositories is
    'whose tasks may run here: owner/name, owner/*, * (everything), none (tasks of no repository); empty = those of no repository only';

alter table fleet.delivery add column detail text;
comment on column fleet.delivery.detail is 'what is wrong with the issue, or why nobody takes its task yet, in words';
