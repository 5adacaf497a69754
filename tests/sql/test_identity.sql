-- Every identity in the history is the caller's own: psql's login, a token that exists, Forgejo's sender, a node.

begin;
select t.worker('w1', t.host('h', '{x}', 9));
select t.put('token', t.token('node:w1', 'operate'));
select t.submit('a', '{agent:x}');
select t.submit('b', '{agent:x}');
select t.submit('c', '{agent:x}');
set session authorization fleet_operator_login;
set local role fleet_operator;
select fleet.cancel('a', 'psql:root did it');
select fleet.retry('a');
reset role;
reset session authorization;
select t.is((select string_agg(distinct actor, ' ') from fleet.history where task_id = 'a' and event_type in ('cancelled', 'retried')), 'psql:fleet_operator_login',
  'psql is its login, whatever role it takes on');
set session authorization fleet_operator_login;
select t.throws($$select fleet.task_cancel(t.by(1), 'a', null)$$, '42501', 'an operator cannot act as a token');
select t.throws($$select fleet.cancel('a', 'x', 'token:ci')$$, '42883', 'nor say who it is');
reset session authorization;
set session authorization fleet_server_login;
select t.is((fleet.task_cancel(t.by(t.got('token')), 'b', 'why')).status, 200, 'a server names the token by its number');
select t.is((fleet.task_retry(t.by(t.got('token')), 'b', true, null)).status, 200, '... also for retry');
select t.is((fleet.task_cancel(t.by(0), 'c', null)).status, 200, 'none in open mode');
select t.is((fleet.task_retry(t.by(-7), 'c', true, null)).status, 404, 'and for one that does not exist there is nothing');
select t.throws($$select fleet.cancel('a')$$, '42501', 'a server cannot act as a person at psql');
reset session authorization;
select t.is((select string_agg(distinct actor, ' ') from fleet.history where task_id = 'b' and event_type in ('cancelled', 'retried')), 'token:node:w1#' || t.got('token'),
  'a token that is named like a node is still a token');
select t.is((select string_agg(actor, ' ' order by event_id) from fleet.history where task_id = 'c'), 'open open', 'the history says so');
select t.is((select verdict from t.submits(t.items(t.item('d', '{agent:x}') || jsonb_build_object('token_id', t.got('token'))))), 'created', 'submitted');
select t.is((select submitted_by from fleet.task_texts where task_id = 'd'), 'token:node:w1#' || t.got('token'), 'by the token, whatever else the item says');
select t.deliver('d1', 'opened', '{agent:x}', '2026-01-01T10:00:00Z', '{"sender": "node:w1"}');
select t.is((select distinct actor from fleet.history where task_id = 'acme/rocket#42'), 'forgejo:node:w1', 'a sender of Forgejo is one');
select t.deliver('d2', 'opened', '{agent:x}', '2026-01-01T10:00:00Z', jsonb_build_object('number', 43, 'sender', 'octo' || chr(127) || 'node:w1'));
select t.is((select distinct actor from fleet.history where task_id = 'acme/rocket#43'), 'forgejo:octo?node:w1', '... on one line');
rollback;

-- No granted function takes a name of its caller's choice for the history: a requester names a token.
select t.none($$select p.oid::regprocedure from pg_proc p
  where p.pronamespace = 'fleet'::regnamespace and p.prosecdef
    and (p.proargnames && '{p_actor,p_who,actor}'::text[]
         or ('p_by' = any (p.proargnames) and not 'fleet.requester'::regtype = any (p.proargtypes::oid[])))$$,
  'no function for people or nodes takes an actor');
