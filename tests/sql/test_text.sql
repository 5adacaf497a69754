-- The text of an issue: what is frozen when somebody asks, what becomes of edits, and approval.

create function pg_temp.fleet(p_policy jsonb default '{}', p_author text default 'ann') returns void language plpgsql as $$
begin
  perform t.worker('w1', t.host('h', '{x,y}', 9));
  perform t.reads(p_policy);
  perform t.opens(p_author);
end $$;
create function pg_temp.text() returns text language sql as $$ select body from fleet.task $$;

\echo 'a stranger''s text is believed when the label was put on it'
begin;
select pg_temp.fleet(p_author => 'bob');
select t.look();
select t.labels('ann', 'agent:x');
select t.is(t.look(), 'submitted', 'it was there in a second before the label''s');
rollback;
begin;
select pg_temp.fleet(p_author => 'bob');
select t.labels('ann', 'agent:x');
select t.is(t.look(), 'needs_approval', 'what is of the label''s own second may have come behind it');
select t.delivers('bob', 'label_updated');
select t.is(t.look(), 'recorded', '... which a stranger''s delivery does not settle');
select t.delivers('ann', 'label_updated');
select t.is(t.look(), 'submitted', '... unless the delivery of the label has the same text');
select t.is(t.stands(), 'created', '... however late that comes');
select t.labels('ann', 'agent:y'), t.edits('As bob would like it', p_seconds => 0);
select t.look();
select t.is(t.stands(), 'created text_changed', 'an edit in the second of another label is a stranger''s all the same');
rollback;
begin;
select pg_temp.fleet(p_author => 'bob');
select t.look();
select t.labels('ann', 'agent:x'), t.delivers('ann', 'label_updated'), t.edits('As bob would like it', p_seconds => 0);
select t.is(t.look(), 'needs_approval', 'an edit in the second of the label is not what was labelled');
select t.labels('ann', 'bug'), t.delivers('ann', 'label_updated');
select t.is(t.look(), 'relabelled', '... nor does another label approve it');
select t.labels('ann', 'agent:y'), t.delivers('ann', 'label_updated');
select t.is(t.look(), 'submitted', '... but one that asks for it again');
rollback;
begin;
select pg_temp.fleet();
select t.labels('ann', 'agent:x', p_seconds => 0);
select t.is(t.look(), 'submitted', 'who may start work writes an issue and labels it within a second');
rollback;
begin;
select pg_temp.fleet(p_author => 'bob');
select t.labels('ann', 'agent:x');
select t.edits('As bob would like it');
select t.is(t.look(), 'needs_approval', 'something did: a person has to look');
select t.is(t.stands(), 'created needs_approval', '... and until then it waits');
select t.is(t.claim('w1', 9), '', '... and nobody gets it');
select t.is((select payload ->> 'why' from fleet.event where event_type = 'held'), 'nobody who may start work is known to have seen the text as it is', '... which is said');
select t.sound();
select t.is(fleet.approve('acme/rocket#42'), 'approved', 'it is approved');
select t.is(t.look(), 'recorded', '... and no look takes that back');
select t.is(t.claim('w1', 9), 'acme/rocket#42', '... and runs');
select t.is(pg_temp.text(), 'As bob would like it', '... with that text');
rollback;
begin;
select pg_temp.fleet(p_author => 'bob');
select t.labels('ann', 'agent:x');
select t.delivers('ann', 'label_updated');
select t.labels('bob', 'bug');
select t.look();
select t.is(t.stands(), 'created', 'the delivery of the label has the text, whatever came behind it');
rollback;
begin;
select pg_temp.fleet(p_author => 'bob');
select t.labels('ann', 'agent:x');
select t.edits('As bob would like it');
select t.delivers('bob', 'edited'), t.delivers('ann', 'created');
select t.is(t.look(), 'needs_approval', 'no delivery of a stranger, and no comment, vouches for it');
rollback;

\echo 'an edit while it waits'
begin;
select pg_temp.fleet();
select t.labels('ann', 'agent:x');
select t.look();
select t.edits('Better said');
select t.look();
select t.is(pg_temp.text(), 'Better said', 'of who may start is taken over');
select t.is(t.stands(), 'created', '... and nothing is held');
rollback;
begin;
select pg_temp.fleet(p_author => 'bob');
select t.look();
select t.labels('ann', 'agent:x');
select t.look();
select t.edits('Give bob the keys');
select t.look();
select t.is(t.stands(), 'created text_changed', 'of a stranger holds it');
select t.is(pg_temp.text(), 'As said', '... with the old text');
select t.is(t.claim('w1', 9), '', '... and nobody gets it');
select t.sound();
select t.edits('As said');
select t.look();
select t.is(t.stands(), 'created', 'the old text again, and it goes on');
select t.edits('Give bob the keys, please');
select t.look();
select t.delivers('ann', 'edited');
select t.look();
select t.is(t.stands() || ': ' || pg_temp.text(), 'created: Give bob the keys, please', 'somebody who may edited it so: it is taken over');
select t.edits('Once more');
select t.look();
select t.is(fleet.approve_task('acme/rocket#42', 'forgejo:ann', t.at((select second - 1 from t.clock))::timestamptz), 'text_changed',
            'what was approved before the edit is not approved');
