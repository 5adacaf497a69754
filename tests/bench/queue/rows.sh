# shellcheck shell=bash disable=SC2154 # what is measured with, and how long, is of who sources this
# The rows of the table of tests/bench/queue/run: each measures, prints its lines, and adds to LINES.

row_claim() {
    local mode d b
    for d in "${dispatchers[@]}"; do
        for b in "${batches[@]}"; do
            for mode in apart turn; do ours "$mode $d x $b" fleet "$mode" "$d" "$b"; done
            show "claim $b + finish" "$d" "apart $d x $b"
            show "claim $b + finish, one commit" "$d" "turn $d x $b"
        done
    done
    [[ -z $profile ]] || functions 1 32
}
