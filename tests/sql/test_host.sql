-- Hosts: reports of the way in that is configured, in words, and what people do with a host.

\echo 'a report about the machine before'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.is(t.configure('w1', t.host('h', '{code:rust}', 2) || '{"hostname": "moved.example.org", "way": 2}'), 'h ok', 'the host got a new address');
select t.is(t.claim('w1', 9), '', 'nothing is placed there on the word of the old way in');
select t.is(t.report('w1', 'h', t.identity('h')), 'stale', 'a report that was asked under the old way is refused');
select t.is(t.claim('w1', 9), '', 'and makes nothing ready');
select t.is(t.report_down('w1', 'h', 'timeout', 'no answer'), 'stale', 'whatever it says');
select t.is((select row(reachable, reason_code)::text from fleet.node_host), '(f,)', 'it changes nothing');
select t.is(t.report('w1', 'h', t.identity('other'), p_way => 1), 'stale', 'also about the identity');
select t.is(t.report('w1', 'h', t.identity('h'), p_way => 2), 'ok', 'a report of the new way counts');
select t.is(t.claim('w1', 9), 'a', 'then the host is served');
select t.configure('w1', t.host('h', '{code:rust,x}', 2) || '{"hostname": "moved.example.org", "way": 2}');
select t.ok((select reachable from fleet.node_host), 'another change leaves the word of the same way');
select t.throws(format($$select fleet.host_report(%L, 'nobody', 1, true, null, null, '{}', null, null)$$, t.node('w1')), 'AF003',
  'a host that is not configured has no reports');
rollback;

\echo 'doors with types'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.throws(format($$select fleet.configure(%L, 'x', '{all}', array[row('h2', 1, 'a', 22, 'u', null, 'plain', '{}', null)::fleet.host_entry], '{}')$$,
  t.node('w1')), '23502', 'a member that is left out is refused');
select t.throws(format($$select fleet.configure(%L, 'x', '{all}', array[row('h2', 1, 'a', 22, 'u', '/w', 'plain', '{}', null)::fleet.host_entry],
  array[row('h3', 'codex-cli', 1, '{}')::fleet.agent_entry])$$, t.node('w1')), 'AF007', 'an agent of no host too');
select t.throws(format($$select fleet.configure(%L, 'x', null, '{}', '{}')$$, t.node('w1')), '23502', 'and no retry_on at all');
rollback;

\echo 'why a host is down'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.report_down('w1', 'h', 'host_key_changed', 'its host key SHA256:' || repeat('x', 400) || ' is not the one in known_hosts');
select t.ok((select reason like '%known\_hosts' and length(reason) > 400 from fleet.host_details), 'is said whole in psql');
select t.is((select reason_code from fleet.hosts), 'host_key_changed', 'with one word for the kind');
select t.ok((select j->>'reason' like '%known\_hosts' and j->>'reason_code' = 'host_key_changed' from (select (fleet.host_list(t.by(), 50, null)).body::jsonb->0 as j) x),
  'and over REST');
select t.report_down('w1', 'h', 'no such word', 'x');
select t.is((select reason_code from fleet.hosts), 'other', 'a word that is not known is other');
select t.report('w1', 'h', t.identity('h') || '{"machine": "ff"}');
select t.is((select reason_code from fleet.hosts), 'host_replaced', 'another machine has its word too');
select t.report('w1', 'h', t.identity('h'));
select t.is((select row(status, reason_code)::text from fleet.hosts), '(online,)', 'a host in reach has none');
rollback;

\echo 'a host that was not reached'
begin;
select fleet.node_start(t.node('w1'), 'worker', 'w1', '0.1.0', 'c');
select t.configure('w1', t.host('h', '{code:rust}', 2));
create function pg_temp.report(p_reachable boolean, p_name text, p_found boolean) returns text language sql as $$
  select verdict from fleet.host_report(t.node('w1'), 'h', 1, p_reachable, jsonb_populate_record(null::fleet.identity, t.identity(p_name)),
    1000000000, array[row('codex-cli', p_found, null)::fleet.agent_seen], case when not p_reachable then 'timeout' end, null) $$;
