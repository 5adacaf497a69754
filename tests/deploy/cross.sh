# shellcheck shell=bash
# deploy/cross-build: both tarballs are made and looked at; that for x86_64 runs where there is no C library at all and
# beside an older one, that for aarch64 under qemu. In each place server and worker complete a task against a real
# PostgreSQL, by TCP and TLS. Sourced by tests/deploy/part; needs root.
# shellcheck disable=SC2154 # repository

CROSS_NAME=db.fleet.test # of the database, in /etc/hosts of one place and in the DNS of another

cross_suite() {
    if ((EUID != 0)); then
        skip 'tarballs' 'the build root needs root'
        return
    fi
    if ! command -v debootstrap >/dev/null || ! unshare --mount --pid --net --fork true 2>/dev/null; then
        skip 'tarballs' 'debootstrap is not installed, or namespaces are not allowed here'
        return
    fi
    # shellcheck source=deploy/lib/root.sh
    source deploy/lib/root.sh
    FLEET_CROSS_ROOT=$repository/build/cross
    export FLEET_CROSS_ROOT
    if [[ ! -x $FLEET_CROSS_ROOT/debian/usr/bin/apt-get ]] && ! root_mirror bookworm >/dev/null; then
        skip 'tarballs' "this machine's apt sources name no mirror of Debian 12"
        return
    fi
    cross_make x86_64 'Advanced Micro Devices X86-64' || return
    cross_make aarch64 AArch64 || return
    cross_database || return
    cross_busybox
    cross_bullseye
    cross_qemu
}

# --- what is in a tarball ---

# cross_make ARCH MACHINE: makes it and unpacks it; bundle[ARCH] is its folder.
declare -gA bundle=()
cross_make() {
    local arch=$1 tars
    mkdir -p "$TEST_DIR/out"
    if ! deploy/cross-build -o "$TEST_DIR/out" "$arch" >"$TEST_DIR/make" 2>&1; then
        fail "deploy/cross-build $arch" "$(cat "$TEST_DIR/make")"
        return 1
    fi
    pass "deploy/cross-build $arch"
    tars=("$TEST_DIR"/out/agent-fleet-*-linux-"$arch".tar.gz)
    check "$arch: one top folder" cross_top "${tars[0]}"
    tar -C "$TEST_DIR" -xzf "${tars[0]}"
    bundle[$arch]=$TEST_DIR/$(basename "${tars[0]}" .tar.gz)
    check "$arch: every file is of that machine" cross_machine "${bundle[$arch]}" "$2"
    check "$arch: no library is missing" cross_closed "${bundle[$arch]}"
    check "$arch: programs are hardened and stripped" cross_hardened "${bundle[$arch]}"
    check "$arch: MANIFEST names each library" cross_manifest "${bundle[$arch]}"
    check "$arch: runners for both kinds of hosts" cross_runners "${bundle[$arch]}"
    check "$arch: units name the place that README gives" test "$(grep -rhoE 'ExecStart=[^ ]*' "${bundle[$arch]}/lib/systemd/system" |
        sort -u | paste -sd' ')" = "$(printf 'ExecStart=/opt/agent-fleet/bin/fleet-%s\n' migrate server worker | paste -sd' ')"
    check "$arch: migrations are in it" test -x "${bundle[$arch]}/bin/fleet-migrate"
}

cross_top() { [[ $(tar -tzf "$1" | cut -d/ -f1 | sort -u) == "$(basename "$1" .tar.gz)" ]]; }

