# shellcheck shell=bash disable=SC2016,SC2154 # texts are for shells; variables are of tests/runner/lib.sh
# In which PATH a job finds its agent: what the account's own login shell has.

mkdir -p "$TEST_DIR/tools" "$TEST_DIR/later"
printf '#!/bin/sh\necho "an-agent 1.2"; echo "$0 $*" >>%q\n' "$TEST_DIR/asked" >"$TEST_DIR/tools/an-agent"
chmod 755 "$TEST_DIR/tools/an-agent"
: >"$TEST_DIR/asked" && chmod 666 "$TEST_DIR/asked"

fresh_home() { rm -rf "$HOME" && mkdir -p "$HOME" && chmod 777 "$HOME"; }
# The tools are in PATH of a login by this shell, by a file of its home that holds these lines.
finds() { # shell file line...
    local shell=$1 file=$HOME/$2 got
    shift 2
    fresh_home
    mkdir -p "${file%/*}" && printf '%s\n' "$@" >"$file"
    chmod -R a+rX "$HOME"
    got=$(SHELL=$shell PATH=/usr/bin:/bin call hello look an-agent)
    grep -qx "agent $TEST_DIR/tools/an-agent " <<<"$got" && grep -qx "shell ${shell##*/}" <<<"$got" || { echo "$got"; return 1; }
}
tools=$TEST_DIR/tools
sets="PATH=\$PATH:$tools; export PATH"
check "dash: ~/.profile" finds /bin/dash .profile "$sets"
check "bash: ~/.profile" finds /bin/bash .profile "$sets"
check "bash: ~/.bash_profile" finds /bin/bash .bash_profile "$sets"
# As version managers write it, behind the line that ends a file which is not typed into.
nvm() { echo 'case $- in *i*) ;; *) return ;; esac'; echo "export PATH=\"$tools:\$PATH\""; }
in_bashrc() {
    finds /bin/bash .bashrc "$(nvm)" >/dev/null && { echo "found without ~/.profile"; return 1; }
    printf '%s\n' '. ~/.bashrc' >"$HOME/.profile"
    SHELL=/bin/bash PATH=/usr/bin:/bin call hello look an-agent | grep -qx "agent $tools/an-agent "
}
check "bash: ~/.bashrc of who types" in_bashrc
if shell=$(command -v zsh); then
    check "zsh: ~/.zprofile" finds "$shell" .zprofile "$sets"
    check "zsh: ~/.zshrc" finds "$shell" .zshrc "$sets"
else
    skip "zsh" "is not installed"
fi
if shell=$(command -v fish); then
    check "fish: config.fish" finds "$shell" .config/fish/config.fish "set -gx PATH \$PATH $tools"
    check "fish: config.fish of who types" finds "$shell" .config/fish/config.fish 'if status is-interactive' "set -gx PATH $tools \$PATH" end
else
    skip "fish" "is not installed"
fi
if shell=$(command -v tcsh); then
    check "tcsh: ~/.login" finds "$shell" .login "setenv PATH \${PATH}:$tools"
    check "tcsh: ~/.cshrc" finds "$shell" .cshrc "set path = (\$path $tools)"
else
    skip "tcsh" "is not installed"
fi
check "files that print: what they say is no PATH" finds /bin/bash .profile "$sets" 'echo FLEET_PATHS=/nowhere; printf "no end of line /x"' \
    'echo >&2 oops'
check "... nor is a folder that depends on where one stands" finds /bin/bash .profile "PATH=.:bin::\$PATH:$tools"
check "... shown" grep -qxE "path /[^.]*:$tools" <<<"$(SHELL=/bin/bash call hello look an-agent)"
check "a shell that is none: sh" grep -qx "shell sh" <<<"$(SHELL=/usr/sbin/nologin call hello)"
check "one that is not there" grep -qx "shell sh" <<<"$(SHELL=/no/such/shell call hello)"
fresh_home
printf '%s\n' '[ -z "$PS1" ] || exec tail -f /dev/null' "$sets" >"$HOME/.profile"
check "a file that hangs when one types: as when nobody does" grep -qx "agent $tools/an-agent " <<<"$(SHELL=/bin/bash call hello look an-agent)"
printf '%s\n' 'exec tail -f /dev/null' >"$HOME/.profile"
check "one that hangs always: ours" grep -qxE "shell " <<<"$(SHELL=/bin/bash call hello)"
printf '%s\n' 'trap "" HUP; exec sleep 1000' >"$HOME/.profile" # payload: sleep
check "one that cannot be hung up on, either" grep -qxE "shell " <<<"$(SHELL=/bin/bash call hello)"
printf '%s\n' '(trap "" HUP; exec sleep 1000) &' "$sets" >"$HOME/.profile" # payload: sleep
check "one that leaves somebody behind who hears no hangup" grep -qx "agent $tools/an-agent " <<<"$(SHELL=/bin/bash call hello look an-agent)"
wait_for 30 "what they left to go" no_process
# As version managers do it, whose every later login waits for the lock; on a machine that is slow.
printf '%s\n' "bash -c 'trap \"sleep 1.5; rm -f ~/lock\" EXIT; : >~/lock; echo held >>$TEST_DIR/held; tail -f /dev/null'" >"$HOME/.profile" # payload: sleep
: >"$TEST_DIR/held" && chmod 666 "$TEST_DIR/held"
SHELL=/bin/bash call hello >"$TEST_DIR/hello"
check "one that hangs with a lock held" test -s "$TEST_DIR/held"
check "... lets go of it" wait_for 30 "the lock to be gone" test ! -e "$HOME/lock"

# --- once for a channel, and again where something is missing ---

fresh_home
printf '%s\n' "echo asked >>$TEST_DIR/logins" >"$HOME/.profile"
: >"$TEST_DIR/logins" && chmod 666 "$TEST_DIR/logins"
logins() { [[ $(wc -l <"$TEST_DIR/logins") == "$1" ]] || { cat "$TEST_DIR/logins"; return 1; }; }
SHELL=/bin/bash channel <<<$'list\nwait\nhello look sh\nwait\nhello look sh\nwait\nhello\nwait' >"$TEST_DIR/hellos"
check "three greetings of one channel ask the shell once" logins 1
mends() {
    printf '%s\n' "PATH=\$PATH:$TEST_DIR/later; export PATH" >"$HOME/.profile"
    : >"$TEST_DIR/later/late" && chmod 755 "$TEST_DIR/later/late"
}
{ echo 'hello look late'; echo wait; wait_for 20 "the first answer" grep -q missing "$TEST_DIR/hellos" >/dev/null; mends; echo 'hello look late'; echo wait; } |
    SHELL=/bin/bash channel >"$TEST_DIR/hellos"
check "a command that is found once its folder is in PATH" test "$(grep -o 'agent .*late\|agent missing' "$TEST_DIR/hellos")" = "agent missing
agent $TEST_DIR/later/late"
