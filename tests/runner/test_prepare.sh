# shellcheck shell=bash disable=SC2016,SC2034 # conditions are evaluated by check
# PREPARE: workspaces out of real servers' repositories. Sourced by tests/runner/case.
# shellcheck source=deploy/lib/process.sh
source deploy/lib/process.sh
# shellcheck source=deploy/lib/sshd.sh
source deploy/lib/sshd.sh
# shellcheck source=tests/lib/git.sh
source tests/lib/git.sh

name_account
git_begin
git_serve_ssh
has_http=yes
git_serve_http || has_http=
chmod 711 "$GIT_DIRECTORY" "$GIT_DIRECTORY"/ssh
cp "$GIT_SSH_KEY" "$TEST_DIR/jobs/key"
printf %s "$GIT_PASSWORD" >"$TEST_DIR/jobs/password"
chmod 644 "$TEST_DIR/jobs"/{key,password} "$GIT_KNOWN_HOSTS"
ssh_access=(access=ssh secret="$TEST_DIR/jobs/key" known_hosts="$GIT_KNOWN_HOSTS")
http_access=(access=password user="$GIT_USER" secret="$TEST_DIR/jobs/password")

# prepare FOLDER NUMBER NAME [OPTION...]: by SSH.
prepare() { call prepare "$1.$2" 1 "$N" "$1" "$2" "$GIT_SSH_URL/$3.git" "${@:4}" "${ssh_access[@]}"; }
ready() { answers state=ready reason=- -- "$@"; }
fails() { answers state=failed "reason=$1" -- "${@:2}"; }
# Git as the agent, in its workspace.
agent() { (cd "$TASKS/$1" && as env HOME="$HOME" GIT_CONFIG_NOSYSTEM=1 git "${@:2}"); }
is_clean() { [[ -z $(agent "$1" status --porcelain) ]] || { agent "$1" status --porcelain; return 1; }; }
head_of() { agent "$1" rev-parse HEAD; }
holds() { [[ $(cat "$TASKS/$1") == "$2" ]] || { echo "$1: $(cat "$TASKS/$1" 2>&1)"; return 1; }; }
gone() { [[ ! -e $1 && ! -L $1 ]]; }
no_git() { # says who there is
    local pid
    ! for pid in $(processes_of_git); do
        echo "$pid below $(awk '{ print $4 }' "/proc/$pid/stat"): $(tr '\0' ' ' <"/proc/$pid/cmdline")"
    done 2>/dev/null | grep .
}
processes_of_git() { grep -lszE '(^|/)git(-[a-z-]+)?$' /proc/[0-9]*/cmdline | while read -r file; do
    file=${file%/cmdline}
    [[ $(awk '/^Uid:/ {print $2}' "$file/status" 2>/dev/null) == "$ACCOUNT" ]] && echo "${file##*/}"; done | grep .; }

git_repository acme/rocket
git_commit acme/rocket main AGENTS.md "of the base" >/dev/null
git_commit acme/rocket main src/a.c "int a;" >/dev/null
tip=$(git_commit acme/rocket main .gitignore "*.o")
git_at acme/rocket tag v1

# --- every way to a server ---

check "over SSH" answers state=ready reason=- base_branch=main base="$tip" head="$tip" instructions=AGENTS.md rescue=- -- prepare a 1 acme/rocket
check "... on its branch, clean" eval '[[ $(agent a symbolic-ref HEAD) == refs/heads/task/a ]] && is_clean a && [[ $(head_of a) == "$tip" ]]'
check "... with the files" holds a/src/a.c "int a;"
check "... the base's head and the tags, and no other reference" eval \
    '[[ $(agent a for-each-ref --format="%(refname)" | tr "\n" " ") == "refs/heads/task/a refs/remotes/origin/main refs/tags/v1 " ]]'
check "... no remote, no hook, no object of its own" eval \
    '[[ -z $(agent a remote) && -z $(find "$TASKS/a/.git/objects" -type f ! -path "*/info/*") && ! -e $TASKS/a/.git/hooks ]]'
