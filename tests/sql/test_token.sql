-- Tokens: made, found, shown, revoked; and the trail of who did what.

create function t.make(p_name text, p_scope text, p_repositories text[] default null, p_agent_id text default null,
                       p_capabilities text[] default null, p_expires timestamptz default null, out status int, out body jsonb) language sql as $$
  select status, body::jsonb from fleet.token_create(t.by(0), p_name, p_scope, sha256(convert_to(p_name, 'UTF8')), 'aft_x', p_repositories, p_agent_id,
                                                     p_capabilities, p_expires);
$$;
-- Scope of the token of this name, when it holds.
create function t.scope(p_name text) returns text language sql as $$
  select scope from fleet.authenticate(sha256(convert_to(p_name, 'UTF8')));
$$;

\echo 'made'
select t.is(status, 201, 'a token'), t.is(body ->> 'bounds', 'acme/rocket, none', '... its bounds in words'),
       t.is(body ->> 'made_by', 'open', '... and who made it'), t.is(body -> 'hash', null, '... never its hash')
from t.make('ci', 'submit', '{acme/rocket,none}');
select t.is(body ->> 'bounds', 'acme/*; agent build-1; code:go, code:rust', 'an agent''s') from t.make('a1', 'agent', '{acme/*}', 'build-1', '{agent:code:rust,code:go}');
select t.is(body ->> 'bounds', null, 'bound to nothing') from t.make('root', 'admin');
select t.is(status, 201, 'made again with the same hash it answers as the first time') from t.make('root', 'admin');
select t.is((select count(*) from fleet.audit where action = 'token_create'), 3::bigint, '... and the trail has it once');
create function t.refused(p_word text, p_name text, p_scope text, p_repositories text[] default null, p_agent_id text default null,
                          p_capabilities text[] default null, p_expires timestamptz default null) returns void language plpgsql as $$
declare v record;
begin
  select * into v from t.make(p_name, p_scope, p_repositories, p_agent_id, p_capabilities, p_expires);
  perform t.ok(v.status = 422 and v.body ->> 'code' = 'invalid_value' and strpos(v.body ->> 'error', p_word) > 0,
               format('refused: %s', coalesce(v.body ->> 'error', v.body::text)));
end $$;
select t.refused('scope', 'x1', 'boss'), t.refused('scope', 'x1', null), t.refused('name', '', 'read'), t.refused('name', E'ci\nnode:w1', 'read'),
       t.refused('name', repeat('x', 101), 'read'), t.refused('''acme''', 'x1', 'read', '{acme}'), t.refused('''*''', 'x1', 'read', '{*}'),
       t.refused('''*/x''', 'x1', 'read', '{*/x}'), t.refused('repositories', 'x1', 'read', '{acme/a/b}'), t.refused('repositories', 'x1', 'read', '{NULL}'),
       t.refused('repositories', 'x1', 'read', '{}'), t.refused('bound to nothing', 'x1', 'admin', '{acme/rocket}'),
       t.refused('agent_id', 'x1', 'read', null, 'build-1'), t.refused('capabilities', 'x1', 'operate', null, null, '{x}'),
       t.refused('agent_id', 'x1', 'agent', null, ''), t.refused('capabilities', 'x1', 'agent', null, null, '{}'),
       t.refused('capabilities', 'x1', 'agent', null, null, '{NULL}'), t.refused('expires_at', 'x1', 'read', null, null, null, now() - interval '1 s'),
       t.refused('expires_at', 'x1', 'read', null, null, null, 'infinity');
select t.none('select name from fleet.token where name = ''x1''', 'nothing of these was made');

\echo 'found'
select t.is(t.scope('ci'), 'submit', 'by its hash'), t.is(t.scope('nobody'), null, 'and no other');
select t.is(bounded, true, 'bound'), t.is(expires_ms, null, '... for ever') from fleet.authenticate(sha256('ci'));
select t.is(string_agg(r, ' ' order by r), 'Acme/Rocket acme/rocket', 'bound to these repositories')
from fleet.token, unnest('{acme/rocket,Acme/Rocket,acme/pump}'::text[]) r where name = 'ci' and fleet.token_allows(token_id, r);
select t.is(fleet.token_allows(token_id, 'acme/pump'), name = 'root', name || ' and a repository that it does not name') from fleet.token where name in ('ci', 'root');
select t.is(bounded, false, 'not bound') from fleet.authenticate(sha256('root'));
select t.put('short', t.token('short', 'read', p_expires => now() + interval '10 s'));
select t.ok(expires_ms between 1 and 10000, 'one that expires says when') from fleet.authenticate(sha256('short'));
update fleet.token set last_used_at = now() - interval '59 s' where name = 'ci';
select t.scope('ci');
select t.ok((select last_used_at < now() - interval '58 s' from fleet.token where name = 'ci'), 'its use is written at most once a minute');
update fleet.token set last_used_at = now() - interval '61 s' where name = 'ci';
select t.scope('ci');
select t.ok((select last_used_at > now() - interval '10 s' from fleet.token where name = 'ci'), '... then again');
select t.none(format('select * from fleet.tokens_ended(array[%s]::bigint[])', string_agg(token_id::text, ',')), 'all hold') from fleet.token;
update fleet.token set expires_at = now() where name = 'short';
select t.is(t.scope('short'), null, 'an expired one is not found');
select t.is((select array_agg(x) from fleet.tokens_ended(array[t.got('short'), 4711]) x), array[t.got('short'), 4711], 'and its streams end');

