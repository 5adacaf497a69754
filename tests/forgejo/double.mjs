#!/usr/bin/env node
// A double of Forgejo, for tests only: an HTTP server that keeps users, repositories, issues and pull requests, answers
// Forgejo's REST API and sends its webhooks. It is not Forgejo and never ran against one. It rests on what was read in
// the source of Forgejo 14 (routers/api/v1, services/webhook, services/convert, models/issues), on the headers and bodies
// of recorded deliveries of a Forgejo 14.0.5, and on what users of a Forgejo 14 wrote down. Of these facts:
//   - a list of issues holds pull requests unless `type` is given, asks for all labels named, and for none when no such
//     label exists; `since` is inclusive, in whole seconds; a limit above 50 is cut; comments come in one piece; a timeline
//     has pages only when one is asked for, and X-Total-Count there counts the page;
//   - unknown labels are dropped without a word, one label name may stand for two labels, an exclusive label replaces its
//     sibling; every call of the API that sets labels is one event, also when nothing changed, while the web page sends
//     one for each label; `label_cleared` still holds the labels that went; no webhook says which label it was about;
//   - POST and PUT without a JSON content type are 422, PATCH without one is read as a form; some 403 have no body; what
//     may not be seen is 404; an archived repository is 423; a former name is 301 with a relative address;
//   - `collaborators/{user}/permission` answers administrators of the repository only, and knows `owner`;
//   - hooks are inactive unless said otherwise, PATCH cannot change their secret and resets their events; each active hook
//     is told once, without a second try, with a new id for a replay; the signature of a form is that of its JSON;
//   - the state of a commit status is called `status` in answers, and is not looked at before it is stored.
// The paths below /-/ (control.mjs) are the tests' own.
//
//   double.mjs [--port N] [--ready FILE] [--git DIR] [--clock virtual] [--start TIME] [--zone MINUTES] [--seed N] [--root URL] [--ids N]
//
// Listens on 127.0.0.1 (port 0: any), writes "port pid" to FILE when it does, and ends at SIGTERM or SIGINT.
import http from 'node:http';
import { renameSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Api } from './api.mjs';
import { readAll } from './answer.mjs';
import { Branches } from './branch.mjs';
import { verbs } from './control.mjs';
import { Faults } from './fault.mjs';
import { Hooks } from './hook.mjs';
import { Issues } from './issue.mjs';
import { Pulls } from './pull.mjs';
import { shapes } from './shape.mjs';
import { Refusal, World } from './world.mjs';

export class Double {
    constructor({ root, clock, start, zone, git, ids, seed }) {
        this.world = new World({ root, clock, start, zone, git, ids });
        this.shape = shapes(this.world);
        this.issues = new Issues(this.world);
        this.pulls = new Pulls(this.world, this.shape, this.issues);
        this.branches = new Branches(this.world, (...moved) => this.pulls.moved(...moved));
        this.hooks = new Hooks(this.world, this.shape, { seed });
        this.faults = new Faults();
        this.log = []; // { method, path, status, by, body }
        this.api = new Api(this);
        this.sockets = new Set();
        this.verbs = verbs({ ...this, server: this });
    }

    listen(port = 0) {
        this.http = http.createServer((request, response) => {
            this.serve(request, response).catch((error) => {
                process.stderr.write(`${request.method} ${request.url}: ${error.stack}\n`);
                if (!response.headersSent) response.writeHead(500);
                response.end();
            });
        });
        this.http.keepAliveTimeout = 5000;
        this.http.on('connection', (socket) => {
            this.sockets.add(socket);
            socket.on('close', () => this.sockets.delete(socket));
        });
        return this.open(port);
    }

    open(port) {
        return new Promise((done, failed) => {
            this.http.once('error', failed);
            this.http.listen(port, '127.0.0.1', () => {
                this.http.removeListener('error', failed);
                this.port = this.http.address().port;
                this.world.root = this.world.root || `http://127.0.0.1:${this.port}`;
                done(this.port);
            });
        });
    }

    // Connections are refused for a while, the open ones end.
    refuse(ms) {
        setImmediate(() => {
            this.http.close();
            for (const socket of this.sockets) socket.destroy();
            setTimeout(() => this.open(this.port), ms);
        });
    }

    close() {
        clearInterval(this.timer);
        this.http.close();
        for (const socket of this.sockets) socket.destroy();
    }

    async serve(request, response) {
        const url = new URL(request.url, 'http://double'), text = await readAll(request);
        if (url.pathname.startsWith('/-/')) { await this.control(request, url, text, response); return; }
        const line = { method: request.method, path: request.url, at: Date.now(), body: text.slice(0, 100000), status: 0, by: null };
        this.log.push(line);
        const rule = this.faults.find(request.method, request.url);
        if (rule) line.fault = rule.mode;
        const given = await this.faults.run(rule, request.socket, () => {
            const answer = this.api.answer({ method: request.method, url, headers: request.headers, text });
            Object.assign(line, { status: answer.status, by: answer.user?.login ?? null });
            return answer;
        });
        if (!given) { line.status = 0; return; }
        line.status = given.status;
        this.reply(response, given);
    }

    reply(response, { status, headers = {}, body }) {
        const json = typeof body !== 'string', text = json ? JSON.stringify(body) : body;
        const type = json ? { 'Content-Type': 'application/json;charset=utf-8' } : {};
        response.writeHead(status, { ...type, ...headers, 'Content-Length': Buffer.byteLength(text) });
        response.end(text);
    }

    async control(request, url, text, response) {
        const verb = this.verbs[url.pathname.slice(3)];
        if (!verb) { this.reply(response, { status: 404, body: `no verb ${url.pathname.slice(3)}; there are: ${Object.keys(this.verbs).join(' ')}\n` }); return; }
        try {
            const given = await verb(text ? JSON.parse(text) : Object.fromEntries(url.searchParams));
            this.reply(response, { status: 200, body: given ?? {} });
        } catch (error) {
            if (!(error instanceof Refusal)) throw error;
            this.reply(response, { status: error.status, body: { message: error.text } });
        }
    }
}

async function main() {
    const { values } = parseArgs({ options: Object.fromEntries(['port', 'ready', 'git', 'clock', 'start', 'zone', 'seed', 'root', 'ids'].map((name) => [name, { type: 'string' }])) });
    const double = new Double({ ...values, root: values.root ?? '', zone: Number(values.zone ?? 0), ids: Number(values.ids ?? 0), seed: Number(values.seed ?? 1) });
    const port = await double.listen(Number(values.port ?? 0));
    if (values.git) double.timer = setInterval(() => double.branches.scanAll(), 200);
    const end = () => { double.close(); process.exit(0); };
    process.on('SIGTERM', end);
    process.on('SIGINT', end);
    if (values.ready) {
        writeFileSync(`${values.ready}.new`, `${port} ${process.pid}\n`);
        renameSync(`${values.ready}.new`, values.ready);
    } else process.stdout.write(`${port} ${process.pid}\n`);
}

if (process.argv[1] && import.meta.url === new URL(`file://${process.argv[1]}`).href) await main();
