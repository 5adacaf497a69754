-- Random turns of a small fleet, so that two databases can be compared: the same seed makes the same turns, and what is told of many
-- runs at once is told by the batch forms, or one after the other by the single ones. Loaded by test_turns.sh.
-- t.turn_take() takes turns and traces them; t.whole() is everything there is, but ids and times.

create table t.trace (step int, told text, state text);

-- The same numbers wherever the seed is the same.
create function t.rnd(p_below int) returns int language sql as $$
  update t.var set value = (value * 1103515245 + 12345) % 2147483648 where name = 'seed' returning (value / 65536 % p_below)::int;
$$;
create function t.one_of(variadic p_words text[]) returns text language sql as $$ select p_words[1 + t.rnd(cardinality(p_words))] $$;

-- ---------------------------------------------------------------- what there is

create function t.name_task(p bigint) returns text language sql stable as $$ select task_id from fleet.task where task = p $$;
create function t.name_attempt(p bigint) returns text language sql stable as $$
  select task_id || '/' || number from fleet.attempt join fleet.task using (task) where attempt = p $$;
create function t.name_executor(p int) returns text language sql stable as $$ select agent_id from fleet.executor where executor = p $$;
create function t.name_lane(p int) returns text language sql stable as $$
  select concat_ws(' ', requirements, mode, repo, t.name_executor(pinned), barred) from fleet.lane where lane = p $$;

-- A row by names: whose it is, not its number; whether a time is there, and still to come.
create function t.named(p_table text, p_row jsonb) returns jsonb language plpgsql stable as $$
declare v_named jsonb := '{}'; k text; v jsonb; n record;
begin
  for n in select node::text as id, name from fleet.node where p_row::text like '%' || node || '%' loop
    p_row := replace(p_row::text, n.id, n.name)::jsonb;
  end loop;
  for k, v in select * from jsonb_each(p_row) loop
    continue when k = 'due_at' and p_row ->> 'ended_at' is not null; -- whose time is over
    continue when k in ('nonce', 'xid', 'event_id', 'slot_id', 'slot_tid', 'follow', 'pull', 'content_hash', 'made_at', 'out_detail', 'since');
    v_named := v_named || jsonb_build_object(k, case
      when v = 'null' then v
      when k = 'task' then to_jsonb(t.name_task(v::bigint))
      when k in ('attempt', 'probe') and p_table <> 'event' then to_jsonb(t.name_attempt(v::bigint))
      when k in ('executor', 'pinned') then to_jsonb(t.name_executor(v::int))
      when k = 'lane' then to_jsonb(t.name_lane(v::int))
      when k in ('issue', 'ask', 'sender', 'registered_by') then '"some"'
      when k = 'dirty' then to_jsonb(v::bigint > coalesce((p_row ->> 'told')::bigint, -1)) -- how often it was marked says nothing
      when v #>> '{}' = 'infinity' then '"never"'
      when v #>> '{}' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d' then to_jsonb(case when (v #>> '{}')::timestamptz > now() + interval '1 s' then 'later' else 'then' end)
      else regexp_replace(v::text, '\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.0-9]*(Z|[+-]\d\d:\d\d)', 'then', 'g')::jsonb end);
  end loop;
  return v_named;
end $$;

create function t.whole() returns setof text language plpgsql stable as $$
declare v_table text;
begin
  foreach v_table in array '{task,attempt,slot,executor,account,queue,delayed,ended,pin,follow,outbox,spent,event}'::text[] loop
    return query execute format($q$
      select x.line from (select %1$L || ' ' || t.named(%1$L, to_jsonb(r)) as line, %2$s as place from fleet.%1$I r) x
      order by x.line collate "C", x.place$q$, v_table, case v_table when 'event' then 'r.event_id' else '0' end);
  end loop;
  -- the history of each task in its order
  return query select 'history ' || t.name_task(e.task) || ': ' || string_agg(concat_ws(' ', e.event_type, e.from_status, e.to_status, e.attempt), ', ' order by e.xid, e.event_id)
    from fleet.event e group by e.task order by 1;
end $$;

-- The same, a column a line, to be read by people.
create function t.columns() returns setof text language sql stable as $$
  select concat_ws(' ', split_part(w, ' ', 1), coalesce(r ->> 'task_id', case when r ? 'ordinal' and r ? 'number' then r ->> 'attempt' end, r ->> 'task', r ->> 'agent_id',
                   r ->> 'account', r ->> 'executor'), r ->> 'event_type', r ->> 'ordinal', k || ':', v)
  from t.whole() w, lateral (select substr(w, position('{' in w))::jsonb) x (r), jsonb_each(r) y (k, v) where w not like 'history %'
  union all select w from t.whole() w where w like 'history %'
