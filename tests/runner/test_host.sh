# shellcheck shell=bash disable=SC2016,SC2154 # texts are for jobs; variables are of tests/runner/lib.sh
# What a host says of itself, and what a channel takes for a frame.

greeting() { call hello | head -n 1; }
agents() { call hello "$@" | grep ^agent; }

for _ in {1..20}; do
    call hello >>"$TEST_DIR/hellos" &
done
wait
check "twenty hellos at once find one owner" test "$(grep -o 'owner=[0-9a-f]*' "$TEST_DIR/hellos" | sort | uniq -c | awk '{print $1}')" = 20
line=$(greeting)
check "hello: machine, boot, owner, space, nothing lacks" grep -qxE \
    "hello v=3 system=Linux_[a-z0-9_]+ machine=[0-9a-z]+ boot=[0-9a-f-]+ owner=[0-9a-f]{32} disk_free=[1-9][0-9]+ lacks=" <<<"$line"
check "hello: boot is boot_id and start of the first process" has_fields "$line" \
    "boot=$(cat /proc/sys/kernel/random/boot_id)-$(sed 's/.*) //' /proc/1/stat | cut -d' ' -f20)"
check "hello: the owner stays" has_fields "$(greeting)" "$(grep -o 'owner=[0-9a-f]*' <<<"$line")"
mkdir -p "$TEST_DIR/agents"
printf '#!/bin/sh\necho "an-agent 1.2 (\033[2J$1)"\n' >"$TEST_DIR/agents/an-agent"
chmod +x "$TEST_DIR/agents/an-agent"
check "hello: looks for agents, and asks the one that may be asked" test \
    "$(agents version "$TEST_DIR/agents/an-agent" look "$TEST_DIR/agents/an-agent" look no-such-agent look "a'b" look record |
        tr -d ' ')" = "agent$TEST_DIR/agents/an-agentan-agent1.22J--version
agent$TEST_DIR/agents/an-agent
agentmissing
agentmissing
agentmissing"
echo "PATH=\$PATH:$TEST_DIR/agents" >"$HOME/.profile"
check "hello: where a job would find them" grep -qx "agent $TEST_DIR/agents/an-agent " <<<"$(agents look an-agent)"
check "hello: in which PATH" grep -qx "path .*:$TEST_DIR/agents" <<<"$(call hello look an-agent)"
printf 'PATH=$PATH:/caf\303\251:/%s\n' "$(printf 'x%.0s' {1..1500})" >"$HOME/.profile"
check "hello: a PATH that no frame takes is shown as far as it goes" grep -qxE 'path .*:/caf[?][?]:/x{100,1000}' <<<"$(call hello)"
printf '%s\n' 'echo noise; exec tail -f /dev/null' >"$HOME/.profile"
began=$SECONDS
check "hello: a profile that hangs is given up" grep -q '^agent missing' <<<"$(agents look an-agent)"
check "... and not for ever" test $((SECONDS - began)) -le 40
wait_for 30 "what it left to go" no_process
rm "$HOME/.profile"
printf '#!/bin/sh\nexec tail -f /dev/null\n' >"$TEST_DIR/agents/hangs"
chmod +x "$TEST_DIR/agents/hangs"
began=$SECONDS
check "hello: an agent that hangs on --version is there all the same" grep -qx "agent $TEST_DIR/agents/hangs " \
    <<<"$(agents version "$TEST_DIR/agents/hangs")"
check "... and not for ever" test $((SECONDS - began)) -le 40
wait_for 30 "it to go" no_process

check "another program than was meant says so and ends" says other as "$CLIENT" "$RUNNER" "$BASE" "$(tr 0-9a-f 1-9a-f0 <<<"$HASH")" hello

# --- the owner and the base ---

owner_of() { grep -oE 'owner=[0-9a-f]*' <<<"$(greeting)" | cut -d= -f2; }
owner=$(owner_of)
as rm -r "$BASE/runs"
as touch "$BASE/runs"
check "a file in place of runs/ is replaced" grep -q ' lacks=$' <<<"$(greeting)"
check "... by a directory" test -d "$BASE/runs"
as rmdir "$BASE/runs"
mkdir -m 777 "$TEST_DIR/elsewhere"
as ln -s "$TEST_DIR/elsewhere" "$BASE/runs"
call raise x.1 1 $N >/dev/null
check "a link in place of runs/ is replaced, too, and not followed" test -z "$(ls "$TEST_DIR/elsewhere")"
for broken in 'rm -f' 'truncate -s 0' 'truncate -s 1T' 'ln -sf /etc/passwd'; do
    # shellcheck disable=SC2086 # words
    as $broken "${BASE%/*}/owner"
    other=$(owner_of)
    check "owner after '$broken': another" test -n "$other" -a "$other" != "$owner"
    owner=$other
