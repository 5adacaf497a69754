-- Working directories of tasks go after hours, and those of repositories not before everything in them is on the server.

insert into fleet.setting (name, value, low, high, comment)
select n.name, case when o.value = n.was then n.value else o.value * 24 end, 0, 876000, n.comment
from (values ('task_dir_done_hours', 'task_dir_days', 7, 24,
              'the working directory of a task stays on its hosts this long after the task''s end; 0: for ever'),
             ('task_dir_failed_hours', 'task_dir_failed_days', 30, 72, 'the same of a task that failed; 0: for ever')) n (name, old, was, value, comment)
join fleet.setting o on o.name = n.old;
delete from fleet.setting where name in ('task_dir_days', 'task_dir_failed_days');

alter table fleet.attempt
    add column folder_kept text,
    add column folder_kept_at timestamptz;
comment on column fleet.attempt.folder_kept is
    'of a task''s last one on a host: why its workspace stays there, though it is old: unpushed commits, uncommitted work; null: it does not';
comment on column fleet.attempt.folder_kept_at is 'since when it is so';