\echo 'shown'
select t.is(body::jsonb #>> '{0,name}', 'short', 'newest first'), t.is(body::jsonb #>> '{0,state}', 'expired', '... its state'),
       t.is(body::jsonb #>> '{1,name}', 'root', '... then the one before'), t.is(jsonb_array_length(body::jsonb), 2, 'a page'), t.keep('next', next)
from fleet.token_list(t.by(0), 2, null);
select t.is(body::jsonb #>> '{0,name}', 'a1', 'the next page goes on'), t.is(next, null, '... and is the last') from fleet.token_list(t.by(0), 2, t.kept('next'));
select t.is(status, 400, 'a cursor of another list') from fleet.token_list(t.by(0), 2, 'x');
select t.ok((select last_used_at is not null from fleet.token_rows(9, null) where name = 'ci'), 'with its last use');
select t.is((select string_agg(name || ':' || coalesce(bounds, '-'), ' ') from fleet.token_rows(2, null)), 'short:- root:-', 'for the command');

\echo 'revoked'
create function t.revoke(p_token bigint, p_force boolean default false) returns text language sql as $$
  select status || ' ' || coalesce(body::jsonb ->> 'code', body::jsonb ->> 'state') from fleet.token_revoke(t.by(t.got('root2')), p_token, p_force);
$$;
select t.put('ci', token_id) from fleet.token where name = 'ci';
select t.put('root', token_id) from fleet.token where name = 'root';
select t.put('root2', t.token('root', 'admin', p_secret => 'root2'));
select t.is(t.revoke(t.got('ci')), '200 revoked', 'a token'), t.is(t.scope('ci'), null, '... is found no more');
select t.is((select array_agg(x) from fleet.tokens_ended(array[t.got('ci'), t.got('root2')]) x), array[t.got('ci')], '... and its streams end');
select t.is(t.revoke(t.got('ci')), '200 revoked', 'again: the same answer'), t.is(t.revoke(4711), '404 not_found', 'none');
select t.is(t.revoke(t.got('root')), '200 revoked', 'an admin''s, as long as there is another one');
select t.is(t.revoke(t.got('root2')), '409 last_admin_token', 'not the last one that holds');
select t.is(t.revoke(t.got('root2'), true), '200 revoked', '... unless forced');
select t.is((select string_agg(concat_ws(' ', actor, token_prefix, address, action, object, before, after), '; ' order by audit) from fleet.audit
             where action = 'token_revoke' and object like '%root%'),
  format('token:root#%1$s aft_x 192.0.2.7 token_revoke token:root#%2$s {"state": "valid"} {"state": "revoked"}; '
         'token:root#%1$s aft_x 192.0.2.7 token_revoke token:root#%1$s {"state": "valid"} {"state": "revoked"}', t.got('root2'), t.got('root')),
  'the trail has each once, and tells two tokens of one name apart');
select t.is((select changes from fleet.audit_trail where what = 'token_revoke' and object = 'token:root#' || t.got('root')), 'state: valid → revoked', '... in words');
select t.put('family', t.token('family', 'agent'));
insert into fleet.account (account) values ('kid');
insert into fleet.executor (agent_id, account, kind, agent_type, capabilities, max_concurrency, registered_by)
values ('kid', 'kid', 'http_pull', 'codex', '{}', 1, t.got('family'));
select t.token('kid', 'agent', p_agent_id => 'kid'), t.token('own', 'agent', p_agent_id => 'kid');
update fleet.token set registered = true where name = 'kid';
select t.revoke(t.got('family'));
select t.is(t.scope('kid'), null, 'with it goes what its agents got when they registered'), t.is(t.scope('own'), 'agent', 'and nothing else');

\echo 'kept'
update fleet.audit set at = now() - interval '366 days' where object = 'token:root#' || t.got('root');
update fleet.token set revoked_at = now() - interval '366 days' where name = 'ci';
update fleet.token set expires_at = now() - interval '364 days' where name = 'short';
select fleet.forget_trail(100);
select t.none('select 1 from fleet.audit where object = ''token:root#' || t.got('root') || '''', 'the trail, for a year'),
       t.is((select string_agg(name, ' ' order by name) from fleet.token where name in ('ci', 'short')), 'short', '... tokens that hold no more, too');
select t.none('select object from fleet.audit where to_jsonb(audit)::text ~ ''hash''', 'no secret is in it');