done
as rm -f "${BASE%/*}/owner"
as mkfifo "${BASE%/*}/owner"
check "owner after mkfifo: does not hang" as timeout 20 "$CLIENT" "$RUNNER" "$BASE" "$HASH" ping
as rm -f "${BASE%/*}/owner"

# --- the channel ---

# hex TEXT: its bytes, behind their length in two.
text() { printf '%02x%02x%s' $((${#1} & 255)) $((${#1} >> 8)) "$(printf %s "$1" | od -An -tx1 | tr -d ' \n')"; }
closes() { # lines for the channel
    local got status
    got=$(printf '%s\n' ping wait "$@" ping wait | CLIENT_DEADLINE=40 channel)
    status=$?
    [[ $status == 1 && $(tail -n 1 <<<"$got") == closed && $(grep -c pong <<<"$got") == 1 ]] || { echo "$status: $got"; return 1; }
}
check "ping, pong" says pong call ping
check "a frame of a type that is none closes the channel" closes 'frame 99'
check "... one of the runner's own" closes 'frame 65'
check "... one that is longer than any" closes 'bytes ffffff7f0100000001000000'
check "... with bytes that must be zero" closes 'bytes 000000000b00000103000000'
check "... with id 0" closes 'bytes 000000000b00000000000000'
check "... a payload with a byte too many" closes 'frame 11 00'
check "... a key cut short" closes "frame 4 $(text a.1)01000000"
for run in ../x a/b .x 'a;b' A 'é' ''; do
    check "... a run's name '$run'" closes "frame 4 $(text "$run")01000000$(text $N)0000000000000000$(text '')$(text '')"
done
check "... a nonce of 33" closes "frame 4 $(text a.1)01000000$(text "${N}0")0000000000000000$(text '')$(text '')"
check "... epoch 0" closes "frame 4 $(text a.1)00000000$(text $N)0000000000000000$(text '')$(text '')"
check "... credit for no watch" closes 'frame 7 01000000'
check "... the second hello of another version" closes 'frame 1 0900000000'
check "and whoever comes next is served" says pong call ping
serves_long_junk() {
    head -c 20000000 /dev/urandom | as timeout 20 "$RUNNER" serve "$BASE" mark "$HASH" >/dev/null
    [[ $? != 124 ]]
}
check "20 MB of junk end it" serves_long_junk

new_host list
for i in {1..300}; do start_line "l$i.1" 1 $N 600 1000 /dev/null | sed 's/^start \([^ ]* [^ ]* [^ ]*\).*/raise \1/'; done >"$TEST_DIR/raises"
check "300 calls over one channel are all answered" test \
    "$( (cat "$TEST_DIR/raises"; echo wait) | channel | grep -c ' state$')" = 300
check "list names them all" test "$(call list | grep -c '^run l[0-9]*\.1 state=prepared')" = 300
as mkdir "$DIR/.new.x" "$DIR/$(printf 'x%.0s' {1..200})" "$DIR/A"
as touch "$DIR/file"
as ln -s l1.1 "$DIR/link.1"
check "... and nothing else" test "$(call list | grep -c '^run ')" = 300
check "gc of what may still be started does not" eval 'call gc l1.1 1 $N >/dev/null; [[ -e $DIR/l1.1 ]]'
check "... by another nonce neither" eval 'call gc l2.1 1 $M >/dev/null; [[ -e $DIR/l2.1 ]]'
check "... nor by a lower epoch" eval 'call raise l3.1 7 $N >/dev/null; says "fenced epoch=7" call gc l3.1 6 $N && [[ -e $DIR/l3.1 ]]'

# --- a /proc that hides what an account may not look into ---

if [[ $EUID -ne 0 ]]; then
    skip "a host whose /proc hides processes" "needs root"
else
    hidden() {
        unshare -m sh -c 'mount -t proc -o hidepid=2 proc /proc && exec "$@"' sh setpriv --reuid "$ACCOUNT" \
            --regid "$ACCOUNT" --clear-groups -- "$CLIENT" "$RUNNER" "$BASE" "$HASH" "$@"
    }
    printf %s "$hang" >"$TEST_DIR/jobs/hidden"
    check "hidepid: starts" says started hidden start hid.1 1 $N 60 1000 hid "$TEST_DIR/jobs/hidden" /dev/null
    check "... and is seen to run" has_fields "$(hidden watch hid.1 $N - - until=record)" state=running
    check "... and to be stopped" says stopping hidden stop hid.1 1 $N 0 1 cancelled
    wait_for 10 "the end" ended hid.1
fi
