-- History as a stream, in one session: pages, positions, gaps, bounds. What commits out of order: tests/isolation.

begin;
-- `xid id type` of a page, and where it ends
create function pg_temp.page(p_xid xid8, p_event bigint, p_limit int default 1000, p_tokens bigint[] default '{0}') returns text language sql as $$
  select string_agg(case when p.event_id = 0 then coalesce(p.gap, 'end')
                         else concat_ws(' ', p.task_id, p.event_type, 'hidden:' || nullif(array_to_string(p.hidden, ','), '')) end,
                    ', ' order by p.xid, p.event_id)
  from fleet.event_page(p_tokens, fleet.incarnation_now(), p_xid, p_event, p_limit) p $$;
select t.is(pg_temp.page(null, null), 'end', 'without a position: where now is, and nothing of before');
select t.is((select row(p.xid = pg_snapshot_xmin(pg_current_snapshot()), p.event_id, p.gap, length(p.incarnation))::text
             from fleet.event_page('{0}', null, null, null, 5) p), '(t,0,,8)', '... as a position');
select t.keep('start', pg_snapshot_xmin(pg_current_snapshot()));
select t.submit('a');
select t.is(pg_temp.page(t.kept('start')::xid8, 0), 'end', 'what an open transaction has written is not told yet');
rollback;

select t.keep('start', pg_snapshot_xmin(pg_current_snapshot()));
select t.submit('a', '{agent:x}', '{"repo": "acme/rocket"}');
select t.submit('b', '{agent:x}', '{"repo": "acme/other"}');
select t.worker('w1', t.host('h', '{x}', 1));
select t.claim('w1', 1);
create function t.page(p_xid xid8, p_event bigint, p_limit int default 1000, p_tokens bigint[] default '{0}') returns text language sql as $$
  select string_agg(case when p.event_id = 0 then coalesce(p.gap, 'end')
                         else concat_ws(' ', p.task_id, p.event_type, 'hidden:' || nullif(array_to_string(p.hidden, ','), '')) end,
                    ', ' order by p.xid, p.event_id)
  from fleet.event_page(p_tokens, fleet.incarnation_now(), p_xid, p_event, p_limit) p $$;
select t.is(t.page(t.kept('start')::xid8, 0), 'a created, b created, a assigned, end', 'after their commits, in order');
select t.is(t.page(t.kept('start')::xid8, 0, 2), 'a created, b created', 'a full page says no end');
select t.is(t.page(e.xid, e.event_id, 2), 'a assigned, end', 'the next one goes on behind it') from fleet.event e
  join fleet.task k using (task) where k.task_id = 'b';
select t.is((select row(p.task_id, p.repo, p.event_type, p.body::json ->> 'to_status', p.body::json ->> 'task_id')::text
             from fleet.event_page('{0}', fleet.incarnation_now(), t.kept('start')::xid8, 0, 1) p),
  '(a,acme/rocket,created,created,a)', 'an event says whose it is');
select t.is(t.page(pg_snapshot_xmin(pg_current_snapshot()), 0), 'end', 'from the end nothing');

\echo 'gaps'
select t.is(t.page('99999999999'::xid8, 0), 'unknown', 'a position that was never reached');
select t.is((select gap from fleet.event_page('{0}', '00000000', t.kept('start')::xid8, 0, 9)), 'another_database', 'a position of another database');
select t.is(t.page('1'::xid8, 0), 'a created, b created, a assigned, end', 'before the first event there is no gap');
begin;
update fleet.horizon h set xid = e.xid, event_id = e.event_id from fleet.event e join fleet.task k using (task)
where k.task_id = 'a' and e.event_type = 'created' and h.name = 'event';
select t.is(t.page('1'::xid8, 0), 'removed', '... unless something behind it was removed');
select t.is(t.page(null, null), 'end', '... which is no gap for who begins now');
select t.is(t.page(e.xid, e.event_id, 1), 'b created', '... but not from what is still there') from fleet.event e
  join fleet.task k using (task) where k.task_id = 'a' and e.event_type = 'created';
rollback;

\echo 'bounds'
select t.keep('free', t.token('free', 'read'));
select t.keep('bound', t.token('bound', 'read', '{acme/rocket}'));
select t.is(t.page(t.kept('start')::xid8, 0, 3, array[t.kept('free'), t.kept('bound'), '0']::bigint[]),
  format('a created, b created hidden:%s, a assigned', t.kept('bound')), 'a bound token does not see others'' repositories');
select t.is((select hidden from fleet.event_page(array[t.kept('free')]::bigint[], fleet.incarnation_now(), t.kept('start')::xid8, 0, 1)), null,
  'without bounds nothing is compared');
select t.is(t.page(t.kept('start')::xid8, 0, 1, '{-7}'), 'a created hidden:-7', 'a token that is not there sees nothing');
