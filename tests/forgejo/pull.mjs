// What can be done to pull requests: open, push, merge, review; and commit statuses.
import { NONE } from './branch.mjs';
import { pushBody } from './hook.mjs';
import { Refusal } from './world.mjs';

export class Pulls {
    constructor(world, shape, issues) { Object.assign(this, { world, shape, issues }); }

    all(repo) { return [...repo.numbers.values()].filter((i) => i.pull); }

    find(repo, number) {
        const issue = repo.numbers.get(Number(number));
        if (!issue?.pull) throw new Refusal(404, `pull request does not exist [issue_id: 0, head_repo_id: 0, index: ${number}]`);
        return issue;
    }

    // head: "branch" or "owner:branch" of a fork.
    headOf(repo, head) {
        const [owner, branch] = head.includes(':') ? head.split(/:(.*)/s) : [null, head];
        if (!owner || owner.toLowerCase() === repo.owner.login.toLowerCase()) return { head_repo: repo, branch };
        for (const fork of this.world.repos.values()) if (fork.fork_of === repo && fork.owner.login.toLowerCase() === owner.toLowerCase()) return { head_repo: fork, branch };
        throw new Refusal(404, 'The target couldn\'t be found.');
    }

    // opened, label_updated, milestoned, assigned: the order of pull requests.
    open(repo, doer, { head, base, title, body = '', labels = [], assignees = [], milestone = null }) {
        const { world } = this, { head_repo, branch } = this.headOf(repo, head);
        const head_sha = world.branchSha(head_repo, branch), base_sha = world.branchSha(repo, base);
        if (!head_sha || !base_sha) throw new Refusal(404, 'The target couldn\'t be found.');
        if (head_repo === repo && branch === base) throw new Refusal(422, 'Invalid PullRequest: There are no changes between the head and the base');
        const twin = this.all(repo).find((i) => i.state === 'open' && i.pull.head_repo === head_repo && i.pull.head === branch && i.pull.base === base);
        if (twin) {
            throw new Refusal(409, `pull request already exists for these targets [id: ${twin.pull.id}, issue_id: ${twin.id}, head_repo_id: ${head_repo.id}, `
                + `base_repo_id: ${repo.id}, head_branch: ${branch}, base_branch: ${base}]`);
        }
        if (!title) throw new Refusal(422, '[Title]: Required');
        const pull = { id: world.id('pull'), head: branch, head_repo, head_sha, base, merge_base: base_sha, merged: false, merged_at: null,
            merge_sha: null, merged_by: null, reviews: [] };
        const issue = this.issues.make(repo, doer, { title, body, labels, assignees, milestone, pull });
        this.references(issue, doer);
        this.issues.tell(issue, doer, 'pull_request', 'opened');
        if (labels.length) this.issues.tell(issue, doer, 'pull_request_label', 'label_updated');
        if (milestone) this.issues.tell(issue, doer, 'pull_request_milestone', 'milestoned');
        for (const assignee of assignees) {
            this.issues.note(issue, doer, 'assignees', { assignee });
            this.issues.tell(issue, doer, 'pull_request_assign', 'assigned');
        }
        return issue;
    }

