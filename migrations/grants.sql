-- Who may do what. Nothing is granted to PUBLIC; nodes may only EXECUTE. Made anew with the code: a new function or view is
-- closed until it is named here.

grant usage on schema fleet to fleet_server, fleet_worker, fleet_operator, fleet_reader, fleet_reader_full;

-- both nodes
grant execute on function
    fleet.node_start, fleet.node_stop(uuid), fleet.renew(uuid, bigint[]), fleet.schema_version(),
    fleet.ready(text), fleet.wake(), fleet.reap(uuid), fleet.promote(int),
    fleet.tend(uuid), fleet.roll_up(uuid), fleet.take_stock(uuid), fleet.take_checks(uuid), fleet.sleep_begin(uuid), fleet.sleep_end(uuid), fleet.release(uuid, bigint, int, text)
to fleet_server, fleet_worker;

grant execute on function
    fleet.configure(uuid, text, text[], fleet.host_entry[], fleet.agent_entry[]),
    fleet.configure_hosts(uuid, text, text[], fleet.host_entry[], fleet.agent_entry[], jsonb), fleet.made_hosts(),
    fleet.host_report(uuid, text, int, boolean, fleet.identity, bigint, fleet.agent_seen[], text, text),
    fleet.node_report(uuid, jsonb), fleet.claim(uuid, int), fleet.jobs(uuid, bigint[]), fleet.adopt(uuid, uuid, bigint, int),
    fleet.hold(int, uuid), fleet.peers(uuid),
    fleet.starting(uuid, bigint, int, text, text, text), fleet.started(uuid, bigint, int, bigint, text, text, text),
    fleet.starting_runs(uuid, bigint[], int[], text[], text[], text[]),
    fleet.started_runs(uuid, bigint[], int[], bigint[], text[], text[], text[]),
    fleet.finish_runs(uuid, bigint[], int[], text[], text[], int[], int[], jsonb[], bigint[], text[]),
    fleet.turn(uuid, bigint[], int[], text[], text[], int[], int[], jsonb[], bigint[], text[], int),
    fleet.phase(uuid, bigint, int, text, text),
    fleet.append(uuid, bigint[], int[], text[], bigint[], bytea[], text[]),
    fleet.finish(uuid, bigint, int, text, text, int, int, text, text, text, text, bigint, bigint, bigint, bigint, bigint, text),
    fleet.finish_run(uuid, bigint, int, text, text, int, int, jsonb, bigint, text), fleet.forgejo_configure(uuid, jsonb, bigint, text),
    fleet.issue_seen(uuid, bigint, bigint, jsonb), fleet.pull_seen(uuid, bigint, bigint, jsonb), fleet.looks(uuid, int),
    fleet.look_failed(uuid, text, bigint, bigint, text, int), fleet.know_repositories(uuid, text[]),
    fleet.repository_seen(uuid, jsonb), fleet.backfills(uuid, int), fleet.backfilled(uuid, text, jsonb, text),
    fleet.backfill_failed(uuid, text, text, int),
    fleet.briefing(uuid, bigint, int), fleet.prepared(uuid, bigint, int, jsonb), fleet.void_confirmed(uuid, bigint, int, text),
    fleet.sweep_begin(uuid), fleet.sweep(uuid, text, text[], bigint[], bigint[], boolean, int), fleet.swept(uuid, text, bigint[], bigint[]),
    fleet.removals(uuid, text, int), fleet.removed(uuid, text, bigint, text),
    fleet.tells(uuid, int), fleet.telling(uuid, bigint, bigint, text), fleet.told(uuid, bigint, bigint, jsonb),
    fleet.tell_failed(uuid, bigint, bigint, text, text, bigint, jsonb), fleet.pull_opened(uuid, jsonb)
to fleet_worker;

grant execute on function
    fleet.authenticate(bytea), fleet.tokens_ended(bigint[]), fleet.submit_tasks(fleet.submission[], int[], fleet.wanted_task[]),
    fleet.submit(fleet.submission[], int[], fleet.new_task[]), fleet.receive_delivery, fleet.receive_event, fleet.delivery_list, fleet.delivery_replay,
    fleet.task_list, fleet.task_detail, fleet.task_events, fleet.task_attempts,
    fleet.task_logs(fleet.requester, text, int, text[], bigint, bigint, bigint),
    fleet.log_open(fleet.requester, text, int, text[], bigint, bigint, bigint, bigint), fleet.log_heads(bigint[], bigint[], bigint[]),
    fleet.log_read(bigint, bigint, bigint, int), fleet.event_page(bigint[], text, xid8, bigint, int),
    fleet.answer_task(fleet.requester, text, text, text), fleet.task_say(fleet.requester, text, text, text, text, text),
    fleet.task_explain(fleet.requester, text),
    fleet.task_retry(fleet.requester, text, boolean, text), fleet.task_cancel(fleet.requester, text, text),
    fleet.host_detail(fleet.requester, text), fleet.host_act(fleet.requester, text, text, text, int),
    fleet.host_put(fleet.requester, text, jsonb), fleet.host_delete(fleet.requester, text),
    fleet.account_list(fleet.requester, int, text), fleet.account_detail(fleet.requester, text),
    fleet.account_park(fleet.requester, text, timestamptz, text), fleet.account_unpark(fleet.requester, text, text),
    fleet.agent_list, fleet.agent_detail, fleet.host_list(fleet.requester, int, text), fleet.node_list, fleet.stats, fleet.metrics(), fleet.explain_task(text), fleet.check_all(),
    fleet.token_create, fleet.token_rows, fleet.token_list, fleet.token_revoke, fleet.forgejo_told(), fleet.last_delivery
