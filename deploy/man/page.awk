# A manual page from the form of --help, or of --explain-config.
#
#   NAME(SECTION): TITLE             the first line
#   Usage: COMMAND                   and lines below it, as far as they are indented: the synopsis
#   Word:                            alone on a line: a section
#   word: TEXT                       a group of keys: a subsection
#     term  TEXT, or term: TEXT      a tagged paragraph, from the third column on
#       more                         indented more: goes on
#   TEXT                             a paragraph

function roff(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    gsub(/'/, "\\(aq", text)
    gsub(/~/, "\\(ti", text)
    gsub(/\^/, "\\(ha", text)
    sub(/^\./, "\\\&.", text)
    return text
}
# Prints text, in lines of at most 78 columns: roff fills them anew.
function say(text,    words, count, i, line) {
    count = split(text, words, / +/)
    for (i = 1; i <= count; i++) {
        if (line != "" && length(line " " roff(words[i])) > 78) {
            print line
            line = ""
        }
        line = line (line == "" ? "" : " ") roff(words[i])
    }
    if (line != "")
        print line
}
function section(name) {
    print ".SH " roff(toupper(name))
    opened = 1
    fresh = 1
    tagged = 0
}
function paragraph() {
    if (!opened)
        section("description")
    if (!fresh)
        print ".PP"
    fresh = tagged = 0
}
NR == 1 {
    match($0, /\([0-9]\)/)
    name = substr($0, 1, RSTART - 1)
    print ".\\\" Made by deploy/man/make: change what the program says, or the .in file beside this one."
    print ".TH " toupper(roff(name)) " " substr($0, RSTART + 1, 1) " \"\" \"agent\\-fleet\" \"Agent Fleet\""
    print ".SH NAME"
    say(name " - " substr($0, RSTART + 5))
    next
}
/^Usage: / { usage = 1; print ".SH SYNOPSIS"; print ".nf"; sub(/^Usage: /, "       ") }
usage && /^       / { sub(/^ +/, ""); match($0, /^[a-z-]+/); print "\\fB" roff(substr($0, 1, RLENGTH)) "\\fP" roff(substr($0, RLENGTH + 1)); next }
usage { usage = 0; print ".fi" }
/^$/ { broken = 1; next }
/^[A-Z][A-Za-z ]*:$/ { section(substr($0, 1, length - 1)); broken = 0; next }
/^[a-z]+: / {
    if (!grouped++)
        section("keys")
    print ".SS " roff($0)
    fresh = 1
    tagged = broken = 0
    next
}
/^  [^ ]/ {
    text = substr($0, 3)
    if (!opened)
        section("description")
    if (match(text, /  +/) || match(text, /: /))
        term = substr(text, 1, RSTART - 1)
    else {
        term = text
        RSTART = length(text) + 1
        RLENGTH = 0
    }
    print ".TP"
    print ".B " roff(term)
    rest = substr(text, RSTART + RLENGTH)
    if (rest != "")
        say(rest)
    tagged = 1
    fresh = broken = 0
    # The text of a key stands deeper than its facts, on lines of its own.
    facts = grouped
    next
}
tagged && /^    +[^ ]/ {
    if (facts && /^      [^ ]/) {
        print ".br"
        facts = 0
    }
    sub(/^ +/, "")
    say($0)
    next
}
{
    if (!opened || broken || tagged)
        paragraph()
    broken = fresh = 0
    sub(/^ +/, "")
    say($0)
}
END { if (usage) print ".fi" }
