-- Output by offset: compare-and-set, repeats, and byte for byte back.

begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('a');
select t.submit('b');
select t.claim('w1', 9);
select t.start('w1', 'a');
select t.start('w1', 'b');
select t.is(t.append('w1', 'a', 'stdout', 0, 'hello '), 'ok 6', 'the first chunk');
select t.is(t.append('w1', 'a', 'stdout', 0, 'hello '), 'ok 6', 'repeated: ok, once');
select t.is(t.append('w1', 'a', 'stdout', 100, 'x'), 'gap 6', 'a gap is refused and told');
select t.is(t.append('w1', 'a', 'stdout', 6, 'world', 'line 1'), 'ok 11', 'goes on where it ended');
select t.is((select checkpoint from fleet.jobs(t.node('w1'), array[t.attempt('a')])), 'line 1', 'with the parser''s checkpoint');
select t.is(t.append('w1', 'a', 'stderr', 0, '!'), 'ok 1', 'the other stream counts for itself');
select t.is((select checkpoint from fleet.jobs(t.node('w1'), array[t.attempt('a')])), 'line 1', 'no checkpoint keeps the old one');
select t.is(t.append('w1', 'a', 'stdout', 11, ''), 'ok 11', 'an empty chunk is nothing');
select t.is((select string_agg(verdict, ', ' order by ord) from fleet.append(t.node('w1'),
  array[t.attempt('a'), t.attempt('b'), t.attempt('a'), -1, t.attempt('b'), t.attempt('a')], array[1, 1, 1, 1, 7, 1],
  '{stdout,stdout,stdout,stdout,stdout,stderr}', '{11,0,12,0,2,9}', array['A'::bytea, 'bb', 'C', 'x', 'x', 'x'], array[null, null, null, null, null, null]::text[])),
  'ok, ok, ok, fenced, fenced, gap', 'a batch answers row by row, whatever its rows are');
select t.is((select row(stdout_bytes, stderr_bytes)::text from fleet.attempt where attempt = t.attempt('a')), '(13,1)',
  'two chunks of one stream in one batch both count');
select t.is((select convert_from(bytes, 'utf8') from fleet.task_logs(t.by(), 'a', null, '{stdout}', 0, 1000, null)), 'hello worldAC', 'read back');
select t.is((select convert_from(bytes, 'utf8') from fleet.task_logs(t.by(), 'a', 1, '{stdout,stderr}', 0, 1000, null)), 'hello world!AC',
  'both streams, in order of arrival');
select t.is((select convert_from(bytes, 'utf8') from fleet.task_logs(t.by(), 'a', 1, '{stderr}', 0, 1000, null)), '!', 'or one');
select t.is((select row(number, start, next, total, live, convert_from(bytes, 'utf8'))::text from fleet.task_logs(t.by(), 'a', null, '{stdout,stderr}', 6, 7, null)), '(1,6,13,14,t,world!A)',
  'a page, over chunk borders');
select t.is((select row(start, next, convert_from(bytes, 'utf8'))::text from fleet.task_logs(t.by(), 'a', null, '{stdout,stderr}', 0, 1000, 3)), '(11,14,!AC)',
  'the last bytes');
select t.is((select row(start, next, convert_from(bytes, 'utf8'))::text from fleet.task_logs(t.by(), 'a', null, '{stdout}', 0, 1000, 3)), '(10,13,dAC)',
  'the last bytes of one stream');
select t.is((select row(start, next, length(bytes))::text from fleet.task_logs(t.by(), 'a', null, '{stdout}', 0, 1000, 1000)), '(0,13,13)',
  'a tail longer than all is all');
select t.is((select row(start, next, length(bytes))::text from fleet.task_logs(t.by(), 'a', null, '{stdout}', 13, 1000, null)), '(13,13,0)',
  'at the end there is nothing');
