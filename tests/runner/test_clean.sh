# shellcheck shell=bash disable=SC2016,SC2154 # texts are for jobs; variables are of tests/runner/lib.sh
# Working directories of tasks, what calls left behind, and old runners: what goes, what does not, and that it always ends.

gone() { [[ ! -e $1 && ! -L $1 ]]; }
stands() { [[ -e $1 ]]; }
nothing_left() { [[ -z $(find "$TASKS" -mindepth 1 -name '.gone.*' 2>/dev/null) ]]; }
# Asked again, as a worker does, while there is more than one call removes in its time.
cleaned() { # NAME...
    local got _
    for _ in {1..20}; do
        got=$(call clean "$@" | head -n 1)
        [[ $got == "refused reason=busy" ]] || break
    done
    [[ $got == state ]] || { echo "wanted 'state', got '$got'"; return 1; }
}
task_folder() { as mkdir -p "$TASKS/$1"; } # NAME

start c.1 1 $N 600 100000 'mkdir -p a/b; echo x >a/b/file; ln -s / root; mkfifo pipe; umask 777; mkdir shut; echo x >shut.txt' >/dev/null
wait_for 30 "the end" ended c.1
check "a task's directory goes" cleaned c
check "... whole" gone "$TASKS/c"
check "... and only that" stands "$DIR/c.1"
check "again: it is gone" cleaned c
check "one that never was: too" cleaned never

# --- what works in it ---

start u.1 1 $N 600 1000 "echo x >file; $hang" >/dev/null
wait_for 30 "it runs" stands "$TASKS/u/file"
check "a run that lives: its directory stays" says 'refused reason=in_use' call clean u
check "... whole" stands "$TASKS/u/file"
kill -KILL "$(supervisor u.1)"
wait_for 30 "orphaned" is u.1 state orphaned
check "... of a run that lost its supervisor, too" says 'refused reason=in_use' call clean u
call stop u.1 1 $N 0 1 cancelled >/dev/null
wait_for 30 "lost" is u.1 state lost
check "once nothing of it lives it goes" cleaned u
start v.1 1 $N 600 1000 "echo x >file; cd /; $hang" >/dev/null
wait_for 30 "it runs" stands "$TASKS/v/file"
check "a run that went elsewhere may come back: its directory stays" says 'refused reason=in_use' call clean v
kill -KILL "$(supervisor v.1)"
wait_for 30 "orphaned" is v.1 state orphaned
check "... that of an orphan, too" says 'refused reason=in_use' call clean v
call stop v.1 1 $N 0 1 cancelled >/dev/null
wait_for 30 "lost" is v.1 state lost
check "... until it is over" cleaned v
task_folder p
as bash -c 'cd "$1" && exec tail -f /dev/null' bash "$TASKS/p" &
worker=$!
works() { [[ $(readlink /proc/[0-9]*/cwd 2>/dev/null) == *"$TASKS/p"* ]]; }
wait_for 10 "a process that works there" works
check "a process of ours that works in it" says 'refused reason=in_use' call clean p
check "... it stays" stands "$TASKS/p"
for pid in $(processes); do kill "$pid"; done 2>/dev/null
wait "$worker" 2>/dev/null
call raise h.1 1 $N >/dev/null
task_folder h
as flock "$DIR/h.1/lock" tail -f /dev/null &
holder=$!
locked() { ! as flock -n "$DIR/h.1/lock" true; }
wait_for 10 "the lock" locked
check "a start on its way holds its run's lock: it stays" says 'refused reason=in_use' call clean h
for pid in $(processes); do kill "$pid"; done 2>/dev/null
wait "$holder" 2>/dev/null
check "... until it is free" cleaned h
check "a run of a task whose name begins like it is none of it" eval \
    'start cc.1 1 $N 600 1000 "$hang" >/dev/null; task_folder c; cleaned c'
kill -KILL -- "$(supervisor cc.1)"
call stop cc.1 1 $N 0 1 cancelled >/dev/null

# --- hostile trees ---

as mkdir -p "$TASKS/deep"
as bash -c 'cd "$1" && printf -v path "d/%.0s" {1..1000} && for _ in 1 2 3; do mkdir -p "$path" && cd -P "$path" || exit; done 2>/dev/null' bash \
    "$TASKS/deep"
check "three thousand levels" cleaned deep
as bash -c 'mkdir -p "$1"; cd "$1" && seq 20000 | xargs touch' bash "$TASKS/many"
check "twenty thousand files" cleaned many
as bash -c 'mkdir -p "$1"; cd "$1"; mkdir -- -rf "a b" $'"'"'x\ny'"'"' .removed.0 .gone.x; : >-rf/--; chmod 000 -- -rf; chmod 000 .' bash "$TASKS/names"
check "hostile names and modes" cleaned names
check "... all gone" gone "$TASKS/names"
mkdir -p "$TEST_DIR/elsewhere/inner"
chmod -R 777 "$TEST_DIR/elsewhere"
touch "$TEST_DIR/elsewhere/precious" "$TEST_DIR/elsewhere/inner/precious"
task_folder links
as ln -s "$TEST_DIR/elsewhere" "$TASKS/links/out"
as ln -s "$TEST_DIR/elsewhere" "$TASKS/link"
check "links in it are removed and not followed" cleaned links
check "one in its place, too" cleaned link
check "... and is gone" gone "$TASKS/link"
check "... what they named is there" stands "$TEST_DIR/elsewhere/inner/precious"
task_folder race
as bash -c 'cd "$1"; for i in {1..300}; do mkdir -p "$i/a/b/c"; done' bash "$TASKS/race"
as bash -c 'exec 9<"$1"; d=/proc/self/fd/9; while [[ -e $2 ]]; do
    for i in {1..300}; do mv -T "$d/$i" "$d/$((i % 300 + 1))/moved"; mv -T "$d/$i/a" "$d/x$i"; done; done' bash "$TASKS/race" "$TASKS/race" 2>/dev/null &
