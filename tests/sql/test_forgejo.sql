-- What the configuration says of Forgejo.
select t.is(fleet.policy('a/b') ->> 'reads', 'false', 'nothing was told: nothing is read');
select t.ok(not fleet.trusted_login('someone'), '... and nobody starts work');
create temp table w as select t.worker('w1', t.host('h', '{code:rust}', 1)) as node;
select fleet.forgejo_configure((select node from w), '{"url": "https://a", "reads": true, "trigger_users": ["Someone"], "approval": "none",
  "max_reviews": 5, "rules": [{"repositories": ["Tools/*"], "approval": "always"}, {"repositories": ["*"], "approval": "untrusted"}]}', 7, 'fleet');
select t.is(fleet.policy('tools/x') ->> 'approval', 'always', 'the first rule that names it');
select t.is(fleet.policy('a/b') ->> 'approval', 'untrusted', '... else the next');
select t.is(fleet.policy('a/b') ->> 'max_reviews', '5', 'what no rule has is that of all');
select t.is(fleet.policy('a/b') ->> 'comments', 'true', 'what was not told is the default');
select t.ok(fleet.trusted_login('someone') and not fleet.trusted_login('some'), 'logins compare without case, whole');
select fleet.forgejo_configure((select node from w), '{"url": "https://a", "reads": true, "trigger_users": ["*"]}', null, null);
select t.is((select user_id from fleet.forgejo), 7::bigint, 'who we are stays known');
select t.ok(fleet.trusted_login('anybody'), 'everybody');
select fleet.forgejo_configure((select node from w), '{"url": "https://b", "reads": true}', null, null);
select t.is((select login from fleet.forgejo), null, '... but not of another Forgejo');
select t.ok(fleet.covers('["a/*"]', 'A/x') and not fleet.covers('["a/*"]', 'ab/x') and fleet.covers('["*"]', 'x/y'), 'what entries cover');
select t.ok(not fleet.covers(null, 'a/b') and not fleet.covers('"*"', 'a/b') and not fleet.covers('[]', 'a/b'), '... and what not');
select t.throws($$select fleet.forgejo_configure(gen_random_uuid(), '{}', null, null)$$, 'AF002', 'not by a node that is none');
