-- The fixed list of reasons, with advice for people. Data, kept with the code so that a new reason needs no migration.

insert into fleet.reason (reason, advice) values
    ('exit_nonzero', 'The agent''s command ended with an error status; read the end of the log.'),
    ('agent_error', 'The agent reported an error; read the end of the log.'),
    ('agent_no_result', 'The agent ended without reporting a result; read the end of the log and check the agent''s version.'),
    ('killed', 'The agent was killed by a signal that nobody here sent; the attempt says which; SIGKILL is often the OOM killer.'),
    ('output_limit', 'The output grew over its cap; ask for less output or raise the cap.'),
    ('output_tampered', 'Output that was already read shrank or changed on the host; treat the host''s account as compromised.'),
    ('status_invalid', 'The run''s status file is missing its nonce or malformed; treat the host''s account as compromised.'),
    ('timed_out', 'The run took longer than timeout_secs; split the task or raise the limit.'),
    ('start_timeout', 'The agent did not start in time; check the host''s load and the agent''s login.'),
    ('silence_timeout', 'The agent was silent for too long; it may wait for input or be stuck.'),
    ('cancelled', 'Stopped on request.'),
    ('run_lost', 'The run ended without leaving a status; look at the host''s log for a crash.'),
    ('host_rebooted', 'The host rebooted during the run.'),
    ('host_lost', 'The host could not be reached any more.'),
    ('host_replaced', 'Another machine answers under the host''s name; check it, then fleet.host_accept(host_id).'),
    ('host_unreachable', 'The host could not be reached; check network, sshd and the host key.'),
    ('host_disk_full', 'The host''s disk is full; free space in work_dir.'),
    ('rundir_missing', 'The run directory vanished from the host; somebody removed it while the run was known.'),
    ('start_refused', 'The host refused the start; the log of the worker says why.'),
    ('adapter_missing', 'The agent''s command is not installed on the host or not configured.'),
    ('auth_failed', 'The agent is not logged in, or its login was refused; log it in on the host.'),
    ('context_overflow', 'The task did not fit into the model''s context; split it.'),
    ('provider_down', 'The agent''s provider did not answer for provider_timeout_secs; check its status page and the host''s network.'),
    ('rate_limited', 'The agent''s provider limits its use; it will work again later.'),
    ('draining', 'The worker was shutting down before the start.'),
    ('voided', 'The run was given up before it started.'),
    ('label_removed', 'Its agent:* labels were taken away while it waited; add one again to start it.'),
    ('issue_closed', 'The issue was closed. To start again: reopen it, take its agent:* labels away and add them again.'),
    ('abandoned', 'A person gave up an attempt that is not proven ended.'),
    ('attempts_exhausted', 'It was tried max_attempts_total times; look at the attempts, then retry with force.'),
    ('other', 'The worker gave a reason that this version does not know; the event has its words.')
on conflict (reason) do update set advice = excluded.advice where reason.advice <> excluded.advice;

create function fleet.known_reason(p_reason text) returns text
    language plpgsql stable as $$
begin
    return case when p_reason is null or exists (select from fleet.reason r where r.reason = p_reason)
                then p_reason else 'other' end;
end $$;