select t.throws($$select fleet.task_logs(t.by(), 'nobody', null, '{stdout}', 0, 10, null)$$, 'AF003', 'no task: not found');
select t.throws($$select fleet.task_logs(t.by(), 'a', 7, '{stdout}', 0, 10, null)$$, 'AF003', 'no such attempt: not found');
select t.is(t.append('w1', 'a', 'stdout', 0, 'HELLO '), 'gap 13', 'other bytes where some are stored are no repetition');
select t.finish('w1', 'a');
select t.is(t.append('w1', 'a', 'stdout', 13, 'more'), 'fenced 13', 'an attempt that ended takes no more');
select t.is(t.append('w1', 'a', 'stdout', 0, 'hello '), 'ok 13', 'but answers a repetition as before');
select t.is((select live from fleet.task_logs(t.by(), 'a', null, '{stdout}', 0, 10, null)), false, 'a log that ended is not live');
select t.submit('c');
select t.is((select row(total, length(bytes))::text from fleet.task_logs(t.by(), 'c', null, '{stdout}', 0, 10, null)), '(0,0)',
  'a task without an attempt has an empty log');
select t.is(t.append('w1', 'b', 'stdout', 2, '\x00ff80fec3280a00'::bytea), 'ok 10', 'NUL and invalid UTF-8 are bytes like others');
select t.is((select bytes from fleet.task_logs(t.by(), 'b', null, '{stdout}', 2, 100, null)), '\x00ff80fec3280a00'::bytea, 'and come back as they were');
select t.sound('every invariant after appends');
select t.finish('w1', 'b', 'failed', 'exit_nonzero', 1);
select t.due();
select t.claim('w1', 9);
select t.start('w1', 'b');
select t.append('w1', 'b', 'stdout', 0, 'second');
select t.is((select row(number, convert_from(bytes, 'utf8'))::text from fleet.task_logs(t.by(), 'b', null, '{stdout}', 0, 100, null)), '(2,second)',
  'without a number: of the newest attempt');
rollback;

\echo 'many chunks, pages that cut anywhere'
begin;
select t.worker('w1', t.host('h', '{code:rust}', 9));
select t.submit('a');
select t.claim('w1', 9);
select t.start('w1', 'a');
create temp table sent (i int, stream text, chunk bytea);
create temp table read (i int, page bytea);
do $$
declare at bigint[] := '{0,0}'; chunk bytea; lane int; page record; n int := 0; seen bigint := 0;
begin
  perform setseed(0.42);
  for i in 1..300 loop
    chunk := decode((select string_agg(lpad(to_hex((random() * 255)::int), 2, '0'), '') from generate_series(1, (random() * 40)::int)), 'hex');
    chunk := coalesce(chunk, '');
    lane := 1 + (random() > 0.7)::int;
    insert into sent values (i, (array['stdout', 'stderr'])[lane], chunk);
    perform t.append('w1', 'a', (array['stdout', 'stderr'])[lane], at[lane], chunk);
    if random() > 0.8 then perform t.append('w1', 'a', (array['stdout', 'stderr'])[lane], at[lane], chunk); end if;
    at[lane] := at[lane] + length(chunk);
  end loop;
  loop
    select * into page from fleet.task_logs(t.by(), 'a', null, '{stdout,stderr}', seen, 97, null);
    exit when length(page.bytes) = 0;
    n := n + 1;
    insert into read values (n, page.bytes);
    seen := page.next;
  end loop;
end $$;
select t.is((select string_agg(page, '' order by i) from read), (select string_agg(chunk, '' order by i) from sent),
  'every byte in order of arrival');
select t.is((select bytes from fleet.task_logs(t.by(), 'a', null, '{stderr}', 0, 100000, null)), (select string_agg(chunk, '' order by i) from sent where stream = 'stderr'),
  'every byte of one stream');
select t.is((select bytes from fleet.task_logs(t.by(), 'a', null, '{stdout}', 100, 333, null)), (select substr(string_agg(chunk, '' order by i), 101, 333) from sent where stream = 'stdout'),
  'a window of one stream');
rollback;
