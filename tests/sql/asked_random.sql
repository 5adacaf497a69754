-- Random steps of people, looks, claims and ends, against a model of ten lines. Variables: seed, count. (Run by test_asked_random.sh.)

-- What the model knows. served: the newest ask for which a run waits or began; waits, runs: is there one; asked: the ask for which it waits
-- (null: a person retried it); before: served as it was before it waited; seen_open, seen_named: what the last look saw.
create temp table model (served bigint not null default 0, waits boolean not null default false, runs boolean not null default false, asked bigint,
                         before bigint, seen_open boolean not null default true, seen_named boolean not null default false);
create temp table trusted (body text primary key); -- texts that somebody who may start work wrote, labelled or approved
create temp table ran (ask bigint primary key);    -- asks that had their run: a second one raises
create temp table late (seen jsonb, seq bigint);   -- answers that come late

-- The newest ask by somebody who may start work; null: none. And is there any agent label at all?
create function pg_temp.asked(out ask bigint, out named boolean) language sql as $$
  select max(e.id) filter (where e.by = 'ann'), count(*) > 0
  from t.issue i, jsonb_array_elements(i.labels) l
  cross join lateral (select (x ->> 'id')::bigint as id, x ->> 'by' as by from jsonb_array_elements(i.events) x
                      where x ->> 'label_id' = l ->> 'id' and (x ->> 'added')::boolean order by 1 desc limit 1) e
  where l ->> 'name' like 'agent:%' $$;

create function pg_temp.model_looks() returns void language plpgsql as $$
declare m model; a record; v_open boolean := (select state = 'open' from t.issue);
begin
  select * into m from model;
  select * into a from pg_temp.asked();
  if m.runs then
    m.served := greatest(m.served, case when v_open then a.ask end);
  elsif m.waits then
    if not v_open and (m.asked is not null or m.seen_open) then
      m.waits := false;
      m.served := least(m.served, case when m.asked is not null then m.before end);
    elsif v_open and not a.named and (m.asked is not null or m.seen_named) or v_open and a.named and a.ask is null and m.asked is not null then
      m.waits := false;
    elsif v_open then
      m.served := greatest(m.served, a.ask);
    end if;
  elsif v_open and a.ask > m.served then
    m.waits := true;
    m.asked := a.ask;
    m.before := m.served;
    m.served := a.ask;
  end if;
  update model set served = m.served, waits = m.waits, asked = m.asked, before = m.before, seen_open = v_open, seen_named = a.named;
end $$;

create function pg_temp.look() returns void language plpgsql as $$
begin
  perform t.look();
  perform pg_temp.model_looks();
  if (select row(waits, runs) from model) is distinct from
     (select row(count(*) filter (where status = 'created') > 0, count(*) filter (where status = 'running') > 0) from fleet.task) then
    raise exception 'the model says %, the task is %', (select m from model m), (select row(status, hold, ask, failure_reason) from fleet.task);
  end if;
end $$;

create function pg_temp.claims() returns void language plpgsql as $$
declare v_id text := t.claim('w1', 1); k fleet.task;
begin
  if v_id = '' then return; end if;
  select * into k from fleet.task;
  if not (select waits from model) then
    raise exception 'claimed, and nobody wanted it: %', k.ask;
  elsif k.body not in (select body from trusted) then
    raise exception 'runs a text that nobody trusts: %', k.body;
  elsif k.ask is not null and exists (select from unnest(k.requirements) r where not exists (
        select from t.issue, jsonb_array_elements(events) e where e ->> 'label' = 'agent:' || r and e ->> 'by' = 'ann' and (e ->> 'added')::boolean)) then
    raise exception 'runs where a stranger wants it: %', k.requirements;
  end if;
  insert into ran select k.ask where k.ask is not null;
  perform t.start('w1', v_id);
  update model set waits = false, runs = true;
end $$;

create function pg_temp.step(p_step int, p_no int) returns void language plpgsql as $$
declare
  v_by text := case when random() < 0.5 then 'ann' else 'bob' end;
  v_label text := (array['agent:x', 'agent:y', 'bug'])[1 + floor(random() * 3)];
  v_body text;