check "... whole" agent a fsck --no-dangling
check "once more: the same" answers state=ready head="$tip" -- prepare a 1 acme/rocket
if [[ $has_http ]]; then
    check "over HTTP with a password" ready call prepare h.1 1 "$N" h 1 "$GIT_HTTP_URL/acme/rocket.git" "${http_access[@]}"
    check "... without" fails git_auth_failed call prepare h.1 1 "$N" h 1 "$GIT_HTTP_URL/acme/rocket.git"
    check "... a wrong one" fails git_auth_failed call prepare h.1 1 "$N" h 1 "$GIT_HTTP_URL/acme/rocket.git" access=password user="$GIT_USER" secret="$GIT_KNOWN_HOSTS"
    check "... no such repository" fails repository_missing call prepare h.1 1 "$N" h 1 "$GIT_HTTP_URL/acme/none.git" "${http_access[@]}"
else
    skip "over HTTP" "needs lighttpd"
fi
local_copy=$TEST_DIR/jobs/local.git
as git clone -q --bare "$GIT_ROOT/acme/rocket.git" "$local_copy" 2>/dev/null || { cp -r "$GIT_ROOT/acme/rocket.git" "$local_copy" && chown -R "$ACCOUNT" "$local_copy"; }
check "by a path" ready call prepare l.1 1 "$N" l 1 "$local_copy"
check "... and as file://" ready call prepare l.1 1 "$N" l 1 "file://$local_copy"

# --- refusals ---

check "no such repository over SSH" fails repository_missing prepare b 1 acme/none
check "a key that nobody knows" fails git_auth_failed prepare b 1 acme/rocket secret="$GIT_KNOWN_HOSTS"
: >"$TEST_DIR/jobs/nobody"
check "a host that nobody knows" fails git_auth_failed prepare b 1 acme/rocket known_hosts="$TEST_DIR/jobs/nobody"
check "... says so" detail_has 'Host key verification failed'
check "nobody listens" fails fetch_failed call prepare b.1 1 "$N" b 1 http://127.0.0.1:1/x.git
for url in 'ext::sh -c touch% /tmp/pwned' 'ext::touch' --upload-pack=touch 'fd::3' '../x' 'ssh://-oProxyCommand=touch/x' 'ssh://-l@host/x' \
    'https://u:secret@host/x' 'https:///x' 'file://host/x' $'/a\tb' git@host:x; do
    check "no url: $url" eval 'fails workspace_failed call prepare b.1 1 "$N" b 1 "$url" || [[ $url == *$'"'\\t'"'* ]]'
done
check "no such base" fails base_missing prepare b 1 acme/rocket base=nope
for base in --upload-pack=touch 'a..b' '-' 'x^{tree}' '@{-1}' 'HEAD:x' '$(touch /tmp/pwned)' '"; touch x' ':/fix'; do
    check "no base: $base" fails base_missing prepare b 1 acme/rocket base="$base"
done
printf 'main\nmain' >"$TEST_DIR/jobs/base"
check "... with a newline" fails base_missing prepare b 1 acme/rocket base_file="$TEST_DIR/jobs/base"
check "space: a floor above what is free" fails host_disk_full prepare b 1 acme/rocket free=9000000000000000000
check "... says what" detail_has git.min_free_bytes
check "the task whose workspace failed is made all the same" ready prepare b 1 acme/rocket
mkdir -p "$TEST_DIR/jobs/none" "$TEST_DIR/jobs/old"
printf '#!/bin/sh\necho git version 2.20.1\n' >"$TEST_DIR/jobs/old/git"
chmod 755 "$TEST_DIR/jobs/old/git"
echo "PATH=$TEST_DIR/jobs/none" >"$HOME/.profile"
check "no git in the PATH of the login shell" fails git_missing prepare b 1 acme/rocket
check "... says which" detail_has "$TEST_DIR/jobs/none"
echo "PATH=$TEST_DIR/jobs/old" >"$HOME/.profile"
check "a git that is too old" fails git_missing prepare b 1 acme/rocket
check "... says which is needed" detail_has '2.20.1.*2.32'
rm "$HOME/.profile"

