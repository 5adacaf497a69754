# shellcheck shell=bash
# The quickstart's round on a double of Forgejo (tests/forgejo): label, comment, run, branch, draft pull request, review, merge.
# Functions only; sourced by deploy/quickstart, whose say, die, service, read_sql and variables it uses.
# shellcheck disable=SC2034,SC2154 # variables of deploy/quickstart

# double_up: the double, its repository, people and webhook. Its memory is its process: a new one has a new repository.
double_up() {
    agent_packages scripted # node
    # shellcheck source=tests/lib/forgejo.sh
    source "$root/tests/lib/forgejo.sh"
    FORGEJO=http://127.0.0.1:${port[forgejo]}
    config_secret "$fleet/etc/forgejo-token"
    config_secret "$fleet/etc/forgejo-lookup-token"
    config_secret "$fleet/etc/webhook-secret"
    if ! process_alive "$fleet/run" forgejo; then echo "demo/round-$(date +%s)" >"$fleet/etc/forgejo-repository"; fi
    service forgejo double_start
    DEMO_REPO=$(cat "$fleet/etc/forgejo-repository")
    double_sql "select fleet.set('tell_ms', 1000)" # how often the comment may change; 15 s else
    forgejo_is true "Boolean(repo('$DEMO_REPO'))" || double_world || die forgejo "the double's repository could not be made"
    repository=$fleet/git/$DEMO_REPO.git
}

double_sql() { psql -XqAt -v ON_ERROR_STOP=1 -d "$admin_url" -c "$1" >/dev/null || die postgres "$1 failed"; }

# Its ids grow over its lives, as those of one Forgejo would.
double_start() {
    process_start "$fleet/run" forgejo "$fleet/log/forgejo.log" \
        node "$root/tests/forgejo/double.mjs" --port "${port[forgejo]}" --git "$fleet/git" --ids "$(date +%s)" &&
        process_wait 10 process_port_taken "${port[forgejo]}"
}

# The repository's owner, "writer", who may write, and the fleet's two accounts.
double_world() {
    local login
    for login in demo writer fleet lookup; do forgejo_do make_user "{\"login\": \"$login\"}" || return 1; done
    forgejo_do make_repo "{\"name\": \"$DEMO_REPO\", \"labels\": [\"agent:code:rust\"],
        \"collaborators\": {\"writer\": \"write\", \"fleet\": \"write\", \"lookup\": \"admin\"}}" &&
        double_token fleet forgejo-token '"write:issue", "write:repository", "read:user"' &&
        double_token lookup forgejo-lookup-token '"read:repository"' &&
        forgejo_do make_hook "{\"repo\": \"$DEMO_REPO\", \"url\": \"$url/api/v1/webhooks/forgejo\",
            \"secret\": \"$(cat "$fleet/etc/webhook-secret")\", \"events\": [\"issues\", \"pull_request\", \"push\"]}"
} >/dev/null

double_token() { # LOGIN FILE SCOPES
    forgejo_do make_token "{\"login\": \"$1\", \"token\": \"$(cat "$fleet/etc/$2")\", \"scopes\": [$3]}"
}

# double_by LOGIN VERB [MORE JSON]: an act on the issue or pull request that `number` is.
double_by() { forgejo_do "$2" "{\"as\": \"$1\", \"repo\": \"$DEMO_REPO\", \"issue\": $number${3:+, $3}}" >/dev/null || die forgejo "$2 failed"; }

# double_comment: what the fleet's comment on the issue says, and its labels.
double_comment() { forgejo_state "comments('$DEMO_REPO', $number).filter((c) => c.by === 'fleet').map((c) => c.body).join('\n')" 2>/dev/null; }
double_labels() { forgejo_state "issue('$DEMO_REPO', $number).labels.join(', ')" 2>/dev/null; }
double_says() { [[ $(double_comment) == *"$1"* ]]; }
double_labelled() { [[ ", $(double_labels)" == *", $1"* ]]; }

# double_wait SECONDS WHAT CONDITION...
double_wait() {
    local seconds=$1 what=$2
    shift 2
    process_wait "$seconds" "$@" || die worker-1 "waited for $what in vain; the fleet's comment is: $(double_comment | head -n 5)"
}

# What a person sees of the comment, without its folded part.
double_show() {
    say "the fleet's comment on $DEMO_REPO#$number (labels: $(double_labels)):"
    double_comment | sed -E '/^<!--/d; /^$/d; /^<details>/,/^<\/details>/d; s/<\/?sub>//g; s/^/    | /'
}

double_task() { [[ $(read_sql "select status from fleet.tasks where task_id = '$task'") == "$1" ]]; }
double_running() { [[ -n $(read_sql "select 1 from fleet.attempts where task_id = '$task'") ]]; }
# Sets pull: the number of the pull request of the task's branch.
double_has_pull() {
    pull=$(forgejo_state "repo('$DEMO_REPO').issues.find((i) => i.pull?.head.ref === '$(repository_branch "$task")')?.number ?? ''" 2>/dev/null)
    [[ -n $pull ]]
}

demo_double() {
    local number status='' pull issue
    number=$(forgejo_do open "{\"as\": \"writer\", \"repo\": \"$DEMO_REPO\", \"title\": \"Make DEMO.md better\", \"body\": \"demo: seconds=8\"}" |
        grep -oP '"number": ?\K[0-9]+') || die forgejo "no issue could be opened"
    issue=$number
    say "1. writer opens $DEMO_REPO#$number in a double of Forgejo ($FORGEJO) and labels it agent:code:rust."
    double_sql "select fleet.cordon('demo-host', 'so that the task is seen waiting')"
    double_by writer label '"label": "agent:code:rust"'
    demo_follow_begin "$number" 180
    double_wait 60 "the fleet's comment" double_says queued
    double_show
    double_sql "select fleet.uncordon('demo-host')"
    double_wait 60 "a run" double_running
    say "2. demo-host takes work again, and runs it:"
    until demo_ended || [[ $status == review_pending ]]; do
        demo_follow_step 20
        demo_ended || sleep 0.3
    done
    double_wait 60 "a draft pull request" double_has_pull
    repository_verdict
    say "3. the fleet has opened a draft pull request: $DEMO_REPO#$pull, \"$(forgejo_state "issue('$DEMO_REPO', $pull).title")\""
    double_wait 60 "$task to be under review" double_task review_pending
    double_wait 60 "the label" double_labelled fleet/review
    say "$task is review_pending"
    double_show
    say "4. writer takes the draft mark away and merges it."
    number=$pull
    double_by writer edit '"title": "Make DEMO.md better"'
    double_by writer merge
    number=$issue
    double_wait 60 "$task to be completed" double_task completed
    double_wait 60 "the label" double_labelled fleet/done
    say "$task is completed"
    double_show
}
