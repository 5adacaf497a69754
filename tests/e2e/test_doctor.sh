# shellcheck shell=bash disable=SC2034,SC2016,SC2154 # variables and texts are for tests/e2e/lib.sh
# fleet-server forgejo doctor: each thing that is wrong is named, mended by --fix where it can be, and right after.
# shellcheck source=tests/lib/forgejo.sh
source tests/lib/forgejo.sh

fleet_begin
forgejo_start "$E2E"
forgejo_world acme/rocket
forgejo_do make_token '{"login": "acme", "token": "owner-token", "scopes": ["all"]}' >/dev/null
forgejo_do collaborator '{"repo": "acme/rocket", "user": "fleet", "mode": "admin"}' >/dev/null
PORT[server-1]=$(free_port)
TARGET=http://127.0.0.1:${PORT[server-1]}/api/v1/webhooks/forgejo
REPOSITORIES=acme/rocket TRIGGER_USERS=''
keys() { FORGEJO_KEYS="token: ${1:-fleet-token}${2-, lookup_token: lookup-token}, webhook_url: \"$TARGET\"${3:+, $3}"; }
keys
server 1

# doctor STATUS ARGUMENT...: with the configuration as `keys` has it now.
doctor() {
    local wanted=$1 status=0
    shift
    config "$E2E/etc/doctor.yaml" 9090 "$(node_url fleet_server_login)"
    [[ -z ${UNSIGNED-} ]] || sed -i 's/webhook_secret: "[^"]*",//' "$E2E/etc/doctor.yaml"
    WEBHOOK_SECRET=$FLEET_SECRET timeout 120 "$BUILD/fleet-server" forgejo doctor --config "$E2E/etc/doctor.yaml" "$@" \
        </dev/null >"$E2E/said" 2>&1 || status=$?
    [[ $status == "$wanted" ]] || { echo "status $status, not $wanted:"; cat "$E2E/said"; return 1; }
}
said() { grep -qE "$1" "$E2E/said" || { cat "$E2E/said"; return 1; }; }
names() { # WHAT PATTERN: doctor says it is wrong
    check "$1 is wrong" doctor 1 --no-test
    check "... and named" said "$2"
}
# mends WHAT PATTERN: it is wrong, --fix makes it right, and it stays so
mends() {
    names "$1" "$2"
    check "... --fix mends it" doctor 0 --fix --yes --no-test
    check "... once" said "0 wrong, 1 mended"
    check "... and it is right" doctor 0
    check "... a test delivery comes" said "acme/rocket: its webhook is right, a test delivery came"
}
api() { # METHOD PATH [BODY], as the owner
    curl -fsS -m 10 -X "$1" -H 'Authorization: token owner-token' -H 'Content-Type: application/json' ${3:+-d "$3"} "$FORGEJO/api/v1/repos/acme/rocket/$2"
}
hook() { forgejo_state "String(state.hooks[0].id)"; }
edit() { api PATCH "hooks/$(hook)" "{\"active\": ${2:-true}, \"events\": $1}" >/dev/null; }

check "without a worker's word it is wrong" doctor 1 --no-test
check "... and named" said '^wrong  workers: none has told'
worker 1
told() { [[ $(sql "select count(*) from fleet.forgejo") == 1 ]]; }
wait_for 20 "the worker to tell" told

# --- the webhook ---
mends "no webhook" '^wrong  acme/rocket: has no webhook to the fleet'
check "... it has the events" forgejo_is true 'state.hooks[0].active && ["issue_label", "issue_comment", "pull_request_review_rejected", "push"].every((e) => state.hooks[0].events.includes(e))'
check "... twice is not twice" doctor 0 --fix --yes
check "... there is one" forgejo_is 1 'state.hooks.length'
check "deliveries are counted" said 'ok, [0-9]+ to look at, 0 wrong'
edit '["issues", "pull_request", "push"]' false
mends "an inactive webhook" 'its webhook is not active'
edit '["issues", "push", "release"]'
mends "a webhook without reviews" 'its webhook does not tell of pull_request'
check "... what else it told of stays" forgejo_is true 'state.hooks[0].events.includes("release")'
forgejo_do make_hook "{\"repo\": \"acme/rocket\", \"url\": \"$TARGET\", \"secret\": \"$FLEET_SECRET\", \"events\": [\"issues\"]}" >/dev/null
mends "a second webhook" 'has two webhooks to the fleet'
api DELETE "hooks/$(hook)"
forgejo_do make_hook "{\"repo\": \"acme/rocket\", \"url\": \"http://127.0.0.1:1/api/v1/webhooks/forgejo\", \"secret\": \"$FLEET_SECRET\", \"events\": [\"issues\", \"pull_request\", \"push\"]}" >/dev/null
mends "a webhook to elsewhere" 'its webhook goes to http://127.0.0.1:1/api/v1/webhooks/forgejo, not to'
api DELETE "hooks/$(hook)"
forgejo_do make_hook "{\"repo\": \"acme/rocket\", \"url\": \"$TARGET\", \"secret\": \"another secret of somebody\", \"events\": [\"issues\", \"pull_request\", \"push\"]}" >/dev/null
check "a webhook with another secret is made anew" doctor 0 --fix --yes
check "... because nothing came" said 'the test delivery of its webhook has not arrived'
check "... and then it comes" said 'its webhook is right, a test delivery came'
check "... the old one is gone" forgejo_is 1 'state.hooks.length'

