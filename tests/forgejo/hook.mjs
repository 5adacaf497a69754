// Webhooks: who is told of which event, the bodies, their signatures, and deliveries that go astray at will.
import { createHmac, randomUUID } from 'node:crypto';
import http from 'node:http';
import { Random } from './random.mjs';
import { Refusal } from './world.mjs';

// [name asked for, type in the reply, switched on by "issues" or "pull_request" as well]
const EVENTS = [
    ['create', 'create'], ['delete', 'delete'], ['fork', 'fork'], ['push', 'push'],
    ['issues_only', 'issues', 'issues'], ['issue_assign', 'issue_assign', 'issues'], ['issue_label', 'issue_label', 'issues'],
    ['issue_milestone', 'issue_milestone', 'issues'], ['issue_comment', 'issue_comment', 'issues'],
    ['pull_request_only', 'pull_request', 'pull_request'], ['pull_request_assign', 'pull_request_assign', 'pull_request'],
    ['pull_request_label', 'pull_request_label', 'pull_request'], ['pull_request_milestone', 'pull_request_milestone', 'pull_request'],
    ['pull_request_comment', 'pull_request_comment', 'pull_request'],
    ['pull_request_review', 'pull_request_review_approved', 'pull_request'],
    ['pull_request_review', 'pull_request_review_rejected', 'pull_request'],
    // Forgejo's own fault: the third review is behind the switch of plain comments.
    ['pull_request_comment', 'pull_request_review_comment', 'pull_request'],
    ['pull_request_sync', 'pull_request_sync', 'pull_request'],
    ['pull_request_review_request', 'pull_request_review_request', 'pull_request'],
    ['wiki', 'wiki'], ['repository', 'repository'], ['release', 'release'],
];

// X-*-Event of an X-*-Event-Type.
const COARSE = {
    issue_assign: 'issues', issue_label: 'issues', issue_milestone: 'issues', pull_request_comment: 'issue_comment',
    pull_request_assign: 'pull_request', pull_request_label: 'pull_request', pull_request_milestone: 'pull_request',
    pull_request_sync: 'pull_request', pull_request_review_request: 'pull_request', pull_request_review_approved: 'pull_request_approved',
    pull_request_review_rejected: 'pull_request_rejected', pull_request_review_comment: 'pull_request_comment',
};

export function expandEvents(asked) {
    const names = asked?.length ? asked : ['push'];
    return EVENTS.filter(([name, , group]) => names.includes(name) || (group && names.includes(group))).map(([, type]) => type);
}

