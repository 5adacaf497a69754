-- Lists: each filter and its pairs against the plain definition, page by page, whatever they are read from; within the bounds of who asks.

begin;
select t.worker('w1', t.host('h1', '{a,b}', 40), t.host('h2', '{b}', 40, 'other'));
update fleet.setting set value = 10 where name = 'list_budget';
select t.submit(x.id, array['agent:' || case when i % 4 = 0 then 'a' else 'b' end] || case when i % 2 = 0 then '{bug}'::text[] else '{}' end
                      || case when i in (40, 90) then '{rare,rare}'::text[] else '{}' end,
                jsonb_build_object('max_retries', 0, 'repo', case i % 3 when 0 then 'acme/rocket' when 1 then 'Acme/Pump' end)
                || case when i % 25 = 0 then jsonb_build_object('run_at', now() + interval '1 hour') else '{}' end
                || case when i % 6 = 1 then '{"execution_mode": "undecided"}'::jsonb else '{}' end)
from generate_series(1, 120) i, lateral (select 'n' || lpad(i::text, 3, '0') as id) x;
select t.delivery('d' || i, 'opened', '{agent:b}', '2026-01-01T10:00:00Z', jsonb_build_object('number', i)) from generate_series(1, 3) i;
select result from generate_series(1, 3) i, t.receive(t.delivery('d' || i, 'opened', '{agent:b}', '2026-01-01T10:00:00Z', jsonb_build_object('number', i)));
select t.claim('w1', 60);
select t.start('w1', k.task_id) from fleet.task k where k.status = 'assigned' and k.task % 5 <> 0;
select t.finish('w1', k.task_id, case when k.task % 3 = 0 then 'failed' else 'succeeded' end, case when k.task % 3 = 0 then 'agent_error' end)
from fleet.task k where k.status = 'running' and k.task % 7 <> 0;
select fleet.cancel(k.task_id) from fleet.task k where k.status = 'created' and k.task % 10 = 1;
-- minutes apart, so that times mean something
update fleet.task set created_at = '2026-01-01Z'::timestamptz + task * interval '10 min';
select t.is((select string_agg(distinct status, ' ' order by status) from fleet.task), 'assigned cancelled completed created failed running', 'there are tasks of many statuses');
select t.sound();

-- All pages of a list; what is asked for as named parameters of fleet.task_list.
create function pg_temp.walk(p_by fleet.requester, p_limit int, p_filter text, out ids text, out pages int) language plpgsql as $$
declare r fleet.reply;
begin
  ids := ''; pages := 0;
  loop
    execute format('select * from fleet.task_list($1, $2, $3%s)', p_filter) into r using p_by, p_limit, r.next;
    if r.status <> 200 then raise exception '%', r; end if;
    pages := pages + 1;
    ids := ids || coalesce((select string_agg(x ->> 'task_id', ' ' order by n) || ' '
                            from jsonb_array_elements(r.body::jsonb) with ordinality e (x, n)), '');
    if jsonb_array_length(r.body::jsonb) > p_limit then raise exception 'a page is too long'; end if;
    exit when r.next is null or pages > 500;
  end loop;
end $$;
create function pg_temp.plain(p_where text) returns text language plpgsql as $$
declare v text;
begin
  execute format('select coalesce(string_agg(t.task_id, '' '' order by t.task desc) || '' '', '''') from fleet.task t
                  left join fleet.executor e on e.executor = t.executor where %s', p_where) into v;
  return v;
end $$;

create temp table filter (asked text, means text);
insert into filter values
  ('', 'true'),
  (', p_status => ''{created}''', 't.status = ''created'''),
  (', p_status => ''{assigned}''', 't.status = ''assigned'''),
  (', p_status => ''{running,failed}''', 't.status in (''running'', ''failed'')'),
  (', p_status => ''{completed}''', 't.status = ''completed'''),
  (', p_status => ''{cancelled}''', 't.status = ''cancelled'''),
  (', p_status => ''{agent_lost,review_pending}''', 'false'),
  (', p_status => ''{created,assigned,running,failed,completed,cancelled}''', 'true'),
  (', p_label => ''{bug}''', 't.labels && ''{bug}'''),
  (', p_label => ''{rare}''', 't.labels && ''{rare}'''),
  (', p_label => ''{rare,agent:a}''', 't.labels && ''{rare,agent:a}'''),
  (', p_label => ''{none}''', 'false'),
  (', p_repo => ''{acme/rocket}''', 't.repo = ''acme/rocket'''),
  (', p_repo => ''{acme/pump,ACME/Rocket}''', 'lower(t.repo) in (''acme/pump'', ''acme/rocket'')'),
  (', p_source => ''{forgejo}''', 't.source = ''forgejo'''),
  (', p_source => ''{api}''', 't.source = ''api'''),
  (', p_source => ''{api,forgejo}''', 'true'),
  (', p_agent_id => ''{h2/other}''', 'e.agent_id = ''h2/other'''),
  (', p_agent_id => ''{nobody}''', 'false'),
  (', p_host_id => ''{h1,h2}''', 'e.host_id is not null'),
  (', p_host_id => ''{h1}'', p_agent_id => ''{h2/other}''', 'false'),
  (', p_execution_mode => ''{ssh_cli}''', 'coalesce(e.kind, t.execution_mode) = ''ssh_cli'''),
  (', p_execution_mode => ''{undecided}''', 'coalesce(e.kind, t.execution_mode) = ''undecided'''),
  (', p_q => ''N04''', 't.task_id like ''n04%'''),
  (', p_q => ''do n1''', 't.title like ''Do n1%'''),
  (', p_created_after => ''2026-01-01T10:00:00Z''', 't.created_at > ''2026-01-01T10:00:00Z'''),
  (', p_created_before => ''2026-01-01T10:00:00Z''', 't.created_at < ''2026-01-01T10:00:00Z''');
