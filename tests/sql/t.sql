-- Schema t: what the SQL and isolation tests stand on. Loaded into the template database, by the
-- superuser, after the migrations.
--
-- Assertions write "ok - NAME" or "not ok - NAME" as INFO, so that they count from any block, also
-- from one that is rolled back.
create schema t;
grant usage on schema t to public;

create function t.ok(p_true boolean, p_name text) returns void language plpgsql as $$
begin
  raise info '%', case when p_true then 'ok - ' else 'not ok - ' end || p_name;
end $$;

create function t.is(p_got anyelement, p_want anyelement, p_name text) returns void language plpgsql as $$
begin
  if p_got is distinct from p_want then
    raise info '     got: %', p_got;
    raise info '    want: %', p_want;
  end if;
  perform t.ok(p_got is not distinct from p_want, p_name);
end $$;

-- The text of a query's rows, in its order, one line.
create function t.rows(p_query text) returns text language plpgsql as $$
declare answer text;
begin
  execute format('select string_agg(x::text, '' '') from (%s) x', p_query) into answer;
  return coalesce(answer, '');
end $$;

create function t.none(p_query text, p_name text) returns void language plpgsql as $$
begin
  perform t.is(left(t.rows(p_query), 500), '', p_name);
end $$;

-- The statement must fail with this SQLSTATE; nothing of it stays either way.
create function t.throws(p_sql text, p_state text, p_name text) returns void language plpgsql as $$
declare got text := 'no error'; said text := '';
begin
  begin
    execute p_sql;
    raise sqlstate 'ZZ999';
  exception
    when sqlstate 'ZZ999' then null;
    when others then got := sqlstate; said := sqlerrm;
  end;
  if got is distinct from p_state then
    raise info '    said: %', said;
  end if;
  perform t.is(got, p_state, p_name);
end $$;

-- Every row of every check_* view, as text: the invariants that do not hold.
create function t.broken() returns setof text language plpgsql as $$
declare view text;
begin
  for view in select c.relname from pg_class c where c.relnamespace = 'fleet'::regnamespace
              and c.relkind = 'v' and c.relname like 'check\_%' order by 1 loop
    return query execute format('select %L || x::text from fleet.%I x', view || ': ', view);
  end loop;
end $$;

create function t.sound(p_name text default 'every check_* view is empty') returns void language sql as $$
  select t.none('select * from t.broken()', p_name);
$$;

-- As the first node to start does.
select fleet.partitions();

