# shellcheck shell=bash disable=SC2154 # run by tests/sql/run, which sets $database
# server/api/task_body.c writes rows of fleet.wanted_task: its list of members is the type's list of columns behind made_id.

check "task_body.c has the columns of fleet.wanted_task, in their order" test \
    "$(grep -o '{"[a-z_]*", json_type_' server/api/task_body.c | cut -d'"' -f2 | paste -sd' ')" = \
    "$(postgres_query "$database" "select string_agg(attname, ' ' order by attnum) from pg_attribute
                                   where attrelid = 'fleet.wanted_task'::regclass and attnum > 1")"