select t.is(pg_temp.report(false, 'another', false), 'ok', 'a hello that broke off');
select t.is((select row(host_key, machine, owner, disk_free)::text from fleet.host), '("","","",)', 'says nothing of which machine it is');
select t.is((select out_reason from fleet.executor), null, 'nor of its agents');
select t.is(pg_temp.report(true, 'h', true), 'ok', 'the first one that is reached is the host');
select t.is(pg_temp.report(false, 'h', false), 'ok', 'it too may break off');
select t.is((select out_reason from fleet.executor), null, 'and its command is there still');
rollback;

\echo 'configurations that differ'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.worker('w2', t.host('h', '{code:rust}', 2));
select t.is((select differs from fleet.host_details), null, 'two that agree');
select t.is((select string_agg(verdict || ': ' || reason, '; ') from fleet.configure(t.node('w2'), 'hash2', '{all}',
  array[row('h', 1, 'h.example.org', 22, 'else', '/srv/agent', 'plain', '{*}', null)::fleet.host_entry],
  array[row('h', 'codex-cli', 3, '{code:rust}')::fleet.agent_entry])), 'differs: worker w1 has another agents, ssh_user', 'the newer is told in what');
select t.is((select differs from fleet.host_details), 'w1, w2', 'people see it');
select t.is((select string_agg(concat_ws(' ', n ->> 'name', n ->> 'differs'), ', ' order by n ->> 'name') from jsonb_array_elements((fleet.node_list(t.by())).body::jsonb) n),
  'w1 host h: worker w2 has another agents, ssh_user, w2 host h: worker w1 has another agents, ssh_user', 'also over REST, of each node');
select t.is((select differs from fleet.host_report(t.node('w1'), 'h', 1, true, null, null, '{}', null, null)), 'worker w2 has another agents, ssh_user',
  'the older is told with its next report');
select t.is((select config_hash from fleet.nodes where name = 'w2'), 'hash2', 'a configuration read again renews its hash');
select t.configure('w2', t.host('h', '{code:rust}', 2) || '{"way": 7}');
select t.is((select differs from fleet.host_details), null, 'the number of a way in is no difference');
select fleet.node_stop(t.node('w2'));
select t.configure('w1', t.host('h', '{code:rust}', 5));
select t.is((select differs from fleet.host_details), null, 'who has stopped differs from nobody');
rollback;

\echo 'a host that was taken out of the configuration'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2), t.host('other', '{x}', 1));
select t.submit('a');
select t.claim('w1', 1);
select t.start('w1', 'a');
select t.configure('w1', t.host('other', '{x}', 1));
select t.is((select row(status, free)::text from fleet.hosts where host_id = 'h'), '(cordoned,0)', 'is shown while something runs there, without free slots');
select t.throws($$select fleet.forget_host('other')$$, 'AF004', 'a host that a worker lists is not forgotten');
select t.throws($$select fleet.forget_host('h')$$, 'AF006', 'nor one where something runs');
select t.finish('w1', 'a');
select t.none($$select from fleet.hosts where host_id = 'h'$$, 'then it is gone from psql');
select t.ok((fleet.host_list(t.by(), 50, null)).body::jsonb->0->>'host_id' = 'other' and jsonb_array_length((fleet.host_list(t.by(), 50, null)).body::jsonb) = 1, 'from REST');
select t.is(jsonb_array_length((fleet.agent_list(t.by(0), 50, null)).body::jsonb), 1, 'its agents too');
select t.is((select agent_id from fleet.agents), 'other/codex-cli', 'also for psql');
select fleet.forget_host('h');
select t.is((select forgotten_at is not null and machine = '' from fleet.host where host_id = 'h'), true, 'forgotten, its identity goes');
select t.none($$select from fleet.slot s join fleet.executor e using (executor) where host_id = 'h'$$, 'and its slots');
select t.is((select agent_id from fleet.attempts where task_id = 'a'), 'h/codex-cli', 'the history of its runs stays');
select t.throws($$select fleet.forget_host('h')$$, 'AF003', 'once');
select t.throws($$select fleet.cordon('h', 'x')$$, 'AF003', 'there is no such host any more');
select t.sound('every invariant without it');
select t.configure('w1', t.host('h', '{code:rust}', 2));
select t.is((select free from fleet.hosts where host_id = 'h'), 2, 'listed again it is back');
select t.sound('every invariant with it again');
rollback;

