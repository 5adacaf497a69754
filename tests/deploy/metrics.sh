# shellcheck shell=bash disable=SC2016,SC2154 # texts are for eval; variables of the libraries
# What is measured. Alert rules and dashboard by themselves; then GET /metrics of a fleet at work: what promtool says of it, that it
# tells what happened, that two servers tell the same; and a real Prometheus with both on top. Sourced by tests/deploy/part.

metrics_suite() {
    metrics_files
    # shellcheck source=tests/lib/postgres.sh
    source tests/lib/postgres.sh
    # shellcheck source=tests/e2e/lib.sh
    source tests/e2e/lib.sh
    metrics_fleet || { fail "metrics: a fleet to look at"; return; }
    metrics_counted
    metrics_stock
    metrics_form
    metrics_closed
    metrics_prometheus
    metrics_trouble
}

metrics_files() {
    check "the alert rules are rules" promtool check rules deploy/prometheus/rules.yml
    check "each alert fires when it has to, and not before" promtool test rules deploy/prometheus/rules_test.yml
    check "each has a summary, and a command that shows the cause" metrics_rules_told
}
metrics_rules_told() {
    python3 - <<'PY'
import sys, yaml
rules = [r for g in yaml.safe_load(open("deploy/prometheus/rules.yml"))["groups"] for r in g["rules"]]
bad = [r["alert"] for r in rules if not r["annotations"]["summary"] or r["annotations"]["description"].count("`") < 2]
print(bad)
sys.exit(bool(bad) or len(rules) < 30)
PY
}

metrics_fleet() {
    fleet_begin
    host h1 "$(executor counter 2 code:rust)"
    server 1 && server 2 && caddy || return 1
    token_header
    worker 1
    wait_for 30 "the host to be reached" reachable h1
    reader=$E2E/etc/reader
    (umask 077 && token read >"$reader")
}

# scrape N [curl arguments]: what server N shows, to $E2E/metrics.N.
scrape() {
    local n=$1
    shift
    curl -fsS -m 20 -H "Authorization: Bearer $(cat "$reader")" -o "$E2E/metrics.$n" "$@" "http://127.0.0.1:${PORT[server-$n]}/metrics"
}
# The value of one line, as it begins; of a scrape made now.
shows() { # LINE VALUE
    scrape 1 && [[ $(grep -F "$1 " "$E2E/metrics.1") == "$1 $2" ]]
}
status_of() { curl -sS -m 20 -o /dev/null -w '%{http_code}' "$@" "http://127.0.0.1:${PORT[server-1]}/metrics"; }

# What happened is counted, once.
metrics_counted() {
    for n in 1 2 3; do submit "{\"task_id\": \"m$n\", \"title\": \"Count\", \"body\": \"lines=3\", \"labels\": [\"agent:code:rust\"]}"; done
    submit '{"task_id": "odd", "title": "Nobody", "labels": ["agent:it \"is\" \\odd"]}'
    issue opened acme/rocket 1 agent:code:rust 2026-11-01T10:00:00Z >"$E2E/issue"
    deliver "$E2E/issue" issues >/dev/null
    wait_for 60 "the tasks to end" none_waiting 1
    for line in 'fleet_tasks_submitted_total{source="api"} 4' 'fleet_tasks_submitted_total{source="forgejo"} 1' \
        'fleet_tasks_ended_total{status="completed"} 4' 'fleet_claims_total{kind="ssh_cli"} 4' 'fleet_starts_total{kind="ssh_cli"} 4' \
        'fleet_runs_total{kind="ssh_cli",outcome="succeeded",reason="",class=""} 4' 'fleet_start_seconds_count{kind="ssh_cli"} 4' \
        'fleet_run_seconds_count{kind="ssh_cli",outcome="succeeded"} 4' 'fleet_deliveries_total{result="accepted",reason="submitted"} 1'; do
        check "$line" until_true 20 shows "${line% *}" "${line##* }"
    done
}

# What there is.
metrics_stock() {
    for line in 'fleet_tasks{status="created"} 1' 'fleet_host_up{host="h1"} 1' 'fleet_slots{kind="ssh_cli",state="free"} 2' \
        'fleet_nodes{kind="worker",status="live"} 1' 'fleet_nodes{kind="server",status="live"} 2' 'fleet_worker_hosts_up{node="worker-1"} 1' \
        'fleet_worker_claims_total{node="worker-1"} 4'; do
        check "$line" until_true 30 shows "${line% *}" "${line##* }"
    done
    check "invariants are counted" until_true 90 shows 'fleet_check_faults{check="check_slot"}' 0
    check "labels are escaped" until_true 30 shows 'fleet_queue_tasks{requirements="it \"is\" \\odd",state="ready",slots="none"}' 1
}

same_fleet() { # what is of the fleet, but for times
    scrape 1 && scrape 2 && diff <(grep -E '^fleet_(tasks|claims|starts|runs|deliveries|slots|hosts|agents)' "$E2E/metrics.1") \
        <(grep -E '^fleet_(tasks|claims|starts|runs|deliveries|slots|hosts|agents)' "$E2E/metrics.2")
}
explained_all() { # each name that is shown is explained
    ! comm -23 <(sed -n 's/^# TYPE \([^ ]*\) .*/\1/p' "$E2E/metrics.1" | sort) <(cut -f1 "$E2E/explained" | sort) | grep .
}
no_complaints() { # N
    ! promtool check metrics <"$E2E/metrics.$1" 2>&1 | grep .
}
# The form of it.
metrics_form() {
    counted() { scrape 1 && scrape 2 && grep -q '^fleet_partitions_ahead_seconds' "$E2E/metrics.1"; }
    wait_for 30 'what there is to be counted' counted
    check "promtool has nothing to say" no_complaints 1
    check "... of the other server's" no_complaints 2
    check "both servers tell the same of the fleet" until_true 20 same_fleet
    "$BUILD/fleet-server" --explain-metrics >"$E2E/explained"
    check "--explain-metrics knows every name" explained_all
    check "no id, path or address is a label" eval '! grep -E "\"(m[123]|acme/rocket#1|127\.0\.0\.1)\"" "$E2E/metrics.1"'
}

