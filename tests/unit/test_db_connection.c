/* Connections that break, fall silent, and come back. */
#include "tests/unit/db_scene.h"

static void terminate(int pid)
{
    char sql[64];

    snprintf(sql, sizeof sql, "select pg_terminate_backend(%d)", pid);
    scene_admin(sql);
}

/* A statement that hangs the first time and answers at once the second time (sequences do not roll
 * back). */
#define HANGS_ONCE \
    "select case when nextval('rounds') = 1 then pg_sleep(60)::text else 'second' end as hangs"

static void new_rounds(void)
{
    scene_admin("drop sequence if exists rounds");
    scene_admin("create sequence rounds");
}

/* --- broken --- */

START_TEST(repeatable_query_survives_its_connection)
{
    struct scene scene = {0};
    struct answer first, second, third;

    new_rounds();
    scene_open(&scene);
    scene_ask(&scene, &first, HANGS_ONCE, DB_REPEAT, NULL);
    scene_ask(&scene, &second, "select 'behind it'", DB_REPEAT, NULL);
    scene_ask(&scene, &third, "select 'only once'", DB_ONCE, NULL);
    terminate(scene_running(&scene, "%as hangs"));
    UNTIL(&scene, scene.done == 3);
    ck_assert_str_eq(first.text, "second");
    ck_assert_str_eq(second.text, "behind it");
    ck_assert_str_eq(third.state, "08006");
    ck_assert(first.order < second.order);
    ck_assert_uint_eq(db_generation(scene.db), 1);
    ck_assert_int_eq(scene.ups, 2);
    ck_assert_uint_eq(scene.up_generation, 1);
    scene_close(&scene);
}
END_TEST

START_TEST(once_query_fails_with_its_connection)
{
    struct scene scene = {0};
    struct answer answer;

    new_rounds();
    scene_open(&scene);
    scene_ask(&scene, &answer, HANGS_ONCE, DB_ONCE, NULL);
    terminate(scene_running(&scene, "%as hangs"));
    UNTIL(&scene, answer.order);
    ck_assert_str_eq(answer.state, "08006");
    scene_do(&scene, "select 1", "");
    scene_close(&scene);
}
END_TEST

START_TEST(other_connections_go_on)
{
    struct scene scene = {0};
    struct db_options options = scene_options(&scene);
    struct answer hanging, other;

    new_rounds();
    options.connections = 2;
    scene_new(&scene, &options);
    db_start(scene.db);
    UNTIL(&scene, scene.db->up == 2);
    scene_ask(&scene, &hanging, HANGS_ONCE, DB_REPEAT, NULL);
    terminate(scene_running(&scene, "%as hangs"));
    scene_ask(&scene, &other, "select 'other'", DB_ONCE, NULL);
    UNTIL(&scene, scene.done == 2);
    ck_assert_str_eq(other.text, "other");
    ck_assert_str_eq(hanging.text, "second");
    ck_assert_int_eq(scene.ups, 1); /* one stood all the time */
    UNTIL(&scene, scene.db->up == 2);
    ck_assert_uint_eq(db_generation(scene.db), 1);
    scene_close(&scene);
}
END_TEST

START_TEST(query_that_kills_its_server_gives_up)
{
    struct scene scene = {0};
    struct answer answer;

    scene_open(&scene);
    scene_ask(&scene, &answer, "select pg_terminate_backend(pg_backend_pid())", DB_REPEAT, NULL);
    UNTIL(&scene, answer.order);
    ck_assert_str_eq(answer.state, "08006");
    scene_do(&scene, "select 1", "");
    ck_assert_uint_eq(db_generation(scene.db), DB_RESENDS + 1);
    scene_close(&scene);
}
END_TEST

#define STORM 3000