$$;

-- ---------------------------------------------------------------- the fleet

create function t.fleet_hosts(p_way text) returns jsonb[] language plpgsql as $$
declare v_hosts jsonb[] := '{}'; v jsonb;
begin
  foreach v in array case p_way
    when 'w1' then array[t.host('h1', '{a,b}', 2 + t.rnd(6)) || '{"account": "shared"}', t.host('h2', '{a}', t.rnd(5)) || '{"account": "shared"}']
    else array[t.host('h3', '{a,b,c}', t.rnd(6)), t.host('h4', '{b}', 1 + t.rnd(2), 'claude-code')] end loop
    v_hosts := v_hosts || v;
  end loop;
  return v_hosts;
end $$;

create function t.fleet_begin(p_seed int) returns void language plpgsql as $$
begin
  perform t.reset();
  perform t.put('seed', p_seed);
  -- so that the time which the turns take decides nothing
  update fleet.setting set value = 3600000 where name in ('retry_base_ms', 'retry_max_ms', 'release_base_ms', 'release_max_ms', 'tell_ms', 'tell_running_ms', 'tell_max_ms');
  perform t.worker('w1', variadic t.fleet_hosts('w1'));
  perform t.worker('w2', variadic t.fleet_hosts('w2'));
  perform t.reads();
  perform t.agent('p1', '{a}', 2);
  perform t.agent('p2', '{a,c}', 1);
  for n in 1..4 loop
    perform t.opens('ann', n);
    perform t.labels('ann', 'agent:a', n);
    perform t.look(n);
  end loop;
  perform t.turn_submit(0);
  perform t.turn_submit(1);
end $$;

-- Up to p_most attempts of this kind, chosen by the seed; now and then one twice, or one that there is not.
create function t.some(p_where text, p_most int) returns bigint[] language plpgsql as $$
declare v_all bigint[]; v_salt int := t.rnd(1000000);
begin
  execute format($q$select array(select a.attempt from fleet.attempt a join fleet.task k using (task) where %s
    order by md5(concat(k.task_id, '/', a.number, ' ', %s)) limit %s)$q$, p_where, v_salt, p_most) into v_all;
  case t.rnd(12)
    when 0 then v_all := v_all || v_all[1];
    when 1 then v_all := v_all || -7::bigint;
    else null;
  end case;
  return array_remove(v_all, null);
end $$;
-- Most of them of one owner.
create function t.of_one(p bigint[]) returns bigint[] language plpgsql as $$
declare v_node uuid := (select a.node from fleet.attempt a where a.attempt = p[1]); v_all boolean := t.rnd(20) = 0;
begin
  return array(select x.id from unnest(p) with ordinality x (id, o) left join fleet.attempt a on a.attempt = x.id
               where v_all or coalesce(a.node = v_node, true) order by o);
end $$;

-- ---------------------------------------------------------------- what nodes tell of many runs

-- The owner of most of them, and the epoch of each; sometimes not.
create function t.node_of(p bigint[]) returns uuid language sql as $$
  select case when t.rnd(25) = 0 then t.node('w2') else coalesce((select a.node from fleet.attempt a where a.attempt = p[1]), t.node('w1')) end $$;
create function t.epochs_of(p bigint[]) returns int[] language plpgsql as $$
declare v int[] := array(select coalesce(a.epoch, 1) from unnest(p) with ordinality x (id, o) left join fleet.attempt a on a.attempt = x.id order by o);
begin
  if t.rnd(12) = 0 and cardinality(v) > 0 then
    v[1] := v[1] + 1;
  end if;
  return v;
end $$;

-- The item of a batch, or a call of the single form, as "attempt: what is answered".
create function t.single(p_call text, p_attempt bigint) returns text language plpgsql as $$
declare v text;
begin
  execute p_call into v;
  return concat(t.name_attempt(p_attempt), ': ', v);
exception when others then
  return concat(t.name_attempt(p_attempt), ': ', sqlstate, ' ', replace(sqlerrm, p_attempt::text, '#'));