// JSON as Forgejo writes it: two blanks, and < > & as \u003c \u003e \u0026.
export function writeBody(payload) {
    return JSON.stringify(payload, null, 2).replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const hmac = (algorithm, secret, text) => (secret ? createHmac(algorithm, secret).update(text).digest('hex') : '');

export function headersOf({ type, uuid, body, hook }) {
    const headers = {};
    const sha256 = hmac('sha256', hook.secret, body);
    for (const name of ['Forgejo', 'Gitea', 'Gogs', 'GitHub']) {
        headers[`X-${name}-Delivery`] = uuid;
        headers[`X-${name}-Event`] = COARSE[type] ?? type;
        headers[`X-${name}-Event-Type`] = type;
        if (name !== 'GitHub') headers[`X-${name}-Signature`] = sha256;
    }
    headers['X-Hub-Signature'] = `sha1=${hmac('sha1', hook.secret, body)}`;
    headers['X-Hub-Signature-256'] = `sha256=${sha256}`;
    headers['Content-Type'] = hook.content_type === 'form' ? 'application/x-www-form-urlencoded' : 'application/json';
    if (hook.authorization_header) headers.Authorization = hook.authorization_header;
    headers['User-Agent'] = 'Go-http-client/1.1';
    headers['Accept-Encoding'] = 'gzip';
    return headers;
}

export class Hooks {
    constructor(world, shape, { seed = 1 } = {}) {
        Object.assign(this, { world, shape, random: new Random(seed), held: [], flying: new Set() });
        this.deliveries = []; // { id, uuid, hook, type, action, repo, number, body, result }
        this.fate = { lose: 0, double: 0, reorder: 0, replay: 0, delay_ms: 0, hold: false };
        world.on((event) => this.happened(event));
    }

    add(repo, { type = 'forgejo', active = false, events, branch_filter = '', authorization_header = '', config }) {
        for (const key of ['url', 'content_type']) if (!config?.[key]) throw new Refusal(422, `Missing config option: ${key}`);
        if (!['json', 'form'].includes(config.content_type)) throw new Refusal(422, 'Invalid content type');
        if (!['forgejo', 'gitea', 'gogs'].includes(type)) throw new Refusal(422, `Invalid hook type: ${type}`);
        const now = this.world.now();
        const hook = { id: this.world.id('hook'), repo, type, active, events: expandEvents(events), branch_filter, authorization_header,
            url: config.url, content_type: config.content_type, secret: config.secret ?? '', created: now, updated: now };
        this.world.hooks.set(hook.id, hook);
        return hook;
    }

    // What is left out is reset; the secret stays whatever is sent.
    edit(hook, { active, events, branch_filter = '', authorization_header = '', config }) {
        if (config?.content_type && !['json', 'form'].includes(config.content_type)) throw new Refusal(422, 'Invalid content type');
        Object.assign(hook, { events: expandEvents(events), branch_filter, authorization_header, updated: this.world.now() });
        if (config?.url) hook.url = config.url;
        if (config?.content_type) hook.content_type = config.content_type;
        if (typeof active === 'boolean') hook.active = active;
    }

    remove(hook) { this.world.hooks.delete(hook.id); }

    payload(event) {
        const { shape } = this, { issue, doer, repo } = event;
        const base = { repository: shape.repo(repo, issue ? issue.author : doer), sender: shape.user(doer) };
        if (event.comment) {
            const pull_request = event.of === 'pull' ? { pull_request: shape.pull(issue) } : {};
            return { action: event.action, issue: shape.issue(issue), ...pull_request, comment: shape.comment(event.comment),
                ...(event.changes ? { changes: event.changes } : {}), ...base, is_pull: event.of === 'pull' };
        }
        if (event.of === 'issue') {
            return { action: event.action, number: issue.number, ...(event.changes ? { changes: event.changes } : {}),
                issue: shape.issue(issue, event.labels), ...base, commit_id: event.commit_id ?? '' };
        }
        if (event.of === 'pull') {
            return { action: event.action, number: issue.number, ...(event.changes ? { changes: event.changes } : {}),
                pull_request: shape.pull(issue, null, event.labels), requested_reviewer: event.review ? shape.user(doer) : null, ...base,
                commit_id: event.commit_id ?? '', review: event.review ? { type: event.type, content: event.review.body } : null };
        }
        return { ...event.body, ...base };
    }

    // The payload is a snapshot of this moment.
    happened(event) {
        if (!event.repo) return;
        let body;
        for (const hook of this.world.hooks.values()) {
            if (hook.repo !== event.repo || !hook.active || !hook.events.includes(event.type)) continue;
            body ??= writeBody(this.payload(event));
            this.queue({ hook, type: event.type, action: event.action ?? '', repo: this.world.fullName(event.repo), number: event.issue?.number ?? 0, body });
        }
    }

    record(fields) {
        const delivery = { id: this.world.id('delivery'), uuid: randomUUID(), result: 'waiting', ...fields };
        this.deliveries.push(delivery);
        return delivery;
    }

    // The button in the web page: a new UUID, the same body.
    replay(delivery) { this.send(this.record({ ...delivery, id: this.world.id('delivery'), uuid: randomUUID(), replay_of: delivery.id, result: 'waiting' })); }

    // The fates of a delivery, drawn from the seed: lost, doubled, replayed later, overtaken by the next.
    queue(fields) {
        const { fate, random } = this, delivery = this.record(fields);
        const [lost, doubled, replayed, overtaken] = [fate.lose, fate.double, fate.replay, fate.reorder].map((p) => random.chance(p));
        if (lost) { delivery.result = 'lost'; return; }
        if (fate.hold || overtaken) this.hold(delivery, fate.hold ? Infinity : 1 + random.below(3));
        else this.send(delivery);
        if (doubled) this.send(this.record({ ...fields, uuid: delivery.uuid }));
        if (replayed && this.deliveries.length > 1) this.replay(random.pick(this.deliveries.filter((d) => d.result !== 'lost')));
        this.pass();
    }

    // A held delivery goes out after `others` more, at the latest after half a second (when it is held by chance).
    hold(delivery, others) {
        const place = { delivery, others };
        this.held.push(place);
        delivery.result = 'held';
        if (others !== Infinity) place.timer = setTimeout(() => this.letGo(place), 500).unref();
    }

    letGo(place) {
        const index = this.held.indexOf(place);
        if (index < 0) return;
        this.held.splice(index, 1);
        clearTimeout(place.timer);
        this.send(place.delivery);
    }

    pass() { for (const place of [...this.held]) if (place.others !== Infinity && place.others-- <= 0) this.letGo(place); }

    // Lets all held deliveries go, in the order of their ids, backwards or shuffled; "drop" loses them.
    release(order = 'forward') {
        const places = [...this.held];
        if (order === 'backward') places.reverse();
        if (order === 'shuffled') for (let i = places.length - 1; i > 0; i--) {
            const j = this.random.below(i + 1);
            [places[i], places[j]] = [places[j], places[i]];
        }
        if (order === 'drop') for (const place of places) { place.delivery.result = 'lost'; }
        if (order === 'drop') this.held = [];
        else for (const place of places) this.letGo(place);
        return places.length;
    }

    send(delivery) {
        delivery.result = 'flying';
        const wait = this.fate.delay_ms ? this.random.below(this.fate.delay_ms) : 0;
        const flight = new Promise((done) => setTimeout(done, wait)).then(() => this.post(delivery));
        this.flying.add(flight);
        flight.finally(() => this.flying.delete(flight));
    }

    // At most once: whatever the answer, there is no second try.
    post(delivery) {
        const { hook } = delivery, body = Buffer.from(hook.content_type === 'form' ? `payload=${encodeURIComponent(delivery.body)}` : delivery.body);
        const headers = headersOf({ ...delivery, hook });
        return new Promise((done) => {
            const end = (result, text = '') => { Object.assign(delivery, { result, answer: text.slice(0, 300) }); done(); };
            const { allowed_hosts } = this.world.traits, url = new URL(hook.url);
            if (allowed_hosts && !allowed_hosts.includes(url.hostname)) {
                end('refused', `Delivery: Post "${hook.url}": dial tcp: webhook can only call allowed HTTP servers (check your webhook.ALLOWED_HOST_LIST setting), deny '${url.hostname}'`);
                return;
            }
            const request = http.request(url, { method: 'POST', headers: { ...headers, 'Content-Length': body.length }, timeout: 5000, agent: false });
            request.on('timeout', () => request.destroy(new Error('context deadline exceeded')));
            request.on('error', (error) => end('failed', `Delivery: ${error.message}`));
            request.on('response', (response) => {
                let text = '';
                response.on('data', (part) => { text += part; });
                response.on('end', () => end(String(response.statusCode), text));
                response.on('error', (error) => end('failed', error.message));
            });
            request.end(body);
        });
    }

    // A push of the default branch's head onto itself, even if push is not subscribed.
    test(hook) {
        const { world, shape } = this, { repo } = hook, sha = world.branchSha(repo, repo.default_branch);
        if (!sha) throw new Refusal(500, '');
        const body = writeBody({ ...pushBody({ world, shape, repo, ref: `refs/heads/${repo.default_branch}`, before: sha, after: sha, doer: repo.owner,
            commits: [world.commit(repo, sha)] }), repository: shape.repo(repo), sender: shape.user(repo.owner) });
        this.send(this.record({ hook, type: 'push', action: '', repo: world.fullName(repo), number: 0, body }));
    }

    // What is asked for at a quiet point: nothing flies, nothing is held by chance.
    async quiet() {
        for (const place of [...this.held]) if (place.others !== Infinity) this.letGo(place);
        while (this.flying.size) await Promise.all([...this.flying]);
    }
}

// A push, newest commit first, without what is added for every event.
export function pushBody({ world, shape, repo, ref, before, after, doer, commits }) {
    const url = `${world.root}/${world.fullName(repo)}`;
    const person = { name: doer.login, email: `${doer.login}@example.invalid`, username: doer.login };
    const list = commits.slice(0, 15).map((c) => ({ id: c.sha, message: c.message, url: `${url}/commit/${c.sha}`, author: person, committer: person,
        verification: null, timestamp: world.at(c.at), added: [], removed: [], modified: ['file'] }));
    return { ref, before, after, compare_url: `${url}/compare/${before}...${after}`, commits: list, total_commits: commits.length,
        head_commit: list[0] ?? null, pusher: shape.user(doer) };
}
