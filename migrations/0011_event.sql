-- Streams: history in the order in which it may be read without a gap, and the lines of output.

-- Ids come from a sequence and nobody looks an event up by its own: the order of streams takes the place of the key.
alter table fleet.event drop constraint event_pkey;
create index event_order on fleet.event (xid, event_id);
comment on column fleet.event.xid is 'who reads by (xid, event_id) below the oldest open transaction misses nothing: ids alone commit out of order';

alter table fleet.log add column line bigint, add column pos_line bigint;
alter table fleet.attempt
    add column stdout_lines bigint not null default 0,
    add column stderr_lines bigint not null default 0;
with n as (
    select l.attempt, l.stream, l.start, l.pos, cardinality(string_to_array(encode(l.bytes, 'escape'), E'\n')) - 1 as lines from fleet.log l)
update fleet.log l set line = c.line, pos_line = c.pos_line
from (select n.attempt, n.stream, n.start,
             sum(n.lines) over (partition by n.attempt, n.stream order by n.start) - n.lines as line,
             sum(n.lines) over (partition by n.attempt order by n.pos) - n.lines as pos_line from n) c
where c.attempt = l.attempt and c.stream = l.stream and c.start = l.start;
update fleet.attempt a set stdout_lines = coalesce(c.stdout, 0), stderr_lines = coalesce(c.stderr, 0)
from (select l.attempt, sum(cardinality(string_to_array(encode(l.bytes, 'escape'), E'\n')) - 1) filter (where l.stream = 'stdout') as stdout,
             sum(cardinality(string_to_array(encode(l.bytes, 'escape'), E'\n')) - 1) filter (where l.stream = 'stderr') as stderr
      from fleet.log l group by l.attempt) c
where c.attempt = a.attempt;
alter table fleet.log alter column line set not null, alter column pos_line set not null;
comment on column fleet.log.line is 'newlines in its stream before it';
comment on column fleet.log.pos_line is 'newlines before it in the order of arrival, both streams counted';
comment on column fleet.attempt.stdout_lines is 'newlines stored';
