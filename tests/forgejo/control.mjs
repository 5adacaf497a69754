// What tests do to the double, below /-/: acts of users as the web pages allow them, faults, and looks inside.
// POST /-/VERB with a JSON body answers what the verb gives; GET /-/state, /-/log and /-/deliveries show.
import { Refusal } from './world.mjs';

const flat = (value) => (Array.isArray(value) ? value : value === undefined ? [] : [value]);

export function verbs({ world, shape, issues, pulls, branches, hooks, faults, server, log }) {
    const as = (o) => world.user(o.as ?? o.user);
    const repoOf = (o) => world.repo(o.repo);
    const issueOf = (o) => issues.find(repoOf(o), o.issue ?? o.pull);
    const writes = (issue, user) => {
        if (!world.may(issue.repo, user, 'write')) throw new Refusal(403, `${user.login} may not write`);
    };
    const owns = (issue, user) => { if (issue.author !== user) writes(issue, user); };
    const labels = (repo, names) => flat(names).map((name) => {
        const label = repo.labels.find((l) => (typeof name === 'number' ? l.id === name : l.name === name));
        if (!label) throw new Refusal(422, `no label ${name}`);
        return label;
    });
    const milestone = (repo, title) => title === undefined || title === null ? null : repo.milestones.find((m) => m.title === title) ?? null;
    const commentOf = (o) => {
        const comment = world.comments.get(o.comment);
        if (!comment) throw new Refusal(404, `no comment ${o.comment}`);
        return comment;
    };

    return {
        // --- the world
        make_user: (o) => ({ id: world.addUser(o).id }),
        make_token: (o) => ({ token: world.addToken({ ...o, login: o.as ?? o.login }) }),
        make_repo: (o) => {
            const repo = world.addRepo({ ...o, fork_of: o.fork_of ? world.repo(o.fork_of) : null });
            branches.make(repo);
            for (const label of flat(o.labels)) world.addLabel(repo, typeof label === 'string' ? { name: label } : label);
            for (const title of flat(o.milestones)) repo.milestones.push({ id: world.id('milestone'), title, created: world.now() });
            return { id: repo.id, labels: repo.labels.map((l) => ({ id: l.id, name: l.name })) };
        },
        make_label: (o) => ({ id: world.addLabel(repoOf(o), o).id }),
        make_milestone: (o) => {
            const m = { id: world.id('milestone'), title: o.title, created: world.now() };
            repoOf(o).milestones.push(m);
            return { id: m.id };
        },
        delete_label: (o) => {
            const repo = repoOf(o), [gone] = labels(repo, o.label);
            repo.labels = repo.labels.filter((l) => l !== gone);
            for (const i of repo.numbers.values()) i.labels = i.labels.filter((l) => l !== gone);
        },
        collaborator: (o) => {
            if (o.mode === 'none') repoOf(o).collaborators.delete(as(o).id);
            else repoOf(o).collaborators.set(as(o).id, o.mode);
        },
        protect: (o) => { (repoOf(o).protections ??= []).push(o.rule); },
        repository: (o) => { for (const key of ['private', 'archived']) if (o[key] !== undefined) repoOf(o)[key] = o[key]; },
        rename_repo: (o) => {
            const repo = repoOf(o), before = world.folder(repo);
            world.renameRepo(repo, o.to);
            branches.renamed(before, repo);
        },
        delete_repo: (o) => { world.deleteRepo(repoOf(o)); },
        block: (o) => { world.user(o.by).blocked.add(as(o).id); },
        advance: (o) => { world.advance(o.seconds); return { now: world.at(world.now()) }; },
        trait: (o) => { Object.assign(world.traits, o); },
        make_hook: (o) => ({ id: hooks.add(repoOf(o), { active: true, ...o, config: { url: o.url, content_type: o.content_type ?? 'json', secret: o.secret } }).id }),

        // --- issues, as the web forms have it: whoever may read may open one, with any labels
        open: (o) => {
            const repo = repoOf(o), user = as(o);
            if (!world.may(repo, user, 'read')) throw new Refusal(404, 'not there');
            const issue = issues.open(repo, user, { title: o.title, body: o.body ?? '', labels: labels(repo, o.labels), milestone: milestone(repo, o.milestone),
                assignees: flat(o.assignees).map((login) => world.user(login)) });
            return { number: issue.number, id: issue.id };
        },
        edit: (o) => { owns(issueOf(o), as(o)); issues.edit(issueOf(o), as(o), o); },
        close: (o) => { owns(issueOf(o), as(o)); issues.close(issueOf(o), as(o), o.commit ?? ''); },
        reopen: (o) => { owns(issueOf(o), as(o)); issues.reopen(issueOf(o), as(o)); },
        delete_issue: (o) => { issues.deleteIssue(issueOf(o)); },
        // The web page sends one request, so one event, per label.
        label: (o) => { const issue = issueOf(o); writes(issue, as(o)); for (const l of labels(issue.repo, o.labels ?? o.label)) issues.addLabels(issue, as(o), [l]); },
        unlabel: (o) => { const issue = issueOf(o); writes(issue, as(o)); for (const l of labels(issue.repo, o.labels ?? o.label)) issues.removeLabel(issue, as(o), l); },
        clear_labels: (o) => { writes(issueOf(o), as(o)); issues.clearLabels(issueOf(o), as(o)); },
        milestone: (o) => { writes(issueOf(o), as(o)); issues.setMilestone(issueOf(o), as(o), milestone(repoOf(o), o.title)); },
        assign: (o) => { writes(issueOf(o), as(o)); issues.assign(issueOf(o), as(o), world.user(o.assignee), o.remove); },
        lock: (o) => { writes(issueOf(o), as(o)); issues.lock(issueOf(o), as(o), true); },
        unlock: (o) => { writes(issueOf(o), as(o)); issues.lock(issueOf(o), as(o), false); },
        comment: (o) => {
            const issue = issueOf(o), user = as(o);
            if (issue.locked) writes(issue, user);
            const { id } = issues.comment(issue, user, o.body);
            if (o.close) issues.close(issue, user);
            return { id };
        },
        edit_comment: (o) => { const c = commentOf(o); if (c.author !== as(o)) writes(c.issue, as(o)); issues.editComment(c, as(o), o.body); },
        delete_comment: (o) => { const c = commentOf(o); if (c.author !== as(o)) writes(c.issue, as(o)); issues.deleteComment(c, as(o)); },
        react: (o) => { issues.react(o.comment ? commentOf(o) : issueOf(o), as(o), o.content); },

        // --- branches and pull requests
        push: (o) => ({ sha: branches.push(repoOf(o), o.branch, as(o), o.message) }),
        delete_branch: (o) => { branches.remove(repoOf(o), o.branch, as(o)); },
        open_pull: (o) => {
            const repo = repoOf(o), issue = pulls.open(repo, as(o), { base: repo.default_branch, ...o, labels: labels(repo, o.labels), assignees: [] });
            return { number: issue.number, id: issue.id };
        },
        merge: (o) => { writes(issueOf(o), as(o)); pulls.merge(issueOf(o), as(o), branches); },
        review: (o) => ({ id: pulls.review(issueOf(o), as(o), o).id }),
        status: (o) => { const repo = repoOf(o); pulls.addStatus(repo, o.sha ?? world.branchSha(repo, o.branch), as(o), o); },
        pusher: (o) => { branches.pusher = as(o); },

        // --- deliveries: fate {lose, double, reorder, replay, delay_ms, hold}
        fate: (o) => { Object.assign(hooks.fate, o); return hooks.fate; },
        release_deliveries: (o) => ({ sent: hooks.release(o.order) }),
        replay: (o) => {
            const found = hooks.deliveries.find((d) => d.id === o.delivery || d.uuid === o.delivery);
            if (!found) throw new Refusal(404, `no delivery ${o.delivery}`);
            hooks.replay(found);
        },
        quiet: async () => { branches.scanAll(); await hooks.quiet(); return { held: hooks.held.length }; },

        // --- the API's faults, see fault.mjs
        fault: (o) => { faults.add(o); },
        clear_faults: () => { faults.clear(); },
        release: () => ({ released: faults.release() }),
        refuse: (o) => { server.refuse(o.ms ?? 1000); },
        forget_log: () => { log.length = 0; hooks.deliveries.length = 0; },

        // --- looks
        state: () => dump(),
        log: (o) => log.filter((l) => !o.match || new RegExp(o.match).test(`${l.method} ${l.path}`)),
        deliveries: () => hooks.deliveries.map(({ hook, ...d }) => ({ ...d, hook: hook.id })),
        timeline: (o) => issueOf(o).timeline.map(shape.entry),
    };

    function dump() {
        const line = (c) => ({ id: c.id, type: c.type, by: c.author.login, body: c.body, label: c.label?.name, at: world.at(c.created), edited: c.updated !== c.created,
            reactions: c.reactions.map((r) => `${r.user.login} ${r.content}`) });
        const issue = (i) => ({
            id: i.id, number: i.number, title: i.title, body: i.body, state: i.state, by: i.author.login, labels: i.labels.map((l) => l.name), locked: i.locked,
            milestone: i.milestone?.title ?? null, updated_at: world.at(i.updated), timeline: i.timeline.map(line), reactions: i.reactions.map((r) => `${r.user.login} ${r.content}`),
            pull: i.pull && { head: { ref: i.pull.head, sha: i.pull.head_sha }, base: { ref: i.pull.base }, merged: i.pull.merged, draft: /^(\[wip\]|wip:)/i.test(i.title),
                reviews: i.pull.reviews.map((r) => ({ id: r.id, by: r.author.login, state: r.state, body: r.body })) },
        });
        const repo = (r) => ({
            id: r.id, full_name: world.fullName(r), private: r.private, archived: r.archived, labels: r.labels.map((l) => ({ id: l.id, name: l.name, exclusive: l.exclusive, color: l.color })),
            branches: Object.fromEntries(world.git ? branches.refs(r) : r.branches), issues: [...r.numbers.values()].map(issue),
            statuses: [...r.statuses.values()].flat().map((s) => ({ sha: s.sha, context: s.context, state: s.state, description: s.description, target_url: s.target_url, by: s.creator.login })),
        });
        return {
            now: world.at(world.now()), users: [...world.users.values()].map(({ id, login, admin, restricted }) => ({ id, login, admin, restricted })),
            repos: [...world.repos.values()].map(repo),
            hooks: [...world.hooks.values()].map((h) => ({ id: h.id, repo: world.fullName(h.repo), url: h.url, active: h.active, events: h.events })),
            deliveries: hooks.deliveries.reduce((sum, d) => ({ ...sum, [d.result]: (sum[d.result] ?? 0) + 1 }), {}), held: faults.held.length, faulted: faults.hits,
        };
    }
}