do $$
declare
  a record; b record; w record; v_wanted text; v_wrong text := ''; v_count int := 0; v_short int := 0;
begin
  for a in select * from filter loop
    for b in select * from filter x where x.asked >= a.asked
             and not exists (select from regexp_matches(a.asked, 'p_\w+', 'g') m where x.asked <> a.asked and strpos(x.asked, m[1]) > 0) loop
      v_wanted := pg_temp.plain(a.means || ' and ' || b.means);
      for w in select * from pg_temp.walk(t.by(0), 7, a.asked || case when b.asked <> a.asked then b.asked else '' end) loop
        v_count := v_count + 1;
        v_short := v_short + (w.pages > 2 + length(v_wanted) / 35)::int;
        if w.ids <> v_wanted then
          v_wrong := v_wrong || format(E'%s%s\n  got  %s\n  want %s\n', a.asked, b.asked, w.ids, v_wanted);
        end if;
      end loop;
    end loop;
  end loop;
  perform t.is(v_wrong, '', format('%s filters and pairs list what they mean, in order, without gap or double', v_count));
  perform t.ok(v_count > 200, '... each with each');
  perform t.ok(v_short > 10, '... also where pages are short because the budget was used up');
end $$;

\echo 'who asks'
select t.token('bound', 'read', '{Acme/rocket,other/*}') as bound \gset
select t.is((select ids from pg_temp.walk(t.by(k.token_id), 7, '')), pg_temp.plain('lower(t.repo) = ''acme/rocket'''), 'a token of some repositories lists theirs')
from fleet.token k where k.name = 'bound';
update fleet.token set repositories = '{acme/*}' where name = 'bound';
select t.is((select ids from pg_temp.walk(t.by(k.token_id), 7, ', p_label => ''{bug}''')), pg_temp.plain('t.repo is not null and t.labels && ''{bug}'''), '... or all of an owner')
from fleet.token k where k.name = 'bound';
update fleet.token set repositories = '{none}' where name = 'bound';
select t.is((select ids from pg_temp.walk(t.by(k.token_id), 7, '')), pg_temp.plain('t.repo is null'), '... or what has no repository')
from fleet.token k where k.name = 'bound';
update fleet.token set repositories = '{}' where name = 'bound';
select t.is((select ids from pg_temp.walk(t.by(k.token_id), 7, '')), '', '... or none')
from fleet.token k where k.name = 'bound';
update fleet.token set repositories = '{other/*,*}' where name = 'bound';
select t.is((select ids from pg_temp.walk(t.by(k.token_id), 7, '')), pg_temp.plain('true'), '... or all')
from fleet.token k where k.name = 'bound';
update fleet.token set repositories = '{acme/rocket}' where name = 'bound';
select t.is((fleet.task_detail(t.by(k.token_id), 'n001')).status, 404, 'beyond its bounds nothing is there: no task') from fleet.token k where k.name = 'bound';
select t.is((fleet.task_events(t.by(k.token_id), 'n001', 9, null)).status, 404, '... no history') from fleet.token k where k.name = 'bound';
select t.is((fleet.task_attempts(t.by(k.token_id), 'n001', 9, null)).status, 404, '... no attempts') from fleet.token k where k.name = 'bound';
select t.is((fleet.task_detail(t.by(k.token_id), 'n003')).status, 200, '... within them it is') from fleet.token k where k.name = 'bound';
select t.is((fleet.stats(t.by(k.token_id))).status, 403, 'statistics are of the whole fleet') from fleet.token k where k.name = 'bound';
select t.is((select ids from pg_temp.walk(t.by(-7), 7, '')), '', 'a token that is not there lists nothing');
rollback;