cross_machine() {
    local file
    for file in "$1"/bin/fleet-{server,worker} "$1"/lib/agent-fleet/*; do
        readelf -h "$file" | grep -q "Machine: *$2" || { echo "$file"; return 1; }
    done
    ! readelf -l "$1/bin/fleet-server" | grep -q INTERP || { echo 'a launcher that needs a loader'; return 1; }
}

# Whatever a file of the bundle needs is a file of the bundle.
cross_closed() {
    local file library
    for file in "$1"/lib/agent-fleet/*; do
        for library in $(readelf -d "$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
            [[ -s $1/lib/agent-fleet/$library ]] || { echo "$file needs $library"; return 1; }
        done
    done
}

cross_hardened() {
    local file
    for file in "$1"/bin/fleet-{server,worker} "$1"/lib/agent-fleet/fleet-{server,worker}; do
        readelf -hldW "$file" >"$TEST_DIR/elf"
        grep -q 'Type: *DYN' "$TEST_DIR/elf" && grep -q GNU_RELRO "$TEST_DIR/elf" && grep -q BIND_NOW "$TEST_DIR/elf" &&
            grep -qE 'GNU_STACK.* RW ' "$TEST_DIR/elf" || { echo "$file"; return 1; }
        ! readelf -SW "$file" | grep -q '\.debug_info' || { echo "$file is not stripped"; return 1; }
    done
}

cross_manifest() {
    local file package version source licence count=0
    while IFS=$'\t' read -r file package version source licence; do
        [[ $file != \#* ]] || continue
        [[ -s $1/$file && -s $1/$licence && -n $package && -n $version && -n $source ]] || { echo "$file"; return 1; }
        count=$((count + 1))
    done <"$1/MANIFEST"
    # All that is there but our two programs and settle.so.
    [[ $count == $(($(find "$1/lib/agent-fleet" -type f | wc -l) - 3)) && $count -gt 20 ]] || { echo "$count lines"; return 1; }
    grep -q 'needs a new tarball' "$1/MANIFEST"
}

# The static runners of both kinds stand in the worker, each with an ELF header of its own.
cross_runners() {
    local worker=$1/lib/agent-fleet/fleet-worker
    grep -qa 'x86_64, aarch64' "$worker" && [[ $(stat -c %s "$worker") -gt 1500000 ]]
}

# --- the database: TCP, TLS with a certificate of its own authority ---

cross_database() {
    local home=$TEST_DIR/cluster password group
    password=$(postgres_password)
    cross_port=$(process_free_port "$((21000 + RANDOM % 10000))")
    mkdir -p "$TEST_DIR/run" "$TEST_DIR/tls"
    postgres_create "$home" "$password" || { fail 'a database cluster'; return 1; }
    at_exit postgres_remove "$home"
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$CROSS_NAME" -keyout "$TEST_DIR/tls/key" \
        -addext "subjectAltName=DNS:$CROSS_NAME,IP:127.0.0.1" -out "$TEST_DIR/tls/ca.pem" 2>/dev/null
    for file in key ca.pem; do
        # shellcheck disable=SC2016 # expanded by the inner sh
        postgres_run sh -c 'umask 077; cat >"$1"' sh "$home/data/$file" <"$TEST_DIR/tls/$file"
    done
    postgres_configure "$home" "$cross_port" ssl=on ssl_key_file=key ssl_cert_file=ca.pem fsync=off shared_buffers=64MB
    at_exit postgres_stop "$TEST_DIR/run" postgres
    postgres_start "$TEST_DIR/run" postgres "$TEST_DIR/postgres.log" "$home" "$cross_port" ||
        { fail 'a database' "$(cat "$TEST_DIR/postgres.log")"; return 1; }
    postgres_passfile "$TEST_DIR/passfile" postgres "$password"
    cross_admin=$(postgres_url "$cross_port" postgres fleet "$TEST_DIR/passfile")
    psql -XqAt -d "$(postgres_url "$cross_port" postgres postgres "$TEST_DIR/passfile")" -c 'create database fleet' || return 1
    check "fleet-migrate of the tarball, with this machine's bash and psql" "${bundle[x86_64]}/bin/fleet-migrate" "$cross_admin"
    cross_password=$(postgres_password)
    for group in fleet_server fleet_worker; do
        postgres_login "$cross_admin" "${group}_login" "$cross_password" "$group"
    done
}

cross_sql() { psql -XqAt -d "$cross_admin" -c "$1"; }

# cross_config NODE HOST CA HOSTS-YAML: prints a configuration.
cross_config() {
    cat <<END
server: { bind: 127.0.0.1, port: $cross_http }
database: { url: "postgresql://fleet_$1_login:$cross_password@$2:$cross_port/fleet?sslmode=verify-full&sslrootcert=$3" }
forgejo: { url: "https://git.example.org", webhook_secret: $cross_password, repositories: [ "*" ], trigger_users: [ "*" ] }
adapters: { demo: { command: [ /bin/sh, $4 ], output: codex-json } }
hosts:
  - { $5, workspace: plain, repositories: [ "*" ],
      agents: [ { agent_type: demo, max_concurrency: 1, capabilities: [ "code:rust" ] } ] }
END
}

# --- a place: a function that runs a program of the bundle there, by its name ---

# cross_place NAME FUNCTION ETC AS: what each place must do. ETC is the folder of the configuration, AS its name in there.
cross_place() {
    local name=$1 run=$2 etc=$3 as=$4 node
    for node in server worker; do
        chmod 600 "$etc/$node.yaml"
        check "$name: fleet-$node --version" eval "$run fleet-$node --version | grep -q '^fleet-$node [0-9]'"
        check "$name: fleet-$node --check-config" "$run" "fleet-$node" --check-config --config "$as/$node.yaml"
    done
    cross_task "$name" "$run" "$as"
}

cross_task() {
    local name=$1 run=$2 as=$3 node token task pid pids=()
    token=$("$run" fleet-server token create --scope admin --name "place-$RANDOM" --config "$as/server.yaml" 2>"$TEST_DIR/err" |
        grep -o 'aft_d_[A-Za-z0-9_-]*' | head -n 1)
    [[ -n $token ]] || { fail "$name: a token over TLS" "$(cat "$TEST_DIR/err")"; return; }
    for node in server worker; do
        ("$run" --instead "fleet-$node" --config "$as/$node.yaml" >"$TEST_DIR/$node.log" 2>&1) &
        started "$!"
        pids+=("$!")
    done
    wait_for 90 "$name: the server to be ready" curl -fsS -m 5 -o /dev/null "http://127.0.0.1:$cross_http/readyz"
    task=$(echo '{"title": "Try", "body": "demo: seconds=1", "labels": ["agent:code:rust"]}' |
        curl -sS -m 20 -H "Authorization: Bearer $token" -H 'Content-Type: application/json' --data-binary @- \
            "http://127.0.0.1:$cross_http/api/v1/tasks" | sed -n 's/.*"task_id": *"\([^"]*\)".*/\1/p')
    if until_true 120 cross_completed "$task"; then
        pass "$name: a task is completed"
    else
        fail "$name: a task is completed" "task '$task': $(cross_sql "select * from fleet.tasks where task_id = '$task'")
$(tail -n 15 "$TEST_DIR/server.log" "$TEST_DIR/worker.log")"
    fi
    check "$name: every connection of the nodes is encrypted" test "$(cross_sql "select bool_and(ssl) from pg_stat_ssl
        join pg_stat_activity using (pid) where application_name like 'fleet-%'")" = t
    [[ $name == *qemu* ]] || check "$name: ps shows the programs' names, not the loader's" cross_shown
    for pid in "${pids[@]}"; do end_process "$pid"; done
}