\echo 'cordon and uncordon'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.submit('a');
select fleet.cordon('h', 'new disk');
select t.is(t.claim('w1', 9), '', 'nothing new is placed on a cordoned host');
select t.is((select row(status, reason, cordoned_by)::text from fleet.host_details), format('(cordoned,"new disk",psql:%s)', session_user), 'who and why is shown');
select t.configure('w1', t.host('h', '{code:rust}', 2));
select t.is((select status from fleet.hosts), 'cordoned', 'a configuration does not undo it');
select fleet.uncordon('h');
select t.is(t.claim('w1', 9), 'a', 'uncordoned it is served');
select t.throws($$select fleet.cordon('h', '')$$, 'AF007', 'a cordon has a reason');
select t.throws($$select fleet.cordon('nobody', 'x')$$, 'AF003', 'and a host');
select t.throws($$select fleet.uncordon('nobody')$$, 'AF003', 'as an uncordon');
rollback;

\echo 'nodes that ended'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2));
select t.worker('w2', t.host('h', '{code:rust}', 2));
select t.submit('a');
select t.claim('w1', 1);
select fleet.node_stop(t.node('w1'));
select t.is((select string_agg(name, ' ' order by name) from fleet.nodes), 'w1 w2', 'are shown while something of theirs lives');
select t.adopt('w2', 'w1', t.beat('w1'));
select t.is((select string_agg(name, ' ' order by name) from fleet.nodes), 'w2', 'then not any more');
select t.is(jsonb_array_length((fleet.node_list(t.by(0))).body::jsonb), 1, 'nor over REST');
select t.is((select count(*) from fleet.node), 2::bigint, 'though remembered');
rollback;

\echo 'the file that says whose a work_dir is'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 2), t.host('other', '{x}', 1));
select t.submit('a');
select t.submit('b');
select t.submit('x', '{agent:x}');
select t.claim('w1', 9);
create function pg_temp.report(p_more jsonb) returns text language sql as $$
  select concat_ws(' ', verdict, told) from fleet.host_report(t.node('w1'), 'h', 1, true,
    jsonb_populate_record(null::fleet.identity, t.identity('h') || p_more), null, '{}', null, null) $$;
select t.is(pg_temp.report('{"owner": "ff", "machine": "ff"}'), 'host_replaced', 'with another machine it is another host');
select t.is(pg_temp.report('{"owner": "ff", "host_key": "ff"}'), 'host_replaced', 'with another host key too');
select t.is(pg_temp.report('{"owner": "ff", "boot": "ff"}'), 'host_replaced', 'and after a reboot');
select t.is(pg_temp.report('{"owner": "ff", "boot": null}'), 'host_replaced', 'and where the boot is not told');
select t.none($$select from fleet.history where event_type = 'owner_changed'$$, 'none of which is accepted');
select t.is(pg_temp.report('{"owner": "ff"}'), 'ok owner_changed', 'alone it was changed by a run: accepted, and told');
select t.is((select owner from fleet.host where host_id = 'h'), 'ff', 'it counts from now on');
select t.is(pg_temp.report('{"owner": "ff"}'), 'ok', 'once');
select t.is((select status || ' ' || (owner_changed_at is not null) from fleet.host_details where host_id = 'h'), 'online true', 'the host is online, and people see it');
select t.is((select string_agg(task_id, ' ' order by task_id) from fleet.history where event_type = 'owner_changed'), 'a b',
  'the history of whatever runs there has it');
select t.is(pg_temp.report('{}'), 'ok owner_changed', 'and each time');
rollback;
