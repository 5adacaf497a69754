-- A task names why its newest run failed while it waits or has ended, and nothing while the next one runs.

begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('a', '{agent:code:rust}', '{"max_retries": 1}');
select t.claim('w1', 1);
select t.finish('w1', 'a', 'failed', 'exit_nonzero', 1);
select t.is((select failure_reason from fleet.tasks), 'exit_nonzero', 'a task that waits for its retry names why the last run failed');
select t.due();
select t.claim('w1', 1);
select t.is((select failure_reason from fleet.tasks), null, 'while the next one runs it names none');
select t.is((select reason from fleet.attempts where attempt = 1), 'exit_nonzero', 'the attempt keeps it');
update fleet.task set failure_reason = 'exit_nonzero';
select t.none($$select from (select 1) x where not exists (select from fleet.check_status where fault like '%reason%')$$, 'check_status notices one that stays');
rollback;
