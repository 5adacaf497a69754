-- Output that retention has removed: told with its date, never answered as an empty log that goes on.

begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('a');
select t.submit('quiet');
select t.claim('w1', 9);
select t.start('w1', 'a');
select t.start('w1', 'quiet');
select t.is((select row(total, length(bytes), live, gone)::text from fleet.task_logs(t.by(), 'quiet', null, null, 0, 100, null)), '(0,0,t,)',
  'a live run that wrote nothing has an empty log');
-- five chunks, each on a day of its own
select t.append('w1', 'a', 'stdout', 0, '0123456789');
select t.append('w1', 'a', 'stderr', 0, 'abcde');
select t.append('w1', 'a', 'stdout', 10, 'ABCDEFGHIJ');
select t.append('w1', 'a', 'stdout', 20, 'xy');
select t.append('w1', 'a', 'stderr', 5, 'z');
update fleet.attempt set claimed_at = '2026-01-01Z', started_at = '2026-01-01Z', ended_at = '2026-01-06Z', phase = 'ended', outcome = 'succeeded',
  output_at = '2026-01-05T01:02:03Z' where attempt = t.attempt('a');
select fleet.make_partition('log', 'log_old' || d, timestamp '2026-01-01' + (d - 1) * interval '1 day', timestamp '2026-01-01' + d * interval '1 day')
from generate_series(1, 5) d;
update fleet.log l set at = timestamptz '2026-01-01T01:02:03Z' + (o.d - 1) * interval '1 day'
from (select pos, row_number() over (order by pos) as d from fleet.log where attempt = t.attempt('a')) o where o.pos = l.pos and l.attempt = t.attempt('a');

create function pg_temp.logs(p_streams text[], p_offset bigint, p_limit bigint default 1000, p_tail bigint default null) returns text language sql as $$
  select concat_ws(' ', start, next, total, convert_from(bytes, 'utf8'), gone) from fleet.task_logs(t.by(), 'a', null, p_streams, p_offset, p_limit, p_tail)
$$;
select t.is(pg_temp.logs(null, null), '0 28 28 0123456789abcdeABCDEFGHIJxyz', 'before: all of it');

drop table fleet.log_old1;
select t.is(pg_temp.logs(null, 0), '0 10 28  2026-01-02T01:02:03.000000Z', 'by offset: gone, before when it was written, where it goes on');
select t.is(pg_temp.logs(null, 9, 1), '9 10 28  2026-01-02T01:02:03.000000Z', 'also the last byte of it');
select t.is(pg_temp.logs(null, 10), '10 28 28 abcdeABCDEFGHIJxyz', 'from there on all');
select t.is(pg_temp.logs(null, null), '10 28 28 abcdeABCDEFGHIJxyz', 'without an offset: what is still there');
select t.is(pg_temp.logs(null, null, 3), '10 13 28 abc', '... a page of it');
select t.is(pg_temp.logs(null, null, 1000, 20), '10 28 28 abcdeABCDEFGHIJxyz', 'a tail that reaches too far: likewise');
select t.is(pg_temp.logs(null, null, 1000, 2), '26 28 28 yz', 'a short one is whole');
select t.is(pg_temp.logs('{stdout}', 3), '3 10 22  2026-01-03T01:02:03.000000Z', 'of one stream, by its own offsets');
select t.is(pg_temp.logs('{stderr}', 0), '0 6 6 abcdez', 'the other one is whole');

drop table fleet.log_old3;
select t.is(pg_temp.logs(null, 12), '12 15 28 cde', 'a page ends at a hole');
select t.is(pg_temp.logs(null, 15), '15 25 28  2026-01-04T01:02:03.000000Z', 'which the next one tells');
select t.is(pg_temp.logs(null, 16, 1), '16 25 28  2026-01-04T01:02:03.000000Z', '... anywhere in it');
select t.is(pg_temp.logs('{stdout}', null), '20 22 22 xy', 'one stream without an offset');

drop table fleet.log_old2, fleet.log_old4, fleet.log_old5;
select t.is(pg_temp.logs(null, 0), '0 28  2026-01-05T01:02:03.000000Z', 'nothing left: gone, and it goes on nowhere');
select t.is(pg_temp.logs(null, null), '0 28  2026-01-05T01:02:03.000000Z', '... without an offset too');
select t.is(pg_temp.logs(null, null, 1000, 5), '23 28  2026-01-05T01:02:03.000000Z', '... and by a tail');
select t.is(pg_temp.logs(null, 28), '28 28 28 ', 'at the end there is nothing, which is no hole');
select t.is(pg_temp.logs(null, null, 1000, 0), '28 28 28 ', '... nor is an empty tail');
rollback;
