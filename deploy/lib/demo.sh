# shellcheck shell=bash
# The quickstart's demonstration: a signed webhook, a task followed to its end, a worker killed.
# Functions only; sourced by deploy/quickstart, whose say, die, read_sql, node_start and variables it uses.
# shellcheck disable=SC2154 # fleet url reader_url nodes_up

DEMO_REPO=demo/rocket

# demo_hmac FILE SECRET: HMAC-SHA256 in hex (RFC 2104), with the secret (at most 64 bytes) in no argv.
demo_hmac() {
    local file=$1 LC_ALL=C i byte inner=() outer=()
    for ((i = 0; i < 64; i++)); do
        byte=0
        ((i < ${#2})) && printf -v byte '%d' "'${2:i:1}"
        printf -v 'inner[i]' '\\x%02x' $((byte ^ 0x36))
        printf -v 'outer[i]' '\\x%02x' $((byte ^ 0x5c))
    done
    # shellcheck disable=SC2059 # the pads are formats of our own making
    {
        printf "$(printf %s "${outer[@]}")"
        { printf "$(printf %s "${inner[@]}")" && cat "$file"; } | sha256sum | cut -c1-64 | demo_unhex
    } | sha256sum | cut -c1-64
}

demo_unhex() {
    local hex escaped='' i
    read -r hex
    for ((i = 0; i < ${#hex}; i += 2)); do escaped+="\\x${hex:i:2}"; done
    # shellcheck disable=SC2059
    printf "$escaped"
}

# demo_issue NUMBER BODY: the body of the webhook that Forgejo sends when somebody adds the label
# agent:code:rust to an issue. BODY is JSON text without its quotes.
demo_issue() {
    local now
    now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    cat <<END
{
  "action": "label_updated",
  "number": $1,
  "issue": {
    "id": $((1000 + $1)), "number": $1, "title": "Demonstration $1", "body": "$2",
    "html_url": "http://127.0.0.1/$DEMO_REPO/issues/$1", "state": "open", "pull_request": null,
    "user": { "id": 7, "login": "visitor", "username": "visitor" },
    "labels": [ { "id": 1, "name": "agent:code:rust", "color": "00aabb" } ], "assignees": null,
    "created_at": "$now", "updated_at": "$now", "closed_at": null,
    "repository": { "id": 3, "name": "${DEMO_REPO#*/}", "owner": "${DEMO_REPO%/*}", "full_name": "$DEMO_REPO" }
  },
  "repository": { "id": 3, "name": "${DEMO_REPO#*/}", "full_name": "$DEMO_REPO", "private": false,
                  "owner": { "id": 2, "login": "${DEMO_REPO%/*}", "username": "${DEMO_REPO%/*}" } },
  "sender": { "id": 7, "login": "visitor", "username": "visitor" },
  "commit_id": ""
}
END
}

# demo_deliver NUMBER BODY: signs and sends it; the task's id is then DEMO_REPO#NUMBER.
demo_deliver() {
    local file=$fleet/tmp/webhook.json status
    demo_issue "$1" "$2" >"$file"
    # The signature is no secret: it is worth this body only.
    status=$(curl -sS -m 20 -o "$fleet/tmp/answer" -w '%{http_code}' -X POST \
        -H 'Content-Type: application/json' -H 'X-Forgejo-Event: issues' -H 'X-Forgejo-Event-Type: issue_label' \
        -H "X-Forgejo-Delivery: $(cat /proc/sys/kernel/random/uuid)" \
        -H "X-Forgejo-Signature: $(demo_hmac "$file" "$(cat "$fleet/etc/webhook-secret")")" \
        --data-binary @"$file" "$url/api/v1/webhooks/forgejo") || status=none
    [[ $status == 202 ]] || die server-1 "the webhook was answered with $status: $(head -c 300 "$fleet/tmp/answer" 2>/dev/null)"
    say "webhook for $DEMO_REPO#$1: 202 $(tr -d '\n' <"$fleet/tmp/answer")"
}

# demo_number: an issue number that no run of this script used before.
demo_number() {
    local number=0
    [[ -f $fleet/etc/issue ]] && read -r number <"$fleet/etc/issue"
    number=$((number + 1))
    echo "$number" >"$fleet/etc/issue"
    echo "$number"
}

# api PATH FILE: GET into FILE through Caddy; 1 when it fails.
demo_get() { curl -fsS -m 20 -o "$2" -H @"$fleet/etc/token-header" "$url/api/v1/$1" 2>"$fleet/tmp/curl"; }

# demo_json FILE PATH: a member of a JSON file, as text; PATH as in {attempts,0,status}.
demo_json() {
    # shellcheck disable=SC2016 # psql runs the backquoted command
    DEMO_FILE=$1 psql -XqAt -v ON_ERROR_STOP=1 -v path="$2" -d "$reader_url" -f - <<'END' 2>/dev/null
\set json `cat "$DEMO_FILE"`
select :'json'::jsonb #>> :'path'::text[];
END
}

# demo_show [EVERY]: what people want to see of an agent's events on stdin (Codex's, Claude Code's or OpenCode's); of
# numbered lines only each EVERYth. Control characters do not reach the terminal.
demo_show() {
    tr -d '\000-\010\013-\037\177' | awk -v every="${1:-1}" '
        # The text of a member, and whether there is one.
        function member(name) {
            if (!match($0, "\"" name "\":\"([^\"\\\\]|\\\\.)*\"")) return 0
            text = substr($0, RSTART + length(name) + 4, RLENGTH - length(name) - 5)
            return 1
        }
        # What a command printed, on one line.
        function printed(name) {
            if (!member(name)) return
            sub(/\\n$/, "", text); gsub(/\\n/, " · ", text)
            if (every > 1 && text ~ /^line [0-9]+ · /) sub(/.* · /, "", text)
        }
        { text = "" }
        /^\{"type":"item.completed".*"agent_message"/ || /^\{"type":"(assistant|text)"/ {
            member("text")
            if (text ~ /^line [0-9]+$/ && substr(text, 6) % every) next
        }
        /^\{"type":"item.completed".*"file_change"/ && member("path") { text = "(edited " text ")" }
        /^\{"type":"item.completed".*"command_execution"/ { printed("aggregated_output") }
        /^\{"type":"user"/ { printed("stdout") }
        /^\{"type":"tool_use"/ { printed("output") }
        /^\{"type":"(turn.failed|error)"/ && member("message") { text = "error: " text }
        !/^\{/ && $0 != "" { text = $0 }
        text != "" { print "    | " substr(text, 1, 200); fflush() }'
}

# What is followed: the task's path, the bytes read so far, and the end of an unfinished line.
demo_follow_begin() {
    task=$DEMO_REPO#$1
    task_path=tasks/${DEMO_REPO/\//%2F}%23$1
    offset=0 rest=
    : >"$fleet/tmp/output"
    deadline=$((SECONDS + $2))
}

# demo_follow_step [EVERY]: prints what is new of the log, of a task that goes on a piece, lest it be followed to its end; sets `status`.
demo_follow_step() {
    local chunk=$fleet/tmp/chunk lines
    ((SECONDS < deadline)) || die worker-1 "$task did not end in time (its status: ${status:-unknown});" \
        "ask why: psql \"\$FLEET_DATABASE_URL\" -c \"select * from fleet.explanations where task_id = '$task'\""
    # The status first: what is read after an end is all there is.
    if demo_get "$task_path" "$fleet/tmp/task"; then
        status=$(demo_json "$fleet/tmp/task" '{status}')
    fi
    while demo_get "$task_path/logs?offset=$offset&limit_bytes=262144" "$chunk" && [[ -s $chunk ]]; do
        offset=$((offset + $(wc -c <"$chunk")))
        cat "$chunk" >>"$fleet/tmp/output"
        lines=$rest$(tr -d '\0' <"$chunk"; echo .)
        lines=${lines%.}
        rest=${lines##*$'\n'}
        [[ $lines == *$'\n'* ]] && printf '%s\n' "${lines%$'\n'*}" | demo_show "${1:-1}"
        demo_ended || [[ $status == review_pending ]] || break
    done
    return 0
}

demo_ended() { [[ $status == completed || $status == failed || $status == cancelled ]]; }

# The fields of fleet.running or fleet.tasks for this task, each on a line.
demo_row() { # VIEW COLUMNS
    read_sql "select $2 from fleet.$1 where task_id = '$task' order by attempt desc limit 1"
}

# demo_first: the ordinary life of a task.
demo_first() {
    local number status=
    number=$(demo_number)
    say "1. Somebody labels issue $DEMO_REPO#$number with agent:code:rust; Forgejo sends a signed webhook."
    demo_deliver "$number" "$(demo_body short)"
    demo_follow_begin "$number" 180
    until demo_ended; do
        demo_follow_step
        demo_ended || sleep 0.3
    done
    say "$task is $status: attempt $(demo_row tasks attempt) on demo-host"
    [[ $status == completed ]] || die worker-1 "$task should have been completed"
    repository_verdict
}

# demo_second: the worker that runs a task dies in the middle.
demo_second() {
    local number status='' node='' pid adopter=''
    number=$(demo_number)
    say "2. A longer one, $DEMO_REPO#$number. In the middle of it, its worker is killed with -9."
    demo_deliver "$number" "$(demo_body long)"
    demo_follow_begin "$number" 300
    # Workers that have just come to know each other judge nobody by a lost connection (lock_grace_ms, 15 s).
    until grep -q 'line 20' "$fleet/tmp/output" && ((SECONDS - nodes_up > 16)) && node=$(demo_row running node) && [[ -n $node ]]; do
        demo_follow_step 10
        demo_ended && die worker-1 "$task ended ($status) before its worker could be killed"
        sleep 0.2
    done
    process_alive "$fleet/run" "$node" || die "$node" "$task is said to run on $node, which is not running"
    pid=$(cat "$fleet/run/$node.pid")
    kill -KILL "$pid"
    say "killed $node (pid $pid) with -9; the agent on the host goes on, nobody follows it now"
    until demo_ended; do
        demo_follow_step 10
        if [[ -z $adopter && -n $(demo_adoption) ]]; then
            read -r adopter _ < <(demo_adoption)
            say "$adopter took the run over"
        fi
        demo_ended || sleep 0.2
    done
    demo_verdict "$node"
    repository_verdict
    say "starting $node again"
    node_start "$node" || die "$node" "$node did not start"
}

# Who took the task over, and how long its owner had been silent then: "NAME SECONDS", or nothing.
demo_adoption() {
    read_sql "select substr(actor, 6), round((payload ->> 'silence_ms')::numeric / 1000, 1)
              from fleet.history where task_id = '$task' and event_type = 'adopted' and actor like 'node:%'
              order by event_id desc limit 1" | tr '|' ' '
}

# demo_verdict DEAD: what the data say about it.
demo_verdict() {
    local attempts run by seconds
    [[ $status == completed ]] || die worker-1 "$task should have been completed, it is $status"
    read -r by seconds < <(demo_adoption)
    [[ -n $by && $by != "$1" ]] || die worker-1 "nobody took $task over from $1"
    attempts=$(read_sql "select count(*) from fleet.attempts where task_id = '$task'")
    [[ $attempts == 1 ]] || die "$by" "$task has $attempts attempts, one was expected"
    # The bytes that the API gives against those that the runner keeps on the host.
    run=$(read_sql "select run from fleet.attempt_texts where task_id = '$task'")
    run=$(find "$fleet/work/.fleet" -path "*/runs/$run/out" -print -quit 2>/dev/null)
    [[ -f $run ]] || die "$by" "no output of $task on the host"
    demo_stdout "$fleet/tmp/stdout" || die server-1 "no log of $task"
    cmp -s "$run" "$fleet/tmp/stdout" || die "$by" "the log of $task differs from $run"
    demo_numbered "$fleet/tmp/stdout" || die "$by" "the numbered lines of $task are not consecutive"
    say "adopted by $by after $seconds s, 0 bytes lost, still attempt 1" \
        "(compared with the host: $(wc -c <"$run") bytes, $demo_lines numbered lines)"
}

# demo_stdout FILE: the task's whole standard output, as the API tells it.
demo_stdout() {
    : >"$1"
    while demo_get "$task_path/logs?stream=stdout&offset=$(wc -c <"$1")&limit_bytes=262144" "$fleet/tmp/chunk"; do
        [[ -s $fleet/tmp/chunk ]] || return 0
        cat "$fleet/tmp/chunk" >>"$1"
    done
    return 1
}

# demo_numbered FILE: the numbers after "line " run from 1 without a gap; events may repeat some. Sets demo_lines.
demo_numbered() {
    demo_lines=$(grep -o 'line [0-9][0-9]*' "$1" | awk '$2 == n + 1 { n++ } $2 > n { bad = 1; exit } END { print n + 0; exit bad }')
}
