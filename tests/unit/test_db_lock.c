/* Errors that may not come again, and locks: what one caller holds costs no other caller anything.
 */
#include "tests/unit/db_scene.h"

#define PATIENCE_MS 20000
#define TYPICAL 99 /* plain queries that are looked at */

/* --- errors after which a query is sent again --- */

static const char *const passing[] = {"40001", "40P01", "55P03", "57014", "53200",
                                      "54000", "XX000", "42883", "42P01"};

/* Raises while it was called less than `good` times. */
static void make_conflict(const char *state)
{
    char sql[400];

    snprintf(sql, sizeof sql,
             "drop sequence if exists tries; create sequence tries; create or replace function "
             "conflict(good int) returns bigint language plpgsql as $$declare n bigint := "
             "nextval('tries'); begin if n < good then raise exception 'conflict %%', n using "
             "errcode = '%s'; end if; return n; end$$",
             state);
    scene_admin(sql);
}

START_TEST(errors_that_pass_are_not_told)
{
    struct scene scene = {0};
    struct answer answer;

    make_conflict(passing[_i]);
    scene_open(&scene);
    answer = scene_do(&scene, "select conflict(3)", "");
    ck_assert_str_eq(answer.text, "3");
    scene_admin("select setval('tries', 1, false)");
    scene_ask(&scene, &answer, "select conflict(3)", DB_ONCE, NULL); /* it was rolled back too */
    UNTIL(&scene, answer.order);
    ck_assert_str_eq(answer.text, "3");
    scene_close(&scene);
}
END_TEST

START_TEST(errors_that_stay_are_told_when_the_time_is_over)
{
    struct scene scene = {0};
    struct db_options options = scene_options(&scene);
    struct answer locking = {.scene = &scene};
    int64_t start;

    make_conflict("40P01");
    options.wait_ms = 100;
    options.lock_ms = 600;
    scene_new(&scene, &options);
    db_start(scene.db);
    UNTIL(&scene, db_up(scene.db));
    start = clock_ms();
    scene_do(&scene, "select conflict(1000000)", "40P01");
    ck_assert_int_ge(clock_ms() - start, 500);
    start = clock_ms();
    db_query_locking(scene.db, "k", 0, "select conflict(1000000)", DB_REPEAT, 0, NULL, scene_answer,
                     &locking);
    UNTIL(&scene, locking.order);
    ck_assert_str_eq(locking.state, "40P01");
    ck_assert_int_ge(clock_ms() - start, 500);
    ck_assert_int_le(atoi(scene_admin("select last_value from tries")), 60); /* with pauses */
    scene_close(&scene);
}
END_TEST

START_TEST(missing_code_is_looked_for_a_few_times)
{
    struct scene scene = {0};
    struct answer answer;

    make_conflict("42883");
    scene_open(&scene);
    UNTIL(&scene, db_up(scene.db));
    int64_t start = clock_ms();
    answer = scene_do(&scene, "select conflict(1000000)", "42883");
    ck_assert_str_eq(answer.text, "conflict 31"); /* the first and DB_CHANGES more */
    ck_assert_int_lt(clock_ms() - start, 8000);   /* pauses that grow would take 13 s */
    scene_close(&scene);
}
END_TEST

/* Who waited for the locks of a migration has no time left when it is over. */
START_TEST(code_made_anew_is_found_when_the_time_is_over)
{
    struct scene scene = {0};
    struct db_options options = scene_options(&scene);
    struct answer answer;

    make_conflict("XX000");
    options.wait_ms = 300;
    scene_new(&scene, &options);
    db_start(scene.db);
    answer = scene_do(&scene, "select conflict(3) from pg_sleep(0.4)", "");
    ck_assert_str_eq(answer.text, "3");
    answer = (struct answer){.scene = &scene};
    db_query_locking(scene.db, "k", clock_ms() + options.wait_ms,
                     "select conflict(6) from pg_sleep(0.4)", DB_REPEAT, 0, NULL, scene_answer,
                     &answer);
    UNTIL(&scene, answer.order);
    ck_assert_str_eq(answer.text, "6");
    scene_close(&scene);
}
END_TEST

START_TEST(other_errors_are_told_at_once)
{
    struct scene scene = {0};
    struct answer answer;

    make_conflict("AF004");
    scene_open(&scene);
    answer = scene_do(&scene, "select conflict(1000000)", "AF004");
    ck_assert_str_eq(answer.text, "conflict 1");
    scene_close(&scene);
}
END_TEST

START_TEST(code_that_is_made_anew_costs_no_call)
{
    struct scene scene = {0};
    static struct answer answers[400];
    int sent = 0;

    scene_admin("create or replace function inner_one() returns int language sql as 'select 1'; "
                "create or replace function outer_one(x text) returns int language plpgsql as "
                "'begin return inner_one(); end'");
    scene_open(&scene);
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < 10; i++, sent++)
            scene_ask(&scene, &answers[sent], "select outer_one($1)", DB_ONCE, "x");
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
        scene_admin("begin; drop function outer_one; drop function inner_one; "
                    "create function inner_one() returns int language sql as 'select 1'; "
                    "create function outer_one(x text) returns int language plpgsql as 'begin "
                    "return inner_one(); end'; commit");
    }
    UNTIL(&scene, scene.done == sent);
    for (int i = 0; i < sent; i++)
        ck_assert_msg(strcmp(answers[i].text, "1") == 0, "%s %s", answers[i].state,
                      answers[i].text);
    scene_close(&scene);
}
END_TEST

