# shellcheck shell=bash
# The commands of deploy/README.md: which there are, and whether each is to be run or says why not. tests/deploy/guide.sh
# runs them. A fenced block `sh` is run in order, by root on the machine of the guide, unless the lines before it say
#
#   <!-- not run: REASON -->       not at all
#   <!-- on: build|host|… -->      on this machine, in the clone; host, db, proxy: on the guide's machine, which is all of them
#   <!-- run as: USER -->          by that user
#   <!-- expect: TEXT -->          its output holds TEXT; may be repeated
#
#   guide_blocks FILE DIR          DIR/NUMBER.{sh,on,as,expect} for each block that is run, DIR/index: "NUMBER LINE" lines,
#                                  DIR/kept: "LINE REASON" lines of those that are not; prints what is wrong with the marks
# Sourced by tests/deploy/part.

guide_blocks() {
    mkdir -p "$2"
    : >"$2/index"
    : >"$2/kept"
    LC_ALL=C.UTF-8 awk -v dir="$2" '
        function fault(text) { print FILENAME ":" NR ": " text; bad = 1 }
        function forget() { why = ""; on = ""; as = ""; wants = "" }
        function open_block() {
            number = sprintf("%03d", ++count)
            printf "" >(dir "/" number ".sh")
            printf "%s", wants >(dir "/" number ".expect")
            print (on == "" ? "node" : on) >(dir "/" number ".on")
            print (as == "" ? "root" : as) >(dir "/" number ".as")
            print number, NR + 1 >>(dir "/index")
        }
        inside { if ($0 == "```") { inside = 0; forget() } else if (inside == 1) print >>(dir "/" number ".sh"); next }
        /^<!-- not run:/ { why = $0; sub(/^<!-- not run: */, "", why); sub(/ *-->$/, "", why)
                           if (length(why) < 8) fault("a block that is not run says why"); next }
        /^<!-- on: (build|host|db|proxy) -->$/ { on = $3; next }
        /^<!-- run as: [a-z-]+ -->$/ { as = $4; next }
        /^<!-- expect: .+ -->$/ { wants = wants substr($0, 14, length($0) - 17) "\n"; next }
        /^<!-- (begin: .*|end) -->$/ { next }
        /^<!--/ { fault("unknown mark: " $0); next }
        /^```sh$/ { if (why == "") { open_block(); inside = 1 } else { print NR, why >>(dir "/kept"); inside = 2 } next }
        /^```/ { inside = 2; next }
        $0 != "" { if (why on as wants != "") fault("a mark stands right before its block"); forget() }
        END { if (inside) fault("a block does not end"); exit bad }' "$1"
}

blocks_suite() {
    check 'deploy/README.md: every block is run or says why not' guide_blocks deploy/README.md "$TEST_DIR/blocks"
    check 'there are blocks' test "$(wc -l <"$TEST_DIR/blocks/index")" -ge 20
    local number line
    while read -r number line; do
        check "deploy/README.md:$line: is a script" bash -n "$TEST_DIR/blocks/$number.sh"
    done <"$TEST_DIR/blocks/index"
    blocks_faults
}

blocks_faults() {
    local text
    for text in '<!-- not run -->' '<!-- not run: no -->' '<!-- on: moon -->' '<!-- expects: x -->' \
        $'<!-- run as: agent -->\n\nA word between.'; do
        printf '%s\n```sh\ntrue\n```\n' "$text" >"$TEST_DIR/wrong.md"
        check "refused: ${text%%$'\n'*}" not guide_blocks "$TEST_DIR/wrong.md" "$TEST_DIR/wrong"
    done
    # shellcheck disable=SC2016 # backticks of Markdown
    printf '<!-- on: host -->\n<!-- expect: a -->\n<!-- expect: b c -->\n```sh\necho a\n```\n```yaml\nx: y\n```\n' >"$TEST_DIR/right.md"
    check 'taken: several marks' guide_blocks "$TEST_DIR/right.md" "$TEST_DIR/right"
    check 'with all that is expected' test "$(cat "$TEST_DIR/right/001.expect")" = $'a\nb c'
    check 'only sh is run' test "$(cat "$TEST_DIR/right/index")" = '001 5'
}