cross_completed() { [[ $(cross_sql "select status from fleet.tasks where task_id = '$1'") == completed ]]; }
cross_shown() {
    local pid
    for pid in /proc/[0-9]*; do
        [[ $(readlink "$pid/exe") != */lib/agent-fleet/ld-linux* ]] || cat "$pid/comm"
    done 2>/dev/null | sort -u | diff - <(printf 'fleet-server\nfleet-worker\n')
}

# --- no C library at all: busybox alone ---

cross_busybox() {
    local root=$TEST_DIR/busybox box name node host='host_id: here, hostname: localhost, work_dir: /work'
    if ! box=$(command -v busybox) || readelf -l "$box" | grep -q INTERP; then
        skip 'no C library' 'busybox-static is not installed'
        return
    fi
    mkdir -p "$root"/{bin,proc,tmp,dev,etc/fleet,root,opt,work,"srv/an odd place"}
    cp "$box" "$root/bin/busybox"
    chroot "$root" /bin/busybox --install -s /bin
    name=$(basename "${bundle[x86_64]}")
    cp -a "${bundle[x86_64]}" "$root/srv/an odd place/"
    printf '127.0.0.1 localhost %s other.fleet.test\n' "$CROSS_NAME" >"$root/etc/hosts"
    cp deploy/demo-agent "$root/opt/"
    cp "$TEST_DIR/tls/ca.pem" "$root/etc/fleet/"
    cross_http=$(process_free_port "$((cross_port + 1))")
    for node in server worker; do
        ln -s "../srv/an odd place/$name/bin/fleet-$node" "$root/bin/fleet-$node"
        cross_config "$node" "$CROSS_NAME" /etc/fleet/ca.pem /opt/demo-agent "$host" >"$root/etc/fleet/$node.yaml"
    done
    check 'no C library: there is none' eval "[[ ! -e '$root/lib' && ! -e '$root/lib64' && ! -e '$root/usr/lib' ]]"
    cross_place 'no C library' in_busybox "$root/etc/fleet" /etc/fleet
    sed "s/$CROSS_NAME/other.fleet.test/" "$root/etc/fleet/server.yaml" >"$root/etc/fleet/other.yaml"
    chmod 600 "$root/etc/fleet/other.yaml"
    check 'verify-full refuses another name' cross_refused
    mv "$root/srv/an odd place" "$root/srv/a:place"
    "$root/srv/a:place/$name/bin/fleet-server" --version >"$TEST_DIR/said" 2>&1
    check 'a folder that the loader would misread is refused, by name' eval "(($? == 127)) && grep -q 'a:place' '$TEST_DIR/said'"
}

