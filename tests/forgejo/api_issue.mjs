// The API about issues, their labels, comments, timelines and reactions.
import { page, timeOf } from './answer.mjs';
import { Refusal } from './world.mjs';

const REACTIONS = ['+1', '-1', 'laugh', 'hooray', 'confused', 'heart', 'rocket', 'eyes'];
const SORTS = {
    oldest: (a, b) => a.created - b.created || a.id - b.id,
    recentupdate: (a, b) => b.updated - a.updated || b.id - a.id,
    leastupdate: (a, b) => a.updated - b.updated || a.id - b.id,
    latest: (a, b) => b.created - a.created || b.id - a.id,
};

export function issueRoutes({ world, shape, issues }) {
    const REPO = '/api/v1/repos/:owner/:repo', ONE = `${REPO}/issues/:n`;
    const ok = (body, headers = {}) => ({ status: 200, body, headers });
    const find = ({ repo, params }) => issues.find(repo, params.n);
    const commentOf = ({ repo, params }) => {
        const comment = world.comments.get(Number(params.id));
        if (comment?.issue.repo !== repo) throw new Refusal(404, `comment does not exist [id: ${params.id}, issue_id: 0]`);
        return comment;
    };
    // Some refusals have no body at all.
    const writable = ({ mode }) => { if (!mode('write')) throw new Refusal(403, undefined); };
    const read = { scope: 'issue' }, write = { scope: 'issue', signed: true };

    // Labels by ids or names, not mixed; what does not exist is dropped without a word.
    function chosen(repo, asked) {
        const ids = asked.filter((l) => typeof l === 'number'), names = asked.filter((l) => typeof l === 'string');
        if (ids.length + names.length !== asked.length) throw new Refusal(400, 'a label must be an integer or a string');
        if (ids.length && names.length) throw new Refusal(400, 'labels should be an array of strings or integers');
        return repo.labels.filter((l) => ids.includes(l.id) || names.includes(l.name));
    }

    const labelList = (issue) => issue.labels.map((l) => shape.label(l, issue.repo));

    // Asked for by name: all must be there; when no such name exists the filter is gone.
    function list(call) {
        const { repo, query } = call, names = (query.get('labels') ?? '').split(',').filter(Boolean);
        const wanted = repo.labels.filter((l) => names.includes(l.name));
        const state = query.get('state') || 'open', type = query.get('type'), since = timeOf(query, 'since'), before = timeOf(query, 'before');
        const found = [...repo.numbers.values()].filter((i) => (state === 'all' || i.state === state)
            && (type === 'issues' ? !i.pull : type === 'pulls' ? i.pull : true)
            && (since === null || i.updated >= since) && (before === null || i.updated <= before)
            && wanted.every((l) => i.labels.includes(l)));
        found.sort(SORTS[query.get('sort')] ?? SORTS.latest);
        const { items, headers } = page(found, { ...call, link: true });
        return ok(items.map((i) => shape.issue(i)), headers);
    }

    function create({ repo, user, form, mode }) {
        if (repo.owner.blocked.has(user.id)) throw new Refusal(403, 'blocked by user');
        const own = mode('write');
        const fields = { title: form.title, body: form.body ?? '',
            labels: own ? repo.labels.filter((l) => (form.labels ?? []).includes(l.id)) : [],
            assignees: own ? (form.assignees ?? []).map((login) => world.user(login)) : [],
            milestone: own ? repo.milestones.find((m) => m.id === form.milestone) ?? null : null };
        const issue = issues.open(repo, user, fields);
        if (form.closed) issues.close(issue, user);
        return { status: 201, body: shape.issue(issue) };
    }

    function edit(call) {
        const { user, form, mode, repo } = call, issue = find(call);
        if (issue.author !== user && !mode('write')) throw new Refusal(403, undefined);
        issues.edit(issue, user, { title: form.title || undefined, body: form.body });
        if (mode('write') && form.milestone !== undefined) issues.setMilestone(issue, user, repo.milestones.find((m) => m.id === form.milestone) ?? null);
        if (mode('write') && form.assignees) {
            const wanted = form.assignees.map((login) => world.user(login));
            for (const a of wanted) issues.assign(issue, user, a);
            for (const a of [...issue.assignees]) if (!wanted.includes(a)) issues.assign(issue, user, a, true);
        }
        if (form.state !== undefined) {
            if (issue.pull?.merged) throw new Refusal(412, 'cannot change state of this pull request, it was already merged');
            if (form.state === 'closed') issues.close(issue, user);
            else issues.reopen(issue, user);
        }
        return { status: 201, body: shape.issue(issue) };
    }

    // Everything in one go: no pages here.
    function comments(call) {
        const issue = find(call), since = timeOf(call.query, 'since'), before = timeOf(call.query, 'before');
        const found = issue.timeline.filter((c) => c.type === 'comment' && (since === null || c.updated >= since) && (before === null || c.updated <= before));
        return ok(found.map(shape.comment), { 'X-Total-Count': String(found.length) });
    }

    // Pages only when a page is asked for; code comments are left out after the page was cut, and the count is the page's.
    function timeline(call) {
        const issue = find(call), since = timeOf(call.query, 'since'), before = timeOf(call.query, 'before');
        const found = issue.timeline.filter((c) => (since === null || c.updated >= since) && (before === null || c.updated <= before))
            .sort((a, b) => a.created - b.created || a.id - b.id);
        const { items } = page(found, { ...call, loose: true }), shown = items.filter((c) => c.type !== 'code');
        return ok(shown.length ? shown.map(shape.entry) : 'null', { 'X-Total-Count': String(shown.length), 'Content-Type': 'application/json;charset=utf-8' });
    }

    function addComment(call) {
        const { user, form, mode, repo } = call, issue = find(call);
        if (issue.locked && !mode('write') && !user.admin) throw new Refusal(403, 'issue is locked');
        if (repo.owner.blocked.has(user.id) || issue.author.blocked?.has(user.id)) throw new Refusal(403, 'user is blocked by poster or repository owner');
        return { status: 201, body: shape.comment(issues.comment(issue, user, form.body)) };
    }

    function editComment(call) {
        const { user, form, mode } = call, comment = commentOf(call);
        if (comment.author !== user && !mode('write')) throw new Refusal(403, undefined);
        if (!['comment', 'code', 'review'].includes(comment.type)) return { status: 204, body: '' };
        issues.editComment(comment, user, form.body);
        return ok(shape.comment(comment));
    }

    function removeComment(call) {
        const { user, mode } = call, comment = commentOf(call);
        if (comment.author !== user && !mode('write')) throw new Refusal(403, undefined);
        if (!['comment', 'code', 'review'].includes(comment.type)) return { status: 204, body: '' };
        issues.deleteComment(comment, user);
        return { status: 204, body: '' };
    }

    function addLabels(call) {
        const issue = find(call), labels = chosen(call.repo, call.form.labels ?? []);
        writable(call);
        issues.addLabels(issue, call.user, labels);
        return ok(labelList(issue));
    }

    function replaceLabels(call) {
        const issue = find(call), labels = chosen(call.repo, call.form.labels ?? []);
        writable(call);
        issues.replaceLabels(issue, call.user, labels);
        return ok(labelList(issue));
    }

    // By name or id, the name first. What the issue has not got: 204 in the source, 422 as others saw it.
    function removeLabel(call) {
        const { repo, params, user } = call, issue = find(call);
        writable(call);
        const label = repo.labels.find((l) => l.name === params.label) ?? repo.labels.find((l) => l.id === Number(params.label));
        if (!label || (!issue.labels.includes(label) && world.traits.absent_label === 422)) throw new Refusal(422, `label does not exist [label_id: ${params.label}]`);
        issues.removeLabel(issue, user, label);
        return { status: 204, body: '' };
    }

    function reactionsOf(of) { return ok(of.reactions.map(shape.reaction)); }

    function react(call, of, issue) {
        const { user, form, mode } = call;
        if (issue.locked && !mode('write')) throw new Refusal(403, 'no permission to change reaction');
        if (!REACTIONS.includes(form.content)) throw new Refusal(403, `'${form.content}' is not an allowed reaction`);
        const { reaction, made } = issues.react(of, user, form.content);
        return { status: made ? 201 : 200, body: shape.reaction(reaction) };
    }

    function unreact({ user, form }, of) {
        issues.unreact(of, user, form.content);
        return { status: 200, body: '' };
    }

    function all(call) {
        const since = timeOf(call.query, 'since'), before = timeOf(call.query, 'before');
        const found = [...world.comments.values()].filter((c) => c.type === 'comment' && c.issue.repo === call.repo
            && (since === null || c.updated >= since) && (before === null || c.updated <= before));
        const { items, headers } = page(found, call);
        return ok(items.map(shape.comment), headers);
    }

    const LABELS = { labels: 'list' };
    return {
        [`GET ${REPO}/issues`]: { ...read, run: list },
        [`POST ${REPO}/issues`]: { ...write, live: true, fields: { title: 'string!', body: 'string', labels: 'ints', assignees: 'strings', milestone: 'int', closed: 'bool' }, run: create },
        [`GET ${REPO}/issues/comments`]: { ...read, run: all },
        [`GET ${REPO}/issues/comments/:id`]: { ...read, run: (call) => ok(shape.comment(commentOf(call))) },
        [`PATCH ${REPO}/issues/comments/:id`]: { ...write, live: true, fields: { body: 'string!' }, run: editComment },
        [`DELETE ${REPO}/issues/comments/:id`]: { ...write, run: removeComment },
        [`GET ${REPO}/issues/comments/:id/reactions`]: { ...read, run: (call) => reactionsOf(commentOf(call)) },
        [`POST ${REPO}/issues/comments/:id/reactions`]: { ...write, fields: { content: 'string' }, run: (call) => react(call, commentOf(call), commentOf(call).issue) },
        [`DELETE ${REPO}/issues/comments/:id/reactions`]: { ...write, fields: { content: 'string' }, run: (call) => unreact(call, commentOf(call)) },
        [`GET ${ONE}`]: { ...read, run: (call) => ok(shape.issue(find(call))) },
        [`PATCH ${ONE}`]: { ...write, live: true, fields: { title: 'string', body: 'string', state: 'string', milestone: 'int', assignees: 'strings' }, run: edit },
        [`DELETE ${ONE}`]: { ...write, needs: 'admin', run: (call) => { issues.deleteIssue(find(call)); return { status: 204, body: '' }; } },
        [`GET ${ONE}/comments`]: { ...read, run: comments },
        [`POST ${ONE}/comments`]: { ...write, live: true, fields: { body: 'string!' }, run: addComment },
        [`GET ${ONE}/timeline`]: { ...read, run: timeline },
        [`GET ${ONE}/labels`]: { ...read, run: (call) => ok(labelList(find(call))) },
        [`POST ${ONE}/labels`]: { ...write, fields: LABELS, run: addLabels },
        [`PUT ${ONE}/labels`]: { ...write, fields: LABELS, run: replaceLabels },
        [`DELETE ${ONE}/labels`]: { ...write, fields: {}, run: (call) => { const issue = find(call); writable(call); issues.clearLabels(issue, call.user); return { status: 204, body: '' }; } },
        [`DELETE ${ONE}/labels/:label`]: { ...write, fields: {}, run: removeLabel },
        [`GET ${ONE}/reactions`]: { ...read, run: (call) => reactionsOf(find(call)) },
        [`POST ${ONE}/reactions`]: { ...write, fields: { content: 'string' }, run: (call) => react(call, find(call), find(call)) },
        [`DELETE ${ONE}/reactions`]: { ...write, fields: { content: 'string' }, run: (call) => unreact(call, find(call)) },
        [`PUT ${ONE}/lock`]: { ...write, needs: 'write', run: (call) => { issues.lock(find(call), call.user, true); return { status: 204, body: '' }; } },
    };
}
