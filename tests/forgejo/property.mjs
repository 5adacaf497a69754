// The property: whatever is lost, doubled, overtaken or replayed on the way, and whichever node is killed, when all is quiet and
// every repository was read once more, tasks, comments, labels and statuses are those of the model (model.mjs).
//
// An interleaving is one issue's random script. Many issues live in one fleet; their acts are mixed, in rounds: in a round
// people act while deliveries go astray and nodes die, and no agent takes work; then all gets quiet and is compared, an agent
// runs what may run, and all is compared again. So the model knows exactly how many runs there are.
//
//   property.mjs CONFIG    a JSON file: { seed, interleavings, rounds, database, servers: [{ name, base, command }], workers: [...],
//                          log, secret, forgejo_port }; prints what differs; status 0 when nothing does
import { readFileSync } from 'node:fs';
import { Double } from './double.mjs';
import { Agent, Database, Node, pause, until } from './fleet.mjs';
import { Model } from './model.mjs';
import { Random } from './random.mjs';
import { next } from './script.mjs';

const config = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const REPOS = { 'acme/rocket': 'none', 'acme/moon': 'untrusted' };
const TRUSTED = ['acme', 'writer', 'other'];
const trusted = (login) => TRUSTED.includes(login);

// How run `number` of an issue ends: the seed says so, for the agent and for the model.
function outcomeOf(key, number) {
    let hash = config.seed + number * 7919;
    for (const c of key) hash = Math.imul(hash ^ c.charCodeAt(0), 16777619);
    return (hash >>> 0) % 4 === 0 ? 'failed' : 'completed';
}

// What is not quiet: looks and readings that are due, and what is not told.
const BUSY = `select 'look' as what, kind || ' ' || id as which, reason as why from fleet.look where done < seq or again_at is not null
    union all select 'reading', repo, read_reason from fleet.repository where read_due <= now() or read_by is not null
    union all select 'telling', task::text, trouble from fleet.outbox where told < dirty
    union all select 'response', comment::text, reaction from fleet.response where told_at is null`;
const READ_ALL = 'update fleet.repository set read_due = now(), read_tries = 0';
const TASKS = `select t.task, r.repository_id, i.number, t.task_id, t.status, t.hold, t.failure_reason, t.branch_name,
        (select count(*) from fleet.attempt a where a.task = t.task) as runs
    from fleet.task t join fleet.issue i using (issue) join fleet.repository r on r.repo = i.repo`;
const HISTORY = `select string_agg(concat_ws(' ', event_type, from_status, to_status, actor, payload::text), E'\\n      ' order by event_id) from fleet.event where task = $1`;

const log = (...words) => process.stderr.write(`${words.join(' ')}\n`);

class Property {
    constructor() {
        this.random = new Random(config.seed);
        this.double = new Double({ root: '', clock: 'virtual', start: new Date(Date.now() + 5000).toISOString(), seed: config.seed });
        this.database = new Database(config.database);
        this.nodes = [...config.servers, ...config.workers].map((n) => new Node(n.name, n.command, `${config.log}/${n.name}.log`, n.env));
        this.issues = [];
        this.offences = [];
        this.names = new Map(); // repository id -> the model's name of it, which a rename does not change
    }

    async begin() {
        const { verbs } = this.double;
        await this.double.listen(config.forgejo_port);
        for (const login of ['acme', 'writer', 'other', 'reader', 'stranger', 'fleet', 'lookup']) verbs.make_user({ login });
        for (const name of Object.keys(REPOS)) {
            const { id } = verbs.make_repo({ name, labels: ['bug', 'priority:high', 'agent:code:rust', 'agent:review'],
                collaborators: { acme: 'admin', writer: 'write', other: 'admin', fleet: 'write', lookup: 'admin' } });
            this.names.set(id, name);
            for (const server of config.servers) {
                verbs.make_hook({ repo: name, url: `${server.base}/api/v1/webhooks/forgejo`, secret: config.secret, events: ['issues', 'pull_request', 'push'] });
            }
        }
        verbs.make_token({ login: 'fleet', token: 'fleet-token', scopes: ['write:issue', 'write:repository', 'read:user'] });
        verbs.make_token({ login: 'lookup', token: 'lookup-token', scopes: ['read:repository'] });
        for (const node of this.nodes) node.start();
        this.agent = new Agent({ servers: () => config.servers.map((s) => s.base), token: config.token, id: 'here', capabilities: ['code:rust', 'review'],
            outcome: (task_id, attempt) => outcomeOf(this.keyOf(task_id), attempt) });
        await this.agent.register();
        await until(30000, async () => (await this.database.ask('select count(*) from fleet.forgejo where user_id is not null')) === '1', () => 'a worker to know its account');
    }

