# shellcheck shell=bash disable=SC2034,SC2016 # variables and texts are for tests/e2e/lib.sh
# Many runs that start or end at once are told in few calls, each for itself: one that the database refuses, one whose task
# somebody holds, and a worker killed in between lose none of the others.

ENDS=${ENDS:-20} # --long: 50
# Waits without a process of its own until somebody opens the gate: all of them end at that moment.
ADAPTERS="  waiter: { command: [ /bin/sh, -c, 'echo \"start {task_id}\" >>\"$TEST_DIR/fleet/ledger\"; : <\"$TEST_DIR/fleet/gate\"' ], output: text }"
fleet_begin
mkfifo "$E2E/gate"
HOSTS="  - host_id: here
    hostname: localhost
    work_dir: $E2E/work/here
    agents:
$(executor waiter "$ENDS" wait)
"
mkdir -p "$E2E/work/here"
server 1
URL=http://127.0.0.1:${PORT[server-1]}
token_header
worker 1
wait_for 30 "the host to be reachable" reachable here

submit_many() { # PREFIX COUNT
    local i items=
    for ((i = 1; i <= $2; i++)); do
        items+=${items:+,}'{"title": "T", "task_id": "'$1-$i'", "labels": ["agent:wait"], "body": "B"}'
    done
    submit "[$items]"
}
are() { # PREFIX STATUS COUNT
    [[ $(sql "select count(*) from fleet.tasks where task_id like '$1-%' and status = '$2'") == "$3" ]]
}
said() { grep -aE "$2" "$E2E/log/worker-1.log" | grep -aqE "\"task\":\"$1\""; }
# How many transactions told the events of this type.
calls() { # PREFIX EVENT
    sql "select count(distinct e.xid) from fleet.event e join fleet.task t using (task) where t.task_id like '$1-%' and e.event_type = '$2'"
}
waiting() { [[ $(runs_of | wc -l) -ge $1 ]]; }
# The first call that tells ends stays on its way until it may go on, so that the others are due meanwhile.
sql "create sequence fleet.test_turn; create sequence fleet.test_go; grant all on sequence fleet.test_turn, fleet.test_go to public;
     create function fleet.test_slow() returns trigger language plpgsql as \$\$
     begin
         if nextval('fleet.test_turn') = 1 then
             while not (select is_called from fleet.test_go) loop perform pg_sleep(0.05); end loop;
         end if;
         return new;
     end \$\$;
     create trigger slow before insert on fleet.event for each row
     when (new.event_type = 'attempt_ended') execute function fleet.test_slow()"
due() { [[ $(grep -acE "finishing after.*\"task\":\"$1-" "$E2E/log/worker-1.log") == "$2" ]]; }
telling() { [[ $(sql "select is_called from fleet.test_turn") == t ]]; }
end_all() { # PREFIX COUNT
    sql "alter sequence fleet.test_turn restart; alter sequence fleet.test_go restart"
    : >"$E2E/gate"
    wait_for 60 "all $2 ends to be due" due "$1" "$2"
    wait_for 30 "the first to be on their way" telling
}
go_on() { sql "select nextval('fleet.test_go')" >/dev/null; }

submit_many all "$ENDS"
wait_for 60 "all $ENDS to run" are all running "$ENDS"
wait_for 30 "... on their host" waiting "$ENDS"
end_all all "$ENDS"
go_on
wait_for 60 "all $ENDS to complete" are all completed "$ENDS"
for event in starting attempt_ended; do
    told=$(calls all "$event")
    check "$ENDS times '$event' were told in few calls ($told)" [ "$told" -le $((ENDS / 4)) ]
done
check "each ran once" [ "$(sort -u "$LEDGER" | wc -l) $(wc -l <"$LEDGER")" = "$ENDS $ENDS" ]

# ---- one is refused, one is held
submit_many two 8
wait_for 60 "8 to run" are two running 8
wait_for 30 "... on their host" waiting 8
sql "create function fleet.test_poison() returns trigger language plpgsql as \$\$
     begin raise exception 'this one is poisoned' using errcode = '22P05'; end \$\$;
     create trigger poison before insert on fleet.event for each row
     when (new.event_type = 'attempt_ended' and new.task = $(sql "select task from fleet.task where task_id = 'two-3'"))
     execute function fleet.test_poison()"
exec {holder}> >(exec psql -XqAt -d "$(postgres_url fleet)" >"$E2E/log/holder" 2>&1)
echo "begin; select 'holds ' || task_id from fleet.task where task_id = 'two-5' for update;" >&"$holder"
wait_for 10 "somebody to hold a task" grep -q "holds two-5" "$E2E/log/holder"
end_all two 8
go_on
wait_for 30 "the others to complete" are two completed 6
wait_for 30 "the one that is refused to be said" said two-3 "refused by the database again and again: this one is poisoned"
wait_for 30 "the one that is held to be said" said two-5 "finishing waits for .* s: .*fleet.sessions"
check "... neither has ended" are two running 2
echo "commit;" >&"$holder"
wait_for 20 "the one that was held to complete" task_is two-5 completed
exec {holder}>&-
sql "drop trigger poison on fleet.event; drop function fleet.test_poison()"
wait_for 40 "the one that was refused to complete" task_is two-3 completed
check "each in one attempt" [ "$(sql "select max(number) from fleet.attempt")" = 1 ]

# ---- the worker dies while it tells them
submit_many killed 12
wait_for 60 "12 to run" are killed running 12
wait_for 30 "... on their host" waiting 12
end_all killed 12
kill_node worker-1 # while the first call is on its way: the database carries it out, and nobody hears the answer
go_on
worker 2
wait_for 60 "all 12 to complete under worker-2" are killed completed 12
check "... in one attempt each" [ "$(sql "select max(number) from fleet.attempt")" = 1 ]
check "... with one end each" [ "$(sql "select count(*) from fleet.event e join fleet.task t using (task) where t.task_id like 'killed-%' and event_type = 'attempt_ended'")" = 12 ]
check "none ran twice" [ "$(sort "$LEDGER" | uniq -d | wc -l)" = 0 ]
wait_for 10 "invariants to hold" invariants_hold
