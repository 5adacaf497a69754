// Branches and commits: kept in memory, or those of bare repositories in a folder (owner/name.git) that others push to.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Refusal } from './world.mjs';

const NONE = '0'.repeat(40);

const read = (file) => { try { return readFileSync(file, 'utf8'); } catch { return ''; } };

function looseRefs(folder, prefix = '') {
    const refs = new Map();
    let names = [];
    try { names = readdirSync(folder); } catch { return refs; }
    for (const name of names) {
        const path = join(folder, name);
        let folderly = false;
        try { folderly = statSync(path).isDirectory(); } catch { continue; }
        if (folderly) for (const [ref, sha] of looseRefs(path, `${prefix}${name}/`)) refs.set(ref, sha);
        else if (/^[0-9a-f]{40}\s*$/.test(read(path))) refs.set(prefix + name, read(path).trim());
    }
    return refs;
}

export class Branches {
    constructor(world, pushed) {
        Object.assign(this, { world, pushed }); // pushed(repo, branch, before, after, doer, commits)
        world.branchSha = (repo, branch) => this.sha(repo, branch);
        world.commit = (repo, sha) => repo.commits.get(sha) ?? { sha, message: 'a commit', at: world.now(), parent: null };
        world.folder = (repo) => (world.git ? join(world.git, `${world.fullName(repo)}.git`) : null);
        this.pusher = null; // who pushes to the bare repositories
    }

    git(repo, ...words) {
        const env = { PATH: process.env.PATH, HOME: '/nonexistent', GIT_CONFIG_NOSYSTEM: '1', GIT_AUTHOR_NAME: 'forge', GIT_AUTHOR_EMAIL: 'forge@example.invalid',
            GIT_COMMITTER_NAME: 'forge', GIT_COMMITTER_EMAIL: 'forge@example.invalid' };
        return execFileSync('git', ['-c', 'safe.directory=*', '-C', this.world.folder(repo), ...words], { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
    }

    make(repo) { // a first commit on the default branch
        if (this.world.git) {
            const folder = this.world.folder(repo);
            if (!existsSync(folder)) {
                mkdirSync(folder, { recursive: true });
                this.git(repo, 'init', '-q', '--bare', '-b', repo.default_branch);
                const tree = this.git(repo, 'hash-object', '-w', '-t', 'tree', '/dev/null');
                this.git(repo, 'update-ref', `refs/heads/${repo.default_branch}`, this.git(repo, 'commit-tree', '-m', 'first', tree));
            }
            for (const [branch, sha] of this.refs(repo)) repo.branches.set(branch, sha);
            return;
        }
        repo.branches.set(repo.default_branch, this.commit(repo, 'first', null));
    }

    refs(repo) {
        const folder = this.world.folder(repo), refs = new Map();
        for (const line of read(join(folder, 'packed-refs')).split('\n')) {
            const [, sha, branch] = /^([0-9a-f]{40}) refs\/heads\/(.+)$/.exec(line) ?? [];
            if (sha) refs.set(branch, sha);
        }
        for (const [branch, sha] of looseRefs(join(folder, 'refs/heads'))) refs.set(branch, sha);
        return refs;
    }

    sha(repo, branch) {
        if (this.world.git) this.scan(repo);
        return repo.branches.get(branch) ?? null;
    }

    commit(repo, message, parent) {
        const sha = randomBytes(20).toString('hex');
        repo.commits.set(sha, { sha, message, at: this.world.now(), parent });
        return sha;
    }

    known(repo, sha) {
        if (repo.commits.has(sha) || [...repo.branches.values()].includes(sha)) return true;
        if (!this.world.git) return false;
        try { this.git(repo, 'cat-file', '-e', `${sha}^{commit}`); return true; } catch { return false; }
    }

    // What others pushed to the bare repositories since the last look.
    scan(repo) {
        const now = this.refs(repo), before = new Map(repo.branches);
        repo.branches = now;
        const doer = this.pusher ?? repo.owner;
        for (const [branch, sha] of now) if (before.get(branch) !== sha) this.tell(repo, branch, before.get(branch) ?? NONE, sha, doer);
        for (const [branch, sha] of before) if (!now.has(branch)) this.tell(repo, branch, sha, NONE, doer);
    }

    scanAll() { if (this.world.git) for (const repo of this.world.repos.values()) this.scan(repo); }

    tell(repo, branch, before, after, doer) {
        const { world } = this;
        if (after === NONE) { this.pushed(repo, branch, before, after, doer, []); return; }
        if (!world.git) { this.pushed(repo, branch, before, after, doer, [world.commit(repo, after)]); return; }
        const range = before === NONE ? ['-n', '10', after] : [`${before}..${after}`];
        let lines = [];
        try { lines = this.git(repo, 'log', '--format=%H %s', ...range).split('\n').filter(Boolean); } catch { /* the old head is gone */ }
        this.pushed(repo, branch, before, after, doer, lines.map((line) => ({ sha: line.slice(0, 40), message: line.slice(41), at: world.now() })));
    }

    // A commit on a branch, which is made from the default branch when it is not there.
    push(repo, branch, doer, message = 'work') {
        const { world } = this, before = this.sha(repo, branch);
        if (world.git) {
            const parent = before ?? this.sha(repo, repo.default_branch), tree = this.git(repo, 'rev-parse', `${parent}^{tree}`);
            const after = this.git(repo, 'commit-tree', '-m', `${message} ${randomBytes(4).toString('hex')}`, '-p', parent, tree);
            return this.move(repo, branch, after, doer);
        }
        return this.move(repo, branch, this.commit(repo, message, before ?? this.sha(repo, repo.default_branch)), doer);
    }

    move(repo, branch, after, doer) {
        const before = this.sha(repo, branch) ?? NONE;
        if (this.world.git) this.git(repo, 'update-ref', `refs/heads/${branch}`, after);
        repo.branches.set(branch, after);
        this.tell(repo, branch, before, after, doer);
        return after;
    }

    remove(repo, branch, doer) {
        const before = this.sha(repo, branch);
        if (!before) throw new Refusal(404, `branch does not exist [name: ${branch}]`);
        if (this.world.git) this.git(repo, 'update-ref', '-d', `refs/heads/${branch}`);
        repo.branches.delete(branch);
        this.tell(repo, branch, before, NONE, doer);
    }

    merge(repo, base, head_sha, doer, message) {
        const { world } = this, tip = this.sha(repo, base);
        if (!world.git) return this.move(repo, base, this.commit(repo, message, tip), doer);
        const tree = this.git(repo, 'merge-tree', '--write-tree', tip, head_sha).split('\n')[0];
        return this.move(repo, base, this.git(repo, 'commit-tree', '-m', message, '-p', tip, '-p', head_sha, tree), doer);
    }

    renamed(before, repo) { // the folder goes with the name
        if (!before || before === this.world.folder(repo) || !existsSync(before)) return;
        mkdirSync(dirname(this.world.folder(repo)), { recursive: true });
        renameSync(before, this.world.folder(repo));
    }
}

export { NONE };