/* A prepared statement knows a type by its number, on each connection. */
START_TEST(types_that_are_made_anew_cost_no_call)
{
    static const char make[] = "create type pair as (a int, b text); "
                               "create function second(p pair[]) returns text language plpgsql as "
                               "'begin return p[1].b; end'";
    static const char drop[] = "begin; drop function second; drop type pair; ";
    struct scene scene = {0};
    struct db_options options = scene_options(&scene);
    static struct answer answers[800];
    char again[sizeof make + sizeof drop + 10];
    int sent = 0;

    snprintf(again, sizeof again, "%s%s; commit", drop, make);
    scene_admin(make);
    options.connections = 8;
    scene_new(&scene, &options);
    db_start(scene.db);
    UNTIL(&scene, scene.ups > 0 && scene.db->up == 8);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 80; i++, sent++)
            scene_ask(&scene, &answers[sent], "select second($1::pair[])", DB_ONCE,
                      "{\"(1,two)\"}");
        if (round % 2 == 0)
            UNTIL(&scene, scene.done == sent);
        else
            uv_run(&scene.loop.uv, UV_RUN_ONCE);
        scene_admin(again);
    }
    UNTIL(&scene, scene.done == sent);
    for (int i = 0; i < sent; i++)
        ck_assert_msg(strcmp(answers[i].text, "two") == 0, "%d: %s %s", i, answers[i].state,
                      answers[i].text);
    scene_close(&scene);
}
END_TEST

START_TEST(statements_have_a_limit_on_the_server)
{
    struct scene scene = {0};
    struct db_options options = scene_options(&scene);
    struct answer answer;

    options.statement_ms = 200;
    options.wait_ms = 100;
    scene_new(&scene, &options);
    db_start(scene.db);
    UNTIL(&scene, db_up(scene.db));
    answer = scene_do(&scene, "select current_setting('statement_timeout')", "");
    ck_assert_str_eq(answer.text, "200ms");
    scene_do(&scene, "select pg_sleep(60)", "57014");
    scene_close(&scene);
}
END_TEST

/* --- locks --- */

struct holder {
    PGconn *pg; /* holds the rows of `thing` */
};

static void hold(struct holder *holder)
{
    scene_admin("drop table if exists thing; create table thing as select n from "
                "generate_series(1, 20) n; drop table if exists took; create table took "
                "(n int, at serial)");
    scene_admin("create or replace function take(t int) returns int language plpgsql set "
                "lock_timeout = '1s' as $$begin perform from thing where n = t for update; "
                "insert into took values (t); return t; end$$");
    holder->pg = PQconnectdb(fixture_postgres_url());
    PQclear(PQexec(holder->pg, "begin; select from thing for update"));
}

static void let_go(struct holder *holder)
{
    PQfinish(holder->pg);
}

/* Takes thing `n`, whose name it is. */
static void take(struct scene *scene, struct answer *answer, int n, int patience_ms)
{
    char text[16];
    const char *params[] = {text};

    *answer = (struct answer){.scene = scene};
    snprintf(text, sizeof text, "%d", n);
    db_query_locking(scene->db, text, clock_ms() + patience_ms, "select take($1::int)", DB_REPEAT,
                     1, params, scene_answer, answer);
}

static void open_many(struct scene *scene, int connections)
{
    struct db_options options = scene_options(scene);

    options.connections = connections;
    scene_new(scene, &options);
    db_start(scene->db);
    UNTIL(scene, scene->db->up == connections);
}