    // "acme/rocket#4" however the repository is called now.
    keyOf(task_id) {
        const [name, number] = task_id.split('#'), repo = this.double.world.findRepo(name);
        return `${this.names.get(repo.id)}#${number}`;
    }

    nameOf(issue) { return this.double.world.fullName(issue.repo); }

    make(name) {
        const { world } = this.double;
        const random = new Random(config.seed * 1009 + this.issues.length);
        const issue = { random, repo: [...world.repos.values()].find((r) => this.names.get(r.id) === name), name, number: 0, acts: [], left: 5 + random.below(11), branch: null,
            pull: null, model: new Model({ policy: REPOS[name], trusted, outcome: (n) => outcomeOf(`${name}#${issue.number}`, n) }) };
        this.issues.push(issue);
    }

    // One act on one issue: on the double, in the model, and in the issue's story.
    act(issue) {
        const act = next(issue, issue.random);
        if (!act) { issue.left = 0; return; }
        issue.left -= 1;
        if (issue.random.chance(0.6)) this.double.world.advance(1 + issue.random.below(3));
        for (const { verb, fields } of act.before ?? []) this.double.verbs[verb]({ repo: this.nameOf(issue), ...fields });
        const given = this.double.verbs[act.verb]({ repo: this.nameOf(issue), issue: issue.number, pull: issue.pull ?? undefined, ...act.fields });
        act.done?.(given, issue);
        act.model(issue.model, given);
        issue.acts.push(`${act.verb} ${Object.values(act.fields).flat().filter(Boolean).join(' ')}`);
    }

    async round(last) {
        const { verbs } = this.double;
        verbs.fate({ lose: 0.3, double: 0.15, reorder: 0.2, replay: 0.1, delay_ms: 60 });
        for (const issue of this.issues) {
            issue.model.begin();
            Object.assign(issue, { budget: last ? issue.left : Math.ceil(issue.left / 2), round: {} });
        }
        for (let turn = 0; ; turn++) {
            const able = this.issues.filter((i) => i.left > 0 && i.budget > 0);
            if (!able.length) break;
            const issue = this.random.pick(able);
            issue.budget -= 1;
            this.act(issue);
            if (turn % 10 === 0) await pause(this.random.below(40));
            if (this.random.chance(config.kills)) await this.blow();
        }
        verbs.fate({ lose: 0, double: 0, reorder: 0, replay: 0, delay_ms: 0 });
    }

    // Kill -9 of a node, which comes back after a while.
    async blow() {
        const node = this.random.pick(this.nodes);
        await node.kill();
        await pause(this.random.below(300));
        node.start();
    }

    // Not of acme/moon: the configuration's rule is about its name.
    async rename() {
        const repo = [...this.double.world.repos.values()].find((r) => this.names.get(r.id) === 'acme/rocket'), to = `${this.random.pick(['acme', 'other'])}/ship${this.random.below(1000)}`;
        log(`${this.double.world.fullName(repo)} is called ${to} now`);
        this.double.verbs.rename_repo({ repo: this.double.world.fullName(repo), to });
    }

    // Every repository is read once more, and nothing is left to look at or to tell.
    async quiet(what) {
        await this.double.hooks.quiet();
        await this.database.ask(READ_ALL);
        await until(90000, async () => { await this.double.hooks.quiet(); return (await this.database.json(`${BUSY} limit 20`)).length === 0; },
            async () => `all to be quiet in ${what}: ${JSON.stringify(await this.database.json(`${BUSY} limit 20`)).slice(0, 2000)}`);
    }

    async compare(what) {
        const rows = await this.database.json(TASKS), tasks = new Map();
        for (const row of rows) {
            const key = `${this.names.get(row.repository_id)}#${row.number}`;
            if (tasks.has(key)) this.offences.push(`${what}: two tasks of ${key}: ${tasks.get(key).task_id} and ${row.task_id}`);
            tasks.set(key, row);
        }
        for (const issue of this.issues.filter((i) => i.number && !i.wrong)) {
            const task = tasks.get(`${issue.name}#${issue.number}`);
            this.compareOne(what, issue, task);
            if (issue.wrong && task) issue.history = await this.database.ask(HISTORY.replace('$1', task.task));
        }
    }