# Who may.
metrics_closed() {
    check "without a token: 401" eval '[[ $(status_of) == 401 ]]'
    check "by HEAD" eval '[[ $(status_of -I -H "Authorization: Bearer $(cat "$reader")") == 200 ]]'
    # shellcheck disable=SC2034 # for eval
    bound=$(WEBHOOK_SECRET=$FLEET_SECRET "$BUILD/fleet-server" token create --scope read --name bound --repository acme/rocket \
        --config "$E2E/etc/server-1.yaml" 2>/dev/null)
    check "a token bound to repositories: 403" eval '[[ $(status_of -H "Authorization: Bearer $bound") == 403 ]]'
}

# query EXPRESSION: the values of its answer, a line each.
query() {
    curl -fsS -m 10 "http://127.0.0.1:$port/api/v1/query" --data-urlencode "query=$1" |
        python3 -c 'import json, sys; [print(r["value"][1]) for r in json.load(sys.stdin)["data"]["result"]]'
}
answers() { [[ $(query "$1") == "$2" ]]; } # EXPRESSION VALUE
rules_run() { # every rule was evaluated without an error
    curl -fsS -m 10 "http://127.0.0.1:$port/api/v1/rules" | python3 -c '
import json, sys
rules = [r for g in json.load(sys.stdin)["data"]["groups"] for r in g["rules"]]
bad = [(r["name"], r["health"], r.get("lastError")) for r in rules if r["health"] != "ok"]
print(len(rules), bad)
sys.exit(bool(bad) or len(rules) < 30)'
}
panels_answer() { # every expression of the dashboard is understood, and its metrics are those that are explained
    python3 - "$port" "$E2E/explained" deploy/grafana/agent-fleet.json <<'PY'
import json, re, sys, urllib.parse, urllib.request
port, explained, dashboard = sys.argv[1:]
types = {line.split("\t")[0]: line.split("\t")[1] for line in open(explained)}
known = {"up", "ALERTS"}
for name, kind in types.items():
    known |= {name + s for s in ("_bucket", "_sum", "_count")} if kind == "histogram" else {name}
faults, seen, ids = [], 0, set()
board = json.load(open(dashboard))
for panel in board["panels"]:
    assert panel["id"] not in ids and panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24, panel["title"]
    ids.add(panel["id"])
    for target in panel.get("targets", []):
        seen += 1
        expression = target["expr"].replace("$__rate_interval", "1m").replace("$job", "agent-fleet")
        faults += [f"{panel['title']}: no metric {n}" for n in re.findall(r"\b((?:fleet|process)_[a-z_]+)\s*[{(\[]", expression) if n not in known]
        url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        try:
            urllib.request.urlopen(url, timeout=10).read()
        except urllib.error.HTTPError as fault:
            faults.append(f"{panel['title']}: {fault.read().decode()}")
assert seen > 50, seen
print("\n".join(faults))
sys.exit(bool(faults))
PY
}
# A real Prometheus.
metrics_prometheus() {
    port=$(free_port)
    mkdir -p "$E2E/prometheus"
    sed -e "s|/usr/share/agent-fleet/prometheus/|$PWD/deploy/prometheus/|; s|/etc/prometheus/agent-fleet-token|$reader|" \
        -e "s|127.0.0.1:9091|127.0.0.1:${PORT[server-1]}|; s|127.0.0.1:9092|127.0.0.1:${PORT[server-2]}|; s|15s|1s|" \
        deploy/prometheus/prometheus.yml >"$E2E/prometheus/prometheus.yml"
    check "the example is a configuration" promtool check config "$E2E/prometheus/prometheus.yml"
    process_start "$E2E/run" prometheus "$E2E/log/prometheus.txt" prometheus --config.file="$E2E/prometheus/prometheus.yml" \
        --storage.tsdb.path="$E2E/prometheus/data" --web.listen-address="127.0.0.1:$port" --log.level=warn
    at_exit process_stop "$E2E/run" prometheus TERM
    check "both servers are up" until_true 60 answers 'sum(up{job="agent-fleet"})' 2
    check "it knows what happened" until_true 20 answers 'max without (instance) (fleet_runs_total{outcome="succeeded"})' 4
    check "every rule runs" until_true 30 rules_run
    check "nothing is wrong" until_true 20 answers 'count(ALERTS{alertstate="firing"}) or vector(0)' 0
    check "every panel of the dashboard asks for what there is" panels_answer
}

# A host goes, the database goes.
metrics_trouble() {
    sshd_down
    check "a host that is not reached is told" until_true 60 answers 'max without (instance) (fleet_host_up)' 0
    postgres_stop "$E2E/postgres"
    check "a server without the database is told" until_true 60 answers 'count(up{job="agent-fleet"} == 0 or fleet_db_up == 0)' 2
}
