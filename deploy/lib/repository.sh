# shellcheck shell=bash
# The repository that the quickstart's tasks work on: a bare one on this machine. Functions only; sourced by
# deploy/quickstart, whose say, die, read_sql and variables it uses.
# shellcheck disable=SC2154 # fleet task shown

repository_git() {
    env -i PATH="$PATH" HOME=/nonexistent LC_ALL=C GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null \
        GIT_{AUTHOR,COMMITTER}_NAME=Demonstration GIT_{AUTHOR,COMMITTER}_EMAIL=demo@localhost \
        git --git-dir="$repository" "$@"
}

# repository_create: sets repository, and makes it, with a first commit on main, where it is not there yet.
repository_create() {
    local blob tree commit
    repository=$fleet/git/$DEMO_REPO.git
    repository_git rev-parse -q --verify refs/heads/main >/dev/null 2>&1 && return 0
    mkdir -p "$repository" && repository_git init -q --bare --initial-branch=main || return 1
    blob=$(printf '# %s\n\nThe repository of the demonstration.\n' "${DEMO_REPO#*/}" | repository_git hash-object -w --stdin) &&
        tree=$(printf '100644 blob %s\tREADME.md\n' "$blob" | repository_git mktree) &&
        commit=$(repository_git commit-tree -m 'Begin' "$tree") && repository_git update-ref refs/heads/main "$commit"
}

# repository_branch TASK: the branch that its work is pushed to.
repository_branch() { read_sql "select branch_name from fleet.task_texts where task_id = '$1'"; }

# repository_verdict: the branch of the task that was followed is there, with more than main has.
repository_verdict() {
    local branch
    branch=$(repository_branch "$task")
    [[ -n $(repository_git log --oneline "main..$branch" 2>/dev/null) ]] || die worker-1 "$task pushed nothing to $branch"
    shown+=("$branch")
    say "$task is on branch $branch, pushed"
}

# repository_show: the log of each branch that this run has verified, and how to ask for it.
repository_show() {
    local branch
    echo
    echo "What the tasks left in their repository (. .fleet/env):"
    for branch in "${shown[@]}"; do
        echo "    git --git-dir=\$FLEET_DEMO_REPOSITORY log --oneline $branch"
        repository_git log --oneline "$branch" | sed 's/^/        /'
    done
}