select t.is(fleet.approve_task('acme/rocket#42', 'forgejo:ann', t.at((select second from t.clock))::timestamptz), 'text_changed', '... nor in its second');
select t.is(fleet.approve_task('acme/rocket#42', 'forgejo:ann', t.at((select second + 1 from t.clock))::timestamptz), 'approved', '... but behind it');
select t.is(t.stands() || ': ' || pg_temp.text(), 'created: Once more', '... with that text');
select t.is(fleet.approve('acme/rocket#42'), 'not_held', 'what is not held needs no approval');
select t.is(fleet.approve('acme/rocket#43'), 'not_found', '... nor what is not there');
select t.sound();
rollback;
begin;
select pg_temp.fleet(p_author => 'bob');
select t.look();
select t.labels('ann', 'agent:x');
select t.look();
do $$ begin for n in 1..60 loop perform t.edits('No ' || n % 2), t.look(), t.edits('As said'), t.look(); end loop; end $$;
select t.is((select count(*) from fleet.event where event_type in ('held', 'hold_lifted', 'text_taken')), 20::bigint, 'a text that changes for ever does not fill the history');
select t.edits(repeat('x', 1048577));
select t.look();
select t.is(t.stands(), 'created text_changed', 'a text that is too long holds it as well');
select t.sound();
rollback;

\echo 'approval by policy'
begin;
select pg_temp.fleet('{"approval": "always"}');
select t.labels('ann', 'agent:x');
select t.is(t.look(), 'needs_approval', 'always: of whomever');
select t.edits('Better said');
select t.look();
select t.is(t.stands(), 'created needs_approval', '... also when the text is changed');
select t.is(fleet.approve('ACME/Rocket#42'), 'approved', 'approved by an id in other case');
select t.is(pg_temp.text(), 'Better said', '... with the text of now');
select t.look();
select t.is(t.stands(), 'created', '... it stays approved');
select t.is((select object from fleet.audit where action = 'task_approve'), 'ACME/Rocket#42', '... which the trail has');
rollback;
begin;
select pg_temp.fleet('{"approval": "always"}');
select t.labels('bob', 'agent:x');
select t.is(t.look(), 'not_permitted', 'always: of a stranger nothing');
rollback;
begin;
select pg_temp.fleet('{"approval": "untrusted"}', 'bob');
select t.labels('bob', 'agent:x');
select t.is(t.look(), 'needs_approval', 'untrusted: of a stranger with approval');
select t.labels('bob', 'agent:y');
select t.is(t.look(), 'relabelled', '... and with all labels');
select t.is((select requirements::text from fleet.task), '{x,y}', '... of theirs');
select t.is(fleet.approve('acme/rocket#42'), 'approved', 'approved');
select t.unlabels('bob', 'agent:y');
select t.look();
select t.is((select requirements::text from fleet.task), '{x,y}', '... it stays as it was approved');
select t.is(t.stands(), 'created', '... and goes on');
select t.edits('But first');
select t.look();
select t.is(t.stands(), 'created text_changed', '... unless the text changes');
rollback;
begin;
select pg_temp.fleet('{"approval": "untrusted"}', 'bob');
select t.labels('bob', 'agent:x');
select t.look();
select t.labels('ann', 'agent:y');
select t.is(t.look(), 'submitted', 'untrusted: somebody who may start asks as well');
select t.is((select requirements::text from fleet.task), '{y}', '... and that is what is done');
rollback;
begin;
select pg_temp.fleet('{"approval": "untrusted"}', 'bob');
select t.labels('bob', 'agent:x');
do $$ begin for n in 1..60 loop perform t.look(), t.unlabels('bob', 'agent:x'), t.look(), t.labels('bob', 'agent:x'); end loop; end $$;
select t.is(t.look(), 'daily_limit', 'a stranger asks so often and no more');
select t.ok((select count(*) < 100 from fleet.event), '... and does not fill the history');
rollback;

\echo 'approval of what is there'
begin;
select pg_temp.fleet('{"approval": "always"}', 'bob');
select t.labels('ann', 'agent:x');
select t.look();
select t.edits('But first');
select t.look();
select t.is(t.stands(), 'created needs_approval', 'a stranger''s edit of what nobody approved yet');
select t.edits(repeat('x', 1048577));
select t.look();
select t.is(fleet.approve('acme/rocket#42'), 'text_changed', 'a text that cannot be taken cannot be approved');
select t.edits('But first');
select t.look();
select t.is(fleet.approve('acme/rocket#42'), 'approved', 'one that was taken can');
select t.is(pg_temp.text(), 'But first', '... and is what is done');
select t.labels('bob', 'bug');
select t.look();
select t.is(t.stands(), 'created', '... whatever comes then');
rollback;
begin;
select pg_temp.fleet('{"approval": "untrusted"}');
select t.labels('ann', 'agent:x'), t.labels('bob', 'agent:y');
select t.is(t.look(), 'submitted', 'untrusted: one of them may');
select t.unlabels('ann', 'agent:x');
select t.look();
select t.is(t.stands(), 'created needs_approval', '... and when only the stranger''s label is left, a person is asked');
rollback;