end $$;
create function t.batch(p_call text, p_attempts bigint[]) returns text language plpgsql as $$
declare v text;
begin
  execute format($q$select string_agg(concat(t.name_attempt(a), ': ', coalesce(x.fault || ' ' || replace(x.detail, a::text, '#'), %s)), ', ' order by x.ord)
    from %s x join unnest($1) with ordinality y (a, o) on y.o = x.ord$q$, case split_part(p_call, '(', 1)
      when 'fleet.starting_runs' then $r$row(x.verdict, x.run, x.command, x.prompt)::text$r$
      when 'fleet.finish_runs' then 'x.status' else $r$''$r$ end, p_call) into v using p_attempts;
  return v;
end $$;

-- Who is told of twice is told the same.
create function t.as_before(p bigint[], p_words anyarray) returns anyarray language sql as $$
  select array(select p_words[array_position(p, p[i])] from generate_subscripts(p, 1) i) $$;

create function t.tell_starting(p_batch boolean, p bigint[]) returns text language plpgsql as $$
declare n uuid := t.node_of(p); e int[] := t.epochs_of(p); r text[] := array(select 'r' || t.rnd(99) from unnest(p));
begin
  r := t.as_before(p, r);
  if p_batch then
    return t.batch(format('fleet.starting_runs(%L, %L, %L, %L, %L, %L)', n, p, e, r, r, r), p);
  end if;
  return (select string_agg(t.single(format('select row(verdict, run, command, prompt)::text from fleet.starting(%L, %L, %L, %L, %L, %L)',
    n, p[i], e[i], r[i], r[i], r[i]), p[i]), ', ' order by i) from generate_subscripts(p, 1) i);
end $$;

create function t.tell_started(p_batch boolean, p bigint[]) returns text language plpgsql as $$
declare n uuid := t.node_of(p); e int[] := t.epochs_of(p); d bigint[] := array(select nullif(t.rnd(3), 0) from unnest(p));
  m text[] := array(select case when t.rnd(9) > 0 then t.identity(x.host_id) ->> 'machine' end
                    from unnest(p) with ordinality y (id, o) left join fleet.attempt a on a.attempt = y.id left join fleet.executor x using (executor) order by o);
begin
  d := t.as_before(p, d);
  m := t.as_before(p, m);
  if p_batch then
    return t.batch(format('fleet.started_runs(%L, %L, %L, %L, %L, %L, %L)', n, p, e, d, m, m, m), p);
  end if;
  return (select string_agg(t.single(format('select fleet.started(%L, %L, %L, %L, %L, %L, %L)', n, p[i], e[i], d[i], m[i], m[i], m[i]), p[i]), ', ' order by i)
          from generate_subscripts(p, 1) i);
end $$;

-- How a run may end, most of them well.
create function t.an_end(out outcome text, out reason text, out report jsonb, out resets bigint) language plpgsql as $$
begin
  outcome := t.one_of('succeeded', 'succeeded', 'succeeded', 'no_change', 'failed', 'failed', 'failed', 'timed_out', 'cancelled', 'lost', 'released');
  reason := case outcome when 'succeeded' then t.one_of(null, null, null, 'needs_input') when 'no_change' then null
    when 'failed' then (array(select r.reason from fleet.reason r order by r.reason collate "C"))[1 + t.rnd((select count(*)::int from fleet.reason))]
    when 'released' then t.one_of('not_delivered', 'start_refused', 'voided') when 'lost' then 'host_rebooted' else outcome end;
  report := case t.rnd(6) when 0 then null when 1 then '{}' when 2 then '{"tokens": {"input": 7, "output": 9}, "cost_usd": 0.5, "model": "m", "stopped": "x"}'
    when 3 then '{"work": {"state": "pushed", "pushed": "aa", "head": "aa", "branch": "b"}, "session_id": "s"}' when 4 then '{"work": {"state": "no_change"}}'
    else '{"summary": "did it", "error": "broke", "limit": {"window": "five_hour", "text": "enough"}}' end;
  if reason = 'needs_input' then
    report := coalesce(report, '{}') || '{"question": "left or right?"}';
  end if;
  resets := case when t.rnd(4) = 0 then extract(epoch from now())::bigint + 7200 end;
  if t.rnd(40) = 0 then
    outcome := t.one_of('splendid', null);
  end if;
end $$;

