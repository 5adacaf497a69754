-- Who may do what. The tables below say it; every function, table, view, column and sequence of the catalogue is compared with them.

create temp table granted (signature text primary key, roles text[]);
insert into granted values
  ('node_start(uuid,text,text,text,text,integer)', '{server,worker}'),
  ('node_stop(uuid)', '{server,worker}'),
  ('renew(uuid,bigint[])', '{server,worker}'),
  ('schema_version()', '{operator,server,worker}'),
  ('wake()', '{server,worker}'),
  ('ready(text)', '{server,worker}'),
  ('reap(uuid)', '{server,worker}'),
  ('promote(integer)', '{server,worker}'),
  ('configure(uuid,text,text[],host_entry[],agent_entry[])', '{worker}'),
  ('configure_hosts(uuid,text,text[],host_entry[],agent_entry[],jsonb)', '{worker}'),
  ('host_report(uuid,text,integer,boolean,identity,bigint,agent_seen[],text,text)', '{worker}'),
  ('made_hosts()', '{worker}'),
  ('claim(uuid,integer)', '{worker}'),
  ('hold(integer,uuid)', '{worker}'),
  ('peers(uuid)', '{worker}'),
  ('jobs(uuid,bigint[])', '{worker}'),
  ('adopt(uuid,uuid,bigint,integer)', '{worker}'),
  ('starting(uuid,bigint,integer,text,text,text)', '{worker}'),
  ('started(uuid,bigint,integer,bigint,text,text,text)', '{worker}'),
  ('phase(uuid,bigint,integer,text,text)', '{worker}'),
  ('append(uuid,bigint[],integer[],text[],bigint[],bytea[],text[])', '{worker}'),
  ('finish(uuid,bigint,integer,text,text,integer,integer,text,text,text,text,bigint,bigint,bigint,bigint,bigint,text)', '{worker}'),
  ('release(uuid,bigint,integer,text)', '{server,worker}'),
  ('void_confirmed(uuid,bigint,integer,text)', '{worker}'),
  ('forgejo_configure(uuid,jsonb,bigint,text)', '{worker}'),
  ('pull_seen(uuid,bigint,bigint,jsonb)', '{worker}'),
  ('issue_seen(uuid,bigint,bigint,jsonb)', '{worker}'),
  ('looks(uuid,integer)', '{worker}'),
  ('look_failed(uuid,text,bigint,bigint,text,integer)', '{worker}'),
  ('know_repositories(uuid,text[])', '{worker}'),
  ('repository_seen(uuid,jsonb)', '{worker}'),
  ('backfills(uuid,integer)', '{worker}'),
  ('backfilled(uuid,text,jsonb,text)', '{worker}'),
  ('backfill_failed(uuid,text,text,integer)', '{worker}'),
  ('unpark_repository(text)', '{operator}'),
  ('finish_run(uuid,bigint,integer,text,text,integer,integer,jsonb,bigint,text)', '{worker}'),
  ('starting_runs(uuid,bigint[],integer[],text[],text[],text[])', '{worker}'),
  ('started_runs(uuid,bigint[],integer[],bigint[],text[],text[],text[])', '{worker}'),
  ('finish_runs(uuid,bigint[],integer[],text[],text[],integer[],integer[],jsonb[],bigint[],text[])', '{worker}'),
  ('turn(uuid,bigint[],integer[],text[],text[],integer[],integer[],jsonb[],bigint[],text[],integer)', '{worker}'),
  ('briefing(uuid,bigint,integer)', '{worker}'),
  ('prepared(uuid,bigint,integer,jsonb)', '{worker}'),
  ('sweep_begin(uuid)', '{worker}'),
  ('sweep(uuid,text,text[],bigint[],bigint[],boolean,integer)', '{worker}'),
  ('swept(uuid,text,bigint[],bigint[])', '{worker}'),
  ('removals(uuid,text,integer)', '{worker}'),
  ('removed(uuid,text,bigint,text)', '{worker}'),
  ('sleep_begin(uuid)', '{server,worker}'),
  ('sleep_end(uuid)', '{server,worker}'),
  ('tend(uuid)', '{server,worker}'),
  ('roll_up(uuid)', '{server,worker}'),
  ('take_stock(uuid)', '{server,worker}'),
  ('take_checks(uuid)', '{server,worker}'),
  ('node_report(uuid,jsonb)', '{worker}'),
  ('metrics()', '{operator,server}'),
  ('agent_register(requester,jsonb,bytea,text,integer,integer,integer)', '{server}'),
  ('agent_heartbeat(requester,jsonb,integer,integer,integer)', '{server}'),
  ('agent_deregister(requester,jsonb)', '{server}'),
  ('pull_admit(requester,text,text[])', '{server}'),
  ('pull(integer[],text[],integer)', '{server}'),
  ('agent_status(requester,text,jsonb)', '{server}'),
  ('agent_complete(requester,text,jsonb)', '{server}'),
  ('task_assign(requester,text,text,text)', '{server}'),
  ('agent_log(requester,text,text,integer,text,bigint,bytea)', '{server}'),
  ('authenticate(bytea)', '{server}'),
  ('submit(submission[],integer[],new_task[])', '{server}'),
  ('submit_tasks(submission[],integer[],wanted_task[])', '{server}'),
  ('receive_event(jsonb)', '{server}'),
  ('delivery_list(requester,integer,text)', '{server}'),
  ('delivery_replay(requester,text)', '{server}'),
  ('receive_delivery(text,text,text,text,text,text,integer,text,text,text[],text,text,text,text,boolean,text,integer,integer,integer)', '{server}'),
  ('task_list(requester,integer,text,text[],text[],text[],text[],text[],text[],text[],text,timestamp with time zone,timestamp with time zone)', '{server}'),
  ('task_detail(requester,text)', '{server}'),
  ('task_events(requester,text,integer,text)', '{server}'),
  ('task_attempts(requester,text,integer,text)', '{server}'),
  ('agent_detail(requester,text)', '{server}'),
  ('task_logs(requester,text,integer,text[],bigint,bigint,bigint)', '{server}'),
  ('log_open(requester,text,integer,text[],bigint,bigint,bigint,bigint)', '{server}'),
  ('log_heads(bigint[],bigint[],bigint[])', '{server}'),
  ('log_read(bigint,bigint,bigint,integer)', '{server}'),
  ('event_page(bigint[],text,xid8,bigint,integer)', '{server}'),
  ('answer(text,text)', '{operator}'),
  ('answer_task(requester,text,text,text)', '{server}'),
  ('approve(text)', '{operator}'),
  ('continue(text,text)', '{operator}'),
  ('task_say(requester,text,text,text,text,text)', '{server}'),
  ('task_explain(requester,text)', '{server}'),
  ('retry(text,boolean,text)', '{operator}'),
  ('task_retry(requester,text,boolean,text)', '{server}'),
  ('cancel(text,text)', '{operator}'),
  ('keep(text,text)', '{operator}'),
  ('unkeep(text)', '{operator}'),
  ('task_cancel(requester,text,text)', '{server}'),
  ('agent_list(requester,integer,text,text[],text[],text[])', '{server}'),
  ('host_list(requester,integer,text)', '{server}'),
  ('host_detail(requester,text)', '{server}'),
  ('host_act(requester,text,text,text,integer)', '{server}'),
  ('host_put(requester,text,jsonb)', '{server}'),
  ('host_delete(requester,text)', '{server}'),
  ('account_list(requester,integer,text)', '{server}'),
  ('account_detail(requester,text)', '{server}'),
  ('account_park(requester,text,timestamp with time zone,text)', '{server}'),
  ('account_unpark(requester,text,text)', '{server}'),
  ('stats(requester)', '{server}'),
  ('node_list(requester)', '{server}'),
  ('explain_task(text)', '{operator,server}'),
  ('check_all()', '{operator,server}'),
  ('forgejo_told()', '{server}'), ('last_delivery(text,bigint)', '{server}'),
  ('token_create(requester,text,text,bytea,text,text[],text,text[],timestamp with time zone)', '{server}'),
  ('token_list(requester,integer,text)', '{server}'),
  ('token_rows(integer,bigint)', '{server}'),
  ('tokens_ended(bigint[])', '{server}'),
  ('token_revoke(requester,bigint,boolean)', '{server}'),
  ('set(text,bigint)', '{operator}'),
  ('session_list()', '{operator}'),
  ('end_session(integer)', '{operator}'),
  ('host_accept(text)', '{operator}'),
  ('free_slot(text,integer,text)', '{operator}'),
  ('retell(text)', '{operator}'),
  ('tells(uuid,integer)', '{worker}'),
  ('pull_opened(uuid,jsonb)', '{worker}'),
  ('telling(uuid,bigint,bigint,text)', '{worker}'),
  ('told(uuid,bigint,bigint,jsonb)', '{worker}'),
  ('tell_failed(uuid,bigint,bigint,text,text,bigint,jsonb)', '{worker}'),
  ('cordon(text,text)', '{operator}'),
  ('uncordon(text)', '{operator}'),
  ('drain(text,text,integer)', '{operator}'),
  ('put_host(jsonb)', '{operator}'),
  ('declare_dead(text,text)', '{operator}'),
  ('check_host(text)', '{operator}'),
  ('park(text,text,timestamp with time zone)', '{operator}'),
  ('forget_host(text)', '{operator}'),
  ('executor_accept(text)', '{operator}'),
  ('unpark(text)', '{operator}');

