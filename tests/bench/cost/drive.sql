-- Runs as their worker tells the database of them: schema bench, loaded over schema t. Each call is a transaction of its own.
\set ON_ERROR_STOP on
create schema bench;
create extension if not exists pg_walinspect;
create extension if not exists pgstattuple;

-- What people and agents write is cut from one text: bodies, prompts, and lines of a JSON stream, as coding agents print them.
create table bench.source (bytes bytea not null);
alter table bench.source alter bytes set storage external; -- a part is read without the rest
create function bench.text(p_place int, p_length int) returns text language sql stable as $$
  select convert_from(substring(s.bytes from 1 + p_place * 997 % greatest(length(s.bytes) - p_length, 1) for p_length), 'UTF8') from bench.source s;
$$;
create table bench.line (place int primary key, bytes bytea not null);
create function bench.cut_lines(p_lines int, p_bytes int) returns void language sql as $$
  insert into bench.line
  select i, convert_to(json_build_object('type', 'item.completed', 'item', json_build_object('id', 'item_' || i, 'type', 'command_execution',
           'aggregated_output', bench.text(i, p_bytes), 'exit_code', 0))::text || chr(10), 'UTF8')
  from generate_series(0, p_lines - 1) i;
$$;

-- The reader's state that is stored beside it (worker/adapter/checkpoint.c).
create function bench.checkpoint(p_at bigint, p_lines int) returns text language sql as $$
  select format('{"v":2,"kind":"codex-cli","at":%s,"lines":%s,"tools":%s,"events":%s,"produced":1,"tokens":[%s,%s,%s,%s],"session":"%s",'
    '"summary":"%s"}', p_at, p_lines, p_lines / 3, p_lines, p_lines * 900, p_lines * 700, p_lines * 60, p_lines * 20, md5('s')::uuid,
    repeat('Looked at the module, now its test. ', 8));
$$;

create table bench.run (place int primary key, task bigint, attempt bigint, epoch int, bytes bigint not null default 0);

create procedure bench.fleet(p_runs int) language plpgsql as $$
begin
  perform fleet.set('runs_per_sender_day', 0);
  perform t.worker('w1', t.host('h', '{code:rust}', greatest(p_runs, 128)));
  perform fleet.forgejo_configure(t.node('w1'), '{"url": "https://git.example.org", "reads": true, "trigger_users": ["octo"]}', 7, 'fleet');
end $$;

-- An issue each, labelled, delivered and read.
create procedure bench.deliver(p_runs int) language plpgsql as $$
begin
  for i in 1..p_runs loop
    perform t.deliver('d' || i, 'label_updated', '{agent:code:rust,bug}', '2026-01-01T10:00:00Z',
                      jsonb_build_object('number', i, 'body', bench.text(i, 1500)));
    update fleet.issue set read_at = now() where number = i;
    commit;
  end loop;
end $$;

create procedure bench.begin_runs(p_runs int) language plpgsql as $$
declare r record; v uuid := t.node('w1');
begin
  for i in 1..p_runs loop
    insert into bench.run (place, attempt, epoch) select i, j.attempt, j.epoch from fleet.claim(v, 1) j;
    commit;
  end loop;
  for r in select * from bench.run order by place loop
    perform fleet.briefing(v, r.attempt, r.epoch);
    commit;
    perform fleet.prepared(v, r.attempt, r.epoch, '{"state": "ready", "branch": "task/acme-rocket-42", "base_branch": "main", "base": "4b825dc642cb6eb9a060e54bf8d69288fbee4904"}');
    commit;
    perform fleet.starting(v, r.attempt, r.epoch, 'run-' || r.attempt, repeat('codex exec --json -C /srv/agent ', 10),
      bench.text(r.place, 3500));
    commit;
    perform fleet.started(v, r.attempt, r.epoch, 4711, '123456', md5('boot'), t.identity('h') ->> 'machine');
    commit;
  end loop;
end $$;

-- A second of all runs: each prints a line, at a moment of its own; what falls into the same 25 ms is one append, as the worker sends it.
create procedure bench.second(p_second int) language plpgsql as $$
declare b record; v text;
begin
  for b in
    select array_agg(r.attempt order by r.place) as attempts, array_agg(r.epoch order by r.place) as epochs,
           array_agg('stdout'::text) as streams, array_agg(r.bytes order by r.place) as offsets,
           array_agg(l.bytes order by r.place) as chunks, array_agg(bench.checkpoint(r.bytes, p_second) order by r.place) as checkpoints
    from bench.run r join bench.line l on l.place = (p_second + r.place) % (select count(*) from bench.line)
    group by r.place % 40 order by r.place % 40
  loop
    select string_agg(distinct a.verdict, ' ') into v
    from fleet.append(t.node('w1'), b.attempts, b.epochs, b.streams, b.offsets, b.chunks, b.checkpoints) a;
    if v <> 'ok' then
      raise exception 'append: %', v;
    end if;
    update bench.run r set bytes = r.bytes + length(x.chunk) from unnest(b.attempts, b.chunks) x (attempt, chunk) where r.attempt = x.attempt;
    commit;
  end loop;
  update fleet.metric_mark set rolled_at = 'epoch';
  perform fleet.roll_up(t.node('w1'));
  commit;
end $$;

