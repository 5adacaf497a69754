# shellcheck shell=bash disable=SC2016,SC2034 # texts are for the hosts; variables are of tests/e2e/lib.sh
# `fleet-worker check-hosts` against each mistake that a host can be set up with: real sshds and accounts, which exist in a
# mount namespace of their own. What it says to paste is pasted, and helps; and it disturbs no run.

if ((EUID != 0)) || ! unshare --mount true 2>/dev/null; then
    skip "check-hosts" "accounts and mounts for its hosts need root and a mount namespace"
    return
fi

fleet_begin
C=$E2E/check
mkdir -p "$C"/{keys,home,work,bin,etc}
chmod 711 "$TEST_DIR" "$E2E" "$C"
chmod 755 "$C"/{keys,home,bin}

# --- accounts: NAME UID SHELL PASSWORD ---

cp /etc/passwd "$C/etc/passwd"
cp /etc/shadow "$C/etc/shadow"
account() {
    mkdir -p "$C/home/$1/.ssh"
    echo "$1:x:$2:$2::$C/home/$1:$3" >>"$C/etc/passwd"
    echo "$1:$4:19000:0:99999:7:::" >>"$C/etc/shadow"
    { printf 'restrict%s ' "${5:+,$5}" && cat "$E2E/sshd/client_key.pub"; } >"$C/keys/$1"
    chown -R "$2:$2" "$C/home/$1"
}
account good 61001 /bin/bash '*'
account locked 61002 /bin/bash '!'
account keyless 61003 /bin/bash '*'
account nologin 61004 /usr/sbin/nologin '*'
account noisy 61005 /bin/bash '*'
account forced 61006 /bin/bash '*' 'command="echo only backups here"'
account endless 61007 /bin/bash '*'
account false 61008 /bin/false '*'
account killed 61009 /bin/bash '*'
: >"$C/keys/keyless"
chmod 644 "$C"/keys/*
printf '%s\n' 'echo "welcome, \033[31mstranger"; echo "and a warning" >&2' >"$C/home/noisy/.bashrc"
printf '%s\n' 'yes "no end"' >"$C/home/endless/.bashrc"
printf '#!/bin/sh\ncase $SSH_CONNECTION in *) echo "b true"; echo "as 0"; echo "as 1 \\"root\\"" ;; esac\n' >"$C/bin/busctl"
chmod 755 "$C/bin/busctl"
install -d -o 61001 -m 700 "$C/work/good"
install -d -m 755 "$C/work/foreign"
install -d -m 777 "$C"/work/{noexec,full,few,near}

# --- sshds: NAME LINE... ---

declare -A SSHD=()
sshd() {
    local name=$1 words
    shift
    SSHD[$name]=$(free_port)
    words=$(printf '|%s' Port AllowUsers SetEnv "${@%% *}")
    {
        printf '%s\n' "$@" "Port ${SSHD[$name]}" "AuthorizedKeysFile $C/keys/%u" "AllowUsers good locked keyless nologin noisy forced endless false killed" "UsePAM no" "MaxStartups 100"
        grep -vE "^(${words#|}) " "$E2E/sshd/sshd_config"
    } >"$C/etc/$name.conf"
    # It becomes another program twice before it is sshd: known by its pid alone.
    unshare --mount sh -c '
        mount --make-rprivate / && mount --bind "$1/etc/passwd" /etc/passwd && mount --bind "$1/etc/shadow" /etc/shadow &&
            mount -t tmpfs -o noexec,mode=777,size=8m tmpfs "$1/work/noexec" &&
            mount -t tmpfs -o mode=777,size=128k tmpfs "$1/work/full" && { head -c 1m /dev/zero >"$1/work/full/x" 2>/dev/null || :; } &&
            mount -t tmpfs -o mode=777,nr_inodes=3,size=2g tmpfs "$1/work/few" && touch "$1/work/few/a" "$1/work/few/b" &&
            mount -t tmpfs -o mode=777,size=100m tmpfs "$1/work/near" &&
            exec /usr/sbin/sshd -D -e -f "$2"' sh "$C" "$C/etc/$name.conf" >"$E2E/log/sshd-$name.log" 2>&1 &
    started $!
    echo $! >"$E2E/run/sshd-$name.pid"
    wait_for 20 "sshd $name" process_port_taken "${SSHD[$name]}"
}
ssh-keygen -q -t rsa -N '' -f "$C/etc/rsa_key"
ssh-keygen -q -t ed25519 -N '' -f "$C/etc/other_key"
ssh-keygen -q -t ed25519 -N '' -f "$C/etc/open_key"
ssh-keygen -q -t rsa -N '' -f "$C/etc/rsa_client"
chmod 644 "$C/etc/open_key"
sshd main
sshd one 'MaxSessions 1'
sshd none 'MaxSessions 0'
sshd etm 'MACs hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com'
sshd rsa "HostKey $C/etc/rsa_key"
sshd more 'AuthenticationMethods publickey,password' 'PasswordAuthentication yes'
sshd words 'PubkeyAuthentication no' 'PasswordAuthentication yes' 'AuthenticationMethods any'
sshd kill "SetEnv PATH=$C/bin:/usr/bin:/bin"
at_exit eval 'rm -rf "$C/work"'

# --- the configuration ---

for name in "${!SSHD[@]}"; do
    sed "s/^[^ ]*/[127.0.0.1]:${SSHD[$name]}/" "$E2E/sshd/known_hosts"
