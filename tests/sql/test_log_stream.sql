-- Output as a stream: where it begins, how far it is stored, what is read; lines.

begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('a');
select t.submit('later');
select t.is((select row(attempt, number, stdout, stderr, gone)::text from fleet.log_open(t.by(), 'a', null, null, null, null, null, null)),
  '(,0,0,0,)', 'a task without an attempt can be followed');
select t.claim('w1', 1);
select t.start('w1', 'a');
create function pg_temp.opened(p_streams text[], p_offset bigint, p_tail bigint, p_stdout bigint default null, p_stderr bigint default null)
returns text language sql as $$
  select concat_ws(' ', number, stdout, stderr, gone, next)
  from fleet.log_open(t.by(), 'a', null, p_streams, p_offset, p_tail, p_stdout, p_stderr) $$;
create function pg_temp.read(p_stdout bigint, p_stderr bigint, p_limit int default 1000) returns text language sql as $$
  select string_agg(concat_ws(':', left(stream, 4), start, line, replace(convert_from(bytes, 'utf8'), E'\n', '/')), ' ')
  from fleet.log_read(t.attempt('a'), p_stdout, p_stderr, p_limit) $$;
create function pg_temp.heads(p_attempt bigint, p_bytes bigint) returns text language sql as $$
  select concat_ws(' ', ord, stdout, stderr, ended, outcome, status, over, next_number)
  from fleet.log_heads(array[(select task from fleet.task where task_id = 'a')], array[p_attempt], array[p_bytes]) $$;
select t.is(pg_temp.heads(null, 0), '1 0 0 f running f 1', 'who waits for the first attempt is told of it');
select t.is(pg_temp.heads(t.attempt('a'), 0), null, 'of an attempt without news nothing is told');
select t.append('w1', 'a', 'stdout', 0, E'one\ntwo\nth');
select t.append('w1', 'a', 'stderr', 0, E'err\n');
select t.append('w1', 'a', 'stdout', 10, E'ree\nfour');
select t.append('w1', 'a', 'stderr', 4, E'or');
select t.is(pg_temp.heads(t.attempt('a'), 0), '1 18 6 f running f', 'what is stored');
select t.is(pg_temp.heads(t.attempt('a'), 24), null, '... once known is no news');

\echo 'places'
select t.is(pg_temp.opened(null, null, null), '1 0 0', 'from the beginning');
select t.is(pg_temp.opened(null, 12, null), '1 10 2', 'an offset in the order of arrival, as one in each stream');
select t.is(pg_temp.opened(null, 9, null), '1 9 0', '... in the first chunk');
select t.is(pg_temp.opened(null, null, 3), '1 17 4', 'a tail');
select t.is(pg_temp.opened(null, null, 0), '1 18 6', 'a tail of nothing: the end');
select t.is(pg_temp.opened('{stdout}', 12, null), '1 12 4', 'an offset in one stream');
select t.is(pg_temp.opened('{stderr}', null, 1), '1 18 5', 'a tail of the other');
select t.is(pg_temp.opened(null, null, null, 3, 4), '1 3 4', 'where it was');
select t.throws('select pg_temp.opened(null, null, null, 3, 7)', 'AF007', '... but not behind the end');
select t.throws($$select fleet.log_open(t.by(), 'nobody', null, null, null, null, null, null)$$, 'AF003', 'no task');
select t.throws($$select fleet.log_open(t.by(), 'a', 9, null, null, null, null, null)$$, 'AF003', 'no such attempt');
select t.throws($$select fleet.log_open(t.by(-7), 'a', null, null, null, null, null, null)$$, 'AF003', 'out of reach');
select t.throws($$select fleet.task_logs(t.by(-7), 'a', null, null, null, 9, null)$$, 'AF003', '... for pages too');

\echo 'pages'
select t.is(pg_temp.read(0, 0), 'stdo:0:1:one/two/th stde:0:1:err/ stdo:10:3:ree/four stde:4:2:or', 'all of it, with the lines that they begin in');
select t.is(pg_temp.read(5, 0), 'stdo:5:2:wo/th stde:0:1:err/ stdo:10:3:ree/four stde:4:2:or', 'from within a chunk');
select t.is(pg_temp.read(10, 0), 'stde:0:1:err/ stdo:10:3:ree/four stde:4:2:or', 'streams stand where they stand');
select t.is(pg_temp.read(null, 1), 'stde:1:1:rr/ stde:4:2:or', 'one stream');
select t.is(pg_temp.read(2, null, 9), 'stdo:2:1:e/two/th stdo:10:3:r', 'at most so many bytes');
select t.is(pg_temp.read(2, 0, 8), 'stdo:2:1:e/two/th', '... at a border');
select t.is(pg_temp.read(18, 6), null, 'behind the end nothing');

\echo 'lines of pages'
create function pg_temp.line(p_streams text[], p_offset bigint, p_tail bigint default null) returns text language sql as $$
  select concat_ws(' ', first_line, replace(convert_from(bytes, 'utf8'), E'\n', '/')) from fleet.task_logs(t.by(), 'a', null, p_streams, p_offset, 4, p_tail) $$;
select t.is(pg_temp.line(null, 0), '1 one/', 'the first line is 1');
select t.is(pg_temp.line(null, 3), '1 /two', 'a newline belongs to the line that it ends');
select t.is(pg_temp.line(null, 4), '2 two/', 'behind it is the next');
select t.is(pg_temp.line(null, 14), '4 ree/', 'both streams counted');
select t.is(pg_temp.line('{stdout}', 14), '4 four', 'one stream counted');
select t.is(pg_temp.line('{stdout}', null, 2), '4 ur', 'of a tail');
select t.is(pg_temp.line('{stdout}', 18), '4 ', 'at the end');
select t.is((select first_line from fleet.task_logs(t.by(), 'later', null, null, 0, 4, null)), 1::bigint, 'of nothing');
do $$
begin
  perform t.append('w1', 'a', 'stdout', 18, decode('0a000a5c0aff0a', 'hex'));
end $$;
select t.is((select stdout_lines from fleet.attempt where attempt = t.attempt('a')), 7::bigint, 'newlines among NUL, backslashes and bad UTF-8');

\echo 'from attempt to attempt'
select t.finish('w1', 'a', 'failed', 'exit_nonzero', 1);
select t.is(pg_temp.heads(t.attempt('a'), 31), '1 25 6 t failed created f', 'ended, and another one will come');
select t.keep('first', t.attempt('a'));
select t.due();
select t.claim('w1', 9);
select t.is(pg_temp.heads(t.kept('first')::bigint, 31), '1 25 6 t failed assigned f 2', 'it has come');
select t.start('w1', 'a');
select t.append('w1', 'a', 'stdout', 0, 'second');
select t.finish('w1', 'a');
select t.is(pg_temp.heads(t.attempt('a'), 6), '1 6 0 t succeeded completed t', 'the last one');
select t.is(pg_temp.heads(t.kept('first')::bigint, 31), '1 25 6 t failed completed f 2', '... is told behind the first one');
select t.is((select string_agg(ord || ':' || status, ' ' order by ord) from fleet.log_heads(
  array(select task from fleet.task order by task_id), array[t.attempt('a'), null], '{0,0}')), '1:completed 2:assigned', 'many at once');
select t.sound();
rollback;
