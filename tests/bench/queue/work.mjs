// Jobs that do nothing, worked off by another queue with its documented settings for speed:
//   node work.mjs NAME DATABASE-URL WAY SIZE PROCESSES MILLISECONDS JOBS
// NAME is graphile-worker or pg-boss. WAY is "single" (a job a fetch, SIZE at once), "batch" (graphile-worker: a local queue of 500
// and SIZE jobs at once; pg-boss: SIZE a fetch, 4 fetches at once), "foreign" (only adds jobs that nobody here works off) or "idle"
// (MILLISECONDS rounds of a job added to an idle queue). JOBS wait before the clock runs. The answer is one line: jobs per second,
// microseconds of the database's processor a job; of "idle" the 50th and the 99th percentile in microseconds.
import { fork } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";

const [, , name, url, way, size, processes, milliseconds, jobs] = process.argv;
const payload = (i) => ({ title: `Do number ${i}`, body: `Body of the task ${i}`, labels: ["agent:lane1"] });
const numbers = (count) => Array.from({ length: count }, (_, i) => i);
let done = 0;
let started = () => {};

async function graphile() {
    const { run, makeWorkerUtils, Logger, WorkerPreset } = await import("graphile-worker");
    const logger = new Logger(() => () => {});
    const batched = { localQueue: { size: 500, refetchDelay: { durationMs: 10 } }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };
    const worker = { connectionString: url, concurrentJobs: Number(size), maxPoolSize: Number(size) + 4, logger,
                     ...(way === "batch" ? batched : {}) };
    const utils = await makeWorkerUtils({ connectionString: url, maxPoolSize: 4, logger });
    return {
        prepare: () => utils.migrate(),
        waits: "select count(*)::int as n from graphile_worker._private_jobs where locked_at is null and task_id = "
            + "(select id from graphile_worker._private_tasks where identifier = 'task')",
        add: (list, kind) => utils.addJobs(list.map((i) => ({ identifier: kind, payload: payload(i) }))),
        one: (i) => utils.addJob("task", payload(i)),
        work: () => run({ preset: { extends: [WorkerPreset], worker }, noHandleSignals: true,
                          taskList: { task: async () => { done++; started(); } } }),
    };
}

async function boss() {
    const { PgBoss } = await import("pg-boss");
    const boss = new PgBoss({ connectionString: url, max: way === "single" ? Number(size) : 5, supervise: false, schedule: false,
                              useListenNotify: way === "idle" });
    const loop = async (batchSize) => {
        for (;;) {
            const list = await boss.fetch("task", { batchSize });
            if (list.length === 0) await pause(5);
            else await boss.complete("task", list.map((job) => job.id));
            done += list.length;
        }
    };
    boss.on("error", (error) => { throw error; });
    await boss.start();
    const queue = way === "idle" ? "idle" : "task";
    for (const kind of [queue, "foreign"]) await boss.createQueue(kind, { notify: way === "idle" });
    return {
        prepare: () => {},
        waits: "select count(*)::int as n from pgboss.job where name = 'task' and state = 'created'",
        add: (list, kind) => boss.insert(kind, list.map((i) => ({ data: payload(i) }))),
        one: (i) => boss.send(queue, payload(i)),
        work: async () => {
            if (way === "idle") return boss.work(queue, async () => { done++; started(); });
            for (let i = 0; i < (way === "single" ? Number(size) : 4); i++) loop(way === "single" ? 1 : Number(size));
        },
    };
}

// --- the one that asks ---

async function fill(peer, sql, kind) {
    const lacks = Number(jobs) - (kind === "task" ? (await sql.query(peer.waits)).rows[0].n : 0);
    for (let made = 0; made < lacks; made += 4000)
        await Promise.all(numbers(4).map(() => peer.add(numbers(1000), kind)));
    await sql.query("analyze");
}

const processor = async (sql) => {
    const { rows } = await sql.query(
        "select pid from pg_stat_activity where datname = current_database() and backend_type = 'client backend'");
    return rows.reduce((sum, { pid }) => sum + Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[0]), 0);
};

async function measure(sql) {
    const env = { ...process.env, CHILD: "1" };
    const children = numbers(Number(processes)).map(() => fork(process.argv[1], process.argv.slice(2), { env }));
    const count = async () => {
        const answers = children.map((child) => new Promise((resolve) => child.once("message", resolve)));
        for (const child of children) child.send("count");
        return (await Promise.all(answers)).reduce((sum, n) => sum + n, 0);
    };
    await Promise.all(children.map((child) => new Promise((resolve) => child.once("message", resolve))));
    await pause(500); // plans, pools and the compiler
    const before = await count(), began = performance.now(), spent = await processor(sql);
    await pause(Number(milliseconds));
    const made = (await count()) - before, took = performance.now() - began;
    console.log(Math.round((made * 1000) / took), (((await processor(sql)) - spent) / 1000 / made).toFixed(1));
    for (const child of children) child.kill("SIGKILL");
}

async function idle(peer) {
    const took = [];
    await peer.work();
    for (let i = 0; i < Number(milliseconds) + 20; i++) {
        const seen = new Promise((resolve) => { started = resolve; });
        const began = performance.now();
        peer.one(i);
        await seen;
        if (i >= 20) took.push((performance.now() - began) * 1000);
        await pause(5);
    }
    took.sort((a, b) => a - b);
    console.log(Math.round(took[took.length >> 1]), Math.round(took[Math.floor(took.length * 0.99)]));
}

const peer = await (name === "pg-boss" ? boss() : graphile());
if (process.env.CHILD) {
    process.on("message", () => process.send(done));
    await peer.work();
    process.send("ready");
} else {
    const sql = new pg.Client(url);
    await sql.connect();
    await peer.prepare();
    if (way === "idle") await idle(peer);
    else await fill(peer, sql, way === "foreign" ? "foreign" : "task");
    if (way === "single" || way === "batch") await measure(sql);
    process.exit(0);
}
