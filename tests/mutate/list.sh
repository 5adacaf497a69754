# shellcheck shell=bash disable=SC2034 # the tables are for who sources this
# The list of mutants, tests/mutate/list/*.list: read into tables by id, and compared with the tree. README.md says how
# an entry is written.
#
#   IDS                                     all of them, in the order of the lists
#   AREA WHERE FILE FROM TO TESTS EQUAL     of an id; EQUAL is the reason why nothing can notice it, else empty
#   FAULTS                                  what is wrong with the lists themselves, a sentence each

IDS=() FAULTS=()
declare -A AREA=() WHERE=() FILE=() FROM=() TO=() TESTS=() EQUAL=()

# Where a test lies, or nothing: SUITE/NAME as in "tests/SUITE/run NAME".
test_file() {
    local suite=${1%%/*} name=${1#*/} file
    case $suite in
    sql) file=tests/sql/test_$name.sql && [[ -f $file ]] || file=tests/sql/test_$name.sh ;;
    isolation) file=tests/isolation/specs/$name.spec ;;
    unit) file=tests/unit/test_$name.c ;;
    runner) file=tests/runner/test_${name#*.}.sh ;;
    e2e) file=tests/e2e/test_$name.sh ;;
    deploy) file=tests/deploy/$name.sh ;;
    *) return 1 ;;
    esac
    [[ -f $file && $1 == */* ]] && echo "$file"
}

mutant_head() { # WHERE ID FILE TEST...
    local where=$1 id=${2-}
    current=
    if [[ ! $id =~ ^[a-z0-9_-]+$ || -z ${3-} ]]; then
        FAULTS+=("$where: an entry begins with a line ID FILE TEST...")
    elif [[ -n ${WHERE[$id]-} ]]; then
        FAULTS+=("$where: $id stands at ${WHERE[$id]} as well")
    else
        current=$id
        IDS+=("$id")
        WHERE[$id]=$where FILE[$id]=$3 FROM[$id]='' TO[$id]='' EQUAL[$id]='' AREA[$id]=${where%.list:*}
        TESTS[$id]=${*:4}
    fi
}

# A line more of one of the texts. Lines of one text are joined by newlines; `texts` holds what has begun.
mutant_line() { # TABLE LINE
    local -n table=$1
    local text=${2:2}
    if [[ $texts == *" $1 "* ]]; then table[$current]+=$'\n'; else texts+=" $1 "; fi
    table[$current]+=$text
}

mutants_read() { # FILE.list...
    local list line number current texts
    for list in "$@"; do
        number=0 current=''
        while IFS= read -r line || [[ -n $line ]]; do
            number=$((number + 1))
            case $line in
            '' | '#'*) ;;
            [-+=] | [-+=]' '*)
                [[ -n $current ]] || { FAULTS+=("${list##*/}:$number: belongs to no entry"); continue; }
                case $line in
                -*) mutant_line FROM "$line" ;;
                +*) mutant_line TO "$line" ;;
                =*) mutant_line EQUAL "$line" ;;
                esac
                ;;
            *)
                texts=''
                # shellcheck disable=SC2086 # words
                mutant_head "${list##*/}:$number" $line
                ;;
            esac
        done <"$list"
    done
}

# The text of a file into `text`, to the last newline.
text_of() { text=$(cat "$1" 2>/dev/null && echo .) && text=${text%.}; }

# Replaces `from` by `to` in `text`; fails, with the reason in `why`, where it does not stand there exactly once.
replace() { # FROM TO
    local LC_ALL=C changed=${text/"$1"/"$2"} without=${text/"$1"/$'\001'}
    why=
    if [[ -z $1 ]]; then why="has no text to be replaced"
    elif [[ $without == "$text" ]]; then why="does not stand there"
    elif [[ $without == *"$1"* ]]; then why="stands there more than once"
    elif [[ $changed == "$text" ]]; then why="changes nothing"
    fi
    text=$changed
    [[ -z $why ]]
}

# Why an entry cannot be applied to the tree, into `why`; nothing when it can. `read_file` and `read_text` spare reading a
# file again.
read_file='' read_text=''
mutant_fault() { # ID
    local id=$1 test text
    why=
    if [[ ${FILE[$id]} != "$read_file" ]]; then
        text_of "${FILE[$id]}" || { why="${FILE[$id]}: no such file"; return; }
        read_file=${FILE[$id]} read_text=$text
    fi
    text=$read_text
    replace "${FROM[$id]}" "${TO[$id]}" || { why="${FILE[$id]}: $why: ${FROM[$id]}"; return; }
    [[ -n ${TESTS[$id]} || -n ${EQUAL[$id]} ]] || why="names no test, and no reason (=) why none can notice it"
    for test in ${TESTS[$id]}; do
        test_file "$test" >/dev/null || why="there is no test $test"
    done
}