-- What readers may read; fleet_reader_full and fleet_operator see the first list too.
create temp table readable (name text primary key, roles text[]);
insert into readable
select unnest('{tasks,task_details,running,attempt_details,host_details,held_slots,held_tasks,kept_workspaces,queue_overview,hosts,agents,accounts,reasons,history,attempts,work,nodes,deliveries,pulls,responses,readings,repositories,settings,storage,tellings,explanations}'::text[]), '{operator,reader,reader_full}'::text[]
union all select relname, '{operator,reader,reader_full}'::text[] from pg_class where relnamespace = 'fleet'::regnamespace and relname like 'check\_%' and relkind = 'v'
union all select unnest('{sessions,audit_trail}'::text[]), '{operator}'::text[]
union all select unnest('{task_texts,attempt_texts,follow_ups,logs,host_addresses}'::text[]), '{reader_full}'::text[];

create temp table grp (name text, role name);
insert into grp select n, 'fleet_' || n from unnest('{server,worker,operator,reader,reader_full}'::text[]) n;

-- The walk: every difference between catalogue and tables.
create function pg_temp.function_faults() returns setof text language sql as $$
  with f as (select p.oid, p.oid::regprocedure::text as full_name, p.proname, p.prosecdef, p.proconfig, p.proowner,
                    replace(p.oid::regprocedure::text, 'fleet.', '') as signature
             from pg_proc p where p.pronamespace = 'fleet'::regnamespace),
  a as (select f.*, coalesce((select array_agg(g.name order by g.name) from grp g where has_function_privilege(g.role, f.oid, 'execute')), '{}') as roles
        from f)
  select format('%s may be executed by %s, the table says %s', full_name, a.roles, coalesce(g.roles, '{}')) from a left join granted g on replace(g.signature, '"', '') = replace(a.signature, '"', '') where a.roles <> coalesce(g.roles, '{}')
  union all select format('%s is in the table and not in the catalogue', signature) from granted g where not exists (select from a where replace(g.signature, '"', '') = replace(a.signature, '"', ''))
  union all select format('%s may be executed by PUBLIC', full_name) from a where has_function_privilege('public', oid, 'execute')
  union all select format('%s is an overload', min(full_name)) from a group by proname having count(*) > 1
  union all select format('%s does not belong to fleet_owner', full_name) from a where proowner <> 'fleet_owner'::regrole
  union all select format('%s is granted, but runs with its caller''s rights', full_name) from a where roles <> '{}' and not prosecdef
  union all select format('%s may wait for a lock for ever', full_name) from a where roles <> '{}' and not coalesce(proconfig @> '{lock_timeout=1s}', false)
  union all select format('%s has no fixed search_path', full_name) from a where prosecdef and not coalesce(proconfig @> '{"search_path=pg_catalog, fleet, pg_temp"}', false);