begin
  case p_step
    when 0, 1, 2 then
      if t.labels(v_by, v_label, p_seconds => (random() * 1.4)::int) is not null and v_by = 'ann' and v_label <> 'bug' then
        insert into trusted select body from t.issue on conflict do nothing;
        if random() < 0.5 then perform t.delivers('ann', 'label_updated'); end if;
      end if;
    when 3 then perform t.unlabels(v_by, v_label, p_seconds => (random() * 1.4)::int);
    when 4 then
      v_body := 'Text ' || case when random() < 0.3 then 1 else p_no end;
      perform t.edits(v_body, p_seconds => (random() * 1.4)::int);
      if v_by = 'ann' then
        insert into trusted values (v_body) on conflict do nothing;
        if random() < 0.7 then perform t.delivers('ann', 'edited'); end if;
      else
        perform t.delivers('bob', 'edited');
      end if;
    when 5 then perform t.turns(case when random() < 0.6 then 'open' else 'closed' end);
    when 6, 7, 8 then perform pg_temp.look();
    when 9 then
      perform fleet.want_look('issue', issue) from fleet.issue;
      insert into late select t.seen(), seq from fleet.look;
    when 10 then -- a newer answer was applied before, or is about to be
      perform pg_temp.look();
      perform t.look(42, l.seen, l.seq) from (select * from late order by random() limit 1) l;
    when 11 then
      perform fleet.expect_task(i, array(select x ->> 'name' from t.issue, jsonb_array_elements(labels) x), 'Do 42', 'Whatever', 'forgejo:bob') from fleet.issue i;
      perform pg_temp.look();
    when 12, 13 then perform pg_temp.claims();
    when 14 then
      if (select runs from model) then
        perform t.finish('w1', task_id, case when random() < 0.5 then 'succeeded' else 'failed' end, null) from fleet.task;
        update model set runs = false;
      end if;
    when 15 then update fleet.issue set read_at = null;
    when 16 then
      perform pg_temp.look();
      if (select fleet.approve(task_id) from fleet.task) = 'approved' then
        insert into trusted select body from t.issue on conflict do nothing;
        update model set asked = null;
      end if;
    when 17 then
      if (select fleet.retry(task_id, true) from fleet.task where status in ('completed', 'failed', 'cancelled') and failure_reason is distinct from 'not_permitted') = 'created' then
        insert into trusted select body from fleet.task on conflict do nothing; -- the person sees it
        update model set waits = true, asked = null;
      end if;
    when 18 then perform t.renames('acme/' || (array['rocket', 'moon', 'Rocket'])[1 + floor(random() * 3)]);
    when 19 then perform t.due();
  end case;
end $$;

-- All of it is taken back at the end. Answers what is wrong; null: nothing.
create function pg_temp.sequence(p_seed float) returns text language plpgsql as $$
declare v_said text; v_steps text := '';
begin
  begin
    perform setseed(p_seed);
    perform t.worker('w1', t.host('h', '{x,y}', 1));
    perform t.reads('{"default_max_retries": 0}');
    perform fleet.set('runs_per_issue_day', 0);
    perform t.opens('bob');
    update fleet.repository set default_branch = 'main'; -- it was read: a rename is believed
    insert into model default values;
    for n in 1..40 loop
      v_steps := v_steps || ' ' || floor(random() * 20)::int;
      perform pg_temp.step(substring(v_steps from '[0-9]+$')::int, n);
    end loop;
    perform pg_temp.look();
    perform pg_temp.look();
    v_said := nullif(t.rows('select * from t.broken()'), '');
    if (select count(*) from fleet.task) > 1 or (select count(*) from fleet.repository) > 1 then
      v_said := concat_ws('; ', v_said, 'something is there twice');
    end if;
    raise sqlstate 'ZZ999';
  exception
    when sqlstate 'ZZ999' then null;
    when others then v_said := sqlerrm;
  end;
  return v_said || ', steps' || v_steps;
end $$;

create temp table came (n int, said text);
select set_config('t.seed', :seed::text, false), set_config('t.count', :count::text, false);
do $$ begin
  for n in t.kept('seed')::int .. t.kept('seed')::int + t.kept('count')::int - 1 loop
    insert into came values (n, pg_temp.sequence(n / 1000000.0));
    commit;
  end loop;
end $$;
select t.is((select string_agg(format('seed %s: %s', n, said), chr(10)) from (select * from came where said is not null order by n limit 3) x), null,
            format('%s sequences from seed %s come to what the model says', :count, :seed));