\echo 'history in pages'
begin;
select t.worker('w1', t.host('h', '{x}', 1));
select t.submit('a', '{agent:x}');
do $$
begin
  for i in 1 .. 130 loop
    perform t.claim('w1', 1), t.start('w1', 'a'), t.finish('w1', 'a', 'failed', 'agent_error');
    perform fleet.retry('a', true), t.due();
  end loop;
end $$;
create function pg_temp.pages(p_what text, p_key text, out keys text, out pages int) language plpgsql as $$
declare r fleet.reply;
begin
  keys := ''; pages := 0;
  loop
    execute format('select * from fleet.task_%s(t.by(0), ''a'', 50, $1)', p_what) into r using r.next;
    pages := pages + 1;
    keys := keys || (select string_agg(x ->> p_key, ' ' order by n) || ' ' from jsonb_array_elements(r.body::jsonb) with ordinality e (x, n));
    exit when r.next is null;
  end loop;
end $$;
select t.is(w.keys, (select string_agg(a.number::text, ' ' order by a.number desc) || ' ' from fleet.attempt a), 'all attempts, newest first') from pg_temp.pages('attempts', 'attempt') w;
select t.is(w.keys, (select string_agg(e.event_id::text, ' ' order by e.event_id desc) || ' ' from fleet.event e), 'all events, newest first') from pg_temp.pages('events', 'event_id') w;
select t.is((select row(jsonb_array_length(d -> 'attempts'), d #>> '{attempts,0,attempt}', d #>> '{attempts,99,attempt}', jsonb_array_length(d -> 'events'))::text
             from (select (fleet.task_detail(t.by(0), 'a')).body::jsonb as d) x), '(100,31,130,100)', 'the detail has the newest hundred, oldest first');
select t.is((f).status || ((f).body::jsonb ->> 'code'), '400malformed_cursor', 'a cursor of no list') from unnest('{x,-1,0}'::text[]) c,
  lateral (select fleet.task_events(t.by(0), 'a', 9, c) union all select fleet.task_attempts(t.by(0), 'a', 9, c)) x (f);
select t.is((select row(d ->> 'agent_id', jsonb_array_length(d -> 'slots'), d #>> '{slots,0,state}')::text from (select (fleet.agent_detail(t.by(0), 'h/codex-cli')).body::jsonb as d) x),
  '(h/codex-cli,1,free)', 'an agent has its slots');
select t.claim('w1', 1);
select t.is((select row(s ->> 'state', s ->> 'task_id', s ->> 'attempt', s ->> 'phase')::text from (select (fleet.agent_detail(t.by(0), 'h/codex-cli')).body::jsonb #> '{slots,0}' as s) x),
  '(busy,a,131,claimed)', '... and what holds them');
select t.is((select string_agg(x ->> 'task_id', ' ') from jsonb_array_elements((fleet.task_list(t.by(0), 50, null, p_agent_id => '{h/codex-cli}')).body::jsonb) x), 'a',
  'of its tasks each once, however often it ran there');
select t.configure('w1', t.host('h', '{x}', 2));
savepoint given_up;
select fleet.retry('a', true, 'gone'), t.claim('w1', 1);
select t.is((select string_agg(x ->> 'task_id', ' ') from jsonb_array_elements((fleet.task_list(t.by(0), 50, null, p_status => '{assigned}')).body::jsonb) x), 'a',
  '... nor twice with a run that was given up');
rollback to given_up;
select t.token('bound', 'read', '{acme/rocket}') as bound \gset
select t.is((select row(s ->> 'state', s ->> 'task_id')::text from fleet.token k, lateral (select (fleet.agent_detail(t.by(k.token_id), 'h/codex-cli')).body::jsonb #> '{slots,0}' as s) x where k.name = 'bound'),
  '(busy,)', '... unless it is beyond the bounds of who asks');
select t.is((fleet.agent_detail(t.by(0), 'nobody')).status, 404, 'there is no such agent');
rollback;

\echo 'agents in pages, statistics'
begin;
select t.worker('w1', variadic array(select t.host('h' || lpad(i::text, 3, '0'), '{x}', 2) from generate_series(1, 120) i));
do $$
declare r fleet.reply; ids text := ''; pages int := 0;
begin
  loop
    r := fleet.agent_list(t.by(0), 50, r.next);
    pages := pages + 1;
    ids := ids || (select string_agg(x ->> 'agent_id', ' ' order by n) || ' ' from jsonb_array_elements(r.body::jsonb) with ordinality e (x, n));
    exit when r.next is null;
  end loop;
  perform t.is(ids, (select string_agg(agent_id, ' ' order by agent_id collate "C") || ' ' from fleet.executor), 'all agents, by their ids');
  perform t.is(pages, 3, '... in three pages');
end $$;
select t.is((fleet.agent_list(t.by(0), 50, repeat('x', 2000))).status, 400, 'a cursor of no list');
select t.submit('s' || i, '{agent:x}') from generate_series(1, 6) i;
select t.submit('later', '{agent:x}', jsonb_build_object('run_at', now() + interval '1 hour'));
select t.claim('w1', 3);
select t.start('w1', task_id), t.finish('w1', task_id, 'succeeded') from fleet.task where status = 'assigned' order by task limit 2;
update fleet.attempt set report = '{"cost_usd": 0.25}' where ended_at is not null;
select t.keep('stats', (fleet.stats(t.by(0))).body);
select t.is((select string_agg(k || ' ' || (v ->> 'text'), ', ' order by o) from jsonb_each(t.kept('stats')::jsonb -> 'tasks') with ordinality e (k, v, o)
             where v ->> 'text' <> '0'), 'created 4, assigned 1, completed 2', 'counts by status');
select t.is((t.kept('stats')::jsonb #>> '{queue,ready,count}') || ' ' || (t.kept('stats')::jsonb #>> '{queue,delayed,count}'), '3 1', 'what waits, and what may not start yet');
select t.ok((t.kept('stats')::jsonb #>> '{queue,oldest_secs}')::numeric >= 0, '... since when');
select t.is(t.kept('stats')::jsonb -> 'slots', '{"total": 240, "busy": 1, "free": 239}'::jsonb, 'slots');
select t.is((t.kept('stats')::jsonb -> 'lately') - 'secs', '{"submitted": 7, "started": 2, "completed": 2, "failed": 0, "cancelled": 0, "cost_usd": 0.50}'::jsonb, 'what was done lately, and what it cost');
select t.is(fleet.counted(10001, 10000)::text::jsonb, '{"count": 10000, "more": true, "text": "10,000+"}'::jsonb, 'a count that is capped says so');
rollback;

\echo 'HTTP agents'
begin;
select t.new_token('agent', 'agent') as agent \gset
select t.agent('poller', '{x}', 2, :agent);
select t.agent('other', '{x}', 1);
select t.submit('a' || i, array['agent:x', 'n' || i], '{"execution_mode": "undecided"}') from generate_series(1, 5) i;
select t.pull('poller', 'poller', 'other');
select t.is((select string_agg(x ->> 'task_id', ' ' order by i)
             from generate_series(1, 5) i, jsonb_array_elements((fleet.task_list(t.by(:agent), 50, null, p_label => array['n' || i])).body::jsonb) x),
  (select string_agg(k.task_id, ' ' order by k.task) from fleet.task k join fleet.attempt a using (task) join fleet.executor e on e.executor = a.executor where e.agent_id = 'poller'),
  'a token of one agent lists what that had, whatever it is found by');
select t.is((select string_agg(x ->> 'task_id', ' ' order by n) from jsonb_array_elements((fleet.task_list(t.by(:agent), 50, null)).body::jsonb) with ordinality e (x, n)),
  (select string_agg(k.task_id, ' ' order by k.task desc) from fleet.task k join fleet.attempt a using (task) join fleet.executor e on e.executor = a.executor where e.agent_id = 'poller'),
  'an agent lists what it holds or held');
select t.is((select count(*) from jsonb_array_elements((fleet.task_list(t.by(:agent), 50, null, p_status => '{created}')).body::jsonb)), 0::bigint, '... and nothing that waits');
select t.is((select string_agg(concat_ws(' ', x ->> 'agent_id', x ->> 'kind', x ->> 'status', x ->> 'running', x ->> 'last_heartbeat_at' is not null), ', ' order by n)
             from jsonb_array_elements((fleet.agent_list(t.by(0), 50, null)).body::jsonb) with ordinality e (x, n)),
  'other http_pull online 1 t, poller http_pull online 2 t', 'agents of both kinds are listed, with their last heartbeat');
select fleet.set('open_grace_ms', 0);
select t.agent_silent('poller');
select t.tend();
select t.is((fleet.agent_detail(t.by(0), 'poller')).body::jsonb ->> 'status', 'offline', 'one that fell silent is offline');
select t.none($$select from jsonb_array_elements((fleet.node_list(t.by(0))).body::jsonb) n where n ->> 'kind' = 'agent'$$, 'none of them is among the nodes');
select t.is((select string_agg(x ->> 'agent_id', ' ') from jsonb_array_elements((fleet.agent_list(t.by(0), 50, null, p_status => '{offline}')).body::jsonb) x), 'poller', 'a filter finds it');
rollback;
