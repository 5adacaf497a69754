# shellcheck shell=bash disable=SC2016,SC2154 # texts are for jobs; variables are of tests/runner/lib.sh
# A run from its start to its end: what the job gets, and what is said of it afterwards.

check "start: answers" says started start e.1 1 $N 600 100000 \
    'cat; echo to-err >&2; pwd; ls /proc/self/fd | wc -l; grep SigIgn /proc/self/status; grep SigBlk /proc/self/status; umask; exit 7' $'prompt\n'
wait_for 30 "the end" ended e.1
check "end: exit status, reason, sizes" fields e.1 exit=7 signal=0 reason=exit err=7 eend=7
check "end: what it is proven by, and no more than was looked at" fields e.1 proof=no_child_left,mark
# ls itself has a fourth: the folder that it reads
check "job: prompt, folder, three descriptors, no ignored and no blocked signal, umask" stdout_is e.1 \
    "$(printf '%s\n' prompt "$TASKS/e" 4 $'SigIgn:\t0000000000000000' $'SigBlk:\t0000000000000000' 0022)"
check "job: no member of our group or mark is left" unmarked e.1
check "end: its supervisor is gone" eval 'until_true 5 no_process || no_process'
check "end: no pipe is left" test -z "$(find "$DIR/e.1" -type p)"
# An agent that puts a file of its account in the place of the status to come.
start ln.1 1 $N 60 100000 "echo precious >mine; ln -f mine '$DIR'/ln.1/up.*/reserve && echo linked; exit 3" >/dev/null
wait_for 30 "the end" ended ln.1
fetch ln.1 >/dev/null
check "a link in the place of the status" grep -qx linked "$TEST_DIR/jobs/out"
check "... is not written through" grep -qx precious "$TASKS/ln/mine"
check "... and takes no end away" fields ln.1 exit=3 reason=exit
check "the first line of a status is the script's" grep -qxE "status $N 7 [0-9]+ exit [0-9]+ 7 ." <<<"$(head -n 1 "$DIR/e.1/status")"
check "so is that of the supervisor" grep -qxE '[0-9]+ [0-9]+ [0-9a-f-]+ 1' "$DIR/e.1/go/supervisor"
check "again: exists" says exists start e.1 1 $N 600 1000 'echo again'
check "again under a higher epoch: exists" says exists start e.1 2 $N 600 1000 'echo again'
check "then under the lower one: fenced" says 'fenced epoch=2' start e.1 1 $N 600 1000 'echo again'
check "stop of what ended: its state" says state call stop e.1 2 $N 1 1 cancelled
check "... which does not change" fields e.1 exit=7 reason=exit state=ended
check "void of what was started" says started call void e.1 2 $N
check "another nonce: refused" says 'refused reason=nonce' start e.1 9 $M 60 1000 'echo other'
check "another nonce: foreign" has_fields "$(record e.1 $M)" state=foreign out=-
check "raise by another nonce: refused" says 'refused reason=nonce' call raise e.1 9 $M
check "gc removes a run that ended" eval 'call gc e.1 2 $N >/dev/null; [[ ! -e $DIR/e.1 ]]'

# --- environment ---

mkdir -p "$HOME/.local/bin"
printf '%s\n' 'PATH=$HOME/.local/bin:$PATH' 'export SECRET=1' 'echo noise; echo noise >&2' >"$HOME/.profile"
FLEET_SECRET=x start p.1 1 $N 600 100000 'env | cut -d= -f1 | sort | tr "\n" " "; echo; echo "$PATH"; echo "$HOME"' >/dev/null
wait_for 30 "the end" ended p.1
check "environment: the list and nothing else" grep -qxE \
    '(FLEET_(RUN|RUNNER|FRESH)|HOME|LANG|LOGNAME|OLDPWD|PATH|PWD|SHELL|SHLVL|TMPDIR|USER|_| )* ' <<<"$(head -1 "$DIR/p.1/out")"