create function t.tell_finish(p_batch boolean, p bigint[]) returns text language plpgsql as $$
declare n uuid := t.node_of(p); e int[] := t.epochs_of(p); o text[] := '{}'; r text[] := '{}'; j jsonb[] := '{}'; z bigint[] := '{}'; v record; s int[] := '{}';
begin
  for i in 1..cardinality(p) loop
    v := t.an_end();
    o := o || v.outcome; r := r || v.reason; j := j || v.report; z := z || v.resets; s := s || nullif(t.rnd(3), 2);
  end loop;
  o := t.as_before(p, o); r := t.as_before(p, r); j := t.as_before(p, j); z := t.as_before(p, z); s := t.as_before(p, s);
  if p_batch then
    return t.batch(format('fleet.finish_runs(%L, %L, %L, %L, %L, %L, %L, %L, %L, %L)', n, p, e, o, r, s, s, j, z, r), p);
  end if;
  return (select string_agg(t.single(format('select fleet.finish_run(%L, %L, %L, %L, %L, %L, %L, %L, %L, %L)', n, p[i], e[i], o[i], r[i], s[i], s[i], j[i], z[i], r[i]),
    p[i]), ', ' order by i) from generate_subscripts(p, 1) i);
end $$;

-- ---------------------------------------------------------------- turns

create function t.a_task(p_of_repo boolean default false) returns text language plpgsql as $$
declare v_any boolean := t.rnd(4) = 0; v_all text[] := array(select task_id from fleet.task where (repo is not null or not p_of_repo) and (attempt_number > 0 or v_any)
                              order by task_id collate "C");
begin
  return v_all[1 + t.rnd(greatest(cardinality(v_all), 1))];
end $$;

create function t.turn_submit(p_step int) returns text language plpgsql as $$
declare v text := '';
begin
  for i in 1..1 + t.rnd(5) loop
    v := concat_ws(' ', v, t.submit(format('k%s-%s', p_step, i), array_remove(array[t.one_of('agent:a', 'agent:b', 'agent:c', null), t.one_of('agent:a', null, null)], null),
      jsonb_build_object('priority', t.rnd(3) - 1, 'max_retries', t.rnd(3), 'max_attempts_total', 1 + t.rnd(5), 'repo', t.one_of(null, null, 'acme/rocket'),
                         'execution_mode', t.one_of('ssh_cli', 'ssh_cli', 'ssh_cli', 'http_pull'))));
  end loop;
  return v;
end $$;

create function t.turn_issue() returns text language plpgsql as $$
declare n int := 1 + t.rnd(4);
begin
  case t.rnd(4)
    when 0 then perform t.turns(t.one_of('open', 'closed'), n);
    when 1 then perform t.unlabels('ann', 'agent:a', n);
    else perform t.labels('ann', 'agent:a', n);
  end case;
  return concat(n, ' ', t.look(n));
end $$;

create function t.turn_pull_request() returns text language plpgsql as $$
declare v_state text := t.one_of('open', 'open', 'closed', 'merged'); v_id text := t.a_task(true); v_number int := 1 + abs(hashtext(v_id) % 1000);
begin
  return concat_ws(' ', v_id, v_state, fleet.pull_told(jsonb_build_object('repository', '{"id": 7, "full_name": "acme/rocket"}'::jsonb, 'people', '{"boss": "owner"}'::jsonb,
    'pull', jsonb_build_object('id', 1000 + v_number, 'number', v_number, 'title', 'Fuel', 'state', case v_state when 'open' then 'open' else 'closed' end,
      'merged', v_state = 'merged', 'html_url', 'https://git.example.org/acme/rocket/pulls/1', 'author', 'boss', 'author_id', 1,
      'head', jsonb_build_object('ref', (select branch_name from fleet.task where task_id = v_id), 'sha', 'aaa', 'repository_id', 7), 'base', '{"ref": "main"}'::jsonb,
      'updated_at', t.at(t.tick(60))))));
end $$;

create function t.turn_person() returns text language plpgsql as $$
declare v_id text := t.a_task();
begin
  return v_id || case t.rnd(7)
    when 0 then concat(' cancel ', fleet.cancel(v_id, 'stop'))
    when 1 then concat(' retry ', fleet.retry(v_id))
    when 2 then concat(' forced ', fleet.retry(v_id, true))
    when 3 then concat(' abandon ', fleet.retry(v_id, true, 'nobody knows'))
    when 4 then concat(' answer ', fleet.answer(v_id, 'left'))
    when 5 then concat(' continue ', fleet.continue_task(v_id, 'more', null, 'psql:ann'))
    else concat(' free ', fleet.free_slot(v_id, (select attempt_number from fleet.task where task_id = v_id), 'burnt')) end;
end $$;

