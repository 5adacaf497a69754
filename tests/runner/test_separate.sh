# shellcheck shell=bash disable=SC2016,SC2034,SC2154 # texts are for jobs; variables are of, or for, tests/runner/lib.sh
# Agents in accounts of their own: what they can reach, that they end, and that their folders come and go.
# Accounts and sudo's rules are those of a private world: this mount namespace has an /etc/passwd of its own.

if [[ $EUID -ne 0 ]] || ! command -v sudo >/dev/null; then
    skip "accounts of slots" "needs root, to lend the test accounts, and sudo"
    return 0
fi

# --- the world ---

slots=(slot-1 slot-2)
uid_of() { echo $((60700 + ${1#slot-})); }
make_world() {
    local slot etc=$TEST_DIR/etc
    mkdir -p "$etc/sudoers.d" "$TEST_DIR/homes"
    chmod 755 "$etc" "$TEST_DIR/homes"
    {
        echo "root:*:0:0::/root:/bin/bash"
        echo "agent:*:$ACCOUNT:$ACCOUNT::$HOME:/bin/sh"
        for slot in "${slots[@]}"; do echo "$slot:*:$(uid_of "$slot"):$(uid_of "$slot")::$TEST_DIR/homes/$slot:/bin/sh"; done
    } >"$etc/passwd"
    {
        echo "root:*:0:"
        echo "agent:*:$ACCOUNT:"
        for slot in "${slots[@]}"; do echo "$slot:*:$(uid_of "$slot"):"; done
    } >"$etc/group"
    echo "agent ALL=(slot-1,slot-2) NOPASSWD: ALL" >"$etc/sudoers"
    chmod 440 "$etc/sudoers"
    for slot in "${slots[@]}"; do
        install -d -m 700 -o "$(uid_of "$slot")" -g "$(uid_of "$slot")" "$TEST_DIR/homes/$slot"
    done
    mount --bind "$etc/passwd" /etc/passwd && mount --bind "$etc/group" /etc/group &&
        mount --bind "$etc/sudoers" /etc/sudoers && mount --bind "$etc/sudoers.d" /etc/sudoers.d
}
make_world || { fail "a private world"; return 0; }
visudo -cq || fail "the rules of sudo are right"

# As it is installed: in folders that are closed to others.
as mkdir -p "$BASE/bin" "$TASKS"
as chmod 700 "$WORK" "${BASE%/*}" "$BASE" "$BASE/bin"
RUNNER=$BASE/bin/fleet-runner-$HASH
install -o "$ACCOUNT" -m 700 "$PROGRAM" "$RUNNER"

of_slot() { ps -o pid= -U "$(uid_of "$1")"; }
nothing_of() { [[ -z $(of_slot "$1") ]]; }
start_words=(run_as=slot-1)

# --- a run ---

check "a run in an account starts" says started start a.1 1 $N 60 100000 'id -un; pwd; echo "$HOME $USER $LOGNAME"; cat; ls -ld .; umask; echo "$TMPDIR"; ls -ld "$TMPDIR"; ls -l /proc/self/fd | wc -l; echo "$FLEET_RUN"; echo e >&2; exit 7' 'the prompt'
wait_for 20 "its end" ended a.1
check "... and ends as it says" fields a.1 state=ended reason=exit exit=7
