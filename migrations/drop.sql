-- Drops what code.sql makes. No table depends on any of it: defaults, checks and indexes use built-in functions only.
do $$
declare
    v_what text;
    v_names text;
begin
    for v_what, v_names in
        select 'trigger', format('%I on %s', t.tgname, t.tgrelid::regclass) from pg_trigger t
        join pg_class c on c.oid = t.tgrelid
        where c.relnamespace = 'fleet'::regnamespace and not t.tgisinternal and t.tgparentid = 0
        union all
        select 'routine', string_agg(p.oid::regprocedure::text, ', ') from pg_proc p
        where p.pronamespace = 'fleet'::regnamespace having count(*) > 0
    loop
        -- views that call functions go with them
        execute format('drop %s %s %s', v_what, v_names, case v_what when 'routine' then 'cascade' else '' end);
    end loop;
    select string_agg(c.oid::regclass::text, ', ') into v_names from pg_class c
    where c.relnamespace = 'fleet'::regnamespace and c.relkind = 'v';
    if v_names is not null then
        execute format('drop view %s', v_names);
    end if;
    select string_agg(c.oid::regclass::text, ', ') into v_names from pg_class c
    where c.relnamespace = 'fleet'::regnamespace and c.relkind = 'c';
    if v_names is not null then
        execute format('drop type %s', v_names);
    end if;
end $$;