# --- hostile names on the server ---

for name in --upload-pack=touch "quo'te\"s" '$(touch${IFS}pwned)' ';ls' 'a/-b' 'ümlaut'; do
    commit=$(git_commit acme/rocket "$name" x.txt "$name")
    printf %s "$name" >"$TEST_DIR/jobs/base"
    check "a base named $name" answers state=ready base="$commit" head="$commit" -- prepare names 1 acme/rocket base_file="$TEST_DIR/jobs/base"
    rm -rf "$BASE/stages/names" "$TASKS/names"
done
check "nothing of them was run" eval '[[ -z $(find "$TASKS" "$BASE" / -maxdepth 2 -name "*pwned*" 2>/dev/null) ]]'

# --- the tree is kept ---

as bash -c 'cd "$1" && echo built >a.o && echo "int b;" >>src/a.c && echo new >new.txt' bash "$TASKS/a"
check "the next attempt" ready prepare a 2 acme/rocket leftovers=0
check "... finds what was uncommitted, untracked and ignored" eval 'holds a/a.o built && holds a/new.txt new && [[ $(wc -l <"$TASKS/a/src/a.c") == 2 ]]'
check "a lower attempt is fenced out" answers state=fenced -- prepare a 1 acme/rocket
call raise a.2 7 "$N" >/dev/null
check "an earlier owner, too" answers state=fenced -- prepare a 2 acme/rocket leftovers=0
check "... not the later one" ready call prepare a.2 7 "$N" a 2 "$GIT_SSH_URL/acme/rocket.git" "${ssh_access[@]}" leftovers=0

for kind in file link none; do
    as rm -rf "$TASKS/a/.git"
    case $kind in
    file) echo "gitdir: /tmp/elsewhere" | as tee "$TASKS/a/.git" >/dev/null ;;
    link) as ln -s /tmp/elsewhere "$TASKS/a/.git" ;;
    esac
    check "in place of .git stands a $kind: it is made anew" eval 'ready call prepare a.2 7 "$N" a 2 "$GIT_SSH_URL/acme/rocket.git" "${ssh_access[@]}" leftovers=0 && [[ -d $TASKS/a/.git && ! -L $TASKS/a/.git ]]'
done
check "... nothing is left of it" eval '[[ -z $(find "$TASKS" -maxdepth 1 -name ".*" ! -name . -newer "$HOME") ]]'

# --- what an attempt left that nobody harvested ---

check "an attempt" ready prepare left 1 acme/rocket
agent left commit -q --allow-empty -m "of the agent" && mine=$(head_of left)
as bash -c 'cd "$1" && echo new >new.txt && echo built >a.o' bash "$TASKS/left"
check "the next has its commit, and one of what it left" eval 'ready prepare left 2 acme/rocket && [[ $(agent left rev-parse HEAD^) == "$mine" ]] && holds left/new.txt new && is_clean left'
check "... what is ignored stays, too" holds left/a.o built
agent left checkout -q -b other && agent left commit -q --allow-empty -m "elsewhere" && mine=$(head_of left)
check "on another branch of its own" eval 'ready prepare left 3 acme/rocket && [[ $(head_of left) == "$mine" && $(agent left symbolic-ref HEAD) == refs/heads/task/left ]]'

check "whoever knows no mirror's name finds none" eval '[[ $(stat -c %a "$BASE/mirrors") == 711 ]]'

# --- agents' configuration ---

commit=$(git_commit acme/rocket task/trust AGENTS.md "of the branch")
git_commit acme/rocket task/trust sub/CLAUDE.md "of the branch" >/dev/null
commit=$(git_commit acme/rocket task/trust .claude/settings.json '{"hooks": 1}')
check "a branch with other configuration" answers state=ready head="$commit" -- prepare trust 1 acme/rocket
check "... its workspace holds the base's" eval 'holds trust/AGENTS.md "of the base" && gone "$TASKS/trust/.claude" && gone "$TASKS/trust/sub/CLAUDE.md"'
check "... and is clean" is_clean trust
as bash -c 'cd "$1" && mkdir -p .claude && echo planted >.claude/settings.json && echo mine >AGENTS.md' bash "$TASKS/trust"
check "planted in one attempt" ready prepare trust 2 acme/rocket leftovers=0
check "... it is not read in the next" eval 'holds trust/AGENTS.md "of the base" && gone "$TASKS/trust/.claude"'