done >"$C/known_hosts"
echo "[127.0.0.1]:${SSHD[main]} $(cut -d' ' -f1,2 "$C/etc/other_key.pub")" >"$C/changed"
echo 'a line that is none' >"$C/broken"
: >"$C/empty"
CHECKED=
entry() { # ID USER SSHD WORK [KNOWN [KEY [NAME [AGENTS]]]]
    CHECKED+="  - { host_id: $1, hostname: ${7:-127.0.0.1}, ssh_user: $2, ssh_port: ${SSHD[$3]:-$3},
      ssh_key_path: ${6:-$E2E/sshd/client_key}, known_hosts: $C/${5:-known_hosts}, work_dir: $C/work/$4,
      agents: ${8:-[ { agent_type: counter, capabilities: [ a ] \} ]} }
"
}
write_config() {
    cat >"$C/fleet.yaml" <<YAML
database: { url: "\${NOT_SET}" }
forgejo: { url: "https://git.example.org" }
adapters:
  counter: { command: [ /bin/sh, "$E2E/agent", "$LEDGER" ], output: text, env: { SECRET: { file: /not/for/us } } }
  gone: { command: [ no-such-agent ], output: text }
  away: { command: [ /no/such/agent ], output: text }
  folder: { command: [ "{run_dir}/agent" ], output: text }
hosts:
$CHECKED
  - { host_id: here, hostname: localhost, work_dir: $C/work/here, agents: [ { agent_type: counter, capabilities: [ a ] } ] }
YAML
    chmod 600 "$C/fleet.yaml"
}
closed=$(free_port)
server 1 # the port of something that is no sshd
entry good good main good
entry unknown good main good empty
entry changed good main good changed
entry broken good main good broken
entry port good "$closed" good
entry web good "${PORT[server-1]}" good
entry name good main good known_hosts "" nowhere.invalid
entry locked locked main good
entry keyless keyless main good
entry nobody no-such-user main good
entry nologin nologin main good
entry false false main good
entry forced forced main good
entry noisy noisy main near
entry endless endless main good
entry foreign good main foreign
entry unmade good main foreign/below
entry noexec good main noexec
entry full good main full
entry few good main few
entry etm good etm good
entry rsa good rsa good
entry one good one good
entry none good none good
entry more good more good
entry words good words good
entry kill killed kill near
entry openkey good main good known_hosts "$C/etc/open_key"
entry rsakey good main good known_hosts "$C/etc/rsa_client"
entry nokey good main good known_hosts "$C/etc/no_key"
entry agents good main good known_hosts "" "" \
    "[ { agent_type: gone, capabilities: [ a ] }, { agent_type: away, capabilities: [ a ] }, { agent_type: folder, capabilities: [ a ] }, { agent_type: codex-cli, capabilities: [ a ] } ]"
write_config
echo 'PATH=$PATH:$HOME/agents' >"$C/home/good/.profile"
mkdir "$C/home/good/agents"
printf '#!/bin/sh\necho "codex-cli 1.2.3"\n' >"$C/home/good/agents/codex"
chmod 755 "$C/home/good/agents/codex"

# --- what it says ---

# Its checks start dozens of logins at once: on a busy machine they take longer than a person would wait.
look() { "$BUILD/fleet-worker" check-hosts --config "$C/fleet.yaml" --timeout 60 "$@"; }
check "some hosts cannot run work: status 1" eval 'look --json >"$C/all.json" 2>"$C/err"; [[ $? == 1 ]]'
check "... and stderr says nothing" eval '! grep . "$C/err"'
# rows HOST: "RESULT CHECK: TEXT", and below it what to paste, each behind a tab.
mkdir "$C/rows"
python3 -c '
import json, sys
for host in json.load(open(sys.argv[1] + "/all.json")):
    with open(sys.argv[1] + "/rows/" + host["host_id"], "w") as file:
        print("can" if host["can_run_work"] else "cannot", file=file)
        for row in host["checks"]:
            print(row["result"], row["check"] + ": " + row["text"], file=file)
            for hint in row["remedy"]:
                if "paste" in hint:
                    print("\t" + hint["paste"], file=file)' "$C"
