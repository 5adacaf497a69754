# shellcheck shell=bash disable=SC2016,SC2034 # variables and texts are for tests/e2e/lib.sh
# The edge: deploy/Caddyfile with the real Caddy over two servers. A server is killed and another one drains under load; bodies,
# a thousand connections, a path prefix, passwords for people, HTTPS, the access log.
OPEN=${OPEN:-1000} KILLS=${KILLS:-2}
SERVER="trusted_proxies: [ 127.0.0.1 ]"
fleet_begin
# A cheap one, for "secret".
SECRET_HASH=$(python3 -W ignore -c 'import crypt; print(crypt.crypt("secret", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)))')

# ---- the file

adapt() { env HOME="$E2E" "${@:2}" caddy adapt --config "$1" --adapter caddyfile 2>&1; }
formatted() { diff "$1" <(command caddy fmt "$1"); }
for file in deploy/Caddyfile deploy/fleet.caddy; do check "$file is formatted" formatted "$file"; done
says() { grep -qE -- "$1" <<<"$2"; }
plain=$(adapt deploy/Caddyfile)
check "as it is: no complaint" eval '! says "\"level\":\"(warn|error)" "$plain"'
check "... on the loopback alone" eval 'says "\"listen\":\[\"127.0.0.1:9090\"\]" "$plain"'
check "... Caddy's control is off, and nothing is put into the machine's trust" eval 'says "\"admin\":\{\"disabled\":true\}" "$plain" && says "\"install_trust\":false" "$plain"'
domain=$(adapt deploy/Caddyfile FLEET_SITE=fleet.example.org FLEET_BIND= FLEET_SERVERS='10.0.0.1:9091 node-b:9092' FLEET_ADMIN=unix//run/caddy.sock FLEET_TLS='tls me@example.org')
check "a domain: HTTPS on all addresses" eval 'says "\"listen\":\[\":443\"\]" "$domain" && says "\"host\":\[\"fleet.example.org\"\]" "$domain" && ! says "\"automatic_https\":" "$domain"'
check "... with an address for the certificates, these nodes, this control" eval 'says "\"email\":\"me@example.org\"" "$domain" && says "10.0.0.1:9091\"\},\{\"dial\":\"node-b:9092" "$domain" && says "unix//run/caddy.sock" "$domain"'
cat >"$E2E/etc/own" <<EOF
git.example.org {
	import $PWD/deploy/fleet.caddy
	reverse_proxy 127.0.0.1:3000
}
EOF
own=$(adapt "$E2E/etc/own" FLEET_PREFIX=/agent-fleet)
check "a site that exists takes the fleet in below a path" eval 'says "\"path\":\[\"/agent-fleet/\*\"\]" "$own" && says 127.0.0.1:3000 "$own"'
echo "import $PWD/deploy/Caddyfile" >"$E2E/etc/whole"
check "a Caddyfile that imports it is the same" [ "$(adapt "$E2E/etc/whole" | sed '/^{"level"/d')" = "$(sed '/^{"level"/d' <<<"$plain")" ]
# The time in which a draining server is still asked.
interval=$(sed -nE 's/^\s*health_interval ([0-9]+)s$/\1000/p' deploy/fleet.caddy)
lame=$(sed -nE 's/^#define LAME_DUCK_MS ([0-9]+) .*/\1/p' server/main.c)
check "a server that drains is asked for two health intervals ($lame ms, $interval ms)" eval '((lame >= 2 * interval))'
settle=$(sed -nE 's/.*\bsettle=([0-9]+)$/\1/p' deploy/rolling-restart | head -n 1)
check "... and another one restarted when that was seen ($settle s)" eval '((settle * 1000 >= 2 * interval))'

# ---- through it

server 1
server 2
caddy FLEET_ACCESS_LOG="file $E2E/log/access.json" FLEET_PEOPLE="alice $SECRET_HASH"
token_header
TOKEN=$(sed 's/.* //' "$E2E/etc/header")
answer() { curl -sS -m 30 --path-as-is -o "$E2E/body" -w '%{http_code}' "$@"; }
json='Content-Type: application/json'

# size BYTES [HEADER...]: the status for so many bytes of tasks
python3 -c 'import sys; sys.stdout.write("".join("{\"title\": \"big\", \"labels\": [\"agent:load\"], \"body\": \"%s\"}\n" % ("x" * 32000) for _ in range(40)))' |
    head -c 1040000 | head -n 32 >"$E2E/tasks"
printf '%*s\n' $((1048576 - $(wc -c <"$E2E/tasks") - 1)) '' >>"$E2E/tasks"
lines() { answer -X POST -H @"$E2E/etc/header" -H 'Content-Type: application/x-ndjson' -H 'Expect:' "$@" "$URL/api/v1/tasks"; }
check "1 MiB of tasks is taken" [ "$(lines --data-binary @"$E2E/tasks")" = 201 ]
echo >>"$E2E/tasks"
check "... a byte more is 413" [ "$(lines --data-binary @"$E2E/tasks")" = 413 ]
check "... in chunks as well" [ "$(lines -H 'Transfer-Encoding: chunked' --data-binary @"$E2E/tasks")" = 413 ]
truncate -s 40M "$E2E/huge"
refused() { # OPTION...: ten times, with not one reset
    local status
    for _ in {1..10}; do
        status=$(lines "$@")
        [[ $status == 413 ]] || { echo "$status $(head -c 300 "$E2E/body")"; return 1; }
    done
}
check "... 40 MiB too, ten times" refused --data-binary @"$E2E/huge"
check "... and in chunks" refused -H 'Transfer-Encoding: chunked' --data-binary @"$E2E/huge"
issue label_updated acme/rocket 7 agent:load 2026-01-02T00:00:00Z "$(head -c 40000 /dev/zero | tr '\0' y)" | tr -d '\n' >"$E2E/hook"
printf '%*s' $(((5 << 20) - $(wc -c <"$E2E/hook"))) '' >>"$E2E/hook"
check "a delivery of 5 MiB is taken" [ "$(deliver "$E2E/hook" issue_label)" = 202 ]
echo >>"$E2E/hook"
check "... a byte more is 413" [ "$(deliver "$E2E/hook" issue_label)" = 413 ]

# Who has a slow line.
head -n 6 "$E2E/tasks" >"$E2E/slow"
curl -sS -m 60 --limit-rate 16k -o "$E2E/slow.body" -w '%{http_code} after %{time_total} s' -H @"$E2E/etc/header" -H 'Content-Type: application/x-ndjson' \
    --data-binary @"$E2E/slow" "$URL/api/v1/tasks" >"$E2E/slow.status" 2>&1 &
slow=$!
started "$slow"

# Paths as they were sent.
id() { sed -nE 's/.*"task_id" ?: ?"([^"]*)".*/\1/p' "$E2E/body" | head -n 1; }
kept() { # ENCODED ID
    [[ $(answer -H @"$E2E/etc/header" "$URL/api/v1/tasks/$1") == 200 && $(id) == "$2" ]] || { cat "$E2E/body"; return 1; }
}
made() { # ID: a task with it, and where it is said to be
    local location
    location=$(curl -sS -m 30 -o /dev/null -D - -H @"$E2E/etc/header" -H "$json" -d "{\"title\": \"T\", \"task_id\": \"$1\", \"labels\": [\"agent:load\"]}" "$URL/api/v1/tasks" |
        tr -d '\r' | sed -nE 's/^[Ll]ocation: //p')
    [[ $(answer -H @"$E2E/etc/header" "${URL%%/agent-fleet}$location") == 200 && $(id) == "$1" ]] || { echo "$location: $(head -c 300 "$E2E/body")"; return 1; }
}
round_trips() {
    check "$1 %2F and %23 arrive" kept acme%2Frocket%237 'acme/rocket#7'
    for name in 'a/b' 'a#b' 'a%2Fb' '../up' 'a b+c' 'é?&='; do check "$1 a task $name is where Location says" made "$name"; done
    check "$1 what is no path is refused as such" [ "$(answer -H @"$E2E/etc/header" "$URL/api/v1/tasks/a%00b")" = 400 ]
}
round_trips "at the root:"
follows() { # all pages by Link, as a client does
    local next="${URL%%/agent-fleet}$1" base=${URL%%/agent-fleet} pages=0
    while [[ -n $next && $pages -lt 20 ]]; do
        next=$(curl -fsS -m 30 -o /dev/null -D - -H @"$E2E/etc/header" "$next" | tr -d '\r' | sed -nE 's/^[Ll]ink: <([^>]*)>; rel="next"$/\1/p')
        pages=$((pages + 1))
        [[ -z $next ]] || next=$base$next
    done
    ((pages >= 4)) || { echo "$pages pages"; return 1; }
}
check "Link leads through all pages" follows '/api/v1/tasks?limit=10&status=created'

# People and tokens.
check "a page needs a name and a password" [ "$(answer "$URL/api/v1/openapi.json")" = 401 ]
check "... a wrong one does not do" [ "$(answer -u alice:wrong "$URL/api/v1/openapi.json")" = 401 ]
check "... the right one does" [ "$(answer -u alice:secret "$URL/api/v1/openapi.json")" = 200 ]
check "... and is not a token" [ "$(answer -u alice:secret "$URL/api/v1/tasks")" = 401 ]
check "... nor told to a node" grep -q 'a token is needed' "$E2E/body"
check "a token needs neither" [ "$(answer -H @"$E2E/etc/header" "$URL/api/v1/tasks?limit=1")" = 200 ]
check "... whatever its scheme's case" [ "$(answer -H "authorization: bearer $TOKEN" "$URL/api/v1/tasks?limit=1")" = 200 ]
check "... a wrong one is judged by the node" eval '[[ $(answer -H "Authorization: Bearer no" "$URL/api/v1/tasks") == 401 ]] && grep -q "no token of this fleet" "$E2E/body"'
check "probes need none" [ "$(answer "$URL/healthz")$(answer "$URL/livez")$(answer "$URL/readyz")" = 200200200 ]
check "an unsigned delivery is judged by the node" eval '[[ $(answer -H "$json" -H "X-Forgejo-Event: issues" -d "{}" "$URL/api/v1/webhooks/forgejo") == 401 ]] && grep -q -i signature "$E2E/body"'

# Headers.
once() { # URL OPTION...: no header of an answer comes twice
    [[ -z $(curl -sS -m 30 -o /dev/null -D - -H @"$E2E/etc/header" "$@" | sed -nE 's/^([A-Za-z-]+): .*/\L\1/p' | sort | uniq -d) ]]
}
check "no header is doubled" once "$URL/api/v1/tasks?limit=1"
check "... in a refusal" once "$URL/api/v1/nothing"
check "no HSTS over HTTP" eval '! curl -sS -m 30 -o /dev/null -D - "$URL/healthz" | grep -qi strict-transport'

# The access log.
answer -H @"$E2E/etc/header" -H 'X-Request-Id: edge-1' -H "X-Wrong-Place: $TOKEN" "$URL/api/v1/tasks?limit=1" >/dev/null
answer -H @"$E2E/etc/header" -H 'Cookie: a=b' "$URL/api/v1/tasks?token=$TOKEN&access_token=$TOKEN" >/dev/null
answer -u alice:secret "$URL/api/v1/tasks/$TOKEN?x=$TOKEN" >/dev/null
log_holds() { # a line of JSON for each, and the one that we named
    python3 - "$E2E/log/access.json" <<'PYTHON'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
mine = [line for line in lines if line["resp_headers"].get("X-Request-Id") == ["edge-1"]]
assert len(mine) == 1 and mine[0]["status"] == 200 and mine[0]["request"]["uri"] == "/api/v1/tasks?limit=1", mine
assert any("token=REDACTED&access_token=REDACTED" in line["request"]["uri"] for line in lines), lines[-2:]
assert all("headers" not in line["request"] for line in lines)
PYTHON
}
wait_for 5 "the access log to have the last request" grep -q 'tasks/REDACTED?x=REDACTED' "$E2E/log/access.json"
check "each request is a line of JSON, with our X-Request-Id" log_holds
check "... without a token, a password or a cookie" eval '! grep -rqF -e "$TOKEN" -e "$(printf alice:secret | base64)" -e a=b "$E2E/log/access.json" "$E2E/log/caddy.log"'

# ---- a thousand connections

api POST /api/v1/agents/register -H "$json" -d '{"agent_id": "flood", "agent_type": "script", "capabilities": ["nothing"], "max_concurrency": 1000}' >/dev/null
tests/e2e/flood open "${URL##*:}" "$OPEN" "$TOKEN" >"$E2E/open" 2>&1 &
flood=$!
started "$flood"
wait_for 60 "$OPEN connections to be open" grep -q '^open' "$E2E/open"
served() {
    for _ in {1..100}; do [[ $(answer -H @"$E2E/etc/header" "$URL/api/v1/tasks?limit=1") == 200 ]] || return 1; done
}
check "others are served beside $OPEN open connections" served
kill -TERM "$flood"
wait_for 20 "them to be counted" grep -q '^kept' "$E2E/open"
third=$((OPEN / 3))
check "... which are all as they were: $(tail -n 1 "$E2E/open")" grep -qE "^kept idle ($third|$((third - 1))) poll ($third|$((third + 1))) stream ($third|$((third + 1)))$" "$E2E/open"
end_process "$flood"

wait_for 60 "the slow body to be sent" pid_gone "$slow"
check "a slow body is taken: $(cat "$E2E/slow.status")" grep -q '^201' "$E2E/slow.status"

# ---- a server dies, and comes back, under load

load() { # NAME ARGUMENT...
    mkdir -p "$E2E/$1"
    tests/e2e/load "$URL" "$E2E/etc/header" into="$E2E/$1" "${@:2}" >"$E2E/$1/load" 2>&1 &
    loading=$!
    started "$loading"
    wait_for 30 "the load to go" grep -q '^going' "$E2E/$1/load"
}
load_ends() { # NAME
    kill -TERM "$loading"
    wait_for 60 "the load to end" pid_gone "$loading"
    sed 's/^/# /' "$E2E/$1/load"
}
load kill read=3 fresh=2 submit=3 single=2 again=20 pause=0.005
for ((i = 0; i < KILLS; i++)); do
    n=$((i % 2 + 1))
    down=$(downs $n)
    kill_node server-$n
    wait_for 10 "Caddy to see that server-$n is gone" grown downs $n "$down"
    server_back $n
done
load_ends kill
check "$KILLS times kill -9 under load: no request failed" grep -qE '^requests [0-9]{3,} failed 0 ' "$E2E/kill/load"
check "... not one GET had to be repeated" eval '! grep -E "^repeated" "$E2E/kill/load" | grep -vE "^repeated +(502|503) "'
once_each() { [[ $(sort "$E2E/$1/accepted") == "$(postgres_query fleet "select title from fleet.task_texts where title like 'load %'" | sort)" ]]; }
check "... of $(wc -l <"$E2E/kill/accepted") tasks none is lost, none is there twice" once_each kill

# ---- a server drains

answered() { # N: requests for the list of tasks that server-N has answered
    curl -fsS -m 5 -H @"$E2E/etc/header" "http://127.0.0.1:${PORT[server-$1]}/metrics" |
        sed -nE 's/^fleet_http_requests_total\{.*route="\/api\/v1\/stats".* ([0-9]+)$/\1/p' | awk '{ all += $1 } END { print all + 0 }'
}
stop_node server-1
FLEET_LAME_DUCK_MS=6000 server_back 1
load drain read=4 pause=0.01
more() { (($(answered 1) > $1)); }
wait_for 10 "server-1 to be asked" more "$(answered 1)"
down=$(downs 1)
kill_node server-1 TERM
wait_for 5 "Caddy to see it drain" grown downs 1 "$down"
first=$(answered 1)
asked_more() { (($(answered 2) > $1 + 50)); }
wait_for 5 "the other one to be asked" asked_more "$(answered 2)"
check "a server that drains gets no new request" [ "$(answered 1)" = "$first" ]
wait_for 30 "it to end" eval '! alive server-1'
load_ends drain
check "... and nobody noticed" grep -qE '^requests [0-9]{3,} failed 0 ' "$E2E/drain/load"

# ---- nobody is there

stop_node server-2
nobody() { [[ $(answer -X POST -H @"$E2E/etc/header" -H "$json" -D "$E2E/head" -d '{"title": "T", "labels": ["agent:x"]}' "$URL/api/v1/tasks") == 50[23] ]]; }
wait_for 10 "Caddy to see that nobody is there" eval 'nobody && grep -q "^HTTP/1.1 503" "$E2E/head"'
check "no server: 503 in our form" grep -q '"code": "unavailable"' "$E2E/body"
check "... with Retry-After" grep -qi '^Retry-After: 1' "$E2E/head"
check "... the error is logged without tokens" eval '! grep -qF -e "$TOKEN" "$E2E/log/access.json" "$E2E/log/caddy.log"'
process_stop "$E2E/run" caddy

# ---- HTTPS, a prefix, and passwords from a file

server 1
server 2
http=$(free_port) https=$(free_port)
echo "alice $SECRET_HASH" >"$E2E/etc/people"
PREFIX=/agent-fleet
URL=https://fleet.test:$https$PREFIX
edge() { # VARIABLE=VALUE...
    process_stop "$E2E/run" caddy
    process_start "$E2E/run" caddy "$E2E/log/caddy.log" env HOME="$E2E" XDG_DATA_HOME="$E2E/run" XDG_CONFIG_HOME="$E2E/run" \
        FLEET_SERVERS="127.0.0.1:${PORT[server-1]} 127.0.0.1:${PORT[server-2]}" FLEET_HTTP_PORT="$http" FLEET_HTTPS_PORT="$https" "$@" \
        caddy run --config deploy/Caddyfile --adapter caddyfile
    wait_for 20 "Caddy to serve" curl -fsS -o /dev/null "$URL/healthz"
}
# All that is asked from here on knows the name and the authority.
cat >"$E2E/.curlrc" <<EOF
resolve = "fleet.test:$https:127.0.0.1"
resolve = "fleet.test:$http:127.0.0.1"
cacert = "$E2E/run/caddy/pki/authorities/local/root.crt"
EOF
export CURL_HOME=$E2E
edge FLEET_SITE=fleet.test FLEET_TLS='tls internal' FLEET_PREFIX=$PREFIX FLEET_PEOPLE="import $E2E/etc/people"
check "HTTPS with HSTS, once" [ "$(curl -sS -m 30 -o /dev/null -D - "$URL/healthz" | grep -ci '^strict-transport-security: max-age=31536000')" = 1 ]
check "HTTP leads there" [ "$(curl -sS -m 30 -o /dev/null -w '%{http_code} %{redirect_url}' "http://fleet.test:$http$PREFIX/healthz?a=b%2Fc")" = "308 https://fleet.test$PREFIX/healthz?a=b%2Fc" ]
check "the prefix alone leads below it" [ "$(curl -sS -m 30 -o /dev/null -w '%{http_code} %{redirect_url}' -H @"$E2E/etc/header" "$URL")" = "308 $URL/" ]
check "... where the nodes answer" eval '[[ $(answer -H @"$E2E/etc/header" "$URL/") == 404 ]] && grep -q "nothing at this path" "$E2E/body"'
for path in / /healthz /api/v1/tasks /agent-fleetx /agent-fleet%2Fhealthz "/agent-fleet/..%2fhealthz" "/agent-fleet/../healthz"; do
    check "beside the prefix there is nothing: $path" eval '[[ $(answer -H @"$E2E/etc/header" "${URL%$PREFIX}$path") == 40[04] ]]'
done
round_trips "below a prefix:"
check "below a prefix: Link leads through all pages" follows "$PREFIX/api/v1/tasks?limit=10&status=created"
check "... a delivery arrives" [ "$(issue label_updated acme/rocket 8 agent:load 2026-01-02T00:00:00Z >"$E2E/hook" && deliver "$E2E/hook" issue_label)" = 202 ]
check "... a stream flows" eval '[[ -n $(curl -sN -m 3 -H @"$E2E/etc/header" "$URL/api/v1/events" | grep -E "^(:|id:|retry:|event:)") ]]'
check "... a page needs a password of the file" [ "$(answer "$URL/api/v1/openapi.json")$(answer -u alice:secret "$URL/api/v1/openapi.json")" = 401200 ]
check "... and no header is doubled" once "$URL/api/v1/tasks?limit=1"
unset CURL_HOME
URL=https://localhost:$https
printf 'cacert = "%s"\n' "$E2E/run/caddy/pki/authorities/local/root.crt" >"$E2E/.curlrc"
export CURL_HOME=$E2E
edge FLEET_SITE=localhost
check "https://localhost by Caddy's own authority" [ "$(answer -H @"$E2E/etc/header" "$URL/api/v1/tasks?limit=1")" = 200 ]
check "... without HSTS, which would be every program's on this machine" eval '! curl -sS -m 30 -o /dev/null -D - "$URL/healthz" | grep -qi strict-transport'
unset CURL_HOME
wait_for 10 "invariants to hold" invariants_hold