# --- the branch on the server ---

commit=$(git_commit acme/rocket task/b more.txt "of somebody" task/none)
git_at acme/rocket update-ref refs/heads/task/b "$commit"
check "somebody pushed to the branch" answers state=ready head="$commit" pushed="$commit" -- prepare b 2 acme/rocket
check "... which the workspace has" holds b/more.txt "of somebody"
check "... and is clean" is_clean b
as bash -c 'cd "$1" && echo mine >more.txt' bash "$TASKS/b"
commit=$(git_commit acme/rocket task/b more.txt "of somebody else")
check "uncommitted changes stand in the way of the next" answers state=ready head="$commit" -- prepare b 3 acme/rocket leftovers=0
check "... they are kept aside" eval '[[ $(cat "$BASE"/stages/b/aside.3/more.txt) == mine ]] && detail_has aside.3'
check "... the workspace is clean" is_clean b
agent b commit -q --allow-empty -m "of the agent" && mine=$(head_of b)
commit=$(git_commit acme/rocket task/b more.txt "of a third")
check "both went their ways: the server's is taken" answers state=ready head="$commit" rescue=rescue/b -- prepare b 4 acme/rocket leftovers=0
check "... ours is on a branch of its own" eval '[[ $(git_at acme/rocket rev-parse rescue/b) == "$mine" ]] && detail_has rescue/b'
check "... the workspace is clean" is_clean b
git_at acme/rocket update-ref -d refs/heads/task/b
check "deleted on the server: it goes on from ours" answers state=ready head="$commit" pushed=- -- prepare b 5 acme/rocket

# --- kinds of repositories ---

git_repository acme/empty empty
check "an empty repository" answers state=ready base_branch=main base=- head=- -- prepare e 1 acme/empty
check "... an unborn branch" eval '[[ $(agent e symbolic-ref HEAD) == refs/heads/task/e ]] && is_clean e'
git_commit acme/empty main a.txt a >/dev/null
check "... which somebody filled meanwhile" eval 'ready prepare e 2 acme/empty && holds e/a.txt a'

git_repository acme/moving
check "a repository whose default branch" ready prepare m 1 acme/moving
git_at acme/moving branch -q -m main trunk
git_at acme/moving symbolic-ref HEAD refs/heads/trunk
check "... is renamed" answers state=ready base_branch=trunk -- prepare m2 1 acme/moving
check "... one that began on it goes on" ready prepare m 2 acme/moving
git_at acme/moving symbolic-ref HEAD refs/heads/gone
check "... is deleted: who began goes on" ready prepare m 3 acme/moving
check "... who begins is told" fails base_missing prepare m3 1 acme/moving
check "... or names a branch" ready prepare m3 1 acme/moving base=trunk

git_plain clone -q --bare --depth 1 "file://$GIT_ROOT/acme/rocket.git" "$GIT_ROOT/acme/shallow.git"
check "a shallow repository" ready prepare s 1 acme/shallow
check "... its history ends where it ends there" eval '[[ $(agent s rev-list --count HEAD) == 1 ]] && is_clean s'

git_plain init -q --bare --object-format=sha256 --initial-branch=main "$GIT_ROOT/acme/long.git"
git_commit acme/long main a.txt a >/dev/null
check "a repository with SHA-256" ready prepare long 1 acme/long
check "... is clean" eval 'is_clean long && [[ $(head_of long | wc -c) == 65 ]]'