rows() { cat "$C/rows/$1"; }
says() { # HOST REGEX...: each is a line
    local host=$1 regex all
    all=$(rows "$host")
    for regex in "${@:2}"; do
        grep -qE -- "$regex" <<<"$all" || { echo "no line is $regex in:" && echo "$all"; return 1; }
    done
}
# What fails is this and nothing else.
fails() { [[ $(rows "$1" | grep ^failed | cut -d: -f1) == "failed $2" ]] || { rows "$1"; return 1; }; }
print=$(ssh-keygen -lf "$E2E/sshd/host_key.pub" | cut -d' ' -f2)

check "a good host can run work, by a key with restrict" says good '^can$' "^ok host key: ssh-ed25519 ${print//+/[+]}, as" '^ok login: as good' \
    '^ok session: runs commands as good, and its login files are silent' '^ok work_dir' '^ok space: [0-9]+ MiB' '^ok clock' '^ok runner: .*removed' '^ok agent counter: /bin/sh'
check "... whose other rows are good, too" eval '! rows good | grep -qE "^(failed|not_tried)"'
check "this machine, without SSH" says here '^can$' '^ok shell' '^ok runner' '^ok work_dir: .* was not there and was made'
check "an unknown key" says unknown '^failed host key: unknown: ssh-ed25519 SHA256:' $'^\tssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub' '^not_tried login'
check "a changed key" says changed '^failed host key: CHANGED: ' $'^\tssh-keygen -R '
check "a broken known_hosts" says broken '^failed host key: .*broken:1: '
check "a wrong port" says port '^failed port: [0-9]+ refuses' $'^\tapt install openssh-server' '^ok private key'
check "something else than sshd" says web '^failed sshd: .*no sshd: it says HTTP/1.1 400'
check "a name that does not resolve" says name '^failed name: nowhere.invalid does not resolve'
for host in locked keyless nobody; do
    check "$host: refused" fails "$host" login
    check "... with the line for authorized_keys" says "$host" $'^\tmkdir .*restrict ssh-ed25519 '"$(cut -d' ' -f2 "$E2E/sshd/client_key.pub" | sed 's/[+]/[+]/g')" $'^\tpasswd -S'
done
check "nologin" says nologin '^ok login' '^failed session: .*runs no commands.*not available' $'^\tusermod -s /bin/bash nologin'
check "a shell that is false" says false '^failed session: .*runs no commands'
check "a forced command" says forced '^failed session: .*only backups here' $'^\tgrep -n command='
check "noisy login files do no harm" says noisy '^can$' '^ok session: .*welcome, .*stranger [|] and a warning'
check "... and their control characters are not shown" eval '! grep -qP "\x1b|u001b" "$C/all.json"'
check "endless ones do" says endless '^failed session: .*print without end: no end'
check "a small disk is doubtful" says noisy '^doubtful space: [0-9]+ MiB .* not much'
check "a work_dir of others" says foreign '^failed work_dir: good cannot write .*Permission denied' $'^\tinstall -d -o good' '^not_tried runner'
check "a work_dir that cannot be made" says unmade '^failed work_dir: .*cannot be made: Permission denied'
check "noexec" says noexec '^failed work_dir: no program can be executed' $'^\tfindmnt'
check "a full disk" fails full space
check "no inodes" says few '^failed space: .* 0 inodes free'
check "only encrypt-then-MAC algorithms" says etm '^failed sshd: .*encrypt-then-MAC' $'^\tMACs hmac-sha2-256-etm@openssh.com,.*,hmac-sha2-256$'
check "an RSA host key only" says rsa '^failed sshd: .*ed25519 or ECDSA is needed' $'^\tssh-keygen -A' $'^\tHostKey /etc/ssh/ssh_host_ed25519_key$'
check "MaxSessions 1 is enough" says one '^can$' '^ok runner'
check "MaxSessions 0 is not" says none '^ok login' '^failed session: .*MaxSessions' $'^\tMaxSessions 10'
check "a key is not all that is wanted" says more '^failed login: .*is right, but sshd wants more' $'^\tAuthenticationMethods publickey'
check "no keys are taken" says words '^failed login: .*takes no keys' $'^\tPubkeyAuthentication yes'
check "logind that kills" says kill '^can$' '^doubtful logind: KillUserProcesses=yes' $'^\t.*KillExcludeUsers=root killed'
check "a key that others may read" says openkey '^failed private key: .*mode 0644' $'^\tchmod 600 ' '^ok host key' '^not_tried login'
check "an RSA key" says rsakey '^failed private key: .*RSA' $'^\tssh-keygen -t ed25519'
check "no key" says nokey '^failed private key: .*no_key' $'^\tssh-keygen -t ed25519'
check "agents: not in PATH, not at their place, of a run's folder, with a version" says agents '^failed agent gone: .*no folder of PATH .*/home/good/agents' \
    '^failed agent away: /no/such/agent is missing' '^not_tried agent folder: only a run' '^ok agent codex-cli: .*/home/good/agents/codex, codex-cli 1.2.3'
