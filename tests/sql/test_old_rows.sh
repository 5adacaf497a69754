# shellcheck shell=bash disable=SC2154 # database: set by run
# What 0004_task.sql does to rows that are there: it spells out fleet.slug_of() and fleet.executor_lane_wanted, and must agree with them.
# And 0010_list.sql: what lists read is filled; 0017_account.sql: what belongs to a login goes to its account; 0018_work.sql: slots are
# numbered.

cat >"$TEST_DIR/old_rows.sql" <<SQL
begin;
select t.worker('w1', t.host('some', '{x}', 1) || '{"repositories": ["acme/rocket"]}', t.host('none', '{x}', 1) || '{"repositories": ["none"]}',
                t.host('all', '{x}', 1), t.host('empty', '{x}', 1) || '{"repositories": []}');
select t.submit(id) from unnest(array['plain', 'a/b', 'Ab', '--', 'ü', 'x-0123abcd', repeat('x', 200), repeat('ab/', 60)]) id;
select t.submit('loose', '{agent:x}');
update fleet.task set branch_name = 'task/old';
insert into fleet.executor_lane select e.executor, l.lane from fleet.executor e, fleet.lane l where l.requirements = '{x}' on conflict do nothing;
select t.ok(count(*) = 1, 'a lane that a host with a list served before') from fleet.check_executor_lane;
$(sed -n '/^update /,/;$/p; /^delete /,/;$/p' migrations/0004_task.sql)
select t.none(\$\$select task_id, branch_name from fleet.task where branch_name <> 'task/' || fleet.slug_of(task_id)\$\$, 'existing tasks get the new branch');
select t.sound('and hosts with a list lose that lane');
rollback;
begin;
select t.submit(id, '{agent:x,bug,bug}') from unnest('{a,b,c}'::text[]) id;
select fleet.cancel('b');
delete from fleet.ended;
delete from fleet.task_label;
$(sed -n '/^insert into fleet\.\(ended\|task_label\) /,/;$/p' migrations/0010_list.sql)
select t.sound('lists find what was there before');
select t.is((select count(*) from fleet.task_label), 6::bigint, '... each label once');
rollback;
begin;
select t.worker('w1', t.host('h1', '{x}', 3), t.host('h2', '{x}', 1));
update fleet.slot set ordinal = slot_id + 100;
$(sed -n '/^update fleet.slot /,/;$/p' migrations/0018_work.sql)
select t.is((select string_agg(agent_id || ' ' || ordinal, ', ' order by agent_id, slot_id) from fleet.slot join fleet.executor using (executor)),
  'h1/codex-cli 0, h1/codex-cli 1, h1/codex-cli 2, h2/codex-cli 0', 'slots that are there get the smallest numbers');
rollback;
begin;
alter table fleet.executor add out_by text;
select t.worker('w1', variadic array(select t.host(h, '{x}', 1) from unnest('{fine,limit,login,person,lunch,gone,down}'::text[]) h));
update fleet.executor e set out_since = now() - interval '1 h', out_until = x.until, out_reason = x.reason, out_detail = 'words', out_by = x.who
from (values ('limit', now() + interval '2 h', 'rate_limited', null), ('login', 'infinity', 'auth_failed', null), ('person', 'infinity', 'parked', 'token:1'),
             ('lunch', now() + interval '1 h', 'parked', 'psql:me'), ('gone', 'infinity', 'adapter_missing', null), ('down', now() + interval '5 min', 'provider_down', null))
     x (host, until, reason, who)
where e.host_id = x.host;
$(sed -n '/^update fleet\.account k$/,/;$/p; /^update fleet\.executor set out_since/,/;$/p' migrations/0017_account.sql)
select t.is((select string_agg(concat_ws(' ', account, state, reason, case parked_until when 'infinity' then 'ever' else (parked_until - now())::text end,
    reported_by, parks, told_until is not null), ', ' order by account) from fleet.account where state <> 'open'),
  'limit/codex-cli parked rate_limited 02:00:00 limit/codex-cli 1 t, login/codex-cli parked auth_failed ever login/codex-cli 0 f, '
  'lunch/codex-cli parked parked 01:00:00 psql:me 0 f, person/codex-cli parked parked ever token:1 0 f', 'limits, logins and parkings go to the accounts');
select t.is((select string_agg(host_id || ' ' || out_reason, ', ' order by host_id) from fleet.executor where out_until is not null),
  'down provider_down, gone adapter_missing', '... the rest stays the executors''');
select t.is((select string_agg(agent_id || ' ' || status, ', ' order by agent_id) from fleet.agents where status <> 'online'),
  'down/codex-cli resting, gone/codex-cli out_of_service, limit/codex-cli resting, login/codex-cli out_of_service, lunch/codex-cli resting, person/codex-cli out_of_service',
  '... and nobody is given work that was not');
rollback;
SQL
run_sql old_rows "$database" "$TEST_DIR/old_rows.sql"
