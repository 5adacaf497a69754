-- Bodies, prompts, output and addresses: for fleet_reader_full.

create view fleet.task_texts as select task_id, title, body, metadata, branch_name, submitted_by from fleet.task;
comment on view fleet.task_texts is 'Titles and bodies as they were when the task was asked for.';

create view fleet.attempt_texts as
select t.task_id, a.number as attempt, a.run, a.command, a.prompt, a.report, a.host_state, a.work ->> 'detail' as work_detail
from fleet.attempt a join fleet.task t on t.task = a.task;
comment on view fleet.attempt_texts is 'Prompts, commands and what the agents said.';

create view fleet.follow_ups as
select t.task_id, f.number as after_attempt, f.kind, f.question, f.shown as text, f.asked_by, f.asked_at
from fleet.follow f join fleet.task t on t.task = f.task;
comment on view fleet.follow_ups is 'What people answered and asked of tasks whose run had ended, and what had been asked.';

create view fleet.logs as
select t.task_id, a.number as attempt, l.stream, l.start, l.pos, l.at, l.bytes
from fleet.log l join fleet.attempt a on a.attempt = l.attempt join fleet.task t on t.task = a.task;
comment on view fleet.logs is 'Output in chunks: order by pos.';

create view fleet.host_addresses as
select host_id, hostname, port, ssh_user, work_dir, host_key, machine, owner, boot from fleet.host;
comment on view fleet.host_addresses is 'Where the hosts are and what identifies them.';