to fleet_server;

-- what HTTP agents ask for
grant execute on function
    fleet.agent_register(fleet.requester, jsonb, bytea, text, int, int, int), fleet.agent_heartbeat(fleet.requester, jsonb, int, int, int),
    fleet.agent_deregister(fleet.requester, jsonb), fleet.pull_admit(fleet.requester, text, text[]), fleet.pull(int[], text[], int),
    fleet.agent_status(fleet.requester, text, jsonb), fleet.agent_complete(fleet.requester, text, jsonb),
    fleet.agent_log(fleet.requester, text, text, int, text, bigint, bytea), fleet.task_assign(fleet.requester, text, text, text)
to fleet_server;

-- people
grant execute on function
    fleet.answer(text, text), fleet.approve(text), fleet.continue(text, text), fleet.keep(text, text), fleet.unkeep(text), fleet.cancel(text, text), fleet.retry(text, boolean, text), fleet.free_slot(text, int, text), fleet.set(text, bigint), fleet.host_accept(text),
    fleet.cordon(text, text), fleet.uncordon(text), fleet.drain(text, text, int), fleet.declare_dead(text, text), fleet.check_host(text),
    fleet.put_host(jsonb), fleet.forget_host(text), fleet.executor_accept(text), fleet.park(text, text, timestamptz), fleet.unpark(text),
    fleet.explain_task(text), fleet.check_all(), fleet.metrics(), fleet.schema_version(), fleet.session_list(), fleet.end_session(int),
    fleet.retell(text), fleet.unpark_repository(text)
to fleet_operator;

grant select on fleet.sessions, fleet.audit_trail to fleet_operator;

-- readers execute nothing: what they may know is a view

grant select on
    fleet.tasks, fleet.task_details, fleet.running, fleet.attempt_details, fleet.host_details,
    fleet.held_slots, fleet.held_tasks, fleet.kept_workspaces, fleet.queue_overview, fleet.hosts, fleet.agents, fleet.accounts, fleet.reasons, fleet.history, fleet.attempts, fleet.work, fleet.nodes, fleet.deliveries, fleet.pulls, fleet.responses,
    fleet.readings, fleet.repositories,
    fleet.settings, fleet.storage, fleet.tellings, fleet.explanations, fleet.check_slot, fleet.check_live, fleet.check_status_event, fleet.check_epoch, fleet.check_queue,
    fleet.check_executor_lane, fleet.check_agent, fleet.check_hold, fleet.check_status, fleet.check_list, fleet.check_pull, fleet.check_outbox
to fleet_operator, fleet_reader, fleet_reader_full;

grant select on fleet.task_texts, fleet.attempt_texts, fleet.follow_ups, fleet.logs, fleet.host_addresses to fleet_reader_full;

-- Here, so that no function that anybody may call is forgotten: nobody's lock costs a caller more than a second (then 55P03, and a node
-- comes again as long as its request has time); and a node's plans, which are made once a session, hold when a table that was empty has
-- a million rows: row by row from an index, though a scan looked cheaper, and without a compiler that takes longer than the query. What looks at
-- everything (check_all) is planned as it is.
do $$
declare
    r record;
begin
    for r in
        select p.oid::regprocedure as function, s.name, s.value, s.wanted
        from (select x.oid, x.proconfig, coalesce(bool_or(a.grantee <> x.proowner), false) as granted,
                     coalesce(bool_or(a.grantee::regrole::text in ('fleet_server', 'fleet_worker')), false) and x.proname <> 'check_all' as nodes
              from pg_proc x left join aclexplode(x.proacl) a on a.privilege_type = 'EXECUTE'
              where x.pronamespace = 'fleet'::regnamespace group by x.oid) p
        cross join lateral (values ('lock_timeout', '1s', p.granted), ('jit', 'off', p.nodes), ('enable_seqscan', 'off', p.nodes),
                                    ('enable_bitmapscan', 'off', p.nodes))
            s (name, value, wanted)
        where s.wanted <> coalesce(p.proconfig @> array[s.name || '=' || s.value], false) and (s.wanted or s.name = 'lock_timeout')
    loop
        execute format('alter function %s %s', r.function,
                       case when r.wanted then format('set %I = %L', r.name, r.value) else format('reset %I', r.name) end);
    end loop;
end $$;
