/* Connections that break, are silent, are refused, and come back. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/unit/db_scene.h"

static void open_listening(struct scene *scene)
{
    struct db_options options = scene_options(scene);

    options.channel = "Fleet \"test";
    scene_new(scene, &options);
    db_start(scene->db);
}

/* Opens against another URL, with a short patience. */
static void open_url(struct scene *scene, const char *url, int wait_ms, int connect_ms)
{
    struct db_options options = scene_options(scene);

    options.url = url;
    options.wait_ms = wait_ms;
    scene_new(scene, &options);
    scene->db->connect_ms = connect_ms;
    db_start(scene->db);
}

/* Waits until a statement like `pattern` runs, and gives its backend. */
static int running(struct scene *scene, const char *pattern)
{
    int pid = 0;

    UNTIL(scene, (pid = scene_backend(pattern)) != 0);
    return pid;
}

static void terminate(int pid)
{
    char sql[64];

    snprintf(sql, sizeof(sql), "select pg_terminate_backend(%d)", pid);
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
    terminate(running(&scene, "%as hangs"));
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
    terminate(running(&scene, "%as hangs"));
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
    terminate(running(&scene, "%as hangs"));
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

    options.connections = 4;
    scene_new(&scene, &options);
    db_start(scene.db);
    for (int i = 0; i < STORM; i++) {
        snprintf(text, sizeof(text), "%d", i);
        scene_ask(&scene, &answers[i], "select $1::int", DB_REPEAT, text);
    }
    for (int kills = 1; kills <= 5; kills++) {
        UNTIL(&scene, scene.done >= kills * 500);
        scene_admin("select pg_terminate_backend(pid) from pg_stat_activity "
                    "where application_name = '" SCENE_APPLICATION "'");
    }
    UNTIL(&scene, scene.done == STORM);
    for (int i = 0; i < STORM; i++)
        ck_assert_int_eq(atoi(answers[i].text), i);
    ck_assert_uint_ge(db_generation(scene.db), 5);
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
    open_listening(&scene);
    UNTIL(&scene, scene.hellos == 1 && db_up(scene.db));
    scene_ask(&scene, &flying, HANGS_ONCE, DB_REPEAT, NULL);
    running(&scene, "%as hangs");
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
    open_url(&scene, fixture_postgres_url(), 300, 0);
    UNTIL(&scene, db_up(scene.db));
    scene_ask(&scene, &flying, HANGS_ONCE, DB_REPEAT, NULL);
    running(&scene, "%as hangs");
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

/* --- listening --- */

static void tell(const char *payload)
{
    char sql[100];

    snprintf(sql, sizeof(sql), "select pg_notify('Fleet \"test', '%s')", payload);
    scene_admin(sql);
}

START_TEST(notifications_arrive)
{
    struct scene scene = {0};

    open_listening(&scene);
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

    open_listening(&scene);
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
    open_listening(&scene);
    scene.db->probe_ms = 50;
    scene.db->answer_ms = 300;
    UNTIL(&scene, scene.hellos == 1);
    pid = running(&scene, "select 1"); /* a probe went by: it is alive */
    ck_assert_int_eq(scene.hellos, 1);
    ck_assert_int_eq(kill(pid, SIGSTOP), 0);
    UNTIL(&scene, scene.hellos == 2);
    kill(pid, SIGCONT);
    tell("task 3");
    UNTIL(&scene, scene.notifications == 1);
    scene_close(&scene);
}
END_TEST

/* --- connecting --- */

/* A loopback port: closed when listening is false; else it takes connections and says nothing. */
static int open_port(bool listening, int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    if (listening)
        ck_assert_int_eq(listen(fd, 16), 0);
    *port = ntohs(address.sin_port);
    return fd; /* bound and not listening refuses */
}

START_TEST(refused_first_host_is_skipped)
{
    struct scene scene = {0};
    char url[500];
    int port, fd = open_port(false, &port);

    if (!fixture_postgres_is_private())
        return;
    snprintf(url, sizeof(url),
             "host=localhost,127.0.0.1,/nowhere,%s port=%d,%d,1,5432 user=postgres "
             "dbname=postgres target_session_attrs=read-write",
             fixture_postgres.folder, port, port);
    open_url(&scene, url, 5000, 0);
    ck_assert(scene.db->target.lookup);
    scene_do(&scene, "select 1", "");
    close(fd);
    scene_close(&scene);
}
END_TEST

START_TEST(silent_first_host_is_skipped)
{
    struct scene scene = {0};
    char url[500];
    int port, fd = open_port(true, &port);

    if (!fixture_postgres_is_private())
        return;
    snprintf(url, sizeof(url),
             "host=localhost,127.0.0.1,%s port=%d,%d,5432 user=postgres dbname=postgres",
             fixture_postgres.folder, port, port);
    open_url(&scene, url, 5000, 200);
    scene_do(&scene, "select 1", "");
    close(fd);
    scene_close(&scene);
}
END_TEST

START_TEST(silent_host_is_given_up)
{
    struct scene scene = {0};
    struct answer answer;
    char url[100];
    int port, fd = open_port(true, &port);
    int64_t start = clock_ms();

    snprintf(url, sizeof(url), "postgresql://127.0.0.1:%d/x", port);
    open_url(&scene, url, 500, 100);
    scene_ask(&scene, &answer, "select 1", DB_REPEAT, NULL);
    UNTIL(&scene, scene.db->connections[0].failures >= 2 && answer.order);
    ck_assert_str_eq(answer.state, "08001");
    ck_assert_int_ge(clock_ms() - start, 500);
    close(fd);
    scene_close(&scene);
}
END_TEST

START_TEST(unknown_name_is_tried_again)
{
    struct scene scene = {0};
    struct answer answer;

    open_url(&scene, "postgresql://no-such-host.invalid/x?sslmode=verify-full", 300, 500);
    scene_ask(&scene, &answer, "select 1", DB_ONCE, NULL);
    UNTIL(&scene, answer.order);
    ck_assert_str_eq(answer.state, "08001");
    UNTIL(&scene, scene.db->connections[0].failures >= 2);
    scene_close(&scene);
}
END_TEST

START_TEST(missing_database_is_tried_again)
{
    struct scene scene = {0};
    struct answer answer;
    char url[400];

    if (!fixture_postgres_is_private())
        return;
    snprintf(url, sizeof(url), "host=%s user=postgres dbname=nothing", fixture_postgres.folder);
    open_url(&scene, url, 400, 0);
    scene_ask(&scene, &answer, "select 1", DB_ONCE, NULL);
    UNTIL(&scene, answer.order);
    ck_assert_str_eq(answer.state, "08001");
    scene_admin("create database nothing");
    scene_do(&scene, "select 1", "");
    scene_close(&scene);
}
END_TEST

/* --- stopping --- */

START_TEST(stop_waits_for_answers)
{
    struct scene scene = {0};
    struct answer flying, waiting, late;

    scene_open(&scene);
    UNTIL(&scene, db_up(scene.db));
    scene_ask(&scene, &flying, "select 'done' from pg_sleep(0.3)", DB_ONCE, NULL);
    scene_ask(&scene, &waiting, "select 'done too'", DB_ONCE, NULL);
    db_stop(scene.db, 10000, scene_stopped, &scene);
    scene_ask(&scene, &late, "select 1", DB_REPEAT, NULL);
    UNTIL(&scene, scene.stopped);
    ck_assert_str_eq(flying.text, "done");
    ck_assert_str_eq(waiting.text, "done too");
    ck_assert_str_eq(late.state, "08003");
    scene_close(&scene);
}
END_TEST

START_TEST(stop_ends_at_its_deadline)
{
    struct scene scene = {0};
    struct answer answers[100];

    open_listening(&scene);
    UNTIL(&scene, db_up(scene.db));
    for (int i = 0; i < 100; i++)
        scene_ask(&scene, &answers[i], "select pg_sleep(60)", i % 2 ? DB_ONCE : DB_REPEAT, NULL);
    running(&scene, "%pg_sleep(60)%");
    db_stop(scene.db, 100, scene_stopped, &scene);
    UNTIL(&scene, scene.stopped);
    ck_assert_int_eq(scene.done, 100);
    ck_assert_str_eq(answers[0].state, "08006");
    ck_assert_str_eq(answers[1].state, "08006");
    ck_assert_str_eq(answers[99].state, "08001"); /* never sent */
    scene_close(&scene);
}
END_TEST

static void stop_from_within(void *data, const struct db_result *res, const struct error *err)
{
    struct scene *scene = data;

    (void)res, (void)err;
    scene->done++;
    db_stop(scene->db, 1000, scene_stopped, scene);
}

START_TEST(stop_from_within_a_callback)
{
    struct scene scene = {0};
    struct answer behind;

    scene_open(&scene);
    db_query(scene.db, "select 1", DB_ONCE, 0, NULL, stop_from_within, &scene);
    scene_ask(&scene, &behind, "select 'behind'", DB_ONCE, NULL);
    UNTIL(&scene, scene.stopped);
    ck_assert_str_eq(behind.text, "behind");
    scene_close(&scene);
}
END_TEST

START_TEST(stop_in_every_phase)
{
    static const char *const urls[] = {
        "postgresql://no-such-host.invalid/x?sslmode=verify-full", /* looking up */
        "host=127.0.0.1 port=%d dbname=x",                         /* connecting */
        "host=/nowhere dbname=x"};                                 /* backing off */
    static const enum db_phase phases[] = {DB_LOOKING_UP, DB_CONNECTING, DB_BACKING_OFF};
    int port, fd = open_port(true, &port);

    for (int i = 0; i < 3; i++) {
        struct scene scene = {0};
        struct answer answer;
        char url[100];

        snprintf(url, sizeof(url), urls[i], port);
        open_url(&scene, url, 5000, 0);
        scene_ask(&scene, &answer, "select 1", DB_REPEAT, NULL);
        UNTIL(&scene, scene.db->connections[0].phase == phases[i]);
        db_stop(scene.db, 10, scene_stopped, &scene);
        UNTIL(&scene, scene.stopped);
        ck_assert_str_eq(answer.state, "08001");
        scene_close(&scene);
    }
    close(fd);
}
END_TEST

START_TEST(never_started)
{
    struct scene scene = {0};
    struct db_options options = scene_options(&scene);
    struct answer answer;
    struct error err;
    struct db *db;

    scene_new(&scene, &options);
    scene_ask(&scene, &answer, "select 1", DB_REPEAT, NULL);
    db = db_new(&scene.loop, &options, &err);
    db_free(db);
    db_free(NULL);
    db_stop(scene.db, 10, scene_stopped, &scene);
    UNTIL(&scene, scene.stopped);
    ck_assert_str_eq(answer.state, "08001");
    scene_close(&scene);
}
END_TEST

/* --- URLs --- */

static const char *const bad_urls[] = {
    "postgresql://u:sEcret@h@ost/d",
    "postgresql://u:p@sEcret/x@host/d",
    "postgresql://u:p@host:sEcret/d",
    "postgresql://u:sEcret:x@host/d?nonsense=sEcret",
    "postgresql://u:sEcret@[::1/d",
    "postgresql://u:sE%zzcret@host/d",
    "postgresql://u:p@a,b:1,2,3/sEcret",
    "postgresql://u:sEcret@/d?service=x",
    "postgresql://u:sEcret@a:1,b:2,c:3/d?hostaddr=127.0.0.1",
    "postgresql://u:sEcret@a/d?hostaddr=sEcret",
    "postgresql://u:sEcret@a:70000/d",
    "sEcret",
    "host=x password='sEcret",
};

START_TEST(bad_urls_are_refused_without_their_secrets)
{
    struct scene scene = {0};
    struct db_options options = scene_options(&scene);
    struct loop loop;
    struct error err = {0};

    loop_init(&loop);
    options.url = bad_urls[_i];
    ck_assert_ptr_null(db_new(&loop, &options, &err));
    ck_assert_uint_gt(strlen(err.text), 20);
    ck_assert_msg(strstr(err.text, "sEcret") == NULL, "%s", err.text);
    loop_release(&loop);
}
END_TEST

static const struct {
    const char *url;
    bool local;
} privacy[] = {
    {"postgresql:///d", true},
    {"postgresql://localhost,127.0.0.1,[::1]/d", true},
    {"postgresql://%2Frun%2Fpostgresql/d", true},
    {"host=@abstract dbname=d", true},
    {"host=db.example.org hostaddr=127.0.0.1", true},
    {"postgresql://db.example.org/d?sslmode=verify-full", true},
    {"postgresql://db.example.org/d", false},
    {"postgresql://db.example.org/d?sslmode=verify-ca", false},
    {"postgresql://localhost,10.1.2.3/d?sslmode=require", false},
    {"host=localhost hostaddr=10.1.2.3", false},
    {"postgresql://127.evil.example.org/d", false},
};

START_TEST(other_machines_need_verify_full)
{
    struct scene scene = {0};
    struct db_options options = scene_options(&scene);
    struct error err = {0};
    struct loop loop;
    struct db *db;

    log_open("test", LOG_ERROR_LEVEL);
    loop_init(&loop);
    options.url = privacy[_i].url;
    db = db_new(&loop, &options, &err);
    ck_assert_msg((db != NULL) == privacy[_i].local, "%s", options.url);
    ck_assert(db || strstr(err.text, "verify-full"));
    db_free(db);
    options.allow_plaintext = true;
    db = db_new(&loop, &options, &err);
    ck_assert_ptr_nonnull(db);
    db_free(db);
    loop_release(&loop);
}
END_TEST

static const char *value_of(const struct db_target *target, const char *keyword)
{
    for (size_t i = 0; i < target->count; i++) {
        if (strcmp(target->keywords[i], keyword) == 0)
            return target->values[i];
    }
    return "";
}

START_TEST(keywords_are_set_unless_given)
{
    struct db_target target;
    struct error err;

    ck_assert(db_target_init(&target, "postgresql://localhost/d", "me", false, &err));
    ck_assert_str_eq(value_of(&target, "application_name"), "me");
    ck_assert_str_eq(value_of(&target, "client_encoding"), "UTF8");
    ck_assert_str_eq(value_of(&target, "tcp_user_timeout"), "15000");
    ck_assert_str_eq(value_of(&target, "keepalives_idle"), "10");
    ck_assert_int_eq(target.connect_ms, 5000);
    db_target_release(&target);
    ck_assert(db_target_init(&target,
                             "postgresql://localhost/d?application_name=other&connect_timeout=9&"
                             "tcp_user_timeout=7&client_encoding=LATIN1&target_session_attrs=any",
                             "me", false, &err));
    ck_assert_str_eq(value_of(&target, "application_name"), "other");
    ck_assert_str_eq(value_of(&target, "client_encoding"), "UTF8");
    ck_assert_str_eq(value_of(&target, "tcp_user_timeout"), "7");
    ck_assert_str_eq(value_of(&target, "target_session_attrs"), "any");
    ck_assert_int_eq(target.connect_ms, 9000);
    db_target_release(&target);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *const *tests)
{
    TCase *tcase = tcase_create(name);

    tcase_set_timeout(tcase, 60);
    for (; *tests; tests++)
        tcase_add_test(tcase, *tests);
    suite_add_tcase(suite, tcase);
}

int main(void)
{
    Suite *suite = suite_create("db_connection");
    TCase *urls = tcase_create("urls");

    add(suite, "broken",
        (const TTest *[]){repeatable_query_survives_its_connection,
                          once_query_fails_with_its_connection, other_connections_go_on,
                          query_that_kills_its_server_gives_up,
                          every_query_of_a_storm_is_answered_once, read_only_server_is_left,
                          restart_of_the_server_is_waited_for, crash_without_return_is_told, NULL});
    add(suite, "silent",
        (const TTest *[]){silent_server_is_left, slow_but_not_silent_pipeline_is_kept, NULL});
    add(suite, "listening",
        (const TTest *[]){notifications_arrive, notifications_arrive_after_a_loss,
                          half_open_listener_is_noticed, NULL});
    add(suite, "connecting",
        (const TTest *[]){refused_first_host_is_skipped, silent_first_host_is_skipped,
                          silent_host_is_given_up, unknown_name_is_tried_again,
                          missing_database_is_tried_again, NULL});
    add(suite, "stopping",
        (const TTest *[]){stop_waits_for_answers, stop_ends_at_its_deadline,
                          stop_from_within_a_callback, stop_in_every_phase, never_started, NULL});
    tcase_add_loop_test(urls, bad_urls_are_refused_without_their_secrets, 0,
                        sizeof(bad_urls) / sizeof(*bad_urls));
    tcase_add_loop_test(urls, other_machines_need_verify_full, 0,
                        sizeof(privacy) / sizeof(*privacy));
    tcase_add_test(urls, keywords_are_set_unless_given);
    suite_add_tcase(suite, urls);
    return scene_run(suite);
}
