-- What is handed in and what is handed back. (A file of its own: code with a changed type cannot be made in place.)

-- One request with tasks: who sends it and how, and what the submitting node's configuration says where its tasks do not.
-- token_id: 0 in open mode. form: one (a task, answered whole), list or lines (many, answered by an element or a line each).
create type fleet.submission as (
    token_id bigint, address text, request_id text, idempotency_key text, request_hash text, form text,
    default_timeout_secs bigint, default_max_retries bigint, max_attempts_total bigint);

-- A task on its way in. Numbers are bigint, so that one out of range is refused and no error.
create type fleet.wanted_task as (
    -- was the id made by the node, and not by the submitter?
    made_id boolean,
    -- what the submitter wrote
    task_id text, title text, body text, labels text[], any_agent boolean, priority bigint, execution_mode text, task_type text,
    repo text, issue_number bigint, max_retries bigint, timeout_secs bigint, run_at text, metadata jsonb, base_branch text);

-- The same from servers of the release before.
create type fleet.new_task as (
    made_id boolean, task_id text, title text, body text, labels text[], any_agent boolean, priority bigint, execution_mode text,
    task_type text, repo text, issue_number bigint, max_retries bigint, timeout_secs bigint, run_at text, metadata jsonb);

-- What many tasks of a call have in common, looked at once. sound: there is no fault in that. ords, sounds: which tasks, and in which of
-- them there is no fault otherwise; task_fault() says of the others whether there is one, and which.
create type fleet.task_kind as (
    labels text[], execution_mode text, repo text, actor text, requirements text[], priority int, lane int, warnings json, sound boolean,
    ords int[], sounds boolean[]);

-- What became of a request: HTTP status, JSON, the first of its tasks that stands, how many are new.
create type fleet.submitted as (request int, status int, body text, task_id text, created int);

-- Why a task is refused: a word, a sentence, and where it is about one member: its name, its limit and its value.
create type fleet.fault as (code text, detail text, details jsonb);
