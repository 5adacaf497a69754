-- What a worker says of many runs at once: an answer for each by its place. `fault` null: done; else the SQLSTATE, and a sentence. Nobody
-- is waited for: what somebody holds is answered 55P03, to be said again soon.

-- Locks the tasks of these attempts, in one order, as far as nobody holds them. Answers the attempts of those that are locked.
create function fleet.hold_tasks(p_attempts bigint[]) returns bigint[]
    language plpgsql as $$
declare v_tasks bigint[];
begin
    v_tasks := array(select t.task from fleet.task t
                     where t.task = any (array(select a.task from fleet.attempt a where a.attempt = any (p_attempts)))
                     order by t.task for update skip locked);
    return array(select a.attempt from fleet.attempt a where a.attempt = any (p_attempts) and a.task = any (v_tasks));
end $$;

-- 55P03 for a task that somebody holds; null when it is ours, or unknown.
create function fleet.held_fault(p_attempt bigint, p_ours bigint[]) returns text
    language plpgsql stable as $$
begin
    return case when p_attempt <> all (p_ours) and exists (select from fleet.attempt where attempt = p_attempt) then '55P03' end;
end $$;

create function fleet.starting_runs(p_node uuid, p_attempts bigint[], p_epochs int[], p_runs text[], p_commands text[], p_prompts text[])
    returns table (ord int, fault text, detail text, verdict text, run text, command text, prompt text)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare v_ours bigint[] := fleet.hold_tasks(p_attempts);
begin
    for ord in select generate_subscripts(p_attempts, 1) loop
        verdict := null; run := null; command := null; prompt := null;
        fault := fleet.held_fault(p_attempts[ord], v_ours);
        detail := case when fault is not null then 'somebody holds its task' end;
        if fault is null then
            begin
                select s.verdict, s.run, s.command, s.prompt into verdict, run, command, prompt
                from fleet.starting(p_node, p_attempts[ord], p_epochs[ord], p_runs[ord], p_commands[ord], p_prompts[ord]) s;
            exception when others then
                fault := sqlstate; detail := sqlerrm;
            end;
        end if;
        return next;
    end loop;
end $$;

create function fleet.started_runs(p_node uuid, p_attempts bigint[], p_epochs int[], p_pids bigint[], p_starts text[], p_boots text[],
                                   p_machines text[])
    returns table (ord int, fault text, detail text)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp as $$
declare v_ours bigint[] := fleet.hold_tasks(p_attempts);
begin
    for ord in select generate_subscripts(p_attempts, 1) loop
        fault := fleet.held_fault(p_attempts[ord], v_ours);
        detail := case when fault is not null then 'somebody holds its task' end;
        if fault is null then
            begin
                perform fleet.started(p_node, p_attempts[ord], p_epochs[ord], p_pids[ord], p_starts[ord], p_boots[ord], p_machines[ord]);
            exception when others then
                fault := sqlstate; detail := sqlerrm;
            end;
        end if;
        return next;
    end loop;
end $$;

create function fleet.finish_runs(p_node uuid, p_attempts bigint[], p_epochs int[], p_outcomes text[], p_reasons text[], p_exits int[],
                                  p_signals int[], p_reports jsonb[], p_resets_at bigint[], p_proofs text[])
    returns table (ord int, fault text, detail text, status text)
    language plpgsql security definer set search_path = pg_catalog, fleet, pg_temp
    set plan_cache_mode = force_generic_plan as $$
declare v_ours bigint[] := fleet.hold_tasks(p_attempts);
begin
    for ord in select generate_subscripts(p_attempts, 1) loop
        status := null;
        fault := fleet.held_fault(p_attempts[ord], v_ours);
        detail := case when fault is not null then 'somebody holds its task' end;
        if fault is null then
            begin
                status := fleet.finish_run(p_node, p_attempts[ord], p_epochs[ord], p_outcomes[ord], p_reasons[ord], p_exits[ord],
                                           p_signals[ord], p_reports[ord], p_resets_at[ord], p_proofs[ord]);
            exception when others then
                fault := sqlstate; detail := sqlerrm;
            end;
        end if;
        return next;
    end loop;
end $$;