link=$(git_at acme/rocket rev-parse main)
git_repository acme/linked
index=$TEST_DIR/jobs/linked.index
GIT_INDEX=$index git_at acme/linked read-tree main
GIT_INDEX=$index git_at acme/linked update-index --add --cacheinfo "160000,$link,lib/sub"
pointer=$(printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 9\n' 1 | git_at acme/linked hash-object -w --stdin)
attributes=$(echo '*.bin filter=lfs diff=lfs merge=lfs' | git_at acme/linked hash-object -w --stdin)
GIT_INDEX=$index git_at acme/linked update-index --add --cacheinfo "100644,$pointer,big.bin" --add --cacheinfo "100644,$attributes,.gitattributes"
commit=$(git_at acme/linked commit-tree -p main -m link "$(GIT_INDEX=$index git_at acme/linked write-tree)")
git_at acme/linked update-ref refs/heads/main "$commit"
check "submodules and LFS" ready prepare sub 1 acme/linked
check "... a submodule is an empty folder, a large file its pointer" eval \
    '[[ -d $TASKS/sub/lib/sub && -z $(ls -A "$TASKS/sub/lib/sub") ]] && grep -q git-lfs "$TASKS/sub/big.bin" && is_clean sub'

# --- damage ---

mirror=$(grep /mirrors/ "$TASKS/a/.git/objects/info/alternates")
for pack in "$mirror"/pack/*.pack; do
    chmod 644 "$pack"
    head -c 100 "$pack" >"$TEST_DIR/jobs/cut" && cat "$TEST_DIR/jobs/cut" >"$pack"
done
tip=$(git_commit acme/rocket main src/a.c "int c;")
check "a mirror with broken packs is made anew" answers state=ready head="$tip" -- prepare d 1 acme/rocket
check "... whole" eval 'is_clean d && agent d fsck --no-dangling'
rm -f "$mirror"/pack/*
check "... one that lost them" answers state=ready head="$tip" -- prepare d2 1 acme/rocket
echo rubbish >"${mirror%/objects}/config"
rm -f "${mirror%/objects}/HEAD"
: >"${mirror%/objects}/packed-refs.lock"
check "... one with rubbish for a configuration, no HEAD, and a lock of the dead" ready prepare d3 1 acme/rocket

# --- killed, and lost ---

git_repository acme/slow
begun() { (($(git_served | grep -c "^begun upload-pack $1 ") > ${2:-0})); }
slow_line="prepare k.1 1 $N k 1 $GIT_SSH_URL/acme/slow.git ${ssh_access[*]}"
end_line() { # command what-it-means
    git_hold acme/slow
    local before
    before=$(git_served | grep -c '^begun upload-pack acme/slow ')
    rm -f "$TEST_DIR/jobs/go"
    { echo "$slow_line" && until_true 20 begun acme/slow "$before" && echo "$1"; } | channel >/dev/null 2>&1
    check "$2: no git is left" until_true 15 no_git
    git_release acme/slow
}
end_line hangup "the channel is lost in the middle of a fetch"
end_line kill "serve is killed"
end_line killall "with all of its calls"
check "... and the next one goes on" ready prepare k 1 acme/slow

git_hold acme/slow
seen=$(git_served | grep -c '^begun upload-pack acme/slow ')
prepare k2 1 acme/slow fetch=120 >"$TEST_DIR/answer" &
pid=$!
wait_for 20 "a fetch" begun acme/slow "$seen"
check "no secret is in a command line or an environment, while git runs" eval \
    '! grep -aqs "$GIT_PASSWORD" /proc/[0-9]*/{environ,cmdline} && ! grep -aqs "$(sed -n 2p "$GIT_SSH_KEY")" /proc/[0-9]*/{environ,cmdline}'
check "... nor in a file" eval '! grep -raqs -e "$GIT_PASSWORD" -e "$(sed -n 2p "$GIT_SSH_KEY")" "$WORK"'
for git in $(processes_of_git); do kill -KILL "$git"; done 2>/dev/null
wait "$pid"
check "git itself is killed: that is said" has_fields "$(cat "$TEST_DIR/answer")" state=failed reason=fetch_failed
check "a server that says nothing" fails fetch_failed prepare k2 1 acme/slow fetch=1
check "... says that its time was over" detail_has 'time was over'
wait_for 10 "no git" no_git
git_release acme/slow
check "... and goes on" ready prepare k2 1 acme/slow

git_repository acme/many
index=$TEST_DIR/jobs/many.index
blob=$(head -c 3000 /dev/urandom | base64 | git_at acme/many hash-object -w --stdin)
seq 1 3000 | awk -v blob="$blob" '{ printf "100644 %s 0\td%d/%d.txt\n", blob, $1 % 30, $1 }' | GIT_INDEX=$index git_at acme/many update-index --index-info
commit=$(git_at acme/many commit-tree -p main -m many "$(GIT_INDEX=$index git_at acme/many write-tree)")
git_at acme/many update-ref refs/heads/main "$commit"
many_line="prepare c.1 1 $N c 1 $GIT_SSH_URL/acme/many.git ${ssh_access[*]}"
for ms in 100 200 300 400 500 600 700 800 900 1000; do
    printf '%s\n' "$many_line" "pause $ms" killall | channel >/dev/null 2>&1
done
check "killed at ten moments of a clone" answers state=ready head="$commit" -- prepare c 1 acme/many
check "... it is whole" eval 'is_clean c && [[ $(find "$TASKS/c" -name "*.txt" | wc -l) == 3000 ]]'
check "... nothing is left of the dead" eval '[[ -z $(find "$BASE"/{mirrors,stages} "$TASKS" -maxdepth 1 -name ".[a-z]*") && -z $(find "$BASE"/{mirrors,stages} -name "tmp_*") ]]'

# --- many at once ---

git_repository acme/twenty
head -c 24000000 /dev/urandom >"$TEST_DIR/jobs/random"
tree=$(printf '100644 blob %s\trandom\n' "$(git_at acme/twenty hash-object -w --stdin <"$TEST_DIR/jobs/random")" | git_at acme/twenty mktree)
commit=$(git_at acme/twenty commit-tree -p main -m random "$tree")
commit=$(git_at acme/twenty commit-tree -p "$commit" -m "without it" "main^{tree}")
git_at acme/twenty update-ref refs/heads/main "$commit"
before=$(du -sk "$BASE" | cut -f 1)
for i in {1..20}; do echo "prepare t$i.1 1 $N t$i 1 $GIT_SSH_URL/acme/twenty.git ${ssh_access[*]} fetch=100"; done |
    { cat && echo wait; } | CLIENT_DEADLINE=240 channel >"$TEST_DIR/answer"
check "twenty at once" eval '[[ $(grep -c state=ready "$TEST_DIR/answer") == 20 ]] || { cat "$TEST_DIR/answer"; false; }'
at_once() { git_served | awk '$3 == "acme/twenty" { n += $1 == "begun" ? 1 : -1; if (n > most) most = n } END { print most }'; }
check "... one fetch at a time, as the server saw it" eval '[[ $(at_once) == 1 ]]'
fetches=$(($(git_served | grep -c "^begun upload-pack acme/twenty ") / 2))
check "... and no more than three ($fetches)" test "$fetches" -le 3
after=$(du -sk "$BASE" | cut -f 1)
trees=$(du -skc "$TASKS"/t[0-9]*/.git | tail -n 1 | cut -f 1)
size=$(du -sk "$GIT_ROOT/acme/twenty.git" | cut -f 1)
check "... $((after - before + trees)) KiB beside the working trees, of a repository of $size" test $(((after - before + trees) * 10)) -le $((size * 12))

# --- a full disk ---

if [[ $ACCOUNT == "$EUID" ]]; then
    skip "a full disk" "needs root, for a small file system"
else
    new_host small
    mount -t tmpfs -o "size=12m,uid=$ACCOUNT,gid=$ACCOUNT,mode=700" tmpfs "$WORK"
    check "a repository that the disk has no room for" fails host_disk_full prepare full 1 acme/twenty
    check "... what came of it takes none" eval '(($(du -sk "$WORK" | cut -f 1) < 2000))'
    mount -o remount,size=100m "$WORK"
    check "... with more room it goes on" ready prepare full 1 acme/twenty
    umount -l "$WORK"
fi