    compareOne(what, issue, task) {
        const { model } = issue, differ = (of, is, should) => {
            this.offences.push(`${what}: ${issue.name}#${issue.number}: ${of} is ${is}, and should be ${should}`);
            issue.wrong = true;
        };
        issue.branch = task?.branch_name ?? null;
        if (model.mayBe(task?.status ?? null)) Object.assign(model, { status: task?.status ?? null, held: false });
        if ((task?.status ?? null) !== model.status) differ('the status', `${task?.status ?? null} ${task?.hold ?? ''}`, `${model.status} ${model.held ? 'held' : ''}`);
        else if (Boolean(task?.hold) !== model.held && model.doubt()) model.held = Boolean(task.hold);
        else if (Boolean(task?.hold) !== model.held) differ('the hold', task?.hold, model.held);
        if ((task?.runs ?? 0) !== model.runs) differ('the number of runs', task?.runs ?? 0, model.runs);
        this.compareTold(issue, differ);
    }

    // What the issue shows: one comment that tells the state (besides those that call a person or answer a command), one state label,
    // and the labels that people put there.
    compareTold(issue, differ) {
        const { model } = issue, shown = this.double.issues.find(issue.repo, issue.number);
        const ours = shown.timeline.filter((c) => c.type === 'comment' && c.author.login === 'fleet').map((c) => c.body);
        const marks = ours.map((body) => /^<!-- agent-fleet:[^>]*-->/.exec(body)?.[0]), told = ours.filter((body) => /^<!-- agent-fleet:[a-z0-9.]+ -->/.test(body));
        const wanted = model.status === null ? 0 : 1;
        if (told.length !== wanted) differ('the number of comments', told.length, wanted);
        else if (wanted && !told[0].includes(`**Agent Fleet: ${model.words()}**`)) differ('the comment', told[0].slice(0, 300), model.words());
        if (marks.includes(undefined) || new Set(marks).size !== marks.length) differ('what we wrote', marks.join(' '), 'said once');
        const labels = shown.labels.map((l) => l.name), state = labels.filter((l) => l.startsWith('fleet/')), should = model.stateLabel();
        if (state.join() !== (should ?? '')) differ('the state label', state.join(), should);
        const others = labels.filter((l) => !l.startsWith('fleet/')).sort().join(), people = [...model.labels.keys()].sort().join();
        if (others !== people) differ('the labels', others, people);
    }

    async run() {
        await this.begin();
        const names = Object.keys(REPOS), rounds = config.rounds;
        for (let i = 0; i < config.interleavings; i++) this.make(names[i % 3 === 2 ? 1 : 0]);
        for (let round = 1; round <= rounds; round++) {
            const what = `round ${round}`;
            await this.round(round === rounds);
            if (round > 1 && this.random.chance(0.5)) await this.rename();
            await this.quiet(`${what}, people`);
            await this.compare(`${what}, people`);
            const ran = await this.agent.drain();
            for (const issue of this.issues) {
                issue.acts.push(`--- ${issue.model.runs} runs`);
                issue.model.run();
            }
            log(`${what}: ${ran} runs, ${this.double.hooks.deliveries.length} deliveries, ${this.nodes.reduce((sum, n) => sum + n.kills, 0)} kills`);
            await this.quiet(`${what}, agents`);
            await this.compare(`${what}, agents`);
        }
        this.report();
        await Promise.all(this.nodes.map((node) => node.kill('SIGTERM')));
        this.double.close();
    }

    report() {
        for (const issue of this.issues.filter((i) => i.wrong).slice(0, 5)) console.log(`${issue.name}#${issue.number}: ${issue.acts.join('; ')}\n      ${issue.history ?? ''}`);
        for (const offence of this.offences.slice(0, 20)) console.log(offence);
        const runs = this.issues.reduce((sum, i) => sum + i.model.runs, 0), acts = this.issues.reduce((sum, i) => sum + i.acts.length, 0);
        const lost = this.double.hooks.deliveries.filter((d) => d.result === 'lost').length;
        console.log(`seed ${config.seed}: ${this.issues.length} interleavings, ${acts} acts, ${runs} runs, ${lost} of ${this.double.hooks.deliveries.length} deliveries lost, `
            + `${this.nodes.reduce((sum, n) => sum + n.kills, 0)} kills, ${this.offences.length} offences`);
    }
}

const property = new Property();
try {
    await property.run();
} catch (error) {
    property.offences.push(error.stack);
    property.report();
    for (const node of property.nodes) node.child?.kill('SIGKILL');
}
process.exit(property.offences.length ? 1 : 0);