-- Tables that hold rows right after the migrations (settings, edges, reasons, the fleet's id) stay.
create table t.seeded as
  select c.oid::regclass as name from pg_class c
  where c.relnamespace = 'fleet'::regnamespace and c.relkind = 'r'
    and (xpath('/row/n/text()', query_to_xml(format('select count(*) as n from fleet.%I', c.relname), false, true, '')))[1]::text::int > 0;

create table t.var (name text primary key, value bigint);

-- Empties every table that was empty after the migrations.
create function t.reset() returns void language plpgsql as $$
declare name regclass;
begin
  set local session_replication_role = replica;
  for name in select c.oid from pg_class c where c.relnamespace = 'fleet'::regnamespace and c.relkind = 'r' and pg_relation_size(c.oid) > 0
              and not exists (select from t.seeded s where s.name = c.oid) loop
    execute 'delete from ' || name;
  end loop;
  delete from t.var;
  delete from t.issue;
  update t.clock set second = 0, event = 100;
end $$;

-- Values that a later statement needs: shared (put/got), or of this session only (keep/kept).
create function t.put(p_name text, p_value bigint) returns bigint language sql security definer as $$
  insert into t.var values (p_name, p_value) on conflict (name) do update set value = excluded.value returning value;
$$;
create function t.got(p_name text) returns bigint language sql security definer as $$
  select value from t.var where name = p_name;
$$;
create function t.keep(p_name text, p_value anyelement) returns text language sql as $$
  select set_config('t.' || p_name, p_value::text, false);
$$;
create function t.kept(p_name text) returns text language sql as $$
  select nullif(current_setting('t.' || p_name, true), '');
$$;

-- ---------------------------------------------------------------- a small fleet

create function t.node(p_name text) returns uuid language sql immutable as $$ select md5(p_name)::uuid $$;

create function t.identity(p_host text) returns jsonb language sql immutable as $$
  select jsonb_build_object('host_key', encode(sha256(p_host::bytea), 'hex'), 'machine', md5(p_host),
    'boot', md5('boot' || p_host), 'owner', md5('owner' || p_host));
$$;

-- Who asks by REST: the holder of this token; 0 in open mode.
create function t.by(p_token bigint default 0) returns fleet.requester language sql immutable as $$
  select row(p_token, '192.0.2.7', 'req-1')::fleet.requester $$;

-- One host with one executor.
create function t.host(p_host text, p_capabilities text[], p_max int, p_type text default 'codex-cli')
returns jsonb language sql as $$
  select jsonb_build_object('host_id', p_host, 'way', 1, 'hostname', p_host || '.example.org', 'port', 22, 'ssh_user', 'agent',
    'work_dir', '/srv/agent', 'workspace', 'plain', 'repositories', '["*"]'::jsonb,
    'agents', jsonb_build_array(jsonb_build_object('host_id', p_host, 'agent_type', p_type, 'max_concurrency', p_max,
      'capabilities', to_jsonb(p_capabilities))));
$$;

-- A worker reads its configuration; "host verdict" of each.
create function t.configure(p_name text, variadic p_hosts jsonb[]) returns text language plpgsql as $$
begin
  return (select string_agg(c.host_id || ' ' || c.verdict, ', ' order by c.host_id) from fleet.configure_hosts(
    t.node(p_name), md5(p_name), '{all}',
    array(select jsonb_populate_record(null::fleet.host_entry, h) from unnest(p_hosts) h),
    array(select g from unnest(p_hosts) h, jsonb_populate_recordset(null::fleet.agent_entry, h -> 'agents') g),
    (select coalesce(jsonb_object_agg(concat_ws('/', g ->> 'host_id', g ->> 'agent_type'), h ->> 'account'), '{}')
     from unnest(p_hosts) h, jsonb_array_elements(h -> 'agents') g where h ? 'account')) c);
end $$;

-- What a worker tells of a host; the verdict.
create function t.report(p_name text, p_host text, p_identity jsonb, p_agents fleet.agent_seen[] default '{}', p_way int default 1)
returns text language plpgsql as $$
begin
  return (select verdict from fleet.host_report(t.node(p_name), p_host, p_way, true,
    jsonb_populate_record(null::fleet.identity, p_identity), 1000000000, p_agents, null, null));
end $$;
create function t.report_down(p_name text, p_host text, p_code text, p_reason text, p_way int default 1)
returns text language plpgsql as $$
begin
  return (select verdict from fleet.host_report(t.node(p_name), p_host, p_way, false, null, null, '{}', p_code, p_reason));
end $$;

-- A worker that lists these hosts and reaches them all.
create function t.worker(p_name text, variadic p_hosts jsonb[]) returns uuid language plpgsql as $$
declare host jsonb;
begin
  perform fleet.node_start(t.node(p_name), 'worker', p_name, '0.1.0', md5(p_name));
  perform t.configure(p_name, variadic p_hosts);
  foreach host in array p_hosts loop
    perform t.report(p_name, host->>'host_id', t.identity(host->>'host_id'), p_way => (host->>'way')::int);
  end loop;
  return t.node(p_name);
end $$;

-- A token, made by a login; its number.
create function t.token(p_name text, p_scope text, p_repositories text[] default null, p_agent_id text default null,
                        p_capabilities text[] default null, p_expires timestamptz default null, p_secret text default null)
returns bigint language sql as $$
  select (body::jsonb ->> 'token_id')::bigint
  from fleet.token_create(null, p_name, p_scope, sha256(convert_to(coalesce(p_secret, p_name), 'UTF8')), 'aft_x', p_repositories, p_agent_id,
                          p_capabilities, p_expires);
$$;

-- A task and its request, member by member: t.item(...) || '{"token_id": 7}' is another. Without an id one is made.
create function t.item(p_task_id text, p_labels text[], p_more jsonb default '{}') returns jsonb language sql as $$
  select jsonb_build_object('request_hash', md5(concat(p_task_id, p_more)),
    'task_id', p_task_id, 'title', concat('Do ', p_task_id), 'body', concat('Body of ', p_task_id), 'labels', to_jsonb(p_labels),
    'any_agent', case when not exists (select from unnest(p_labels) l where l like 'agent:_%') then true end, 'priority', 0,
    'execution_mode', 'ssh_cli', 'max_retries', 2, 'timeout_secs', 1800, 'max_attempts_total', 10) || p_more;
$$;
create function t.items(variadic p_items jsonb[]) returns jsonb[] language plpgsql as $$
declare v_word text;
begin
  for v_word in select k from unnest(p_items) i, jsonb_object_keys(i) k where not exists (
      select from pg_attribute where attrelid in ('fleet.wanted_task'::regclass, 'fleet.submission'::regclass) and attname = k and attnum > 0) loop
    raise exception 'neither a task nor its request has a member %', v_word;
  end loop;
  return p_items;
end $$;
create function t.tasks(p_items jsonb[]) returns fleet.wanted_task[] language sql as $$
  select coalesce(array_agg(jsonb_populate_record(null::fleet.wanted_task, i || case when i ->> 'task_id' is null
      then jsonb_build_object('made_id', true, 'task_id', 't-' || left(translate(md5(random()::text || o), '0189', 'wxyz'), 12)) else '{}' end) order by o), '{}')
  from unnest(p_items) with ordinality x (i, o);
$$;
create function t.requests(p_items jsonb[]) returns fleet.submission[] language sql as $$
  select coalesce(array_agg(jsonb_populate_record(null::fleet.submission, '{"form": "one"}' || i) order by o), '{}') from unnest(p_items) with ordinality x (i, o);
$$;

-- Submits each as a request of its own.
create function t.submits(p_items jsonb[])
returns table (ord int, verdict text, code text, detail text, details jsonb, task_id text, answer json) language sql as $$
  select s.request, case when s.status = 201 then 'created' when s.status = 200 then 'exists' when s.status = 409 then 'conflict' else 'refused' end,
    s.body::jsonb ->> 'code', s.body::jsonb ->> 'error', s.body::jsonb -> 'details', s.task_id, s.body::json
  from fleet.submit_tasks(t.requests(p_items), array(select generate_subscripts(p_items, 1)), t.tasks(p_items)) s;
$$;
-- Submits all as one request; its answer. And the elements of a list's.
create function t.submit_whole(p_items jsonb[], p_request jsonb) returns text language sql as $$
  select s.status || ' ' || s.body from fleet.submit_tasks(t.requests(array[p_items[1] || p_request]), array_fill(1, array[cardinality(p_items)]), t.tasks(p_items)) s;
$$;
create function t.submit_list(p_items jsonb[], p_request jsonb default '{}') returns setof jsonb language sql as $$
  select jsonb_array_elements(substr(t.submit_whole(p_items, '{"form": "list"}' || p_request), 5)::jsonb);
$$;

create function t.submit(p_task_id text, p_labels text[] default '{agent:code:rust}', p_more jsonb default '{}')
returns text language sql as $$
  select verdict from t.submits(t.items(t.item(p_task_id, p_labels, p_more)));
$$;

create function t.status(p_task_id text) returns text language sql security definer as $$
  select status from fleet.task where task_id = p_task_id;
$$;

-- The number by which functions name the newest attempt of a task; and its epoch.
create function t.attempt(p_task_id text) returns bigint language sql security definer as $$
  select a.attempt from fleet.attempt a join fleet.task using (task) where task_id = p_task_id order by number desc limit 1;
$$;
create function t.epoch(p_task_id text) returns int language sql security definer as $$
  select epoch from fleet.attempt where attempt = t.attempt(p_task_id);
$$;

-- The task ids that a claim or an adoption answers, in its order.
create function t.claim(p_node text, p_want int) returns text language sql as $$
  select coalesce(string_agg(task_id, ' ' order by ordinality), '') from fleet.claim(t.node(p_node), p_want) with ordinality;
$$;

-- Takes the claimed attempt of a task to `running`.
create function t.start(p_node text, p_task_id text) returns text language plpgsql as $$
declare
  node uuid := t.node(p_node); attempt bigint := t.attempt(p_task_id); epoch int := t.epoch(p_task_id);
  go record;
begin
  select * into go from fleet.starting(node, attempt, epoch, 'run-' || attempt, 'agent', 'prompt');
  if go.verdict <> 'go' then return go.verdict; end if;
  perform fleet.started(node, attempt, epoch, 7, '8', 'b', t.identity((select host_id from fleet.tasks x where x.task_id = p_task_id)) ->> 'machine');
  perform fleet.phase(node, attempt, epoch, 'running', null);
  return t.status(p_task_id);
end $$;

create function t.finish(p_node text, p_task_id text, p_outcome text default 'succeeded', p_reason text default null, p_exit int default 0)
returns text language sql as $$
  select fleet.finish(t.node(p_node), t.attempt(p_task_id), t.epoch(p_task_id), p_outcome, p_reason, p_exit, null);
$$;

-- What waits out its back-off may start now.
create function t.due() returns int language sql as $$
  update fleet.delayed set run_at = now() where run_at > now() and run_at < 'infinity';
  select fleet.promote(1000);
$$;

create function t.append(p_node text, p_task_id text, p_stream text, p_offset bigint, p_chunk bytea, p_checkpoint text default null)
returns text language sql as $$
  select verdict || coalesce(' ' || next_offset, '')
  from fleet.append(t.node(p_node), array[t.attempt(p_task_id)], array[t.epoch(p_task_id)], array[p_stream], array[p_offset],
                    array[p_chunk], array[p_checkpoint]);
$$;

-- The beat of a node as another one is told; and: it has been silent for so long.
create function t.beat(p_node text) returns bigint language sql security definer as $$
  select beat from fleet.node where node = t.node(p_node);
$$;
create function t.silent(p_node text, p_for interval default '1 hour') returns void language sql security definer as $$
  update fleet.node set beat_at = clock_timestamp() - p_for where node = t.node(p_node);
$$;
-- The first look that missed the session lock of a node is that old.
create function t.missed(p_node text, p_for interval) returns void language sql security definer as $$
  update fleet.node set gone_at = clock_timestamp() - p_for where node = t.node(p_node) and gone_at is not null;
$$;
-- What was adopted; '' also when the verdict of death was refused with AF006.
create function t.adopt(p_node text, p_from text, p_beat bigint, p_want int default 9) returns text language plpgsql as $$
begin
  return (select coalesce(string_agg(j.task_id || '/' || j.epoch, ' ' order by j.attempt), '')
          from fleet.adopt(t.node(p_node), t.node(p_from), p_beat, p_want) j);
exception when sqlstate 'AF006' then return '';
end $$;

-- One webhook delivery of an issue; answers "result reason".
create function t.delivery(p_delivery text, p_action text, p_labels text[], p_at text, p_more jsonb default '{}')
returns jsonb language sql as $$
  with d as (select jsonb_build_object('event', 'issues',
    'event_type', case when p_action like 'label%' then 'issue_label' else 'issues' end, 'action', p_action, 'repo', 'acme/rocket',
    'number', 42, 'title', 'Fuel', 'body', 'Tank it', 'labels', to_jsonb(p_labels), 'state', 'open', 'updated_at', p_at,
    'html_url', 'https://git.example.org/acme/rocket/issues/42', 'sender', 'octo', 'timeout_secs', 1800, 'max_retries', 2,
    'max_attempts_total', 10) || (p_more - 'admitted' - 'refusal') as body)
  select body || jsonb_build_object('delivery', md5(p_delivery)::uuid, 'sha256', encode(sha256(convert_to(body::text, 'UTF8')), 'hex'),
    'admitted', coalesce((p_more->>'admitted')::boolean, true), 'refusal', p_more->'refusal') from d;
$$;
create function t.id_of(p text) returns bigint language sql immutable as $$ select ('x' || left(md5(p), 8))::bit(32)::bigint + 1; $$;
-- Of the kind "issue", as a server reads it; p: what t.delivery() makes, and "reads", "signer", "repository_id", "issue_id".
create function t.event(p jsonb) returns jsonb language sql as $$
  select jsonb_build_object('kind', case when p ->> 'event' = 'issues' then 'issue' else 'unused' end,
    'repository', jsonb_build_object('id', coalesce((p ->> 'repository_id')::bigint, t.id_of(p ->> 'repo')), 'full_name', p ->> 'repo',
                                     'default_branch', 'main'),
    'sender', jsonb_build_object('login', p ->> 'sender', 'id', t.id_of(p ->> 'sender')),
    'issue', (p - array['labels', 'delivery', 'sha256']) || jsonb_build_object('id',
      coalesce((p ->> 'issue_id')::bigint, t.id_of(concat(p ->> 'repo', '#', p ->> 'number'))), 'author', 'octo', 'author_id', t.id_of('octo'),
      'labels', (select coalesce(jsonb_agg(jsonb_build_object('id', t.id_of(l), 'name', l)), '[]')
                 from jsonb_array_elements_text(case when jsonb_typeof(p -> 'labels') = 'array' then p -> 'labels' else '[]' end) l)),
    'trusted', p -> 'admitted', 'refusal', nullif(p ->> 'refusal', 'sender_not_allowed'), 'reads', coalesce(p -> 'reads', 'false'))
    || (p - array['title', 'body', 'labels', 'state', 'updated_at', 'html_url', 'sender', 'repo', 'number', 'admitted', 'refusal', 'reads']);
$$;
create function t.receive(p jsonb, out result text, out reason text, out task_id text, out detail text) language sql as $$
  select r.* from fleet.receive_event(t.event(p)) r;
$$;
-- Does a delivery start work? Otherwise it may be accepted (and noted), a duplicate, or ignored.
create function t.starts(p_delivery text, p_action text, p_labels text[], p_at text, p_more jsonb default '{}')
returns boolean language sql as $$
  select result = 'accepted' and reason in ('submitted', 'resubmitted')
  from t.receive(t.delivery(p_delivery, p_action, p_labels, p_at, p_more));
$$;
create function t.deliver(p_delivery text, p_action text, p_labels text[], p_at text, p_more jsonb default '{}')
returns text language sql as $$
  select result || ' ' || reason from t.receive(t.delivery(p_delivery, p_action, p_labels, p_at, p_more));
$$;

-- ---------------------------------------------------------------- HTTP agents

create function t.new_token(p_name text, p_scope text, p_more jsonb default '{}') returns bigint language sql as $$
  insert into fleet.token (name, scope, hash, prefix, agent_id, capabilities, repositories)
  select p_name, p_scope, sha256(convert_to(p_name, 'UTF8')), 'aft_' || p_name, r.agent_id, r.capabilities, r.repositories
  from jsonb_populate_record(null::fleet.token, p_more) r returning token_id;
$$;
-- A reply as "status word", word being the code of a refusal or the status of what was answered.
create function t.word(r fleet.reply) returns text language sql immutable as $$
  select concat_ws(' ', (r).status, coalesce((r).body::jsonb ->> 'code', (r).body::jsonb ->> 'status'));
$$;
create function t.agent_reply(p_agent text, p_capabilities text[] default '{code:rust}', p_max int default 1, p_by bigint default 0,
                              p_more jsonb default '{}') returns fleet.reply language sql as $$
  select fleet.agent_register(t.by(p_by), jsonb_build_object('agent_id', p_agent, 'agent_type', 'openclaw', 'hostname', 'laptop',
    'capabilities', p_capabilities, 'max_concurrency', p_max) || p_more, sha256(uuid_send(gen_random_uuid())), 'aft_g_test', 60, 3, 60);
$$;
create function t.agent(p_agent text, p_capabilities text[] default '{code:rust}', p_max int default 1, p_by bigint default 0,
                        p_more jsonb default '{}') returns text language sql as $$
  select t.word(t.agent_reply(p_agent, p_capabilities, p_max, p_by, p_more));
$$;
create function t.heartbeat(p_agent text, p_by bigint default 0, p_interval int default 60, p_threshold int default 3) returns fleet.reply
language sql as $$
  select fleet.agent_heartbeat(t.by(p_by), jsonb_build_object('agent_id', p_agent), p_interval, p_threshold, 60);
$$;
-- A member of what is answered.
create function t.member(r fleet.reply, p_member text) returns text language sql immutable as $$
  select (r).body::jsonb ->> p_member;
$$;
create function t.leaves(p_agent text, p_by bigint default 0) returns fleet.reply language sql as $$
  select fleet.agent_deregister(t.by(p_by), jsonb_build_object('agent_id', p_agent));
$$;
-- "agent:task" of what is handed to these agents, in its order; an agent for each waiting call.
create function t.executors(p_agents text[]) returns int[] language sql security definer as $$
  select array(select e.executor from unnest(p_agents) with ordinality x (a, o) join fleet.executor e on e.agent_id = a order by o);
$$;
create function t.pull(variadic p_agents text[]) returns text language plpgsql as $$
begin
  return (select coalesce(string_agg(p_agents[array_position(t.executors(p_agents), p.executor)] || ':' || (p.body::jsonb ->> 'task_id'), ' '
                                     order by p.ordinality), '')
          from fleet.pull(t.executors(p_agents), null, cardinality(p_agents)) with ordinality p);
end $$;
create function t.says(p_agent text, p_task text, p_status text, p_more jsonb default '{}', p_by bigint default 0) returns text language sql as $$
  select t.word(fleet.agent_status(t.by(p_by), p_task, jsonb_build_object('agent_id', p_agent, 'status', p_status) || p_more));
$$;
create function t.completes(p_agent text, p_task text, p_status text default 'completed', p_more jsonb default '{}', p_by bigint default 0)
returns text language sql as $$
  select t.word(fleet.agent_complete(t.by(p_by), p_task, jsonb_build_object('agent_id', p_agent, 'task_id', p_task, 'status', p_status) || p_more));
$$;
-- A server that has been there for long; and: the agent's last beat is too old.
create function t.server(p_name text default 'server') returns uuid language plpgsql security definer as $$
begin
  insert into fleet.node (node, kind, name, version, config_hash, started_at)
  values (t.node(p_name), 'server', p_name, '0.1.0', '', clock_timestamp() - interval '1 hour')
  on conflict (node) do update set beat_at = clock_timestamp();
  return t.node(p_name);
end $$;
-- (It is given its beats in 1 s; so PostgreSQL need not have been there for minutes.)
create function t.agent_silent(p_agent text) returns void language plpgsql security definer as $$
begin
  perform t.heartbeat(p_agent, 0, 1, 1);
  update fleet.node set beat_at = beat_at - interval '1 hour', dead_due = dead_due - interval '1 hour'
  where node = (select node from fleet.executor where agent_id = p_agent);
end $$;
create function t.tend() returns int language sql as $$ select fleet.tend(t.server()) $$;
-- The clock of an agent's attempt has run out.
create function t.attempt_due(p_task text) returns void language sql security definer as $$
  update fleet.attempt set due_at = now() - interval '1 second' where attempt = t.attempt(p_task) and due_at is not null;
$$;

\ir forge.sql