static int by_size(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* Of plain queries, one after the other, half took no longer, in ms. */
static int64_t typical(struct scene *scene)
{
    int64_t took[TYPICAL];

    for (int i = 0; i < TYPICAL; i++) {
        struct answer answer;
        int64_t start = clock_ms();

        scene_ask(scene, &answer, "select 'other'", DB_REPEAT, NULL);
        UNTIL(scene, answer.order);
        ck_assert_str_eq(answer.text, "other");
        took[i] = clock_ms() - start;
    }
    qsort(took, TYPICAL, sizeof took[0], by_size);
    return took[TYPICAL / 2];
}

START_TEST(one_lock_costs_the_others_nothing)
{
    struct scene scene = {0};
    struct holder holder;
    struct answer answers[8];

    hold(&holder);
    open_many(&scene, 4);
    for (int i = 0; i < 8; i++) /* as many deliveries about one issue */
        take(&scene, &answers[i], 1, PATIENCE_MS);
    ck_assert_int_lt(typical(&scene), 250);
    ck_assert_int_eq(atoi(scene_admin("select count(*) from pg_stat_activity where "
                                      "query like 'select take(%' and state = 'active'")) <= 1,
                     true);
    let_go(&holder);
    for (int i = 0; i < 8; i++) {
        UNTIL(&scene, answers[i].order);
        ck_assert_str_eq(answers[i].text, "1");
        ck_assert_msg(i == 0 || answers[i].order > answers[i - 1].order, "out of order");
    }
    scene_close(&scene);
}
END_TEST

START_TEST(all_locks_never_take_the_last_connection)
{
    struct scene scene = {0};
    struct holder holder;
    struct answer answers[20];

    hold(&holder);
    open_many(&scene, 3);
    for (int i = 0; i < 20; i++)
        take(&scene, &answers[i], i + 1, PATIENCE_MS);
    ck_assert_int_lt(typical(&scene), 250);
    let_go(&holder);
    UNTIL(&scene, scene.done == TYPICAL + 20);
    for (int i = 0; i < 20; i++)
        ck_assert_str_eq(answers[i].state, "");
    scene_close(&scene);
}
END_TEST

START_TEST(lock_is_given_up_when_the_time_is_over)
{
    struct scene scene = {0};
    struct holder holder;
    struct answer first, second, late;
    int64_t start = clock_ms();

    hold(&holder);
    open_many(&scene, 2);
    take(&scene, &first, 1, 500);
    take(&scene, &second, 1, 500);
    take(&scene, &late, 1, PATIENCE_MS);
    UNTIL(&scene, first.order && second.order);
    ck_assert_str_eq(first.state, "55P03");
    ck_assert_str_eq(second.state, "55P03");
    ck_assert_int_lt(clock_ms() - start, PATIENCE_MS);
    let_go(&holder);
    UNTIL(&scene, late.order);
    ck_assert_str_eq(late.text, "1");
    ck_assert_str_eq(scene_admin("select count(*) from took"), "1"); /* what failed did nothing */
    ck_assert(list_empty(&scene.db->keys));
    scene_close(&scene);
}
END_TEST

START_TEST(key_outlives_its_connection)
{
    struct scene scene = {0};
    struct holder holder;
    struct answer answers[3];

    hold(&holder);
    open_many(&scene, 2);
    for (int i = 0; i < 3; i++)
        take(&scene, &answers[i], 1, 10000);
    scene_running(&scene, "select take(%");
    scene_admin("select pg_terminate_backend(pid) from pg_stat_activity where application_name = "
                "'" SCENE_APPLICATION "'");
    let_go(&holder);
    UNTIL(&scene, scene.done == 3);
    for (int i = 0; i < 3; i++)
        ck_assert_str_eq(answers[i].text, "1");
    scene_close(&scene);
}
END_TEST

START_TEST(one_connection_does_both)
{
    struct scene scene = {0};
    struct answer answers[3], plain;
    struct holder holder;

    hold(&holder);
    let_go(&holder);
    open_many(&scene, 1);
    for (int i = 0; i < 3; i++)
        take(&scene, &answers[i], i + 1, PATIENCE_MS);
    scene_ask(&scene, &plain, "select 'plain'", DB_ONCE, NULL);
    UNTIL(&scene, scene.done == 4);
    ck_assert_str_eq(plain.text, "plain");
    ck_assert_str_eq(answers[2].text, "3");
    scene_close(&scene);
}
END_TEST

START_TEST(stop_fails_what_waits_for_a_lock)
{
    struct scene scene = {0};
    struct answer answers[4];
    struct holder holder;

    hold(&holder);
    open_many(&scene, 2);
    for (int i = 0; i < 4; i++)
        take(&scene, &answers[i], 1 + i / 2, 60000);
    scene_running(&scene, "select take(%");
    db_stop(scene.db, 100, scene_stopped, &scene);
    UNTIL(&scene, scene.stopped);
    ck_assert_int_eq(scene.done, 4);
    for (int i = 0; i < 4; i++)
        ck_assert_str_ne(answers[i].state, "");
    let_go(&holder);
    scene_close(&scene);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("db_lock");
    TCase *again = tcase_create("again");

    tcase_set_timeout(again, 60);
    tcase_add_loop_test(again, errors_that_pass_are_not_told, 0, sizeof passing / sizeof *passing);
    suite_add_tcase(suite, again);
    scene_add(suite, "errors",
              (const TTest *[]){errors_that_stay_are_told_when_the_time_is_over,
                                missing_code_is_looked_for_a_few_times,
                                code_made_anew_is_found_when_the_time_is_over,
                                other_errors_are_told_at_once, code_that_is_made_anew_costs_no_call,
                                types_that_are_made_anew_cost_no_call,
                                statements_have_a_limit_on_the_server, NULL});
    scene_add(suite, "locks",
              (const TTest *[]){one_lock_costs_the_others_nothing,
                                all_locks_never_take_the_last_connection,
                                lock_is_given_up_when_the_time_is_over, key_outlives_its_connection,
                                one_connection_does_both, stop_fails_what_waits_for_a_lock, NULL});
    return scene_run(suite);
}