START_TEST(every_query_of_a_storm_is_answered_once)
{
    struct scene scene = {0};
    struct db_options options = scene_options(&scene);
    static struct answer answers[STORM];
    char text[16];

    options.connections = 8; /* more than DB_RESENDS: they all break at once */
    scene_new(&scene, &options);
    db_start(scene.db);
    for (int i = 0; i < STORM; i++) {
        snprintf(text, sizeof text, "%d", i);
        scene_ask(&scene, &answers[i], "select $1::int", DB_REPEAT, text);
    }
    for (int kills = 1; kills <= 5; kills++) {
        UNTIL(&scene, scene.done >= kills * 500);
        scene_admin("select pg_terminate_backend(pid) from pg_stat_activity "
                    "where application_name = '" SCENE_APPLICATION "'");
    }
    UNTIL(&scene, scene.done == STORM);
    for (int i = 0; i < STORM; i++)
        ck_assert_msg(atoi(answers[i].text) == i, "%d: '%s' %s", i, answers[i].text,
                      answers[i].state);
    ck_assert_uint_ge(db_generation(scene.db), 5);
    scene_close(&scene);
}
END_TEST

START_TEST(connections_that_break_together_are_one_loss)
{
    struct scene scene = {0};
    struct db_options options = scene_options(&scene);
    struct db_query *query;

    options.connections = 5;
    scene_new(&scene, &options); /* not started: nothing is sent */
    scene.db->stands = 5;
    query = db_query_new(NULL, "select 1", DB_REPEAT, 0, NULL, NULL, NULL);
    for (int i = 0; i < 5; i++) {
        scene.db->connections[i].db = scene.db;
        scene.db->connections[i].stand = (uint64_t)i + 1;
        db_lost_query(&scene.db->connections[i], query);
        list_remove(&query->link); /* out of the queue, as when it is sent */
        scene.db->waiting_count--;
    }
    ck_assert_int_eq(query->losses, 1);
    scene.db->connections[0].stand = ++scene.db->stands; /* it stood again, and broke */
    db_lost_query(&scene.db->connections[0], query);
    ck_assert_int_eq(query->losses, 2);
    scene_close(&scene);
}
END_TEST

START_TEST(read_only_server_is_left)
{
    struct scene scene = {0};

    scene_admin("drop table if exists written; create table written (a int)");
    scene_open(&scene);
    scene_do(&scene, "set session characteristics as transaction read only", "");
    scene_do(&scene, "insert into written values (1)", "25006");
    scene_do(&scene, "insert into written values (1)", "");
    ck_assert_uint_eq(db_generation(scene.db), 1);
    scene_close(&scene);
}
END_TEST

START_TEST(restart_of_the_server_is_waited_for)
{
    struct scene scene = {0};
    struct answer flying, waiting;

    if (!fixture_postgres_is_private())
        return;
    new_rounds();
    scene_open_listening(&scene);
    UNTIL(&scene, scene.hellos == 1 && db_up(scene.db));
    scene_ask(&scene, &flying, HANGS_ONCE, DB_REPEAT, NULL);
    scene_running(&scene, "%as hangs");
    fixture_postgres_stop(false);
    UNTIL(&scene, !db_up(scene.db));
    scene_ask(&scene, &waiting, "select 'waited'", DB_ONCE, NULL);
    fixture_postgres_start();
    UNTIL(&scene, scene.done == 2);
    ck_assert_str_eq(waiting.text, "waited");
    ck_assert_str_eq(flying.text, "second");
    ck_assert_int_eq(scene.ups, 2);
    UNTIL(&scene, scene.hellos == 2);
    scene_close(&scene);
}
END_TEST

START_TEST(crash_without_return_is_told)
{
    struct scene scene = {0};
    struct answer flying, waiting;

    if (!fixture_postgres_is_private())
        return;
    new_rounds();
    scene_open_url(&scene, fixture_postgres_url(), 2000, 0);
    UNTIL(&scene, db_up(scene.db));
    scene_ask(&scene, &flying, HANGS_ONCE, DB_REPEAT, NULL);
    scene_running(&scene, "%as hangs");
    fixture_postgres_stop(true);
    UNTIL(&scene, !db_up(scene.db));
    scene_ask(&scene, &waiting, "select 1", DB_REPEAT, NULL);
    UNTIL(&scene, scene.done == 2);
    ck_assert_str_eq(flying.state, "08006");
    ck_assert_str_eq(waiting.state, "08001");
    fixture_postgres_start(); /* for the next test */
    scene_do(&scene, "select 1", "");
    scene_close(&scene);
}
END_TEST

