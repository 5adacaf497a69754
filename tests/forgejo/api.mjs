// The API's door: who asks, what a token may, which repository, and the answer's form.
import { bind, refusalBody } from './answer.mjs';
import { issueRoutes } from './api_issue.mjs';
import { pullRoutes } from './api_pull.mjs';
import { repoRoutes } from './api_repo.mjs';
import { Refusal } from './world.mjs';

// "GET /repos/:owner/:repo/issues/:n" -> a pattern; a `*name` at the end takes slashes, too.
function compile(route) {
    const [method, path] = route.split(' '), names = [];
    const pattern = path.replace(/[:*][a-z_]+/g, (word) => {
        names.push(word.slice(1));
        return word[0] === '*' ? '(.+)' : '([^/]+)';
    });
    return { method, names, path, pattern: new RegExp(`^${pattern}$`) };
}

export class Api {
    constructor(parts) {
        Object.assign(this, parts); // world, shape, issues, pulls, branches, hooks
        this.routes = [];
        for (const make of [repoRoutes, issueRoutes, pullRoutes]) {
            for (const [route, options] of Object.entries(make(parts))) this.routes.push({ ...compile(route), ...options });
        }
    }

    who(headers) {
        const text = headers.authorization;
        if (!text) return null;
        const [, word, rest] = /^(\S+)\s+(.*)$/.exec(text) ?? [];
        let token = rest;
        if (/^basic$/i.test(word ?? '')) {
            const [name, password] = Buffer.from(rest, 'base64').toString().split(':');
            token = password || name;
        } else if (!/^(token|bearer)$/i.test(word ?? '')) token = null;
        const found = this.world.tokens.get(token);
        if (!found) throw new Refusal(401, 'invalid username, password or token');
        return found;
    }

    scope(token, kind, method) {
        if (!token || !kind || token.scopes.includes('all')) return;
        const level = method === 'GET' ? 'read' : 'write', want = `${level}:${kind}`;
        if (token.scopes.includes(want) || token.scopes.includes(`write:${kind}`)) return;
        throw new Refusal(403, `token does not have at least one of required scope(s): [${want}]`);
    }

    // The repository of the path, or { moved }: a relative address. What may not be seen is not there.
    repository(params, token, path) {
        const { world } = this, name = `${params.owner}/${params.repo}`, gone = new Refusal(404, 'The target couldn\'t be found.');
        const repo = world.findRepo(name);
        const seen = (r) => world.may(r, token?.user, 'read') && (!token?.repositories || token.repositories.includes(world.fullName(r)));
        if (!repo) {
            const moved = world.repos.get(world.redirects.get(name.toLowerCase()));
            if (!moved || !seen(moved)) throw gone;
            return { moved: path.replace(`/${params.owner}/${params.repo}`, `/${world.fullName(moved)}`) };
        }
        if (!seen(repo)) throw gone;
        return { repo };
    }

    find(method, path) {
        let known = false;
        for (const route of this.routes) {
            const match = route.pattern.exec(path);
            if (!match) continue;
            known = true;
            if (route.method !== method) continue;
            return { route, params: Object.fromEntries(route.names.map((name, i) => [name, decodeURIComponent(match[i + 1])])) };
        }
        if (known) throw new Refusal(405, undefined);
        throw new Refusal(404, 'The target couldn\'t be found.');
    }

    // -> { status, headers, body (an object, or text), user }
    answer({ method, url, headers, text }) {
        const path = url.pathname, call = { query: url.searchParams, path, root: this.world.root };
        let user = null;
        try {
            const token = this.who(headers);
            user = token?.user ?? null;
            const { route, params } = this.find(method, path);
            if (route.signed && !token) throw new Refusal(401, 'token is required');
            this.scope(token, route.scope, method);
            if (route.path.startsWith('/api/v1/repos/')) {
                const { repo, moved } = this.repository(params, token, path);
                if (moved) return { status: 301, headers: { Location: moved + url.search }, body: `<a href="${moved}">Moved Permanently</a>.\n\n`, user };
                Object.assign(call, { repo, mode: (mode) => this.world.may(repo, user, mode) });
                if (route.needs && !call.mode(route.needs)) throw new Refusal(403, route.silent ? undefined : 'user should have a permission to write to a repo');
                if (route.live && repo.archived) throw new Refusal(423, `${this.world.fullName(repo)} is archived`);
            }
            if (route.fields) call.form = bind(method, headers['content-type'] ?? '', text, route.fields);
            return { headers: {}, ...route.run({ ...call, token, user, params }), user };
        } catch (error) {
            if (!(error instanceof Refusal)) throw error;
            return { status: error.status, headers: {}, body: refusalBody(this.world.root, error), user };
        }
    }
}