check "nothing of a check is left" eval '! find "$C"/work -name "check-*" -o -name ".fleet-check*" | grep .'

# --- as text, for some, in the order that was asked for ---

check "text: hosts in order, a closing line for each" eval \
    '[[ $(look port good | grep -E "^(port|good): c") == "port: cannot run its work: port"$'"'\n'"'"good: can run work" ]]'
check "all good: status 0" look good one
check "options stand anywhere" "$BUILD/fleet-worker" --config "$C/fleet.yaml" check-hosts good --json
check "help" eval 'look --help | grep -q "^Usage: fleet-worker check-hosts"'
status() { "$@" >/dev/null 2>&1; echo $?; }
check "an unknown host, option, time: status 2" test "$(status look nohost) $(status look --nonsense) $(status look --timeout 0)" = "2 2 2"
echo 'hosts: [' >"$C/bad.yaml"
check "a broken configuration: status 78" test "$(status "$BUILD/fleet-worker" check-hosts --config "$C/bad.yaml")" = 78

# --- a host that hangs ---

kill -STOP "$(pid_of sshd-one)"
check "a host that does not answer" eval 'look --timeout 10 one good >"$C/late"; [[ $? == 1 ]]'
kill -CONT "$(pid_of sshd-one)"
check "... is given up, the others are not" eval 'grep -q "^good: can run" "$C/late" && grep -q "^one: cannot run its work: sshd" "$C/late"'

printf '#!/bin/sh\nexec tail -f /dev/null\n' >"$C/home/good/agents/codex"
# The runner gives it up by itself after some seconds: the time is over before that, and after the way there.
hangs() {
    local secs
    for secs in 2 4 8 16; do
        look --timeout $secs agents >"$C/late"
        grep -q "FAILED *runner: no answer within $secs s" "$C/late" && return
    done
    cat "$C/late"
    return 1
}
check "an agent that hangs" hangs
check "... leaves nothing of the check behind" eval '! find "$C/work" -name "check-*" | grep .'

# --- what is pasted helps ---

found() { look "$1" --json >"$C/one.json"; grep -q "\"check\": \"$2\", \"result\": \"ok\"" "$C/one.json"; } # HOST CHECK
pasted() { rows "$1" | grep -P "^\t$2" | cut -c2- | tail -n 1; }
bash -c "$(pasted unknown 'echo .* >> ')"
check "the line for known_hosts lets it in" look unknown
bash -c "$(pasted changed 'ssh-keygen -R')"
bash -c "$(pasted changed 'echo .* >> ')"
check "... and in place of a changed one" look changed
bash -c "$(pasted openkey chmod)"
check "the mode of the key" found openkey "private key"
(HOME=$C/home/keyless && export HOME && bash -c "$(pasted keyless mkdir)" && cat "$HOME/.ssh/authorized_keys" >"$C/keys/keyless")
check "the line for authorized_keys" found keyless login
end_process "$(pid_of sshd-etm)"
sed -i "1i $(pasted etm MACs)" "$C/etc/etm.conf"
sed -i "s/^MACs .*512-etm@openssh.com\$//" "$C/etc/etm.conf"
line=$(grep ^MACs "$C/etc/etm.conf")
check "the line for sshd_config adds a MAC" test "${line##*,}" = hmac-sha2-256

# --- a fleet at work is not disturbed ---

HOSTS="  - { host_id: h1, hostname: 127.0.0.1, ssh_user: good, ssh_port: ${SSHD[main]}, ssh_key_path: $E2E/sshd/client_key,
      known_hosts: $C/known_hosts, work_dir: $C/work/good, agents: [ { agent_type: counter, max_concurrency: 2, capabilities: [ code ] } ] }
"
chmod 666 "$LEDGER"
chmod 777 "$E2E/ledger.d"
chmod 755 "$E2E/agent"
caddy
token_header
worker 1
wait_for 20 "the host to be reachable" reachable h1
submit '{"title": "T", "task_id": "calm", "body": "e2e: lines=60 ms=100 until='"$E2E/calmed"'", "labels": ["agent:code"]}'
wait_for 20 "the task to run" task_is calm running
for _ in 1 2 3; do
    check "a check of its host meanwhile" look good
done
check "... while it runs" task_is calm running
: >"$E2E/calmed"
wait_for 40 "the task to complete" task_is calm completed
check "... in one attempt, one epoch" test "$(sql "select count(*), max(epoch) from fleet.attempt join fleet.task using (task) where task_id = 'calm'")" = "1|1"
check "... output whole" output_is_whole calm 60
check "... once" test "$(grep -c '^start calm ' "$LEDGER")" = 1
invariants_hold