/* --- silent --- */

START_TEST(silent_server_is_left)
{
    struct scene scene = {0};
    struct answer answer;
    int pid;

    if (!fixture_postgres_is_private())
        return;
    scene_open(&scene);
    scene.db->silence_ms = 300;
    scene_do(&scene, "select 'to be stopped'", "");
    pid = scene_backend("%to be stopped%");
    ck_assert_int_eq(kill(pid, SIGSTOP), 0);
    scene_ask(&scene, &answer, "select 'over another one'", DB_REPEAT, NULL);
    UNTIL(&scene, answer.order);
    ck_assert_str_eq(answer.text, "over another one");
    kill(pid, SIGCONT);
    scene_close(&scene);
}
END_TEST

START_TEST(slow_but_not_silent_pipeline_is_kept)
{
    struct scene scene = {0};
    struct answer answers[10];

    scene_open(&scene);
    scene.db->silence_ms = 1000;
    for (int i = 0; i < 10; i++) /* 2 s in all */
        scene_ask(&scene, &answers[i], "select pg_sleep(0.2)", DB_ONCE, NULL);
    UNTIL(&scene, scene.done == 10);
    for (int i = 0; i < 10; i++)
        ck_assert_str_eq(answers[i].state, "");
    ck_assert_uint_eq(db_generation(scene.db), 0);
    scene_close(&scene);
}
END_TEST

/* As after a SIGSTOP of this process: the timer of silence is due, and the answer is there. */
START_TEST(answer_that_came_while_we_slept_is_taken)
{
    struct scene scene = {0};
    struct answer answer;

    scene_open(&scene);
    scene.db->silence_ms = 300;
    UNTIL(&scene, db_up(scene.db));
    scene_ask(&scene, &answer, "select 'in time' from pg_sleep(0.05)", DB_ONCE, NULL);
    scene_running(&scene, "%pg_sleep(0.05)");
    for (int64_t start = clock_ms(); clock_ms() - start < 500;)
        fixture_postgres_nap();
    UNTIL(&scene, answer.order);
    ck_assert_str_eq(answer.text, "in time");
    ck_assert_uint_eq(db_generation(scene.db), 0);
    scene_close(&scene);
}
END_TEST

/* --- listening --- */

static void tell(const char *payload)
{
    char sql[100];

    snprintf(sql, sizeof sql, "select pg_notify('Fleet \"test', '%s')", payload);
    scene_admin(sql);
}

START_TEST(notifications_arrive)
{
    struct scene scene = {0};

    scene_open_listening(&scene);
    UNTIL(&scene, scene.hellos == 1);
    tell("task 1");
    UNTIL(&scene, scene.notifications == 1);
    ck_assert_str_eq(scene.payload, "task 1");
    ck_assert_int_eq(scene.hellos, 1);
    scene_close(&scene);
}
END_TEST

START_TEST(notifications_arrive_after_a_loss)
{
    struct scene scene = {0};

    scene_open_listening(&scene);
    UNTIL(&scene, scene.hellos == 1);
    terminate(scene_backend("listen %"));
    UNTIL(&scene, scene.hellos == 2);
    tell("task 2");
    UNTIL(&scene, scene.notifications == 1);
    ck_assert_str_eq(scene.payload, "task 2");
    ck_assert_uint_eq(db_generation(scene.db), 0); /* not one for queries */
    scene_close(&scene);
}
END_TEST

START_TEST(half_open_listener_is_noticed)
{
    struct scene scene = {0};
    int pid;

    if (!fixture_postgres_is_private())
        return;
    scene_open_listening(&scene);
    scene.db->probe_ms = 50;
    scene.db->answer_ms = 300;
    UNTIL(&scene, scene.hellos == 1);
    pid = scene_running(&scene, "select 1"); /* a probe went by: it is alive */
    ck_assert_int_eq(scene.hellos, 1);
    ck_assert_int_eq(kill(pid, SIGSTOP), 0);
    UNTIL(&scene, scene.hellos == 2);
    kill(pid, SIGCONT);
    tell("task 3");
    UNTIL(&scene, scene.notifications == 1);
    scene_close(&scene);
}
END_TEST