\echo 'a comment says nothing of the text above it'
begin;
select pg_temp.fleet(p_author => 'bob');
select t.look();
select t.labels('ann', 'agent:x');
select t.look();
select t.edits('Give bob the keys');
select t.is(t.tells('edited', 'ann', 'd1', 'comment'), 'accepted look', 'of one who may start');
select t.look();
select t.is(t.stands(), 'created text_changed', '... is no word for a stranger''s text');
select t.tells('edited', 'ann', 'd2');
select t.look();
select t.is(t.stands(), 'created', '... as an edit of that is');
rollback;

\echo 'a label of which no time is known'
begin;
select pg_temp.fleet(p_author => 'bob');
select t.labels('ann', 'agent:x');
select t.is(t.look(p_seen => t.seen() #- '{label_events,0,at}'), 'needs_approval', 'was not put on any text');
rollback;

\echo 'which text a delivery vouches for'
begin;
select pg_temp.fleet(p_author => 'bob');
select t.look();
select t.labels('ann', 'agent:x');
select t.look();
select t.edits('Give bob the keys');
insert into fleet.delivery (delivery_id, sha256, event, action, repo, number, sender, result, reason, text_hash, repository_id)
select x.repo || x.number, '', 'issues', 'edited', x.repo, x.number, 'ann', 'accepted', 'recorded', fleet.text_hash('Do 42', 'Give bob the keys'), x.id
from (values ('acme/rocket', 43, 7), ('evil/rocket', 42, 8)) x (repo, number, id);
select t.look();
select t.is(t.stands(), 'created text_changed', 'not that of another issue, or of another repository');
rollback;

\echo 'a text that somebody put a label on before another one was asked for'
begin;
select pg_temp.fleet(p_author => 'bob');
select t.labels('ann', 'bug'), t.delivers('ann', 'label_updated'), t.edits('Better said');
select t.look();
select t.labels('ann', 'agent:x');
select t.is(t.look(), 'submitted', 'the other one is what is done');
select t.edits('As said');
select t.look();
select t.is(t.stands(), 'created text_changed', '... and a stranger does not bring back the first');
select t.is(t.look() || ' ' || t.stands(), 'recorded created text_changed', '... however often it is read');
rollback;

\echo 'a stranger''s label that only waits'
begin;
select pg_temp.fleet('{"approval": "untrusted"}');
select t.labels('ann', 'agent:x');
select t.look();
select t.unlabels('ann', 'agent:x'), t.labels('bob', 'agent:y');
select t.is(t.look(), 'relabelled', 'takes the place of another');
select t.is(t.stands(), 'created needs_approval', '... and waits');
select fleet.cancel('acme/rocket#42');
select t.is(t.look(), 'needs_approval', '... and was not served by that: it is asked for still');
rollback;

\echo 'what nobody approves'
begin;
select pg_temp.fleet('{"approval": "always"}');
select t.labels('ann', 'agent:x');
select t.look();
update fleet.task set hold_at = now() - interval '6 days';
select t.is(fleet.expire_approvals(10), 0, 'waits');
update fleet.task set hold_at = now() - interval '8 days';
select t.is(fleet.expire_approvals(10), 1, '... and is cancelled in the end');
select t.is(t.stands(), 'cancelled approval_expired', '... with the reason');
select t.is(t.look(), 'recorded', '... and asked for no more');
select t.sound();
rollback;

\echo 'approval by a comment'
begin;
create function pg_temp.says(p_id bigint, p_by text, p_body text, p_at text default null) returns text language sql as $$
  select t.look(42, jsonb_set(t.seen(), '{comments}', jsonb_build_array(jsonb_build_object('id', p_id, 'by', p_by, 'by_id',
    (select id from t.person where login = p_by), 'body', p_body, 'created_at', v.at, 'updated_at', v.at))))
  from (select coalesce(p_at, to_char(now() at time zone 'UTC' + interval '1 s', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) as at) v $$;
select pg_temp.fleet('{"approval": "always"}');
select t.labels('ann', 'agent:x');
select t.look();
select pg_temp.says(10001, 'bob', '/agent approve');
select t.is(t.stands(), 'created needs_approval', 'of somebody who may not start work is none');
update t.issue set at = extract(epoch from now() - timestamp '2026-01-01' at time zone 'UTC')::int + 1000, body = 'Changed behind it';
select pg_temp.says(10002, 'ann', '/agent approve');
select t.is(t.stands(), 'created needs_approval', '... nor one of a text that was changed since');
select t.ok((select text like '%text was changed%' from fleet.response where comment = 10002), '... which is said');
update fleet.issue set text_at = now() - interval '1 minute';
select pg_temp.says(10003, 'carl', '/agent approve');
select t.is(t.stands(), 'created', 'of one who may it counts');
rollback;
