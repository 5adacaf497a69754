// The API about pull requests, reviews and commit statuses.
import { page } from './answer.mjs';
import { Refusal } from './world.mjs';

export function pullRoutes({ world, shape, issues, pulls, branches }) {
    const REPO = '/api/v1/repos/:owner/:repo', ONE = `${REPO}/pulls/:n`;
    const ok = (body, headers = {}) => ({ status: 200, body, headers });
    const read = { scope: 'repository' }, write = { scope: 'repository', signed: true };
    const find = ({ repo, params }) => pulls.find(repo, params.n);
    const paged = (items, call, form, options = {}) => {
        const cut = page(items, { ...call, ...options });
        return ok(cut.items.map((item) => form(item)), cut.headers);
    };
    const reviewOf = (call) => {
        const review = find(call).pull.reviews.find((r) => r.id === Number(call.params.id));
        if (!review) throw new Refusal(404, `review does not exist [id: ${call.params.id}]`);
        return review;
    };

    function list(call) {
        const state = call.query.get('state') || 'open';
        const found = pulls.all(call.repo).filter((i) => state === 'all' || i.state === state).sort((a, b) => b.number - a.number);
        return paged(found, call, (i) => shape.pull(i, call.user), { link: true });
    }

    function create({ repo, user, form, mode }) {
        if (repo.owner.blocked.has(user.id)) throw new Refusal(403, 'blocked by user');
        const own = mode('write');
        const issue = pulls.open(repo, user, { head: form.head ?? '', base: form.base ?? '', title: form.title, body: form.body ?? '',
            labels: own ? repo.labels.filter((l) => (form.labels ?? []).includes(l.id)) : [],
            assignees: own ? (form.assignees ?? []).map((login) => world.user(login)) : [] });
        return { status: 201, body: shape.pull(issue, user) };
    }

    function edit(call) {
        const { user, form, mode } = call, issue = find(call);
        if (issue.author !== user && !mode('write')) throw new Refusal(403, undefined);
        issues.edit(issue, user, { title: form.title || undefined, body: form.body });
        if (form.state !== undefined) {
            if (issue.pull.merged) throw new Refusal(412, 'cannot change state of this pull request, it was already merged');
            if (form.state === 'closed') issues.close(issue, user);
            else issues.reopen(issue, user);
        }
        return { status: 201, body: shape.pull(issue, user) };
    }

    function byBranches(call) {
        const { repo, params } = call;
        const found = pulls.all(repo).reverse().find((i) => i.pull.base === params.base && i.pull.head === params.head && i.pull.head_repo === repo);
        if (!found) throw new Refusal(404, `pull request does not exist [base: ${params.base}, head: ${params.head}]`);
        return ok(shape.pull(found, call.user));
    }

    function reviewsOf(call) {
        const seen = find(call).pull.reviews.filter((r) => r.state !== 'PENDING' || r.author === call.user || call.user?.admin);
        return paged(seen, call, shape.review);
    }

    function review(call) {
        const { user, form } = call, states = { APPROVED: 'APPROVED', APPROVE: 'APPROVED', REQUEST_CHANGES: 'REQUEST_CHANGES', COMMENT: 'COMMENT', PENDING: 'PENDING' };
        return ok(shape.review(pulls.review(find(call), user, { ...form, state: states[form.event] ?? form.event ?? 'PENDING' })));
    }

    function merge(call) {
        pulls.merge(find(call), call.user, branches);
        return { status: 200, body: '' };
    }

    // A name of a branch, or a commit, or its beginning.
    function shaOf(repo, ref) {
        const branch = world.branchSha(repo, ref);
        if (branch) return branch;
        if (!/^[0-9a-f]{7,40}$/.test(ref)) throw new Refusal(404, `object does not exist [id: ${ref}, rel_path: ]`);
        for (const sha of [...repo.statuses.keys(), ...repo.commits.keys(), ...repo.branches.values()]) if (sha.startsWith(ref)) return sha;
        if (ref.length === 40 && branches.known(repo, ref)) return ref;
        throw new Refusal(404, `object does not exist [id: ${ref}, rel_path: ]`);
    }

    function setStatus({ repo, params, user, form }) {
        let sha;
        try { sha = shaOf(repo, params.sha); } catch (error) {
            const [major, minor, patch] = world.traits.version.split(/[.+]/).map(Number);
            throw major > 15 || (major === 15 && (minor > 0 || patch >= 3)) ? error : new Refusal(500, '');
        }
        return { status: 201, body: shape.status(pulls.addStatus(repo, sha, user, form)) };
    }

    // Newest first in whole seconds: what shares a second comes in any order.
    function statuses(call, ref) {
        const sha = shaOf(call.repo, ref), found = [...(call.repo.statuses.get(sha) ?? [])].sort((a, b) => b.created - a.created);
        return paged(found, call, shape.status);
    }

    function combined(call) {
        const { repo, params, user } = call, sha = shaOf(repo, params.ref), { state, statuses: found } = pulls.combined(repo, sha);
        if (!found.length) return ok({ state: '', sha: '', total_count: 0, statuses: null, repository: null, commit_url: '', url: '' });
        const { items, headers } = page(found, call);
        return ok({ state, sha, total_count: items.length, statuses: items.map(shape.status), repository: shape.repo(repo, user), commit_url: '', url: '' }, headers);
    }

    return {
        [`GET ${REPO}/pulls`]: { ...read, run: list },
        [`POST ${REPO}/pulls`]: {
            ...write, live: true, fields: { head: 'string', base: 'string', title: 'string', body: 'string', labels: 'ints', assignees: 'strings' }, run: create,
        },
        [`GET ${ONE}`]: { ...read, run: (call) => ok(shape.pull(find(call), call.user)) },
        [`PATCH ${ONE}`]: { ...write, fields: { title: 'string', body: 'string', state: 'string' }, run: edit },
        [`GET ${ONE}/reviews`]: { ...read, run: reviewsOf },
        [`POST ${ONE}/reviews`]: { ...write, fields: { event: 'string', body: 'string', commit_id: 'string', comments: 'list' }, run: review },
        [`GET ${ONE}/reviews/:id`]: { ...read, run: (call) => ok(shape.review(reviewOf(call))) },
        [`GET ${ONE}/reviews/:id/comments`]: { ...read, run: (call) => ok(reviewOf(call).comments.map(shape.reviewComment)) },
        [`GET ${ONE}/merge`]: { ...read, run: (call) => { if (!find(call).pull.merged) throw new Refusal(404, 'The target couldn\'t be found.'); return { status: 204, body: '' }; } },
        [`POST ${ONE}/merge`]: { ...write, needs: 'write', live: true, fields: { Do: 'string!' }, run: merge },
        [`GET ${REPO}/pulls/:base/*head`]: { ...read, run: byBranches },
        [`POST ${REPO}/statuses/:sha`]: {
            ...write, needs: 'write', fields: { state: 'string', target_url: 'string', description: 'string', context: 'string' }, run: setStatus,
        },
        [`GET ${REPO}/statuses/:sha`]: { ...read, run: (call) => statuses(call, call.params.sha) },
        [`GET ${REPO}/commits/:ref/statuses`]: { ...read, run: (call) => statuses(call, call.params.ref) },
        [`GET ${REPO}/commits/:ref/status`]: { ...read, run: combined },
    };
}
