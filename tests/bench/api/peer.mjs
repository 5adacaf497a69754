// Tasks by the library calls of another queue, in the same database server: jobs per second.
//   node peer.mjs graphile-worker|pg-boss DATABASE-URL CLIENTS MILLISECONDS BATCH
import { setTimeout as pause } from "node:timers/promises";

const [, , name, url, clients, milliseconds, batch] = process.argv;
const payload = (i) => ({ title: `Do number ${i}`, body: `Body of the task ${i}`, labels: ["agent:code:rust"] });

async function graphile() {
    const { makeWorkerUtils, Logger } = await import("graphile-worker");
    const quiet = new Logger(() => () => {});
    const utils = await makeWorkerUtils({ connectionString: url, maxPoolSize: Number(clients), logger: quiet });
    await utils.migrate();
    return {
        one: (i) => utils.addJob("task", payload(i)),
        many: (jobs) => utils.addJobs(jobs.map((i) => ({ identifier: "task", payload: payload(i) }))),
        end: () => utils.release(),
    };
}

async function boss() {
    const { PgBoss } = await import("pg-boss");
    const boss = new PgBoss({ connectionString: url, max: Number(clients), supervise: false, schedule: false });
    boss.on("error", (error) => { throw error; });
    await boss.start();
    await boss.createQueue("task");
    return {
        one: (i) => boss.send("task", payload(i)),
        many: (jobs) => boss.insert("task", jobs.map((i) => ({ data: payload(i) }))),
        end: () => boss.stop({ graceful: false }),
    };
}

const peer = await (name === "pg-boss" ? boss() : graphile());
let made = 0;
const size = Number(batch);
const add = async () => {
    const first = made;
    made += size;
    await (size === 1 ? peer.one(first) : peer.many(Array.from({ length: size }, (_, i) => first + i)));
};
const client = async (end) => { while (performance.now() < end) await add(); };
const run = async (ms) => {
    const began = performance.now(), before = made;
    await Promise.all(Array.from({ length: Number(clients) }, () => client(began + ms)));
    return ((made - before) * 1000) / (performance.now() - began);
};
await run(500); // plans, pools and the compiler
console.log(Math.round(await run(Number(milliseconds))));
await Promise.race([peer.end(), pause(3000)]);
process.exit(0);