cross_refused() {
    ! in_busybox fleet-server token create --scope read --name other --config /etc/fleet/other.yaml >"$TEST_DIR/said" 2>&1 &&
        grep -q 'does not match host name' "$TEST_DIR/said" || { cat "$TEST_DIR/said"; return 1; }
}

# in_PLACE [--instead] PROGRAM ARGUMENT...: in its place; --instead of the calling shell, so that a signal reaches it.
in_busybox() { cross_in "$TEST_DIR/busybox" "$@"; }
in_bullseye() { cross_in "$FLEET_CROSS_ROOT/bullseye" "$@"; }
cross_in() {
    local root=$1 options=()
    shift
    if [[ $1 == --instead ]]; then options+=(--instead); shift; fi
    root_run "$root" "${options[@]}" -- "$@"
}

# --- beside an older C library, with a name service module that must stay out ---

cross_bullseye() {
    local root=$FLEET_CROSS_ROOT/bullseye node where=127.0.0.1
    if ! root_make "$root" bullseye "$(root_mirror bookworm)" >"$TEST_DIR/said" 2>&1; then
        skip 'Debian 11' "the mirror has none: $(tail -n 1 "$TEST_DIR/said")"
        return
    fi
    rm -rf "$root/etc/fleet" "$root/srv/bundle" "$root/work"
    mkdir -p "$root/etc/fleet" "$root/work"
    cp -a "${bundle[x86_64]}" "$root/srv/bundle"
    cp "$TEST_DIR/tls/ca.pem" "$root/etc/fleet/"
    cross_http=$(process_free_port "$((cross_port + 1))")
    cross_sshd || return
    cp "$TEST_DIR/sshd/client_key" "$TEST_DIR/sshd/known_hosts" "$root/etc/fleet/"
    if cross_dns "$root"; then where=$CROSS_NAME; fi
    for node in server worker; do
        ln -sfn "../../srv/bundle/bin/fleet-$node" "$root/usr/bin/fleet-$node"
        cross_config "$node" "$where" /etc/fleet/ca.pem "$repository/deploy/demo-agent" "$(cross_host there /etc/fleet)" \
            >"$root/etc/fleet/$node.yaml"
    done
    check 'Debian 11: its C library is an older one' eval "root_run '$root' -- ldd --version | grep -q 'GLIBC 2.31'"
    rm -f "$root/work/trapped"
    cross_place 'Debian 11, SSH' in_bullseye "$root/etc/fleet" /etc/fleet
    check 'Debian 11: no module of the machine was loaded' test ! -e "$root/work/trapped"
    check 'Debian 11: as another user' root_run "$root" -- setpriv --reuid 65534 --regid 65534 --clear-groups fleet-worker --version
}

