/* A dispatcher between a fake database and a fake host: the real code of worker/ in between, on a
 * real loop.
 *
 * The fakes stand in at link time for db_query (common/db.h) and link_* (worker/link/link.h). SQL
 * functions and runner calls answer what the tables below say; what was asked is remembered. Times
 * are short, nothing waits for a clock of its own: scene_until() runs the loop until a condition
 * holds. */
#ifndef FLEET_WORKER_SCENE_H
#define FLEET_WORKER_SCENE_H

#include "tests/unit/worker_scene_host.h"

/* A suite may say more of its host, and of its task, before it includes this. */
#ifndef SCENE_GIT
#define SCENE_GIT ""
#define SCENE_WORKSPACE ""
#define SCENE_REPO "<null>"
#endif

static const char scene_config[] =
    "database: { url: 'postgresql://nobody@127.0.0.1/none' }\n"
    "orchestrator: { start_timeout_secs: 60, silence_timeout_secs: 60 }\n" SCENE_GIT
    "adapters: { demo: { command: [ demo, '{task_id}' ], output: codex-json } }\n"
    "hosts:\n"
    "  - host_id: h1\n"
    "    hostname: localhost\n"
    "    work_dir: /tmp/scene\n" SCENE_WORKSPACE
    "    agents: [ { agent_type: demo, max_concurrency: 2, capabilities: [ x ] } ]\n";

#define SCENE_JOB(phase, epoch, run, stored, checkpoint, cancel)                                   \
    "attempt=11;task_id=t-1;number=1;epoch=" epoch ";nonce=00112233445566778899aabbccddeeff;"      \
    "phase=" phase ";run=" run ";host_id=h1;agent_type=demo;title=T;body=B;labels={agent:x};"      \
    "requirements={x};repo=" SCENE_REPO ";issue_number=<null>;slug=t1;branch_name=task/"           \
    "t1;timeout_secs=60;"                                                                          \
    "prompt=" run ";command=" run ";stdout_bytes=" stored ";stderr_bytes=0;checkpoint=" checkpoint \
    ";cancel=" cancel                                                                              \
    ";adopted_from=w0;adopted_silence_ms=4200;pid=7;start=9;boot=boot-1;machine=m1"

static void scene_check(void *data)
{
    (void)data;
    if (scene.until != NULL && scene.until()) {
        scene.reached = true;
        uv_stop(&scene.loop.uv);
    }
}

static int64_t scene_deadline;

/* Runs the loop until the condition holds; at most 10 s. */
static void scene_until(bool (*until)(void), const char *what)
{
    scene.until = until;
    scene.reached = false;
    scene_deadline = clock_ms() + 10000;
    timer_start(&scene.guard, 1, 5);
    while (!scene.reached && clock_ms() < scene_deadline)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    timer_stop(&scene.guard);
    ck_assert_msg(scene.reached, "never: %s", what);
}

static void scene_setup(void)
{
    struct error err;
    log_open("test", LOG_ERROR_LEVEL);
    memset(&scene, 0, sizeof scene);
    scene_run.state = RUNNER_RUNNING;
    scene_run.boot = SCENE_BOOT;
    scene_run.machine = "m1";
    scene_run.lacks = scene_run.version = "";
    scene_run.agent = true;
    scene_run.reason = "exit";
    scene_run.chunk = 32768;
    list_init(&scene.queries);
    loop_init(&scene.loop);
    timer_init(&scene.pump, &scene.loop, scene_pump, NULL);
    timer_init(&scene.guard, &scene.loop, scene_check, NULL);
    struct config *config =
        config_parse(scene_config, strlen(scene_config), "scene.yaml", CONFIG_WORKER, &err);
    ck_assert_msg(config != NULL, "%s", config == NULL ? err.text : "");
    scene.dispatch = dispatch_new(&scene.loop, (struct db *)(void *)&scene, config, "w1");
    dispatch_start(scene.dispatch);
}

static void scene_drained(void *data)
{
    (void)data;
    scene.drained = true;
}

static bool scene_is_drained(void)
{
    return scene.drained;
}

static void scene_teardown(void)
{
    if (!scene.drained) {
        dispatch_drain(scene.dispatch, scene_drained, NULL);
        scene_until(scene_is_drained, "drained");
    }
    timer_close(&scene.pump, NULL);
    timer_close(&scene.guard, NULL);
    loop_run(&scene.loop);
    scene_pump(NULL);
    dispatch_free(scene.dispatch);
    loop_release(&scene.loop);
}

static inline struct job *scene_job(void)
{
    return jobs_find(&scene.dispatch->jobs, 11);
}

/* What the agent prints. */
static inline void scene_prints(const char *text)
{
    memcpy(scene_run.out + scene_run.out_len, text, strlen(text));
    scene_run.out_len += strlen(text);
}

static inline void scene_ends(int status, const char *reason)
{
    scene_run.state = RUNNER_ENDED;
    scene_run.exit = status;
    scene_run.reason = reason;
}

static inline void scene_once(const char *name, const char *rows)
{
    sql(name)->rows = rows;
    sql(name)->times = 1;
}

static inline void scene_is_stored(const char *text)
{
    ck_assert_uint_eq(scene.stored_len[0], strlen(text));
    ck_assert_mem_eq(scene.stored[0], text, strlen(text));
}

#endif