# --- asked for each ---
edit '["issues", "pull_request", "push"]' false
check "--fix without a terminal is refused" doctor 2 --fix
answer() { echo "$1" | WEBHOOK_SECRET=$FLEET_SECRET script -qec "$BUILD/fleet-server forgejo doctor --no-test --fix --config $E2E/etc/doctor.yaml" /dev/null >"$E2E/said"; }
check "no is no" eval '! answer n'
check "... and changes nothing" forgejo_is false 'state.hooks[0].active'
check "yes is yes" answer y
check "... and mends it" forgejo_is true 'state.hooks[0].active'
UNSIGNED=yes
names "a webhook without a secret of ours" 'no secret signs for it'
unset UNSIGNED

# --- the tokens ---
keys no-such-token
names "an unknown token" '^wrong  forgejo.token: is none that the Forgejo knows'
for scope in user issue repository; do
    forgejo_do make_token "{\"login\": \"fleet\", \"token\": \"without-$scope\", \"scopes\": $(
        jq -cn --arg s "$scope" '["read:user", "write:issue", "write:repository"] - ["read:" + $s, "write:" + $s]')}" >/dev/null
    keys "without-$scope"
    names "a token without $scope" "has not the scope (read|write):$scope"
done
keys fleet-token ''
check "a collaborator who may ask for permissions needs no second token" doctor 0 --no-test
forgejo_do collaborator '{"repo": "acme/rocket", "user": "fleet", "mode": "write"}' >/dev/null
names "one who may not does" 'does not tell the fleet what people may do: nobody starts work'
check "... and is not shown the webhooks" said 'webhooks are shown to the repository.s administrators only'
TRIGGER_USERS=fleet
check "with trigger_users that is to be looked at" doctor 0 --no-test
check "... as is an account that is one of them" said '^warn   forgejo.token: is that of fleet, who is one of trigger_users'
TRIGGER_USERS=''
keys
check "who may only write sees them by the other token" doctor 0
check "... but asks for no test delivery" said 'its last delivery came [0-9]+ s ago: push ignored|its last delivery came [0-9]+ s ago: push duplicate'
edit '["issues", "pull_request", "push"]' false
check "... and changes none" doctor 1 --fix --yes
check "... which is said" said 'not done: only an administrator of the repository may'
edit '["issues", "pull_request", "push"]'

# --- the repository ---
forgejo_do collaborator '{"repo": "acme/rocket", "user": "fleet", "mode": "read"}' >/dev/null
names "a repository to read only" 'fleet may only read'
forgejo_do collaborator '{"repo": "acme/rocket", "user": "fleet", "mode": "write"}' >/dev/null
forgejo_do repository '{"repo": "acme/rocket", "archived": true}' >/dev/null
names "an archived one" 'is archived'
forgejo_do repository '{"repo": "acme/rocket", "archived": false}' >/dev/null
REPOSITORIES=acme/nowhere
names "one that is not there" 'acme/nowhere: is not there, or not for the fleet to see'
REPOSITORIES='"acme/*"'
check "acme/* means those that the account reaches" doctor 0 --no-test
check "... by name" said '^ok +acme/rocket: fleet may write'
REPOSITORIES='"other/*"'
names "other/*, of which there is none" 'the account reaches none'
REPOSITORIES=acme/rocket
forgejo_do protect '{"repo": "acme/rocket", "rule": "task/*"}' >/dev/null
check "a rule about task/* is to be looked at" doctor 0 --no-test
check "... and named" said "protects 'task/\\*'"
forgejo_do rename_repo '{"repo": "acme/rocket", "to": "acme/comet"}' >/dev/null
names "a renamed one" 'acme/rocket: was renamed or moved'

# --- the server ---
forgejo_do trait '{"version": "3.0.0+gitea-1.20"}' >/dev/null
check "an unknown version is to be looked at" eval 'doctor 1 --no-test; said "^warn   version: Forgejo 3.0.0 is unknown"'
forgejo_stop
names "a Forgejo that is away" 'does not answer: '