$$;
select t.none('select pg_temp.function_faults()', 'every function is executed by whom the table says, and by nobody else');

begin;
set local role fleet_owner;
create function fleet.claim(p_node uuid) returns int language sql as 'select 1';
reset role;
select t.is(has_function_privilege('public', 'fleet.claim(uuid)', 'execute'), false,
  'a new function of fleet_owner is closed to PUBLIC from the start');
select t.is(has_function_privilege('fleet_reader', 'fleet.claim(uuid)', 'execute'), false, 'and to readers');
select t.ok(exists (select from pg_temp.function_faults() x where x like '%overload%'), 'a new overload is noticed');
rollback;
begin;
grant execute on function fleet.claim(uuid, int) to public;
select t.ok(exists (select from pg_temp.function_faults() x where x like '%PUBLIC%'), 'a grant to PUBLIC is noticed');
rollback;

-- Relations, columns and sequences. What is not in a table may be touched by nobody but the owner.
create function pg_temp.relation_faults() returns setof text language sql as $$
  with r as (select c.oid, c.relname, c.relkind from pg_class c where c.relnamespace = 'fleet'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f'))
  select format('%s may read %s', g.name, relname) from r, grp g
  where (has_table_privilege(g.role, oid, 'select') or has_any_column_privilege(g.role, oid, 'select'))
    and not exists (select from readable x where x.name = relname and g.name = any (x.roles))
  union all select format('%s may not read %s', role, name) from readable x, unnest(x.roles) role
  where not has_table_privilege('fleet_' || role, ('fleet.' || name)::regclass, 'select')
  union all select format('%s may write %s', g.name, relname) from r, grp g
  where has_table_privilege(g.role, oid, 'insert, update, delete, truncate, references, trigger') or has_any_column_privilege(g.role, oid, 'insert, update, references')
  union all select format('%s may use sequence %s', g.name, c.relname) from pg_class c, grp g
  where c.relnamespace = 'fleet'::regnamespace and c.relkind = 'S' and has_sequence_privilege(g.role, c.oid, 'usage, select, update')
  union all select format('PUBLIC may touch %s', relname) from r where has_table_privilege('public', oid, 'select, insert, update, delete, truncate, references, trigger') or has_any_column_privilege('public', oid, 'select, insert, update, references')
  union all select format('%s does not belong to fleet_owner', c.oid::regclass) from pg_class c where c.relnamespace = 'fleet'::regnamespace and c.relowner <> 'fleet_owner'::regrole
  union all select format('%s may create in schema fleet', g.name) from grp g where has_schema_privilege(g.role, 'fleet', 'create')
  union all select 'PUBLIC may use schema fleet' where has_schema_privilege('public', 'fleet', 'usage, create');
$$;
select t.none('select pg_temp.relation_faults()', 'nodes have no right on any table, readers read what the table says, nobody writes');
select t.none($$select rolname from pg_roles where rolname ~ '^fleet_(owner|server|worker|operator|reader|reader_full)$' and (rolcanlogin or rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls)$$,
  'the group roles and the owner have no other rights');
select t.none($$select m.roleid::regrole from pg_auth_members m where m.member in (select oid from pg_roles where rolname ~ '^fleet_' and not rolcanlogin) and m.roleid = 'fleet_owner'::regrole$$,
  'no group is a member of the owner');

\echo 'the same by trying'
select t.worker('w1', t.host('canaryhost', '{code:rust}', 2) || '{"hostname": "canary-address", "ssh_user": "canary-user", "work_dir": "/canary-dir"}');
select t.submit('a', '{agent:code:rust}', '{"body": "canary-body", "metadata": {"x": "canary-metadata"}}');
select t.submit('b');
select t.claim('w1', 1);
select fleet.starting(t.node('w1'), t.attempt('a'), 1, 'run', 'canary-command', 'canary-prompt');
select fleet.started(t.node('w1'), t.attempt('a'), 1, 1, p_boot => 'canary-state');
select t.append('w1', 'a', 'stdout', 0, 'canary-output', 'canary-checkpoint');
select t.deliver('d', 'opened', '{agent:x}', '2026-01-01T10:00:00Z', '{"body": "canary-issue", "title": "T"}');
select t.token('ci', 'read', p_secret => 'canary');
select fleet.finish(t.node('w1'), t.attempt('a'), 1, 'failed', 'exit_nonzero', 1, null,
  p_summary => 'canary-summary', p_error => 'canary-error', p_session_id => 'canary-session');
select t.claim('w1', 1);

-- Everything that a role can read, as text.
create function pg_temp.all_text(p_role text) returns text language plpgsql as $$
declare name text; page text; answer text := '';
begin
  execute format('set local role %I', p_role);
  for name in select c.relname from pg_class c where c.relnamespace = 'fleet'::regnamespace and c.relkind in ('r', 'p', 'v') and has_table_privilege(c.oid, 'select') loop
    execute format('select coalesce(string_agg(row_to_json(x)::text, chr(10)), '''') from fleet.%I x', name) into page;
    answer := answer || name || ': ' || page || chr(10);
  end loop;
  reset role;
  return answer;
end $$;
select t.is((select string_agg(m[1], ' ') from regexp_matches(pg_temp.all_text('fleet_reader'), '(canary-[a-z]+)', 'g') m where m[1] <> 'canaryhost'), null,
  'a reader sees no body, prompt, command, output, report, environment or address in any view');
select t.ok(pg_temp.all_text('fleet_reader') like '%"task_id":"a"%', 'but sees the tasks');
select t.ok(pg_temp.all_text('fleet_reader_full') like '%canary-body%' and pg_temp.all_text('fleet_reader_full') like '%canary-prompt%' and pg_temp.all_text('fleet_reader_full') like '%canary-address%',
  'a full reader sees bodies, prompts and addresses');
select t.ok(pg_temp.all_text('fleet_reader_full') not like '%' || encode(sha256('canary'), 'hex') || '%', 'no token hash');
select t.ok((select bool_and(pg_temp.all_text('fleet_reader_full') not like '%' || nonce || '%') from fleet.attempt), 'no nonce');
select t.ok(pg_temp.all_text('fleet_operator') like '%"task_id":"a"%', 'an operator reads the views too');

-- Every function with nulls, every table with select and delete, as that role: permission denied, or in the table.
create function pg_temp.tries(p_role text) returns setof text language plpgsql as $$
declare o record; refused boolean;
begin
  for o in
    select 'select ' || p.oid::regproc || '(' || coalesce((select string_agg('null::' || format_type(a, null), ', ' order by n) from unnest(p.proargtypes::oid[]) with ordinality x(a, n)), '') || ')' as statement,
           exists (select from granted g where replace(g.signature, '"', '') = replace(replace(p.oid::regprocedure::text, 'fleet.', ''), '"', '') and p_role = any (select 'fleet_' || r from unnest(g.roles) r)) as may
    from pg_proc p where p.pronamespace = 'fleet'::regnamespace and p.prorettype <> 'trigger'::regtype
    union all select format(w, c.oid::regclass, (select quote_ident(a.attname) from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attidentity = '' order by a.attnum limit 1)),
      w like 'select%' and exists (select from readable x where x.name = c.relname and p_role = any (select 'fleet_' || r from unnest(x.roles) r))
    from pg_class c, unnest('{select * from %s limit 0,delete from %s,update %s set %s = null,insert into %s default values}'::text[]) w
    where c.relnamespace = 'fleet'::regnamespace and c.relkind in ('r', 'p', 'v')
  loop
    refused := false;
    execute format('set local role %I', p_role);
    begin
      execute o.statement;
    exception
      when insufficient_privilege then refused := true;
      when object_not_in_prerequisite_state then refused := true; -- a view that cannot be written at all
      when others then null;
    end;
    reset role;
    if refused = o.may then return next o.statement; end if;
  end loop;
end $$;
select t.none(format('select pg_temp.tries(%L)', role), role || ': whatever the table does not name is refused, and what it names is not') from grp;

\echo 'the operator''s psql'
set session authorization fleet_operator_login;
select fleet.cancel('acme/rocket#42');
reset session authorization;
select t.is((select row(status, cancel_by)::text from fleet.task where task_id = 'acme/rocket#42'), '(cancelled,psql:fleet_operator_login)',
  'select fleet.cancel(''org/repo#42'') works for an operator, and is signed');