cross_sshd() {
    sshd_create "$TEST_DIR/sshd" && mkdir -p "$TEST_DIR/work" || return 1
    cross_ssh=$(process_free_port "$((cross_http + 1))")
    sshd_configure "$TEST_DIR/sshd" "$cross_ssh" "$TEST_DIR/sshd"
    at_exit process_stop "$TEST_DIR/run" sshd
    sshd_start "$TEST_DIR/run" sshd "$TEST_DIR/sshd.log" "$TEST_DIR/sshd" "$cross_ssh" || { fail 'an sshd'; return 1; }
}

# cross_host ID ETC: the sshd as a host, with its keys in ETC.
cross_host() {
    echo "host_id: $1, hostname: 127.0.0.1, ssh_port: $cross_ssh, ssh_user: $(id -un), work_dir: $TEST_DIR/work,
      ssh_key_path: $2/client_key, known_hosts: $2/known_hosts"
}

# A name server, and in nsswitch.conf a module that leaves a trace where a program loads it.
cross_dns() {
    local root=$1 address=127.81.53.1
    tests/deploy/dns "$address" 53 "$CROSS_NAME" >"$TEST_DIR/dns.log" 2>&1 &
    started "$!"
    echo "nameserver $address" >"$root/etc/resolv.conf"
    printf 'hosts: trap files dns\npasswd: trap files\n' >"$root/etc/nsswitch.conf"
    printf '%s\n' '#include <fcntl.h>' \
        '__attribute__((constructor)) static void trap(void) { open("/work/trapped", O_CREAT | O_WRONLY, 0666); }' |
        gcc -shared -fPIC -xc - -o "$root/lib/x86_64-linux-gnu/libnss_trap.so.2"
    if ! until_true 5 root_run "$root" -- getent hosts "$CROSS_NAME"; then
        skip 'a name from the DNS' "no test server on $address:53: $(tail -n 1 "$TEST_DIR/dns.log")"
        return 1
    fi
    check 'Debian 11: its own programs load the module' test -e "$root/work/trapped"
}

# --- aarch64 under qemu ---

cross_qemu() {
    command -v qemu-aarch64-static >/dev/null || { skip 'aarch64' 'qemu-user-static is not installed'; return; }
    local etc=$TEST_DIR/qemu node
    mkdir -p "$etc"
    cross_launcher
    cross_http=$(process_free_port "$((cross_port + 1))")
    [[ -n ${cross_ssh-} ]] || cross_sshd || return
    cp "$TEST_DIR/sshd/client_key" "$TEST_DIR/sshd/known_hosts" "$etc/"
    for node in server worker; do
        cross_config "$node" 127.0.0.1 "$TEST_DIR/tls/ca.pem" "$repository/deploy/demo-agent" "$(cross_host there "$etc")" \
            >"$etc/$node.yaml"
    done
    cross_place 'aarch64, qemu, SSH' in_qemu "$etc" "$etc"
}

# The launcher can only be followed to its execve: this kernel does not know the machine of what it starts.
cross_launcher() {
    local dir=${bundle[aarch64]} libraries program
    libraries=$dir/lib/agent-fleet program=$dir/bin/fleet-worker
    qemu-aarch64-static -strace "$program" --version >"$TEST_DIR/said" 2>&1
    check 'aarch64: the launcher starts the bundled loader' grep -qF "execve(\"$libraries/ld-linux-aarch64.so.1\",{\"$program\",\
\"--inhibit-cache\",\"--library-path\",\"$libraries\",\"--preload\",\"settle.so\",\"--argv0\",\"$program\",\
\"$libraries/fleet-worker\",\"--version\"" "$TEST_DIR/said"
}

# What the launcher does, with qemu.
in_qemu() {
    local libraries=${bundle[aarch64]}/lib/agent-fleet run=(env -i "PATH=$PATH" HOME=/root)
    if [[ $1 == --instead ]]; then run=(exec "${run[@]}"); shift; fi
    "${run[@]}" qemu-aarch64-static "$libraries/ld-linux-aarch64.so.1" --inhibit-cache --library-path "$libraries" \
        --preload settle.so --argv0 "$1" "$libraries/$1" "${@:2}"
}
