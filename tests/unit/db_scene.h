/* What the tests of the database share: a loop, a db, answers, and a second, plain connection. */
#ifndef FLEET_DB_SCENE_H
#define FLEET_DB_SCENE_H

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/db/internal.h"
#include "common/log.h"
#include "tests/unit/fixture_postgres.h"

#define SCENE_APPLICATION "fleet-test-db"

struct scene {
    struct loop loop;
    struct timer guard, tick; /* tick: so that the loop turns while a condition is awaited */
    struct db *db;
    int ups, hellos, notifications, done;
    uint64_t up_generation;
    char payload[64];
    bool stopped;
};

struct answer {
    struct scene *scene;
    int order;      /* from 1: how many were done; 0: not yet */
    char state[24]; /* "" for success */
    char text[512]; /* first value of the first row, or the error's text */
    int rows;
};

static inline void scene_guard(void *data)
{
    (void)data;
    ck_abort_msg("the condition did not come true within 25 s");
}

static inline void scene_tick(void *data)
{
    (void)data;
}

static inline void scene_notify(void *data, const char *payload)
{
    struct scene *scene = data;

    if (!*payload) {
        scene->hellos++;
        return;
    }
    scene->notifications++;
    snprintf(scene->payload, sizeof scene->payload, "%s", payload);
}

static inline void scene_up(void *data, uint64_t generation)
{
    struct scene *scene = data;

    scene->ups++;
    scene->up_generation = generation;
}

#define UNTIL(scene, condition)                     \
    do {                                            \
        while (!(condition))                        \
            uv_run(&(scene)->loop.uv, UV_RUN_ONCE); \
    } while (0)

static inline struct db_options scene_options(struct scene *scene)
{
    return (struct db_options){.url = fixture_postgres_url(),
                               .application = SCENE_APPLICATION,
                               .connections = 1,
                               .on_notify = scene_notify,
                               .on_up = scene_up,
                               .data = scene};
}

/* Makes the loop and the db, not started. */
static inline void scene_new(struct scene *scene, const struct db_options *options)
{
    struct error err;

    log_open("test", LOG_ERROR_LEVEL);
    loop_init(&scene->loop);
    timer_init(&scene->guard, &scene->loop, scene_guard, scene);
    timer_start(&scene->guard, 25000, 0);
    timer_init(&scene->tick, &scene->loop, scene_tick, scene);
    timer_start(&scene->tick, 10, 10);
    scene->db = db_new(&scene->loop, options, &err);
    ck_assert_msg(scene->db != NULL, "%s", err.text);
}

static inline void scene_open(struct scene *scene)
{
    struct db_options options = scene_options(scene);

    scene_new(scene, &options);
    db_start(scene->db);
}

static inline void scene_stopped(void *data)
{
    struct scene *scene = data;

    scene->stopped = true;
}

static inline void scene_close(struct scene *scene)
{
    if (!scene->stopped)
        db_stop(scene->db, 2000, scene_stopped, scene);
    UNTIL(scene, scene->stopped);
    db_free(scene->db);
    timer_close(&scene->guard, NULL);
    timer_close(&scene->tick, NULL);
    loop_run(&scene->loop);
    loop_release(&scene->loop); /* asserts uv_loop_close() == 0 */
}

static inline void scene_answer(void *data, const struct db_result *res, const struct error *err)
{
    struct answer *answer = data;

    ck_assert_msg(answer->order == 0, "called back twice");
    ck_assert((res == NULL) != (err == NULL));
    answer->order = ++answer->scene->done;
    snprintf(answer->state, sizeof answer->state, "%s", err ? err->state : "");
    snprintf(answer->text, sizeof answer->text, "%s", err ? err->text : "");
    if (!res)
        return;
    answer->rows = db_rows(res);
    if (answer->rows > 0 && PQnfields(res->pg) > 0)
        snprintf(answer->text, sizeof answer->text, "%s", PQgetvalue(res->pg, 0, 0));
}

/* Asks; `answer` is reset and filled later. `param` may be NULL for a query without parameters. */
static inline void scene_ask(struct scene *scene, struct answer *answer, const char *sql,
                             enum db_repeat repeat, const char *param)
{
    *answer = (struct answer){.scene = scene};
    db_query(scene->db, sql, repeat, param ? 1 : 0, &param, scene_answer, answer);
    ck_assert_int_eq(answer->order, 0); /* never from within */
}

/* Asks, waits, and checks that it went as expected ("" for success). */
static inline struct answer scene_do(struct scene *scene, const char *sql, const char *state)
{
    struct answer answer;

    scene_ask(scene, &answer, sql, DB_REPEAT, NULL);
    UNTIL(scene, answer.order);
    ck_assert_msg(strcmp(answer.state, state) == 0, "%s: %s %s", sql, answer.state, answer.text);
    return answer;
}

/* One value over a connection of its own, synchronously; "" for none. The last one is kept. */
static inline const char *scene_admin(const char *sql)
{
    static char value[512];
    PGconn *pg = PQconnectdb(fixture_postgres_url());
    PGresult *result = PQexec(pg, sql);
    ExecStatusType status = PQresultStatus(result);

    ck_assert_msg(status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK, "%s: %s", sql,
                  PQerrorMessage(pg));
    snprintf(value, sizeof value, "%s",
             PQntuples(result) > 0 && PQnfields(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    PQfinish(pg);
    return value;
}

/* The server process of a connection of ours whose last statement is like `pattern`; 0 for none. */
static inline int scene_backend(const char *pattern)
{
    char sql[256];

    snprintf(sql, sizeof sql,
             "select max(pid) from pg_stat_activity where application_name = '%s' "
             "and query ilike '%s'",
             SCENE_APPLICATION, pattern);
    return atoi(scene_admin(sql));
}

static inline void scene_open_listening(struct scene *scene)
{
    struct db_options options = scene_options(scene);

    options.channel = "Fleet \"test";
    scene_new(scene, &options);
    db_start(scene->db);
}

/* Opens against another URL, with a short patience. */
static inline void scene_open_url(struct scene *scene, const char *url, int wait_ms, int connect_ms)
{
    struct db_options options = scene_options(scene);

    options.url = url;
    options.wait_ms = wait_ms;
    scene_new(scene, &options);
    scene->db->connect_ms = connect_ms;
    db_start(scene->db);
}

/* Waits until a statement like `pattern` runs, and gives its backend. */
static inline int scene_running(struct scene *scene, const char *pattern)
{
    int pid = 0;

    UNTIL(scene, (pid = scene_backend(pattern)) != 0);
    return pid;
}

static inline void scene_add(Suite *suite, const char *name, const TTest *const *tests)
{
    TCase *tcase = tcase_create(name);

    tcase_set_timeout(tcase, 60);
    for (; *tests; tests++)
        tcase_add_test(tcase, *tests);
    suite_add_tcase(suite, tcase);
}

/* The only schema in which a db looks for tables. */
static inline void scene_make_schema(void)
{
    PGconn *pg = PQconnectdb(fixture_postgres_url());

    PQclear(PQexec(pg, "create schema if not exists fleet"));
    PQfinish(pg);
}

static inline int scene_run(Suite *suite)
{
    SRunner *runner;
    int failed;

    log_open("test", LOG_ERROR_LEVEL);
    fixture_postgres_open();
    scene_make_schema();
    setenv("PGOPTIONS", "-c search_path=fleet", 1);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    fixture_postgres_close();
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
