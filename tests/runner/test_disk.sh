# shellcheck shell=bash disable=SC2016,SC2154 # texts are for jobs; variables are of tests/runner/lib.sh
# A full disk, one that takes no programs, and a host without /proc.

if ! mount -t tmpfs -o size=2m,mode=777 tmpfs "$WORK" 2>/dev/null; then
    skip "full disk" "needs leave to mount a tmpfs"
    return
fi
at_exit umount -l "$WORK"
fill() { as sh -c 'cat /dev/zero >"$1/filler" 2>/dev/null' sh "$WORK"; }
unfill() { as rm "$WORK/filler"; }
lacks() { sed -n '1s/.* lacks=//p' <<<"$(call hello)"; }

call hello >/dev/null
fill
check "hello on a full disk: no room" eval '[[ $(call hello) =~ \ disk_free=([0-9]+)\  ]] && ((BASH_REMATCH[1] < 65536))'
check "no start on a full disk" says 'refused reason=host_disk_full' start d.2 1 $N 600 1000 'echo x'
check "no void on a full disk" says 'refused reason=host_disk_full' call void d.3 1 $N
check "no raise on a full disk" says 'refused reason=host_disk_full' call raise d.4 1 $N
unfill
call raise d.5 1 $N >/dev/null
call raise d.6 1 $N >/dev/null
call raise d.8 1 $N >/dev/null
as mkdir "$DIR/d.5/go"
fill
check "void where go was made, on a full disk: refused" says 'refused reason=host_disk_full' call void d.5 1 $N
check "... it is no tombstone yet, nor is it started" is d.5 state prepared
check "void of what was prepared, on a full disk: refused" says 'refused reason=host_disk_full' call void d.8 1 $N
check "... it is no tombstone yet, nor is it started" is d.8 state prepared
check "a start of what was prepared, on a full disk: refused" says 'refused reason=host_disk_full' start d.6 1 $N 600 1000 'echo x'
unfill
check "void when there is room again" says void call void d.5 1 $N
check "... and of the other one" says void call void d.8 1 $N
check "start when there is room again" says started start d.2 1 $N 600 1000 'echo x'
check "... and of the prepared one" says started start d.6 1 $N 600 1000 'echo x'
wait_for 30 "the end" ended d.2
wait_for 30 "the end" ended d.6
check "nothing of what failed is left" test -z "$(find "$DIR" -name '.new*' -o -name 'in.*' -o -name '*.new')"

start d.7 1 $N 600 1000 "$hang" >/dev/null
start d.1 1 $N 600 100000000 'yes' >/dev/null
wait_for 30 "the end" ended d.1
check "a run that fills the disk ends, with a status that says so" fields d.1 reason=host_disk_full
check "the reserved block took the status" test "$(head -c 7 "$DIR/d.1/status")" = 'status '
check "a stop needs no room" says stopping call stop d.7 1 $N 0 1 cancelled
wait_for 30 "the end" ended d.7
check "... nor does its status" fields d.7 reason=cancelled
as rm "$DIR/d.1/out"

# --- no owner without room ---

new_host empty
mount -t tmpfs -o size=64k,mode=777 tmpfs "$WORK"
at_exit umount -l "$WORK"
fill
check "no owner is made on a full disk, and it is said" eval '[[ -n $(lacks) ]] || [[ $(call hello 2>&1) != *owner=* ]]'
unfill
check "when there is room again there is an owner" grep -qE ' owner=[0-9a-f]{32} ' <<<"$(call hello)"

# --- no /proc ---

if [[ $KIND != static ]]; then
    skip "a host without /proc" "needs a program without sanitizer"
else
    new_host bare
    no_proc() { unshare -m sh -c 'mount -t tmpfs tmpfs /proc && exec "$@"' sh "$RUNNER" serve "$BASE" abc "$HASH" </dev/null; }
    check "a host without /proc: it is said" grep -aq '/proc' <<<"$(no_proc 2>&1)"
fi

# --- a folder that is not ours to write ---

new_host closed
chmod 555 "$WORK"
chown root "$WORK" 2>/dev/null
if [[ $ACCOUNT != "$EUID" ]]; then
    check "a work_dir that may not be written: it is said" grep -aq 'may not write' <<<"$(call hello 2>&1; as timeout 10 "$RUNNER" serve "$BASE" mark "$HASH" </dev/null 2>&1)"
fi