-- What the worker says of itself: its beat each 3 s, its numbers each 15 s, each 30 s its host, each 60 s it cleans up; and what it
-- tells Forgejo, which is what is due at the time of the run (p_second), not of the clock.
create procedure bench.tend(p_second int) language plpgsql as $$
declare v uuid := t.node('w1'); r record;
begin
  if p_second % 3 = 0 then
    perform fleet.renew(v, array(select attempt from bench.run order by 1));
    commit;
  end if;
  if p_second % 15 = 0 then
    perform fleet.node_report(v, '{"runs": 50, "appends_total": 12345, "loop_lag_seconds": 0.001, "connections": {"ssh": 1, "sql": 4}}');
    perform fleet.take_stock(v);
    commit;
  end if;
  if p_second % 30 = 0 then
    perform t.report('w1', 'h', t.identity('h'));
    commit;
  end if;
  if p_second % 60 = 0 then
    perform fleet.reap(v);
    commit;
  end if;
  if p_second % 300 = 0 then
    update fleet.outbox set tell_at = now() where told < dirty or tell_at < 'infinity';
    for r in select x.task, x.seq from fleet.tells(v, 1000) x loop
      perform fleet.told(v, r.task, r.seq, jsonb_build_object('comment_id', 1000 + r.task, 'comment_hash', encode(sha256(r.task::text::bytea), 'hex'),
                         'label', 'fleet/running', 'status_tries', 0));
      commit;
    end loop;
  end if;
end $$;

create procedure bench.run_all(p_seconds int) language plpgsql as $$
begin
  for s in 1..p_seconds loop
    call bench.second(s);
    call bench.tend(s);
  end loop;
end $$;

create procedure bench.end_runs() language plpgsql as $$
declare r record;
begin
  for r in select * from bench.run order by place loop
    perform fleet.finish_run(t.node('w1'), r.attempt, r.epoch, 'succeeded', null, 0, null, jsonb_build_object(
      'session_id', md5('s')::uuid, 'model', 'gpt-5-codex', 'summary', repeat('Mended the module and its test. ', 20), 'agent_version', '0.46.0',
      'cost_usd', 0.42, 'tokens', '{"input": 1620000, "cached_input": 1260000, "output": 108000, "reasoning": 36000}'::jsonb,
      'work', '{"state": "pushed", "branch": "task/acme-rocket-42", "base": "4b825dc642cb6eb9a060e54bf8d69288fbee4904", "head": "5b825dc642cb6eb9a060e54bf8d69288fbee4904",
                "pushed": "5b825dc642cb6eb9a060e54bf8d69288fbee4904", "commits": 2, "files": 5, "insertions": 120, "deletions": 30}'::jsonb), null, 'cgroup empty');
    commit;
  end loop;
end $$;

-- ---------------------------------------------------------------- jobs that print nothing, as a queue has them

create procedure bench.submit_jobs(p_jobs int, p_many int, p_body int) language plpgsql as $$
begin
  for i in 1..p_jobs / p_many loop
    perform t.submits(array(select t.item('job-' || i || '-' || k, '{agent:code:rust}',
                                          jsonb_build_object('body', bench.text(i * p_many + k, p_body)))
                            from generate_series(1, p_many) k));
    commit;
  end loop;
end $$;

-- Claimed and ended, so many at a time; a task in eight is begun as a run is.
create procedure bench.do_jobs(p_batch int) language plpgsql as $$
declare
  v uuid := t.node('w1');
  v_attempts bigint[];
  v_begun bigint[];
begin
  loop
    update fleet.node_host set reported_at = now() where reported_at < now() - interval '1 min';
    v_attempts := array(select j.attempt from fleet.claim(v, p_batch) j order by 1);
    commit;
    exit when cardinality(v_attempts) = 0;
    v_begun := array(select a from unnest(v_attempts) with ordinality x (a, o) where o % 8 = 0);
    if v_begun <> '{}' then
      perform fleet.starting_runs(v, v_begun, array_fill(1, array[cardinality(v_begun)]), array(select 'run-' || a from unnest(v_begun) a),
                                  array_fill('agent'::text, array[cardinality(v_begun)]), array_fill('Do it.'::text, array[cardinality(v_begun)]));
      commit;
      perform fleet.started_runs(v, v_begun, array_fill(1, array[cardinality(v_begun)]), array_fill(1::bigint, array[cardinality(v_begun)]),
                                 array_fill('1'::text, array[cardinality(v_begun)]), array_fill('b'::text, array[cardinality(v_begun)]),
                                 array_fill(t.identity('h') ->> 'machine', array[cardinality(v_begun)]));
      commit;
    end if;
    perform string_agg(f.fault, ' ') from fleet.finish_runs(v, v_attempts, array_fill(1, array[cardinality(v_attempts)]),
        array_fill('succeeded'::text, array[cardinality(v_attempts)]), array_fill(null::text, array[cardinality(v_attempts)]),
        array_fill(0, array[cardinality(v_attempts)]), array_fill(null::int, array[cardinality(v_attempts)]),
        array_fill('{"summary": "Done."}'::jsonb, array[cardinality(v_attempts)]), array_fill(null::bigint, array[cardinality(v_attempts)]),
        array_fill(null::text, array[cardinality(v_attempts)])) f;
    commit;
  end loop;
  if exists (select from fleet.queue) then
    raise exception 'jobs are left';
  end if;
end $$;