/* What is kept on the session that listens: how often it was answered, and with what. */
struct kept {
    int answers, errors;
    char text[64];
};

static void on_kept(void *data, const struct db_result *res, const struct error *err)
{
    struct kept *kept = data;

    kept->answers++;
    kept->errors += err != NULL;
    snprintf(kept->text, sizeof kept->text, "%s", err ? err->state : db_text(res, 0, "text"));
}

static const char keep_sql[] =
    "select concat($2::text, ' ', $1::int = pg_backend_pid()) as text, pg_try_advisory_lock(4711)";

static int locks(void)
{
    return atoi(
        scene_admin("select count(*) from pg_locks where locktype = 'advisory' and granted"));
}

START_TEST(what_is_kept_stands_on_every_session)
{
    struct scene scene = {0};
    struct kept kept = {0};

    scene_open_listening(&scene);
    db_keep(scene.db, keep_sql, "one", on_kept, &kept);
    UNTIL(&scene, kept.answers == 1);
    ck_assert_str_eq(kept.text, "one t");
    ck_assert_int_eq(locks(), 1);
    terminate(scene_backend("%pg_try_advisory_lock%"));
    UNTIL(&scene, kept.answers == 2);
    ck_assert_int_eq(scene.hellos, 2);
    ck_assert_int_eq(locks(), 1);
    db_keep(scene.db, keep_sql, "two", on_kept, &kept);
    UNTIL(&scene, kept.answers == 3);
    ck_assert_str_eq(kept.text, "two t");
    ck_assert_int_eq(scene.hellos, 2);
    db_keep(scene.db, NULL, NULL, NULL, NULL);
    terminate(scene_backend("%pg_try_advisory_lock%"));
    UNTIL(&scene, scene.hellos == 3);
    tell("task 4");
    UNTIL(&scene, scene.notifications == 1);
    ck_assert_int_eq(kept.answers, 3);
    ck_assert_int_eq(locks(), 0);
    scene_close(&scene);
}
END_TEST

START_TEST(what_is_kept_is_the_probe)
{
    struct scene scene = {0};
    struct kept kept = {0};

    scene_open_listening(&scene);
    scene.db->probe_ms = 20;
    db_keep(scene.db, keep_sql, "again", on_kept, &kept);
    UNTIL(&scene, kept.answers > 3);
    ck_assert_int_eq(scene.hellos, 1);
    scene_close(&scene);
}
END_TEST

START_TEST(what_is_kept_may_fail)
{
    struct scene scene = {0};
    struct kept kept = {0};

    scene_open_listening(&scene);
    scene.db->probe_ms = 20;
    db_keep(scene.db, "select $2::int / 0, $1", "1", on_kept, &kept);
    UNTIL(&scene, kept.errors > 2);
    ck_assert_str_eq(kept.text, "22012");
    ck_assert_int_eq(scene.hellos, 1); /* the session goes on */
    tell("task 5");
    UNTIL(&scene, scene.notifications == 1);
    scene_close(&scene);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("db_connection");

    scene_add(suite, "broken",
              (const TTest *[]){
                  repeatable_query_survives_its_connection, once_query_fails_with_its_connection,
                  other_connections_go_on, query_that_kills_its_server_gives_up,
                  every_query_of_a_storm_is_answered_once,
                  connections_that_break_together_are_one_loss, read_only_server_is_left,
                  restart_of_the_server_is_waited_for, crash_without_return_is_told, NULL});
    scene_add(suite, "silent",
              (const TTest *[]){silent_server_is_left, slow_but_not_silent_pipeline_is_kept,
                                answer_that_came_while_we_slept_is_taken, NULL});
    scene_add(suite, "listening",
              (const TTest *[]){notifications_arrive, notifications_arrive_after_a_loss,
                                half_open_listener_is_noticed, what_is_kept_stands_on_every_session,
                                what_is_kept_is_the_probe, what_is_kept_may_fail, NULL});
    return scene_run(suite);
}