mover=$!
call clean race >/dev/null
wait "$mover"
check "directories that are renamed meanwhile" cleaned race
check "... leave nothing" nothing_left
task_folder refill
as bash -c 'exec 9<"$1"; i=0; while [[ ! -e $2 ]]; do for _ in {1..100}; do : >"/proc/self/fd/9/f$((i++))"; done; done' bash \
    "$TASKS/refill" "$TEST_DIR/enough" 2>/dev/null &
filler=$!
began=$SECONDS
answer=$(call clean refill | head -n 1)
check "one that is filled again and again is answered all the same: $answer" test "$answer" = state -o "$answer" = 'refused reason=busy'
check "... in bounded time" test $((SECONDS - began)) -le 40
touch "$TEST_DIR/enough"
wait "$filler"
check "... and goes the next time" cleaned refill
check "... whole" nothing_left

# --- what is none of ours ---

if [[ $EUID -ne 0 ]]; then
    skip "mount points, immutable files" "needs root"
else
    as mkdir -p "$TASKS/mounted/deep/mnt" "$TASKS/mount"
    mount --bind "$TEST_DIR/elsewhere" "$TASKS/mounted/deep/mnt"
    mount --bind "$TEST_DIR/elsewhere" "$TASKS/mount"
    check "a mount in it is not entered" says 'refused reason=folder' call clean mounted
    check "... nor one in its place" says 'refused reason=folder' call clean mount
    task_folder other
    check "what stays of it keeps no other task's directory" cleaned other
    check "... which is gone" gone "$TASKS/other"
    check "asked again: it is still not whole gone" says 'refused reason=folder' call clean mounted
    check "... what is mounted is whole" stands "$TEST_DIR/elsewhere/inner/precious"
    for mounted in $(findmnt -rno TARGET | grep -F "$TASKS/"); do umount "$mounted"; done
    check "once it is none any more it goes" cleaned mount
    check "... as does the rest of the other" cleaned
    check "... whole" nothing_left
    task_folder fixed
    as touch "$TASKS/fixed/file"
    if chattr +i "$TASKS/fixed/file" 2>/dev/null; then
        check "an immutable file" says 'refused reason=folder' call clean fixed
        chattr -i "$(find "$TASKS" -name file)"
        check "... when it is none any more" cleaned
    else
        skip "an immutable file" "not on this file system"
    fi
    [[ $ACCOUNT == "$EUID" ]] || { mkdir -p "$TASKS/roots"; touch "$TASKS/roots/file"
        check "somebody else's directory" says 'refused reason=folder' call clean roots
        check "... stays" stands "$TASKS/roots/file"; }
fi
closes() { [[ $(printf '%s\n' ping wait "clean $1" wait ping wait | CLIENT_DEADLINE=40 channel) == *pong*closed ]]; }
for name in ../x a/b .x A 'é' a.1; do
    check "a name '$name' is none: the channel closes" closes "$name"
done

# --- leftovers and runners ---

hash=$(printf x | sha256sum | cut -c 1-64)
as mkdir -p "$BASE/bin" "$DIR/.gone.x.1.7/go" "$DIR/.new.x.1.7" "$TASKS/.gone.x.7/a"
for name in "fleet-runner-$hash" "fleet-runner-${hash/0/1}" fleet-runner-x other; do as touch "$BASE/bin/$name"; done
as touch -d '40 days ago' "$BASE/bin/fleet-runner-$hash" "$BASE/bin/fleet-runner-x" "$BASE/bin/other" "$DIR/.new.x.1.7"
used=fleet-runner-$(printf used | sha256sum | cut -c 1-64)
as cp "$(command -v tail)" "$BASE/bin/$used"
as touch -d '40 days ago' "$BASE/bin/$used"
as "$BASE/bin/$used" -f /dev/null &
user=$!
until_true 5 eval '[[ $(readlink /proc/*/exe 2>/dev/null) == *"$used"* ]]'
check "what is nobody's goes" cleaned
check "... leftovers of removals and of calls" eval 'gone "$DIR/.gone.x.1.7" && gone "$DIR/.new.x.1.7" && gone "$TASKS/.gone.x.7"'
check "... a runner that nothing has used for a month" gone "$BASE/bin/fleet-runner-$hash"
check "... not a younger one, nor one that is used, nor what is none" eval \
    'stands "$BASE/bin/fleet-runner-${hash/0/1}" && stands "$BASE/bin/$used" && stands "$BASE/bin/fleet-runner-x" && stands "$BASE/bin/other"'
for pid in $(processes); do kill "$pid"; done 2>/dev/null
wait "$user" 2>/dev/null
as rm -rf "$BASE/bin"
as ln -s "$TEST_DIR/elsewhere" "$BASE/bin"
check "a link in place of bin/ is not followed" eval 'cleaned && stands "$TEST_DIR/elsewhere/precious"'
as rm "$BASE/bin"
rm -rf "$TASKS"
as ln -s "$TEST_DIR/elsewhere" "$TASKS"
check "a link in place of tasks/ is not followed" says 'refused reason=folder' call clean inner
check "... what it names is whole" stands "$TEST_DIR/elsewhere/inner/precious"
