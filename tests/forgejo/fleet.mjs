// A fleet's nodes for the property test: started, killed and started again; its database, asked with psql; and an agent that
// takes what it is given over HTTP and is done with it at once.
import { execFile, spawn } from 'node:child_process';
import { openSync } from 'node:fs';

export const pause = (ms) => new Promise((go) => setTimeout(go, ms));

// Until look() gives something true; throws what say() says when it does not in time.
export async function until(ms, look, say) {
    const end = Date.now() + ms;
    for (;;) {
        const given = await look();
        if (given) return given;
        if (Date.now() > end) throw new Error(`waited ${ms / 1000} s in vain for ${await say()}`);
        await pause(50);
    }
}

export class Node {
    // command: [program, argument...]; log: a file that grows.
    constructor(name, command, log, env) { Object.assign(this, { name, command, log, env, kills: 0 }); }

    start() {
        const out = openSync(this.log, 'a');
        this.child = spawn(this.command[0], this.command.slice(1), { stdio: ['ignore', out, out], env: { ...process.env, ...this.env } });
        this.ended = new Promise((done) => this.child.on('exit', (code, signal) => done(signal ?? code)));
    }

    async kill(signal = 'SIGKILL') {
        if (signal === 'SIGKILL') this.kills += 1;
        this.child.kill(signal);
        return this.ended;
    }
}

export class Database {
    constructor(url) { this.url = url; }

    // The rows of a statement that gives one JSON value, or its text.
    ask(sql) {
        return new Promise((done, failed) => {
            execFile('psql', ['-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', this.url, '-c', sql], { maxBuffer: 1 << 26 }, (error, out, err) => {
                if (error) failed(new Error(`${sql.slice(0, 200)}: ${err}`));
                else done(out.trim());
            });
        });
    }

    async json(sql) { return JSON.parse(await this.ask(`select coalesce(jsonb_agg(to_jsonb(x)), '[]') from (${sql}) x`)); }
}

export class Agent {
    // servers(): base addresses of those that are up; outcome(task_id, attempt) -> completed or failed.
    constructor({ servers, token, id, capabilities, outcome }) { Object.assign(this, { servers, token, id, capabilities, outcome, turn: 0, done: [] }); }

    async call(method, path, body) {
        const headers = { Authorization: `Bearer ${this.token}`, 'Content-Type': 'application/json' };
        for (let tries = 0; ; tries++) {
            try {
                const bases = this.servers(), base = bases[this.turn++ % bases.length];
                const answer = await fetch(base + path, { method, headers, body: body && JSON.stringify(body) });
                const text = await answer.text();
                if (answer.status < 500) return { status: answer.status, body: text ? JSON.parse(text) : null };
                throw new Error(`${method} ${path}: ${answer.status} ${text}`);
            } catch (error) {
                if (tries > 200) throw error;
                await pause(50);
            }
        }
    }

    async register() {
        const { status, body } = await this.call('POST', '/api/v1/agents/register', { agent_id: this.id, agent_type: 'test', hostname: 'here',
            capabilities: this.capabilities, max_concurrency: 200 });
        if (status !== 200) throw new Error(`register: ${status} ${JSON.stringify(body)}`);
        this.token = body.registry_token;
    }

    // Everything that may run now, to its end; how many that were.
    async drain() {
        let count = 0;
        for (;;) {
            const { status, body: task } = await this.call('POST', '/api/v1/tasks/dequeue', { agent_id: this.id });
            if (status === 204) return count;
            if (status !== 200) throw new Error(`dequeue: ${status} ${JSON.stringify(task)}`);
            count += 1;
            await this.end(task);
        }
    }

    async end(task) {
        const { task_id, attempt } = task, path = `/api/v1/tasks/${encodeURIComponent(task_id)}`, result = this.outcome(task_id, attempt);
        await this.call('POST', `${path}/status`, { agent_id: this.id, status: 'running', attempt });
        const receipt = { task_id, agent_id: this.id, attempt, status: result, duration_seconds: 1, summary: 'done', artifacts: [], ...(result === 'failed' ? { error: 'as told' } : {}) };
        const given = await this.call('POST', `${path}/complete`, receipt);
        this.done.push({ task_id, attempt, result, status: given.status });
        if (given.status !== 200) throw new Error(`complete ${task_id} ${attempt}: ${given.status} ${JSON.stringify(given.body)}`);
    }
}