    // `#n` and `closes #n` in the text of a pull request: a line in the timeline of the other.
    references(issue, doer) {
        for (const [, word, number] of `${issue.title} ${issue.body}`.matchAll(/(?:^|[\s(])(?:(close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+)?#(\d+)\b/gi)) {
            const other = issue.repo.numbers.get(Number(number));
            if (other && other !== issue) this.issues.note(other, doer, 'pull_ref', { ref_issue: issue, ref_action: word ? 'closes' : 'none' });
        }
    }

    // A branch moved: push, create or delete, and its pull requests follow.
    moved(repo, branch, before, after, doer, commits) {
        const { world, shape } = this, ref = `refs/heads/${branch}`;
        const mine = [...world.repos.values()].flatMap((r) => this.all(r)).filter((i) => i.state === 'open' && i.pull.head_repo === repo && i.pull.head === branch);
        if (after === NONE) {
            world.emit({ of: 'push', type: 'delete', repo, doer, body: { ref: branch, ref_type: 'branch', pusher_type: 'user' } });
            for (const issue of mine) this.issues.close(issue, doer);
            return;
        }
        if (before === NONE) world.emit({ of: 'push', type: 'create', repo, doer, body: { sha: after, ref, ref_type: 'branch' } });
        world.emit({ of: 'push', type: 'push', repo, doer, body: pushBody({ world, shape, repo, ref, before, after, doer, commits }) });
        for (const issue of mine) {
            issue.pull.head_sha = after;
            this.issues.note(issue, doer, 'pull_push', { body: JSON.stringify({ is_force_push: false, commit_ids: [after] }) });
            this.issues.tell(issue, doer, 'pull_request_sync', 'synchronized');
        }
    }

    merge(issue, doer, branches) {
        const { world } = this, p = issue.pull;
        if (p.merged) throw new Refusal(405, 'The PR is already merged');
        if (issue.state === 'closed') throw new Refusal(404, '');
        if (/^(\[wip\]|wip:)/i.test(issue.title)) throw new Refusal(405, 'Work in progress PRs cannot be merged');
        p.merge_sha = branches.merge(issue.repo, p.base, p.head_sha, doer, `Merge pull request '${issue.title}' (#${issue.number})`);
        Object.assign(p, { merged: true, merged_at: world.now(), merged_by: doer });
        issue.state = 'closed';
        issue.closed = world.now();
        this.issues.note(issue, doer, 'merge_pull');
        this.issues.tell(issue, doer, 'pull_request', 'closed');
        if (p.base !== issue.repo.default_branch) return;
        for (const [, number] of `${issue.title} ${issue.body}`.matchAll(/(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+#(\d+)\b/gi)) {
            const other = issue.repo.numbers.get(Number(number));
            if (other && other !== issue) this.issues.close(other, doer, p.merge_sha);
        }
    }

    // state: APPROVED, REQUEST_CHANGES, COMMENT; comments: [{ path, body, new_position }].
    review(issue, doer, { state, body = '', comments = [], commit_id }) {
        const { world } = this, types = { APPROVED: 'approved', REQUEST_CHANGES: 'rejected', COMMENT: 'comment' };
        const word = state === 'REJECTED' ? 'REQUEST_CHANGES' : state;
        if (word !== 'PENDING' && !types[word]) throw new Refusal(422, `unknown review type: ${state}`);
        if (word !== 'PENDING' && word !== 'APPROVED' && !body && !comments.length) throw new Refusal(422, `review event ${state} requires a body or a comment`);
        if (word !== 'COMMENT' && word !== 'PENDING' && issue.author === doer) throw new Refusal(422, `${word === 'APPROVED' ? 'approve' : 'reject'} your own pull is not allowed`);
        const review = { id: world.id('review'), issue, author: doer, state: word, body, commit: commit_id ?? issue.pull.head_sha, dismissed: false,
            created: world.now(), comments: [], comment: null };
        issue.pull.reviews.push(review);
        for (const { path, body: text, new_position = 0 } of comments) {
            review.comments.push(this.issues.note(issue, doer, 'code', { body: text, path, line: new_position, review, commit: review.commit }));
        }
        if (word === 'PENDING') return review;
        review.comment = this.issues.note(issue, doer, 'review', { body, review });
        this.issues.tell(issue, doer, `pull_request_review_${types[word]}`, 'reviewed', { review });
        return review;
    }

    addStatus(repo, sha, doer, { state, target_url = '', description = '', context = '' }) {
        if (String(state ?? '').length > 7) throw new Refusal(500, ''); // VARCHAR(7), and not looked at before
        if (!repo.statuses.has(sha)) repo.statuses.set(sha, []);
        const list = repo.statuses.get(sha);
        const status = { index: list.length + 1, repo, sha, state: state ?? '', target_url, description, context, creator: doer, created: this.world.now() };
        list.push(status);
        return status;
    }

    // The newest of each context; the combined word is the worst of them.
    combined(repo, sha) {
        const newest = new Map();
        for (const status of repo.statuses.get(sha) ?? []) newest.set(status.context, status);
        const order = ['error', 'failure', 'warning', 'pending', 'success'];
        const worst = [...newest.values()].map((s) => s.state).sort((a, b) => order.indexOf(a) - order.indexOf(b))[0] ?? '';
        return { state: worst === 'error' ? 'failure' : worst, statuses: [...newest.values()] };
    }
}
