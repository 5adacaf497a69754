#!/bin/sh
# Behaves as the supervisor of a run that the script of before started: its command line, its files, how it
# hears of a stop. old_supervisor.sh BASE supervise RUN EPOCH NONCE TIMEOUT CAP FOLDER, in BASE, with the job in
# runs/RUN/up.EPOCH/job.sh.
set -u
base=$1 run=$3 epoch=$4 nonce=$5
dir=runs/$run up=runs/$run/up.$4
trap '' HUP INT TERM
mkfifo "$up/ctl"
: >"$dir/out"
: >"$dir/err"
mkdir "$dir/go"
IFS= read -r line </proc/$$/stat
# shellcheck disable=SC2086 # numbers
set -- ${line##*) }
start=${20}
IFS= read -r line </proc/1/stat
# shellcheck disable=SC2086 # numbers
set -- ${line##*) }
echo "$$ $start $(cat /proc/sys/kernel/random/boot_id)-${20} $epoch" >"$dir/go/supervisor"
exec 3<>"$up/ctl"
(
    FLEET_RUN=$run.$nonce setsid -w env --default-signal /bin/sh "$up/job.sh" >>"$dir/out" 2>>"$dir/err" 3>&-
    echo "job $?" >&3
) &
cause=exit code=''
while [ -z "$code" ] && read -r word value <&3; do
    case $word in
    job) code=$value ;;
    stop)
        read -r cause value <"$dir/stop"
        grep -lzsxF "FLEET_RUN=$run.$nonce" /proc/[0-9]*/environ | cut -d/ -f3 | xargs -r kill -TERM
        ;;
    esac
done
echo "status $nonce $code 1000 $cause $(stat -c %s "$dir/out") $(stat -c %s "$dir/err") ." >"$dir/status.new"
mv "$dir/status.new" "$dir/status"
rm "$up/ctl"
: "$base"
