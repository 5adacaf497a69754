// What the double knows: clock, users with their tokens, repositories with labels, and who may what.
import { randomBytes } from 'node:crypto';

export const GHOST = { id: -1, login: 'Ghost', full_name: 'Ghost' };
export const MODES = ['none', 'read', 'write', 'admin', 'owner'];

// A refusal as an API answer: status, and a text; no text means an empty body.
export class Refusal extends Error {
    constructor(status, text, extra = {}) {
        super(text ?? '');
        Object.assign(this, { status, text, extra });
    }
}

export class World {
    constructor({ root, clock = 'real', start, zone = 0, git, ids = 0 }) {
        Object.assign(this, { root, zone, git, ids }); // ids: all begin above it
        this.virtual = clock === 'virtual';
        this.time = start ? Date.parse(start) : Date.now();
        this.started = Date.now();
        this.shifted = 0;
        this.counters = {};
        this.users = new Map(); // by login in lower case
        this.tokens = new Map(); // by the token's text
        this.repos = new Map(); // by id
        this.redirects = new Map(); // former full name in lower case -> repository id
        this.issues = new Map(); // by global id; pull requests, too
        this.comments = new Map(); // by id: everything of timelines
        this.hooks = new Map(); // by id
        this.listeners = [];
        this.traits = { absent_label: 204, version: '14.0.5+gitea-1.22.0', allowed_hosts: null };
    }

    id(kind) { return (this.counters[kind] = (this.counters[kind] ?? this.ids) + 1); }

    // Milliseconds; Forgejo keeps whole seconds.
    now() {
        const at = this.virtual ? this.time : Date.now() + this.shifted;
        return Math.floor(at / 1000) * 1000;
    }

    advance(seconds) {
        if (this.virtual) this.time += seconds * 1000;
        else this.shifted += seconds * 1000;
    }

    // RFC 3339 in the server's zone (minutes east).
    at(ms) {
        if (ms === null || ms === undefined) return null;
        const text = new Date(ms + this.zone * 60000).toISOString().slice(0, 19);
        if (this.zone === 0) return `${text}Z`;
        const east = Math.abs(this.zone), two = (n) => String(n).padStart(2, '0');
        return `${text}${this.zone < 0 ? '-' : '+'}${two(Math.floor(east / 60))}:${two(east % 60)}`;
    }

    on(listener) { this.listeners.push(listener); }
    emit(event) { for (const listener of this.listeners) listener(event); }

    addUser({ login, admin = false, restricted = false, organization = false }) {
        if (this.users.has(login.toLowerCase())) throw new Refusal(422, `user already exists [name: ${login}]`);
        const user = { id: this.id('user'), login, full_name: '', admin, restricted, organization, blocked: new Set(), created: this.now() };
        this.users.set(login.toLowerCase(), user);
        return user;
    }

    user(login) {
        const user = this.users.get(String(login).toLowerCase());
        if (!user) throw new Refusal(404, `user redirect does not exist [name: ${login}]`);
        return user;
    }

    userById(id) {
        for (const user of this.users.values()) if (user.id === id) return user;
        return GHOST;
    }

    addToken({ login, token, scopes = ['all'], repositories = null }) {
        const text = token ?? randomBytes(20).toString('hex');
        this.tokens.set(text, { user: this.user(login), scopes, repositories });
        return text;
    }

    addRepo({ name, private: hidden = false, archived = false, default_branch = 'main', collaborators = {}, fork_of = null }) {
        const [owner, short] = name.split('/');
        if (!this.users.has(owner.toLowerCase())) this.addUser({ login: owner });
        if (this.findRepo(name)) throw new Refusal(409, `The repository with the same name already exists.`);
        const repo = {
            id: this.id('repo'), owner: this.user(owner), name: short, private: hidden, archived, default_branch, fork_of,
            collaborators: new Map(), labels: [], milestones: [], numbers: new Map(), last: 0,
            branches: new Map(), commits: new Map(), statuses: new Map(), created: this.now(), updated: this.now(),
        };
        this.repos.set(repo.id, repo);
        this.redirects.delete(name.toLowerCase());
        for (const [login, mode] of Object.entries(collaborators)) repo.collaborators.set(this.user(login).id, mode);
        return repo;
    }

    fullName(repo) { return `${repo.owner.login}/${repo.name}`; }

    findRepo(name) {
        for (const repo of this.repos.values()) if (this.fullName(repo).toLowerCase() === name.toLowerCase()) return repo;
        return null;
    }

    repo(name) {
        const repo = this.findRepo(name);
        if (!repo) throw new Refusal(404, 'The target couldn\'t be found.');
        return repo;
    }

    // A new owner or name; the old one answers 301 from now on.
    renameRepo(repo, name) {
        const [owner, short] = name.split('/');
        if (!this.users.has(owner.toLowerCase())) this.addUser({ login: owner });
        if (this.findRepo(name) && this.findRepo(name) !== repo) throw new Refusal(422, 'The repository with the same name already exists.');
        if (this.fullName(repo).toLowerCase() !== name.toLowerCase()) this.redirects.set(this.fullName(repo).toLowerCase(), repo.id);
        this.redirects.delete(name.toLowerCase());
        repo.owner = this.user(owner);
        repo.name = short;
    }

    deleteRepo(repo) {
        this.repos.delete(repo.id);
        for (const issue of [...this.issues.values()]) if (issue.repo === repo) this.issues.delete(issue.id);
        for (const hook of [...this.hooks.values()]) if (hook.repo === repo) this.hooks.delete(hook.id);
        for (const comment of [...this.comments.values()]) if (comment.issue.repo === repo) this.comments.delete(comment.id);
        for (const [name, id] of [...this.redirects]) if (id === repo.id) this.redirects.delete(name);
    }

    mode(repo, user) { // one of MODES
        if (!user) return repo.private ? 'none' : 'read';
        if (user.admin || user.id === repo.owner.id) return 'owner';
        const given = repo.collaborators.get(user.id);
        if (given) return given;
        return repo.private || user.restricted ? 'none' : 'read';
    }

    may(repo, user, mode) { return MODES.indexOf(this.mode(repo, user)) >= MODES.indexOf(mode); }

    addLabel(repo, { name, color = '#00aabb', description = '', exclusive = false, is_archived = false }) {
        if (!name || !/^#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})$/.test(color ?? '')) throw new Refusal(422, 'color code is invalid');
        let digits = color.replace('#', '').toLowerCase();
        if (digits.length === 3) digits = [...digits].map((digit) => digit + digit).join('');
        const label = { id: this.id('label'), name, color: digits, description, exclusive: exclusive && name.includes('/'), is_archived };
        repo.labels.push(label); // a second one of the same name is a second label
        return label;
    }
}
