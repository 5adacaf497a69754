-- What is handed in and what is handed back. (A file of its own: code with a changed type cannot be made in place.)

-- A task on its way in. Numbers are bigint, so that one out of range is refused and no error.
create type fleet.new_task as (
    -- by whom; null in open mode
    token_id bigint, idempotency_key text, request_hash text,
    -- what the submitting node's configuration says where the task does not
    default_timeout_secs bigint, default_max_retries bigint, max_attempts_total bigint,
    -- what the submitter wrote
    task_id text, title text, body text, labels text[], any_agent boolean, priority bigint, execution_mode text, task_type text,
    repo text, issue_number bigint, max_retries bigint, timeout_secs bigint, run_at text, metadata jsonb);

-- Why a task is refused: a word, a sentence, and where it is about one member: its name, its limit and its value.
create type fleet.fault as (code text, detail text, details jsonb);
