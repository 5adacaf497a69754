// The API about the server, users, repositories, their labels and hooks.
import { MAX_LIMIT, DEFAULT_LIMIT, page } from './answer.mjs';
import { Refusal } from './world.mjs';

export function repoRoutes({ world, shape, hooks, branches }) {
    const REPO = '/api/v1/repos/:owner/:repo';
    const ok = (body, headers = {}) => ({ status: 200, body, headers });
    const none = (status = 204) => ({ status, body: '' });
    const paged = (list, call, form, options = {}) => {
        const { items, headers } = page(list, { ...call, ...options });
        return ok(items.map((item) => form(item)), headers);
    };
    const labelOf = (repo, id) => {
        const label = repo.labels.find((l) => l.id === Number(id));
        if (!label) throw new Refusal(404, `label does not exist [label_id: ${id}]`);
        return label;
    };
    const hookOf = (repo, id) => {
        const hook = world.hooks.get(Number(id));
        if (hook?.repo !== repo) throw new Refusal(404, 'The target couldn\'t be found.');
        return hook;
    };
    const LABEL = { name: 'string', color: 'string', description: 'string', exclusive: 'bool', is_archived: 'bool' };
    const HOOK = { active: 'bool', events: 'strings', branch_filter: 'string', authorization_header: 'string', config: 'texts' };
    const issue = { scope: 'issue' }, repository = { scope: 'repository' };

    return {
        'GET /api/v1/version': { run: () => ok({ version: world.traits.version }) },
        'GET /api/forgejo/v1/version': { run: () => ok({ version: world.traits.version }) },
        'GET /api/v1/settings/api': { run: () => ok({ max_response_items: MAX_LIMIT, default_paging_num: DEFAULT_LIMIT, default_git_trees_per_page: 1000, default_max_blob_size: 10485760 }) },
        'GET /api/v1/user': { signed: true, scope: 'user', run: ({ user }) => ok(shape.user(user, user)) },
        'GET /api/v1/users/:login': { scope: 'user', run: ({ params, user }) => ok(shape.user(world.user(params.login), user)) },
        'GET /api/v1/user/repos': { signed: true, scope: 'user', run: (call) => repos(call, (r) => r.owner === call.user || r.collaborators.has(call.user.id)) },
        'GET /api/v1/users/:login/repos': { scope: 'user', run: (call) => repos(call, (r) => r.owner === world.user(call.params.login)) },
        'GET /api/v1/orgs/:login/repos': {
            scope: 'organization',
            run: (call) => {
                if (!world.user(call.params.login).organization) throw new Refusal(404, 'The target couldn\'t be found.');
                return repos(call, (r) => r.owner === world.user(call.params.login));
            },
        },
        'GET /api/v1/orgs/:org/labels': { scope: 'organization', run: (call) => paged([], call, (l) => l) },
        'GET /api/v1/repositories/:id': {
            ...repository,
            run: ({ params, user }) => {
                const repo = world.repos.get(Number(params.id));
                if (!repo || !world.may(repo, user, 'read')) throw new Refusal(404, 'The target couldn\'t be found.');
                return ok(shape.repo(repo, user));
            },
        },
        [`GET ${REPO}`]: { ...repository, run: ({ repo, user }) => ok(shape.repo(repo, user)) },
        [`PATCH ${REPO}`]: {
            ...repository, signed: true, needs: 'admin', fields: { name: 'string', private: 'bool', archived: 'bool' },
            run: ({ repo, user, form }) => {
                const before = world.folder(repo);
                if (form.name) world.renameRepo(repo, `${repo.owner.login}/${form.name}`);
                branches.renamed(before, repo);
                if (form.private !== undefined) repo.private = form.private;
                if (form.archived !== undefined) repo.archived = form.archived;
                return ok(shape.repo(repo, user));
            },
        },
        [`GET ${REPO}/collaborators/:login/permission`]: {
            ...repository, signed: true,
            run: ({ repo, user, params, mode }) => {
                const other = world.user(params.login);
                if (!user.admin && user !== other && !mode('admin')) {
                    throw new Refusal(403, 'Only admins can query all permissions, repo admins can query all repo permissions, collaborators can query only their own');
                }
                const word = world.mode(repo, other);
                return ok({ permission: word, role_name: word, user: shape.user(other, user) });
            },
        },
        [`GET ${REPO}/labels`]: { ...issue, run: (call) => paged([...call.repo.labels].sort((a, b) => (a.name < b.name ? -1 : 1)), call, (l) => shape.label(l, call.repo), { loose: true }) },
        [`POST ${REPO}/labels`]: {
            ...issue, signed: true, needs: 'write', fields: { ...LABEL, name: 'string!', color: 'string!' },
            run: ({ repo, form }) => ({ status: 201, body: shape.label(world.addLabel(repo, form), repo) }),
        },
        [`GET ${REPO}/labels/:id`]: { ...issue, run: ({ repo, params }) => ok(shape.label(labelOf(repo, params.id), repo)) },
        [`PATCH ${REPO}/labels/:id`]: {
            ...issue, signed: true, needs: 'write', fields: LABEL,
            run: ({ repo, params, form }) => {
                const label = labelOf(repo, params.id);
                for (const key of ['name', 'description', 'exclusive', 'is_archived']) if (form[key] !== undefined) label[key] = form[key];
                if (form.color) label.color = form.color.replace('#', '');
                return ok(shape.label(label, repo));
            },
        },
        [`DELETE ${REPO}/labels/:id`]: {
            ...issue, signed: true, needs: 'write',
            run: ({ repo, params }) => {
                const label = repo.labels.find((l) => l.id === Number(params.id));
                repo.labels = repo.labels.filter((l) => l !== label);
                for (const i of repo.numbers.values()) i.labels = i.labels.filter((l) => l !== label);
                return none();
            },
        },
        [`GET ${REPO}/milestones`]: { ...issue, run: (call) => paged(call.repo.milestones, call, shape.milestone) },
        [`GET ${REPO}/branch_protections`]: { ...repository, signed: true, needs: 'admin', run: ({ repo }) => ok((repo.protections ?? []).map((rule_name) => ({ rule_name, branch_name: '', enable_push: false, enable_push_whitelist: false }))) },
        [`GET ${REPO}/hooks`]: { ...repository, signed: true, needs: 'admin', run: (call) => paged([...world.hooks.values()].filter((h) => h.repo === call.repo), call, shape.hook) },
        [`POST ${REPO}/hooks`]: {
            ...repository, signed: true, needs: 'admin', fields: { ...HOOK, type: 'string!', config: 'texts!' },
            run: ({ repo, form }) => ({ status: 201, body: shape.hook(hooks.add(repo, form)) }),
        },
        [`GET ${REPO}/hooks/:id`]: { ...repository, signed: true, needs: 'admin', run: ({ repo, params }) => ok(shape.hook(hookOf(repo, params.id))) },
        [`PATCH ${REPO}/hooks/:id`]: {
            ...repository, signed: true, needs: 'admin', fields: HOOK,
            run: ({ repo, params, form }) => {
                const hook = hookOf(repo, params.id);
                hooks.edit(hook, form);
                return ok(shape.hook(hook));
            },
        },
        [`DELETE ${REPO}/hooks/:id`]: { ...repository, signed: true, needs: 'admin', run: ({ repo, params }) => { hooks.remove(hookOf(repo, params.id)); return none(); } },
        [`POST ${REPO}/hooks/:id/tests`]: { ...repository, signed: true, needs: 'admin', run: ({ repo, params }) => { hooks.test(hookOf(repo, params.id)); return none(); } },
        [`GET ${REPO}/branches`]: { ...repository, run: (call) => paged(branchNames(call.repo), call, (name) => branch(call.repo, name)) },
        [`GET ${REPO}/branches/*branch`]: { ...repository, run: ({ repo, params }) => ok(branch(repo, params.branch)) },
        [`DELETE ${REPO}/branches/*branch`]: {
            ...repository, signed: true, needs: 'write', live: true,
            run: ({ repo, params, user }) => {
                if (params.branch === repo.default_branch) throw new Refusal(403, 'can not delete default or pull request target branch');
                branches.remove(repo, params.branch, user);
                return none();
            },
        },
    };

    function repos(call, wanted) {
        const seen = [...world.repos.values()].filter((r) => wanted(r) && world.may(r, call.user, 'read'));
        return paged(seen, call, (r) => shape.repo(r, call.user), { link: true });
    }

    function branchNames(repo) { world.branchSha(repo, repo.default_branch); return [...repo.branches.keys()].sort(); }

    function branch(repo, name) {
        const sha = world.branchSha(repo, name);
        if (!sha) throw new Refusal(404, `branch does not exist [name: ${name}]`);
        const c = world.commit(repo, sha), person = { name: 'someone', email: 'someone@example.invalid', username: '' };
        return { name, commit: { id: sha, message: c.message, url: '', author: person, committer: person, verification: null, timestamp: world.at(c.at), added: null, removed: null, modified: null },
            protected: false, required_approvals: 0, enable_status_check: false, status_check_contexts: [], user_can_push: true, user_can_merge: true, effective_branch_protection_name: '' };
    }
}
