// The JSON forms of Forgejo's API, which webhooks share: `shape(world)` gives one function per noun.
import { GHOST } from './world.mjs';

const ZERO = '0001-01-01T00:00:00Z';

export function shapes(world) {
    const at = (ms) => world.at(ms);

    // Private members are told to the user and to admins only; in webhooks they are zero values.
    function user(u, viewer = null) {
        if (!u) return null;
        const known = viewer && (viewer.admin || viewer.id === u.id);
        return {
            id: u.id, login: u.login, login_name: '', source_id: 0, full_name: u.full_name ?? '',
            email: known ? `${u.login}@example.invalid` : `${u.login}@noreply.example.invalid`,
            avatar_url: `${world.root}/avatars/${u.id}`, html_url: `${world.root}/${u.login}`, language: '',
            is_admin: Boolean(known && u.admin), last_login: ZERO, created: at(u.created ?? 0), restricted: Boolean(known && u.restricted),
            active: Boolean(known), prohibit_login: false, location: '', pronouns: '', website: '', description: '', visibility: 'public',
            followers_count: 0, following_count: 0, starred_repos_count: 0, username: u.login,
        };
    }

    function label(l, repo) {
        return {
            id: l.id, name: l.name, exclusive: l.exclusive, is_archived: l.is_archived, color: l.color, description: l.description,
            url: `${world.root}/api/v1/repos/${world.fullName(repo)}/labels/${l.id}`,
        };
    }

    function milestone(m) {
        return m && { id: m.id, title: m.title, description: '', state: 'open', open_issues: 0, closed_issues: 0,
            created_at: at(m.created), updated_at: at(m.created), closed_at: null, due_on: null };
    }

    function repo(r, viewer = null) {
        const name = world.fullName(r), may = (mode) => world.may(r, viewer, mode);
        const open = (pull) => [...r.numbers.values()].filter((i) => i.state === 'open' && Boolean(i.pull) === pull).length;
        return {
            id: r.id, owner: user(r.owner), name: r.name, full_name: name, description: '', empty: r.branches.size === 0 && !world.git,
            private: r.private, fork: Boolean(r.fork_of), template: false, parent: r.fork_of ? repo(r.fork_of, viewer) : null, mirror: false,
            size: 23, language: '', languages_url: `${world.root}/api/v1/repos/${name}/languages`, html_url: `${world.root}/${name}`,
            url: `${world.root}/api/v1/repos/${name}`, link: '', ssh_url: `ssh://git@forge.invalid/${name}.git`, clone_url: `${world.root}/${name}.git`,
            original_url: '', website: '', stars_count: 0, forks_count: 0, watchers_count: 1, open_issues_count: open(false),
            open_pr_counter: open(true), release_counter: 0, default_branch: r.default_branch, archived: r.archived, created_at: at(r.created),
            updated_at: at(r.updated), archived_at: '1970-01-01T00:00:00Z',
            permissions: { admin: may('admin'), push: may('write'), pull: may('read') }, has_issues: true,
            internal_tracker: { enable_time_tracker: true, allow_only_contributors_to_track_time: true, enable_issue_dependencies: true },
            has_wiki: true, wiki_branch: 'main', globally_editable_wiki: false, has_pull_requests: true, has_projects: true, has_releases: true,
            has_packages: true, has_actions: true, ignore_whitespace_conflicts: false, allow_merge_commits: true, allow_rebase: true,
            allow_rebase_explicit: true, allow_squash_merge: true, allow_fast_forward_only_merge: true, allow_rebase_update: true,
            default_delete_branch_after_merge: false, default_merge_style: 'merge', default_allow_maintainer_edit: false,
            default_update_style: 'merge', avatar_url: '', internal: false, mirror_interval: '', object_format_name: 'sha1',
            mirror_updated: ZERO, repo_transfer: null, topics: [],
        };
    }

    function htmlUrl(i) { return `${world.root}/${world.fullName(i.repo)}/${i.pull ? 'pulls' : 'issues'}/${i.number}`; }

    // What issues and pull requests have in common; `labels` stands in where a webhook has other labels than the issue.
    function common(i, labels = i.labels) {
        return {
            user: user(i.author), title: i.title, body: i.body, labels: labels.map((l) => label(l, i.repo)), milestone: milestone(i.milestone),
            assignee: i.assignees.length ? user(i.assignees[0]) : null, assignees: i.assignees.length ? i.assignees.map((a) => user(a)) : null,
            state: i.state, is_locked: i.locked, comments: i.timeline.filter((c) => c.type === 'comment').length,
            created_at: at(i.created), updated_at: at(i.updated), closed_at: at(i.closed), due_date: null, pin_order: 0,
        };
    }

    function issue(i, labels) {
        return {
            id: i.id, url: `${world.root}/api/v1/repos/${world.fullName(i.repo)}/issues/${i.number}`, html_url: htmlUrl(i), number: i.number,
            original_author: '', original_author_id: 0, ref: '', assets: [], ...common(i, labels),
            pull_request: i.pull ? { merged: i.pull.merged, merged_at: at(i.pull.merged_at), draft: draft(i), html_url: htmlUrl(i) } : null,
            repository: { id: i.repo.id, name: i.repo.name, owner: i.repo.owner.login, full_name: world.fullName(i.repo) },
        };
    }

    function draft(i) { return /^(\[wip\]|wip:)/i.test(i.title); }

    function pull(i, viewer = null, labels = i.labels) {
        const p = i.pull, base = world.branchSha(i.repo, p.base), url = htmlUrl(i);
        const head = { label: p.head, ref: `refs/pull/${i.number}/head`, sha: '', repo_id: -1, repo: null };
        if (p.head_repo && world.repos.has(p.head_repo.id)) {
            const sha = world.branchSha(p.head_repo, p.head);
            Object.assign(head, { repo_id: p.head_repo.id, repo: repo(p.head_repo, viewer), sha: sha ?? p.head_sha });
            if (sha) head.ref = p.head;
        }
        return {
            id: p.id, url, number: i.number, ...common(i, labels), requested_reviewers: [], requested_reviewers_teams: [], draft: draft(i),
            review_comments: 0, additions: 1, deletions: 0, changed_files: 1, html_url: url, diff_url: `${url}.diff`, patch_url: `${url}.patch`,
            mergeable: i.state === 'open' && !draft(i), merged: p.merged, merged_at: at(p.merged_at), merge_commit_sha: p.merge_sha,
            merged_by: user(p.merged_by), allow_maintainer_edit: false,
            base: { label: p.base, ref: p.base, sha: base ?? '', repo_id: i.repo.id, repo: repo(i.repo, viewer) }, head,
            merge_base: p.merge_base, flow: 0,
        };
    }

    function places(c) {
        const url = htmlUrl(c.issue);
        return { html_url: `${url}#issuecomment-${c.id}`, pull_request_url: c.issue.pull ? url : '', issue_url: c.issue.pull ? '' : url };
    }

    function comment(c) {
        return { id: c.id, ...places(c), user: user(c.author), original_author: '', original_author_id: 0, body: c.body, assets: [],
            created_at: at(c.created), updated_at: at(c.updated) };
    }

    // One entry of a timeline; `body` of a label event is "1" when it was added and empty when it was removed.
    function entry(c) {
        return {
            id: c.id, type: c.type, ...places(c), user: user(c.author), body: c.body, created_at: at(c.created), updated_at: at(c.updated),
            old_project_id: 0, project_id: 0, old_milestone: milestone(c.old_milestone ?? null), milestone: milestone(c.milestone ?? null),
            tracked_time: null, old_title: c.old_title ?? '', new_title: c.new_title ?? '', old_ref: '', new_ref: '',
            ref_issue: c.ref_issue ? issue(c.ref_issue) : null, ref_comment: null, ref_action: c.ref_action ?? 'none', ref_commit_sha: '',
            review_id: c.review ? c.review.id : 0, label: c.label ? label(c.label, c.issue.repo) : null,
            assignee: user(c.assignee), assignee_team: null, removed_assignee: Boolean(c.removed_assignee), resolve_doer: null,
            dependent_issue: null,
        };
    }

    function review(r) {
        const url = htmlUrl(r.issue);
        return {
            id: r.id, user: user(r.author), team: null, state: r.state, body: r.body, commit_id: r.commit, stale: r.commit !== r.issue.pull.head_sha,
            official: world.may(r.issue.repo, r.author, 'write'), dismissed: r.dismissed, comments_count: r.comments.length,
            submitted_at: at(r.created), updated_at: at(r.created), html_url: `${url}#issuecomment-${r.comment ? r.comment.id : 0}`,
            pull_request_url: url,
        };
    }

    function reviewComment(c) {
        return {
            id: c.id, body: c.body, user: user(c.author), resolver: null, pull_request_review_id: c.review.id, created_at: at(c.created),
            updated_at: at(c.updated), path: c.path, commit_id: c.commit, original_commit_id: '', diff_hunk: '',
            position: c.line, original_position: 0, extra_lines_count: 0, html_url: places(c).html_url, pull_request_url: htmlUrl(c.issue),
        };
    }

    // The reply's key is `status`, the request's `state`.
    function status(s) {
        return {
            id: s.index, status: s.state, target_url: s.target_url, description: s.description,
            url: `${world.root}/api/v1/repos/${world.fullName(s.repo)}/statuses/${s.sha}`, context: s.context, creator: user(s.creator),
            created_at: at(s.created), updated_at: at(s.created),
        };
    }

    function hook(h) {
        return {
            id: h.id, type: h.type, branch_filter: h.branch_filter, url: h.url, config: { url: h.url, content_type: h.content_type },
            events: h.events, authorization_header: h.authorization_header, content_type: h.content_type, metadata: null, active: h.active,
            updated_at: at(h.updated), created_at: at(h.created),
        };
    }

    function reaction(r) { return { user: user(r.user), content: r.content, created_at: at(r.created) }; }

    return { user, label, milestone, repo, issue, pull, comment, entry, review, reviewComment, status, hook, reaction, ghost: user(GHOST), htmlUrl };
}
