# shellcheck shell=bash
# What containers and tarballs are made from, as far as it shows without making them: deploy/compose/setup, docker-compose.yml,
# deploy/Dockerfile, deploy/cross-build. Sourced by tests/deploy/part.
# shellcheck disable=SC2154 # repository

images_suite() {
    build=${BUILD:-$repository/build/tests}
    images_setup
    images_configuration "$TEST_DIR/plain"
    images_configuration "$TEST_DIR/demo" --demo
    images_compose
    images_docker
    images_cross
}

images_setup() {
    local plain=$TEST_DIR/plain demo=$TEST_DIR/demo
    check 'setup: --help' eval 'deploy/compose/setup --help | grep -q "^Usage: deploy/compose/setup"'
    check 'setup: makes a configuration' setup "$plain"
    check 'setup: and one for the demonstration' setup "$demo" --demo
    (cd "$demo" && sha256sum fleet.yaml known-hosts secrets/*) >"$TEST_DIR/made"
    check 'setup: again it changes nothing' eval "setup '$demo' --demo && (cd '$demo' && sha256sum --quiet -c '$TEST_DIR/made')"
    check 'setup: no secret is the same twice' images_random "$plain" "$demo"
    check 'setup: the folder is open to its owner alone' test "$(stat -c %a "$plain/secrets")" = 700
    setup "$plain" --demo >"$TEST_DIR/said" 2>&1
    check 'setup: a demonstration replaces no configuration' test "$?" = 1
    check 'setup: and says so' grep -q 'is not the demonstration.s and stays' "$TEST_DIR/said"
    mkdir -p "$TEST_DIR/folders/secrets/ssh-key"
    check 'setup: a folder in the place of a secret, as Compose makes it, is refused' not setup_says "$TEST_DIR/folders"
    check 'setup: and the way out told' grep -q "rmdir $TEST_DIR/folders/secrets/ssh-key" "$TEST_DIR/said"
    mkdir -p "$TEST_DIR/empty/secrets" && : >"$TEST_DIR/empty/secrets/webhook-secret"
    check 'setup: an empty secret is refused' not setup_says "$TEST_DIR/empty"
    check 'setup: and named' grep -q 'secrets/webhook-secret is empty: remove it' "$TEST_DIR/said"
}

setup_says() { setup "$1" >"$TEST_DIR/said" 2>&1; }
setup() { FLEET_COMPOSE_DIR=$1 deploy/compose/setup "${@:2}"; }

images_random() {
    local file
    for file in "$1"/secrets/*; do
        [[ -s $file && $(stat -c %s "$file") -ge 33 ]] && ! cmp -s "$file" "$2/secrets/${file##*/}" || { echo "$file"; return 1; }
    done
}

# The nodes take it as it is, with the secrets where docker-compose.yml puts them.
images_configuration() {
    local folder=$1 node
    for node in server worker; do
        mkdir -p "$folder/$node"
        cp "$folder/secrets/$node-database-url" "$folder/$node/database-url"
        chmod 600 "$folder/$node/database-url"
    done
    (umask 077 && cat "$folder/secrets/webhook-secret" >"$folder/server/webhook-secret" &&
        cat "$folder/secrets/ssh-key" >"$folder/worker/ssh-key" && cat "$folder/known-hosts" >"$folder/worker/known-hosts")
    # What setup leaves to the operator: the hosts' keys.
    [[ -s $folder/worker/known-hosts ]] || echo "worker-01.example.org $(cut -d' ' -f1,2 "$folder/secrets/ssh-key.pub")" \
        >"$folder/worker/known-hosts"
    for node in server worker; do
        check "setup ${2-}: fleet-$node takes its configuration" env PORT=9090 CREDENTIALS_DIRECTORY="$folder/$node" \
            "$build/fleet-$node" --check-config --config "$folder/fleet.yaml"
    done
    check "setup ${2-}: servers listen for Caddy, whose word they take" grep -qE '^  (bind: 0.0.0.0|trusted_proxies: .*172\.16\.0\.0/12)' "$folder/fleet.yaml"
}

images_compose() {
    local file
    while read -r file; do
        check "compose: setup makes $file" test -e "$TEST_DIR/demo/$file"
    done < <(sed -nE 's|.*FLEET_COMPOSE_DIR:-\./\.compose\}/([a-z./-]*[a-z]).*|\1|p' docker-compose.yml | sort -u)
    check 'compose: no password in the file' not grep -nE '(PASSWORD|SECRET|TOKEN)[A-Z_]*[:=] *[^ ]' docker-compose.yml
    check 'compose: only Caddy is published, on the loopback' test "$(grep -cE '^ *ports:' docker-compose.yml)$(
        grep -cF 'ports: [ "${FLEET_PUBLISH:-127.0.0.1:9090}:9090" ]' docker-compose.yml)" = 11
    check 'compose: every target is a stage of the Dockerfile' images_targets
}

images_targets() {
    local target
    for target in $(sed -n 's/^ *target: *\([a-z-]*\)$/\1/p' docker-compose.yml | grep -vxE 'database-url|webhook-secret|ssh-key|known-hosts'); do
        grep -qE "^FROM .* AS $target\$" deploy/Dockerfile || { echo "$target"; return 1; }
    done
}

images_docker() {
    local word
    check 'Dockerfile: no stage to run is root' test "$(grep -c '^ENTRYPOINT' deploy/Dockerfile)" = "$(($(grep -c '^USER 100' deploy/Dockerfile) + 1))"
    for word in $(sed -nE 's/^COPY (deploy[^ ]*|[^-. ]*)( deploy[^ ]*)* .*/\1\2/p' deploy/Dockerfile); do
        check "Dockerfile: $word is there" test -e "$word"
    done
    check '.dockerignore: all is kept out but what is named' test "$(grep -v '^#' .dockerignore | head -n 1)" = '*'
    check '.dockerignore: no secret and no history is named' not grep -qE '^!.*(compose|fleet|git|build)' .dockerignore
}

images_cross() {
    check 'cross-build: --help' eval 'deploy/cross-build --help | grep -q "^Usage: deploy/cross-build"'
    deploy/cross-build sparc >/dev/null 2>"$TEST_DIR/err"
    check 'cross-build: another machine is refused' test "$?" = 2
    check 'cross-build: by name' grep -q sparc "$TEST_DIR/err"
}