create function t.turn_config() returns text language plpgsql as $$
declare v_way text := t.one_of('w1', 'w2');
begin
  return case t.rnd(5)
    when 0 then concat('drain ', fleet.drain('h1', 'empty', 0))
    when 1 then concat('uncordon ', fleet.uncordon('h1'))
    when 2 then concat('agent ', t.agent('p1', '{a,b}', 1 + t.rnd(3)))
    else concat('configure ', t.configure(v_way, variadic t.fleet_hosts(v_way))) end;
end $$;

-- Time goes by: what waits is due, limits have ended, pins, rests.
create function t.turn_time() returns text language plpgsql as $$
begin
  case t.rnd(6)
    when 0 then update fleet.account set parked_until = now() where state = 'parked';
    when 1 then update fleet.executor set out_until = now() where out_until is not null;
    when 2 then update fleet.pin set until = now();
    when 3 then update fleet.attempt set started_at = started_at - interval '1 h', claimed_at = claimed_at - interval '1 h', output_at = now() where ended_at is null;
    when 4 then update fleet.attempt set unreachable_at = unreachable_at - interval '1 h', unseen_ms = unseen_ms + 5400000 where unreachable_at is not null;
    else null;
  end case;
  perform fleet.reap(t.node('w1'));
  return t.due()::text;
end $$;

create function t.turn_phase() returns text language plpgsql as $$
declare p bigint[] := t.some('a.ended_at is null', 3); v_phase text := t.one_of('running', 'unreachable', 'unreachable', 'stopping'); v_reason text := t.one_of('x', 'y');
begin
  return (select string_agg(t.single(format('select fleet.phase(%L, %s, %s, %L, %L)', a.node, a.attempt, a.epoch, v_phase, v_reason), a.attempt), ', ' order by o)
          from unnest(p) with ordinality x (id, o) join fleet.attempt a on a.attempt = x.id);
end $$;

create function t.turn_claim() returns text language plpgsql as $$
declare v_node text := t.one_of('w1', 'w2'); v_want int := t.one_of('1', '2', '5', '100')::int;
begin
  if t.rnd(6) = 0 then
    return 'pull ' || (select string_agg(x, ' ' order by x collate "C") from unnest(string_to_array(t.pull('p1', 'p2', 'p1'), ' ')) x);
  end if;
  return (select concat(v_node, ' ', v_want, ': ', string_agg(concat(j.task_id, '/', j.number, '@', j.host_id), ' ' order by o))
          from fleet.claim(t.node(v_node), v_want) with ordinality j (attempt, task_id, number, epoch, nonce, phase, run, host_id, agent_type, title, body, labels,
            requirements, repo, issue_number, slug, branch_name, timeout_secs, prompt, command, stdout_bytes, stderr_bytes, checkpoint, cancel, proven, adopted_from,
            adopted_silence_ms, pid, start, boot, machine, o));
end $$;

create function t.turn(p_step int, p_batch boolean) returns text language plpgsql as $$
declare v int := t.rnd(100);
begin
  return case
    when v < 12 then 'submit ' || t.turn_submit(p_step)
    when v < 30 then 'claim ' || t.turn_claim()
    when v < 44 then concat('starting ', t.tell_starting(p_batch, t.of_one(t.some($w$(a.ended_at is null or k.task_id like '%4')$w$, 9))))
    when v < 54 then concat('started ', t.tell_started(p_batch, t.of_one(t.some($w$(a.ended_at is null and a.phase <> 'claimed' or k.task_id like '%2' and a.number < 3)$w$, 9))))
    when v < 73 then concat('finish ', t.tell_finish(p_batch, t.of_one(t.some($w$(a.ended_at is null or k.task_id like '%3')$w$, 9))))
    when v < 78 then concat('phase ', t.turn_phase())
    when v < 85 then concat('person ', t.turn_person())
    when v < 88 then concat('issue ', t.turn_issue())
    when v < 91 then concat('pull request ', t.turn_pull_request())
    when v < 94 then concat('config ', t.turn_config())
    else concat('time ', t.turn_time()) end;
end $$;

create procedure t.turn_take(p_seed int, p_steps int, p_batch boolean, p_each int default 10) language plpgsql as $$
declare v text;
begin
  perform t.fleet_begin(p_seed);
  commit;
  for i in 1..p_steps loop
    begin
      v := t.turn(i, p_batch);
    exception when others then
      v := concat(sqlstate, ' ', sqlerrm);
    end;
    insert into t.trace values (p_seed * 10000 + i, v, case when i % p_each = 0 then (select md5(string_agg(x, E'\n')) from t.whole() x) end);
    commit;
  end loop;
end $$;
