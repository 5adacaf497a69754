-- What fleet-server forgejo doctor asks for.
select t.ok(not exists (select from fleet.forgejo_told()), 'no worker has told its Forgejo');
select t.ok(not exists (select from fleet.last_delivery(null, 0)), 'no delivery has come');

select fleet.forgejo_configure(t.worker('w1', t.host('h', '{code:rust}', 1)), '{"url": "https://a", "reads": true}', 7, 'fleet');
select t.is((select url || ' ' || reads || ' ' || told_by from fleet.forgejo_told()), 'https://a true node:w1', 'what a worker told');
select fleet.forgejo_configure(t.node('w1'), '{}', null, null);
select t.is((select url || '/' || reads from fleet.forgejo_told()), '/false', '... and when that is nothing');

insert into fleet.delivery (delivery_id, sha256, event, action, repo, result, reason) values
  ('1', '1', 'issues', 'opened', 'Acme/Rocket', 'accepted', 'submitted'), ('2', '2', 'push', null, 'acme/other', 'ignored', 'test_delivery');
select t.is((select words from fleet.last_delivery(null, 0)), 'push ignored test_delivery', 'the last delivery of all');
select t.is((select words from fleet.last_delivery('acme/rocket', 0)), 'issues opened accepted submitted', '... and of a repository, however it is written');
select t.ok(not exists (select from fleet.last_delivery('acme/rocket', (select delivery from fleet.last_delivery('acme/rocket', 0)))),
            '... after which none came');