check "environment: PATH of the profile" grep -q "^$HOME/.local/bin:" "$DIR/p.1/out"
check "environment: HOME" grep -qx "$HOME" "$DIR/p.1/out"
check "environment: no output of the profile" test "$(grep -c noise "$DIR/p.1/out")" -eq 0
printf '%s\n' 'exit 5' >"$HOME/.profile"
start p.2 1 $N 600 100000 'echo runs' >/dev/null
wait_for 30 "the end" ended p.2
printf '%s\n' 'if (' >"$HOME/.profile"
start p.3 1 $N 600 100000 'echo runs' >/dev/null
wait_for 30 "the end" ended p.3
check "environment: a profile that exits" stdout_is p.2 runs
check "environment: a broken profile" stdout_is p.3 runs
rm "$HOME/.profile"

# --- TMPDIR: one of its own, gone with the run however it ends, whatever the job left in it ---

fill='d=$(mktemp -d) && echo x >"$d/file" && chmod 500 "$d" && stat -c %a "$TMPDIR" && ls -A "$TMPDIR" | wc -l'
no_tmp() { [[ -z $(find "${BASE%/*}/tmp" -name "*.$1") ]]; }
tmp_of() { basename "$(tr '\0' '\n' <"/proc/$(supervisor_child "$1")/environ" | sed -n 's/^TMPDIR=//p')"; }
supervisor_child() { local pid; read -r pid _ <"/proc/$(supervisor "$1")/task/$(supervisor "$1")/children"; echo "$pid"; }
start m.1 1 $N 600 10000 "$fill" >/dev/null
wait_for 30 "the end" ended m.1
check "TMPDIR: its own, of this account only" stdout_is m.1 $'700\n1'
start m.2 1 $N 600 10000 "$fill; $hang" >/dev/null
start m.3 1 $N 600 10000 "$fill; ln -s $HOME \$TMPDIR/home; $hang" >/dev/null
touch "$HOME/precious"
wait_for 30 "it runs" is m.2 out 6
wait_for 30 "it runs" is m.3 out 6
check "TMPDIR: one for each run" test "$(ls "${BASE%/*}/tmp" | wc -l)" -eq 2
check "TMPDIR: short, since a socket's path has no more than 107 bytes" test "$(ls "${BASE%/*}/tmp" | wc -L)" -le 20
if can_stop; then call stop m.2 1 $N 1 1 cancelled >/dev/null; else kill "$(supervisor_child m.2)"; fi
wait_for 30 "the end" ended m.2
kill -KILL "$(supervisor m.3)"
wait_for 30 "orphaned" is m.3 state orphaned
call stop m.3 1 $N 0 1 cancelled >/dev/null
wait_for 30 "lost" is m.3 state lost
until_true 30 test -z "$(ls "${BASE%/*}/tmp")"
check "TMPDIR: removed at the end, also of a run that lost its supervisor" test -z "$(ls "${BASE%/*}/tmp")"
check "TMPDIR: no link in it was followed" test -e "$HOME/precious"

# --- ends ---

start k.1 1 $N 600 1000 'echo x; kill -KILL 0' >/dev/null
start k.2 1 $N 600 1000 'echo x; kill -TERM $$' >/dev/null
start k.3 1 $N 600 1000 'exit 124' >/dev/null
start k.4 1 $N 600 1000 'exec /no/such/program' >/dev/null
for run in k.1 k.2 k.3 k.4; do wait_for 30 "the end" ended $run; done
check "a job that kills its own group" fields k.1 exit=137 signal=9 reason=exit out=2
check "a job that a signal ended" fields k.2 exit=143 signal=15 reason=exit
check "exit 124 is no time-out" fields k.3 reason=exit exit=124
check "a command that is not there" fields k.4 reason=exit exit=127

# --- output, byte for byte ---

start y.1 1 $N 600 10000000 'seq 100000; seq 100000 >&2; printf "a\0b\n"' >/dev/null
fetch y.1 >/dev/null
check "output: byte for byte, with a NUL" cmp <(seq 100000; printf 'a\0b\n') "$TEST_DIR/jobs/out"
check "output: stderr as well" cmp <(seq 100000) "$TEST_DIR/jobs/err"
fetch y.1 1000 588895 >/dev/null
check "output: from the offsets" cmp <(seq 100000 | tail -c +1001; printf 'a\0b\n') <(tail -c +1001 "$TEST_DIR/jobs/out")
check "output: nothing where all is there" test ! -s "$TEST_DIR/jobs/err"
