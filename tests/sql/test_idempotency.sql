-- Keys of submissions: one answer a key, for a day.

create function pg_temp.keyed(p_task_id text, p_request text, p_labels text[] default '{agent:code:rust}') returns text language sql as $$
  select verdict || coalesce(' ' || code, '') from t.submits(t.items(
    t.item(p_task_id, p_labels) || jsonb_build_object('token_id', 7, 'idempotency_key', 'k', 'request_hash', p_request)));
$$;

\echo 'a key whose request was refused'
begin;
select t.is(left(pg_temp.keyed('a/b#1', 'one'), 7), 'refused', 'a request that is refused');
select t.is(pg_temp.keyed('a', 'two'), 'created', 'leaves its key free for another one');
select t.is(pg_temp.keyed('b', 'three'), 'conflict idempotency_conflict', 'one that was taken does not');
select t.is(pg_temp.keyed('a', 'two'), 'created', 'its repetition has the same answer');
update fleet.idempotency set made_at = now() - interval '23 hours';
select t.is(pg_temp.keyed('b', 'three'), 'conflict idempotency_conflict', 'for a day');
update fleet.idempotency set made_at = now() - interval '25 hours';
select t.is(pg_temp.keyed('b', 'three'), 'created', 'after which the key is free');
rollback;
