-- What schema fleet takes of the disk and of the log of changes: bench.sizes() is kept by bench.snap(), bench.wal() reads what was written since.
\set ON_ERROR_STOP on

-- A partition counts for its parent.
create view bench.relation as
select coalesce(i.inhparent, c.oid) as root, c.oid from pg_class c left join pg_inherits i on i.inhrelid = c.oid
where c.relnamespace = 'fleet'::regnamespace and c.relkind = 'r';

create view bench.size as
select p.relname::text as "table", sum(pg_relation_size(r.oid)) as heap, sum(pg_table_size(r.oid) - pg_relation_size(r.oid)) as toast,
       sum(pg_indexes_size(r.oid)) as indexes, sum(s.n_live_tup) as rows, sum(s.n_dead_tup) as dead, sum(s.n_tup_upd) as updates,
       sum(s.n_tup_hot_upd) as hot, sum(s.autovacuum_count) as vacuums
from bench.relation r join pg_class p on p.oid = r.root join pg_stat_all_tables s on s.relid = r.oid
group by 1;

create view bench.index_size as
select p.relname::text as "table",
       coalesce((select n.relname from pg_inherits i join pg_class n on n.oid = i.inhparent where i.inhrelid = x.indexrelid), c.relname)::text as index,
       sum(pg_relation_size(x.indexrelid)) as bytes
from bench.relation r join pg_index x on x.indrelid = r.oid join pg_class c on c.oid = x.indexrelid join pg_class p on p.oid = r.root
group by 1, 2;

create table bench.before as table bench.size with no data;
create table bench.index_before as table bench.index_size with no data;
create table bench.mark (one boolean primary key default true, at pg_lsn);

create function bench.snap() returns void language sql as $$
  truncate bench.before, bench.index_before, bench.mark;
  insert into bench.before select * from bench.size;
  insert into bench.index_before table bench.index_size;
  insert into bench.mark (at) values (pg_current_wal_insert_lsn());
$$;

-- Bytes of records since the mark, by table; whole pages, which depend on how often there is a checkpoint, apart.
create view bench.wal as
with file as (
  select pg_relation_filenode(r.oid) as node, r.root from bench.relation r
  union all select pg_relation_filenode(x.indexrelid), r.root from bench.relation r join pg_index x on x.indrelid = r.oid
  union all select pg_relation_filenode(k.reltoastrelid), r.root from bench.relation r join pg_class k on k.oid = r.oid where k.reltoastrelid <> 0
  union all select pg_relation_filenode(x.indexrelid), r.root from bench.relation r join pg_class k on k.oid = r.oid
            join pg_index x on x.indrelid = k.reltoastrelid
)
select coalesce(p.relname::text, '(commits)') as "table", sum(w.bytes)::numeric as bytes,
       sum(w.pages)::numeric as pages
from (select substring(block_ref from 'rel [0-9]+/[0-9]+/([0-9]+)')::oid as node, sum(record_length - fpi_length) as bytes, sum(fpi_length) as pages
      from bench.mark m, pg_get_wal_records_info(m.at, pg_current_wal_flush_lsn()) group by 1) w
left join file f on f.node = w.node left join pg_class p on p.oid = f.root
where w.node is null or f.node is not null -- the bench's own tables do not count
group by 1;

-- What was read after the runs, so that reading does not count itself: sizes, what is free or dead within pages, WAL.
create table bench.result as
select s.*, i.bytes as wal, i.pages as wal_pages, 0::numeric as slack from bench.size s, bench.wal i with no data;
create function bench.after() returns void language plpgsql as $$
begin
  truncate bench.result;
  insert into bench.result
  select coalesce(a."table", w."table"), a.heap - b.heap, a.toast - b.toast, a.indexes - b.indexes, a.rows - coalesce(b.rows, 0), a.dead,
         a.updates - b.updates, a.hot - b.hot, a.vacuums - b.vacuums, coalesce(w.bytes, 0), coalesce(w.pages, 0),
         (select sum(t.table_len - t.tuple_len) from bench.relation r join pg_class p on p.oid = r.root, pgstattuple(r.oid) t
          where p.relname = a."table" and a.updates > b.updates)
  from bench.size a join bench.before b using ("table") full join bench.wal w on w."table" = a."table";
end $$;

create function bench.bytes(p numeric) returns text language sql immutable as $$ select to_char(p, 'FM999,999,999,990') $$;

create function bench.left_by(p_runs int)
returns table ("table" text, rows text, heap text, toast text, indexes text, bytes text, wal text) language sql as $$
  with r as (
    select x."table", coalesce(sum(x.rows), 0) as rows, coalesce(sum(x.heap), 0) as heap, coalesce(sum(x.toast), 0) as toast,
           coalesce(sum(x.indexes), 0) as indexes, sum(x.wal) as wal, grouping(x."table") as whole
    from bench.result x group by rollup (x."table"))
  select coalesce(r."table", '**all**'), to_char(r.rows / p_runs, 'FM999,990.0'), bench.bytes(r.heap / p_runs), bench.bytes(r.toast / p_runs),
         bench.bytes(r.indexes / p_runs), bench.bytes((r.heap + r.toast + r.indexes) / p_runs), bench.bytes(r.wal / p_runs)
  from r where r.heap + r.toast + r.indexes > 0 or r.wal >= p_runs order by r.whole, r.wal desc;
$$;

create view bench.updated as
select r."table", r.updates, to_char(100.0 * r.hot / r.updates, 'FM990.0') || ' %' as hot, r.dead,
       (select (heap / 8192)::int from bench.size s where s."table" = r."table") as pages,
       coalesce(to_char(100 * r.slack / nullif((select heap from bench.size s where s."table" = r."table"), 0), 'FM990'), '0') || ' %' as slack, r.vacuums
from bench.result r where r.updates > 0 order by r.updates desc;

create function bench.indexes(p_runs int) returns table (index text, bytes text) language sql as $$
  select a.index, bench.bytes((a.bytes - b.bytes) / p_runs) from bench.index_size a join bench.index_before b using ("table", index)
  where a.bytes > b.bytes order by a.bytes - b.bytes desc limit 15;
$$;

create function bench.total(p_what text) returns bigint language sql as $$
  select (case p_what when 'left' then sum(heap + toast + indexes) when 'wal' then sum(wal) when 'rows' then sum(rows) when 'hot' then sum(hot)
          when 'updates' then sum(updates) end)::bigint from bench.result;
$$;
