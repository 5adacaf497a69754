-- plpgsql_check over every PL/pgSQL function: a wrong column is accepted at create time and fails when called.
create extension plpgsql_check;
select t.none($$
  select format('%s:%s %s %s', p.oid::regprocedure, c.lineno, c.level, c.message)
  from pg_proc p join pg_language l on l.oid = p.prolang
  cross join lateral plpgsql_check_function_tb(p.oid,
    coalesce((select g.tgrelid from pg_trigger g where g.tgfoid = p.oid and not g.tgisinternal limit 1), 0)) c
  where p.pronamespace = 'fleet'::regnamespace and l.lanname = 'plpgsql' and c.level <> 'warning extra'$$, 'plpgsql_check finds nothing');
select t.ok((select count(*) > 20 from pg_proc p join pg_language l on l.oid = p.prolang where p.pronamespace = 'fleet'::regnamespace and l.lanname = 'plpgsql'),
  'it looked at the functions');
select t.none($$select p.oid::regprocedure from pg_proc p join pg_language l on l.oid = p.prolang where p.pronamespace = 'fleet'::regnamespace and l.lanname = 'sql' and p.prosqlbody is null$$,
  'every function in SQL is checked at its creation (begin atomic)');
