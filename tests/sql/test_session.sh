# shellcheck shell=bash disable=SC2154 # database: set by run
# What a login that may only read can do to the others, one by one; and who sees and ends it.

denied() { # SQL [ROLE]: refused for want of a right
    local said
    said=$(postgres_psql "$database" "${2:-fleet_reader_login}" -v VERBOSITY=sqlstate -c "$1" 2>&1) && { echo "allowed: $1"; return 1; }
    [[ $said == *42501* ]] || { echo "$said"; return 1; }
}
fills() { # SQL NAME
    check "a reader may not $2" denied "$1"
}
fills "select pg_advisory_lock(n) from generate_series(1, 2000000) n" "fill the table of locks"
for call in 'pg_advisory_lock(1, 2)' 'pg_advisory_lock_shared(1)' 'pg_advisory_xact_lock(1)' 'pg_advisory_xact_lock_shared(1, 2)' \
    'pg_try_advisory_lock(1)' 'pg_try_advisory_lock_shared(1)' 'pg_try_advisory_xact_lock(1)' 'pg_try_advisory_xact_lock_shared(1)'; do
    fills "select $call" "take locks by $call"
done
fills "select lo_create(0)" "make large objects"
fills "select lo_creat(-1)" "make them the old way"
fills "select lo_from_bytea(0, 'x')" "or from bytes"
fills "select pg_logical_emit_message(false, 'x', 'x')" "write into the log of the database"
fills "create table public.x (a int)" "make tables"
fills "create schema x" "make schemas"
fills "create function public.f() returns int language sql return 1" "make functions"
fills "do 'begin lock table fleet.tasks in row share mode; end'" "lock a view against writers"
fills "do 'begin lock table fleet.task; end'" "lock a table"
fills "select from fleet.tasks for update" "lock rows"
fills "select from fleet.tasks for key share" "lock rows a little"
fills "alter role fleet_server_login set default_transaction_read_only = on" "change another login"
fills "alter database $database set default_transaction_read_only = on" "change the database"
fills "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'postgres'" "end other sessions"
fills "select fleet.end_session(1)" "end them through us"
fills "table fleet.sessions" "see what others do"
fills "alter system set max_connections = 1" "change the server"
fills "copy (select 1) to program 'true'" "start programs"

# ---- who holds what
# hold NAME SQL: a session of that application which says "held" once SQL is done, and stays until the end of the test.
hold() {
    PGAPPNAME=$1 psql -XqAt -d "$(postgres_url "$database" "${3:-fleet_reader_login}")" -c "begin" -c "$2" \
        -c "select pg_sleep(3000)" >"$TEST_DIR/$1.out" 2>&1 &
    started $!
    wait_for 20 "$1 to hold it" sees "$1" "doing like 'select pg_sl%'"
}
sees() { # APPLICATION CONDITION
    [[ $(postgres_query "$database" "select count(*) from fleet.sessions where application = '$1' and $2" fleet_operator_login) == 1 ]]
}
postgres_query "$database" "select t.submit('a')" >/dev/null
hold reading "select count(*) from fleet.tasks"
check "an operator sees a reader's transaction" sees reading "login = 'fleet_reader_login' and transaction_since < now() and state = 'active'"
check "... that holds back vacuum" sees reading "holds_back_xids is not null"
check "... how many locks it holds" sees reading "locks > 3 and advisory_locks = 0"
check "... not what is behind the first quotation mark" sees reading "doing not like '%(3000)%' or doing like 'select pg_sleep(3000)'"
hold holding "select fleet.cancel('a')" fleet_operator_login
PGAPPNAME=waiting psql -XqAt -d "$(postgres_url "$database")" -c "update fleet.task set priority = 1" >/dev/null 2>&1 &
started $!
wait_for 20 "somebody to wait" sees waiting "cardinality(blocked_by) = 1"
check "an operator sees who holds up others" sees holding "blocks = 1"
postgres_query "$database" "select pg_advisory_lock(n) from generate_series(1, 500) n; select pg_sleep(3000)" >/dev/null 2>&1 &
started $!
wait_for 20 "locks of one kind" eval \
    '[[ $(postgres_query "$database" "select max(advisory_locks) from fleet.sessions" fleet_operator_login) == 500 ]]'
end=$(postgres_query "$database" "select ends_with from fleet.sessions where application = 'holding'" fleet_operator_login)
check "the call that ends it works: $end" eval '[[ $(postgres_query "$database" "$end" fleet_operator_login) == "ended: fleet_operator_login, holding, active" ]]'
wait_for 20 "it to be gone" eval '! sees holding true'
ends() { postgres_psql "$database" fleet_operator_login -v VERBOSITY=verbose -c "select fleet.end_session($1)" 2>&1; }
# shellcheck disable=SC2034 # used in what is evaluated
super=$(postgres_query "$database" "select pid from pg_stat_activity where query like '%generate_series(1, 500)%' and pid <> pg_backend_pid()")
check "a superuser's session is not ended by an operator" eval '[[ $(ends "$super") == *AF009* ]]'
check "... and the message says by which call" eval '[[ $(ends "$super") == *"pg_terminate_backend($super)"* ]]'
check "a session that is not here" eval '[[ $(ends 1) == *AF003* ]]'

# ---- the queue of notifications: what it would do when half of it is used, and when less
postgres_psql "$database" postgres -f - >/dev/null <<'SQL'
create table t.told (at timestamptz default now());
create function t.pg_notify(text, text) returns void language sql as 'insert into t.told default values';
create function t.pg_notification_queue_usage() returns float8 language sql as 'select current_setting(''t.usage'')::float8';
SQL
told() { postgres_query "$database" "set search_path = t, pg_catalog; set t.usage = '$1'; select fleet.hint(); select count(*) from t.told"; }
check "a queue that fills gets no hint" eval '[[ $(told 0.5) == *0 ]]'
check "... another one does" eval '[[ $(told 0.4) == *1 ]]'
