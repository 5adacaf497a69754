-- The fixed list of reasons, with the class by which retry_on names them, what follows a failure, and advice for people. Data, kept
-- with the code so that a new reason needs no migration. The classes and reasons that retry_on accepts are generated from this list.

insert into fleet.reason (reason, class, retry, advice) values
    ('exit_nonzero', 'agent', 'soon', 'The agent''s command ended with an error status; read the end of the log.'),
    ('agent_error', 'agent', 'soon', 'The agent reported an error; read the end of the log.'),
    ('agent_no_result', 'agent', 'soon',
     'The agent ended without reporting a result; read the end of the log and check the agent''s version.'),
    ('killed', 'infrastructure', 'other_host',
     'The agent was killed by a signal that nobody here sent; the attempt says which; SIGKILL is often the OOM killer.'),
    ('output_limit', 'policy', 'never', 'The output grew over its cap; ask for less output or raise the cap.'),
    ('output_tampered', 'policy', 'never',
     'Output that was already read shrank or changed on the host; treat the host''s account as compromised.'),
    ('status_invalid', 'policy', 'never',
     'The run''s status file is missing its nonce or malformed; treat the host''s account as compromised.'),
    ('run_tampered', 'policy', 'never',
     'The run''s own files on its host were changed while it worked, so it was stopped; treat the host''s account as compromised.'),
    ('timed_out', 'time', 'soon', 'The run took longer than timeout_secs; split the task or raise the limit.'),
    ('start_timeout', 'start', 'other_host', 'The agent did not start in time; check the host''s load and the agent''s login.'),
    ('silence_timeout', 'time', 'soon', 'The agent was silent for too long; it may wait for input or be stuck.'),
    ('cancelled', 'request', 'never', 'Stopped on request.'),
    ('run_lost', 'infrastructure', 'other_host', 'The run ended without leaving a status; look at the host''s log for a crash.'),
    ('host_rebooted', 'infrastructure', 'other_host', 'The host rebooted during the run.'),
    ('host_lost', 'infrastructure', 'other_host', 'The host could not be reached any more.'),
    ('host_replaced', 'infrastructure', 'other_host',
     'Another machine answers under the host''s name; check it, then fleet.host_accept(host_id).'),
    ('host_unreachable', 'infrastructure', 'other_host',
     'The host could not be reached; check network, sshd and the host key.'),
    ('host_disk_full', 'infrastructure', 'other_host', 'The host''s disk is full; free space in work_dir.'),
    ('output_failed', 'infrastructure', 'other_host',
     'The agent''s output could not be written on the host; look at the disk of its work_dir.'),
    ('rundir_missing', 'infrastructure', 'other_host',
     'The run directory vanished from the host, and nothing of the run lives there any more; somebody removed it while it worked.'),
    ('start_refused', 'start', 'other_host', 'The host refused the start; the log of the worker says why.'),
    ('adapter_missing', 'start', 'elsewhere', 'The agent''s command is not installed on the host or not configured.'),
    ('auth_failed', 'login', 'elsewhere',
     'A login was refused: the agent''s at its provider (log it in on the host, then fleet.executor_accept), or ours on the host.'),
    ('context_overflow', 'task', 'never', 'The task did not fit into the model''s context; split it.'),
    ('provider_down', 'limit', 'later',
     'The agent''s provider did not answer for provider_timeout_secs; check its status page and the host''s network.'),
    ('rate_limited', 'limit', 'later', 'The agent''s provider limits its use; it will work again later.'),
    ('start_failures', 'start', 'elsewhere',
     'Its starts failed several times in a row; look at the host, then fleet.executor_accept(agent_id).'),
    ('draining', 'request', 'soon', 'The worker was shutting down before the start.'),
    ('voided', 'request', 'soon', 'The run was given up before it started.'),
    ('drained', 'request', 'soon', 'Its host was emptied by a person; the task waits again, no retry is counted.'),
    ('parked', 'host', 'other_host', 'A person parked it; fleet.executor_accept(agent_id) or unpark puts it back.'),
    ('label_removed', 'request', 'never', 'Its agent:* labels were taken away while it waited; add one again to start it.'),
    ('issue_closed', 'request', 'never',
     'The issue was closed. To start again: reopen it, take its agent:* labels away and add them again.'),
    ('abandoned', 'request', 'never', 'A person gave up an attempt that is not proven ended.'),
    ('attempts_exhausted', 'policy', 'never',
     'It was tried max_attempts_total times; look at the attempts, then retry with force.'),
    -- of HTTP agents
    ('agent_lost', 'infrastructure', 'soon', 'The agent gave no heartbeat for too long; look at its machine, and at what it still does there.'),
    ('handover_timeout', 'infrastructure', 'soon',
     'The agent took the task and never said that it runs (POST …/status); it has to within handover_ack_secs.'),
    ('not_delivered', 'request', 'soon', 'The agent''s connection was gone before the task was handed over.'),
    ('deregistered', 'request', 'soon', 'Its agent was deregistered before the end.'),
    ('partial', 'agent', 'never',
     'The agent says that it did a part only; read its summary, and retry with force for the rest.'),
    -- of hosts only: why a worker does not reach one
    ('host_key_changed', 'host', 'other_host',
     'The host shows another key than known_hosts has: reinstalled, or somebody in between. Check it there, then change known_hosts.'),
    ('host_key_unknown', 'host', 'other_host', 'known_hosts has no key of this host; add the one that the host itself shows.'),
    ('refused', 'host', 'other_host', 'Nothing listens at that address and port; is sshd running, is ssh_port right?'),
    ('timeout', 'host', 'other_host', 'No answer in time: a firewall, a wrong address, or a host under heavy load.'),
    ('unreachable', 'host', 'other_host', 'There is no way to that address, or its name is not known.'),
    ('connection_lost', 'host', 'other_host', 'The connection broke; it is tried again.'),
    ('protocol', 'host', 'other_host', 'What answers there is no SSH server that can be spoken with; ed25519 or ECDSA is needed.'),
    ('key_unusable', 'host', 'other_host', 'The worker cannot use its own key or known_hosts file; the text names the file.'),
    ('runner_failed', 'host', 'other_host', 'Commands run on the host, but not the runner; the text says what it lacks.'),
    ('other', 'agent', 'soon', 'The worker gave a reason that this version does not know; the event has its words.')
on conflict (reason) do update set class = excluded.class, retry = excluded.retry, advice = excluded.advice
    where (reason.class, reason.retry, reason.advice) is distinct from (excluded.class, excluded.retry, excluded.advice);

create function fleet.known_reason(p_reason text) returns text
    language plpgsql stable as $$
begin
    return case when p_reason is null or exists (select from fleet.reason r where r.reason = p_reason)
                then p_reason else 'other' end;
end $$;
