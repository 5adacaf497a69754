/* From a URL to a connection, and the end: names, hosts that refuse or are silent, stopping. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/unit/db_scene.h"

/* --- connecting --- */

/* A loopback port: closed when listening is false; else it takes connections and says nothing. */
static int open_port(bool listening, int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
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
    snprintf(url, sizeof url,
             "host=localhost,127.0.0.1,/nowhere,%s port=%d,%d,1,5432 user=postgres "
             "dbname=postgres target_session_attrs=read-write",
             fixture_postgres.folder, port, port);
    scene_open_url(&scene, url, 5000, 0);
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
    snprintf(url, sizeof url,
             "host=localhost,127.0.0.1,%s port=%d,%d,5432 user=postgres dbname=postgres",
             fixture_postgres.folder, port, port);
    scene_open_url(&scene, url, 5000, 200);
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

    snprintf(url, sizeof url, "postgresql://127.0.0.1:%d/x", port);
    scene_open_url(&scene, url, 500, 100);
    scene_ask(&scene, &answer, "select 1", DB_REPEAT, NULL);
    UNTIL(&scene, scene.db->connections[0].failures >= 2 && answer.order);
    ck_assert_str_eq(answer.state, "08001");
    ck_assert_int_ge(clock_ms() - start, 500);
    close(fd);
    scene_close(&scene);
}
END_TEST

START_TEST(connections_that_fail_together_say_it_once)
{
    struct scene scene = {0};
    struct db_options options = scene_options(&scene);
    char url[100], said[20000];
    int port, fd = open_port(false, &port), complain = dup(STDERR_FILENO), lines = 0;
    FILE *file = tmpfile();

    snprintf(url, sizeof url, "postgresql://127.0.0.1:%d/x", port);
    options.url = url;
    options.connections = 4;
    options.channel = "fleet_work";
    scene_new(&scene, &options);
    dup2(fileno(file), STDERR_FILENO);
    log_open("test", LOG_WARN_LEVEL);
    db_start(scene.db);
    UNTIL(&scene, scene.db->connections[3].failures >= 2 && scene.db->listener.failures >= 2);
    dup2(complain, STDERR_FILENO);
    rewind(file);
    said[fread(said, 1, sizeof said - 1, file)] = '\0';
    for (const char *at = said; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    ck_assert_msg(lines == 1, "%s", said);
    ck_assert_ptr_nonnull(strstr(said, "cannot connect to the database, trying again: "));
    fclose(file);
    close(complain);
    close(fd);
    scene_close(&scene);
}
END_TEST

START_TEST(unknown_name_is_tried_again)
{
    struct scene scene = {0};
    struct answer answer;

    scene_open_url(&scene, "postgresql://no-such-host.invalid/x?sslmode=verify-full", 300, 500);
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
    snprintf(url, sizeof url, "host=%s user=postgres dbname=nothing", fixture_postgres.folder);
    scene_open_url(&scene, url, 3000, 0);
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

    scene_open_listening(&scene);
    UNTIL(&scene, db_up(scene.db));
    for (int i = 0; i < 100; i++)
        scene_ask(&scene, &answers[i], "select pg_sleep(60)", i % 2 ? DB_ONCE : DB_REPEAT, NULL);
    scene_running(&scene, "%pg_sleep(60)%");
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

        snprintf(url, sizeof url, urls[i], port);
        scene_open_url(&scene, url, 5000, 0);
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

    ck_assert(db_target_init(&target, "postgresql://localhost/d", "me", 0, false, &err));
    ck_assert_str_eq(value_of(&target, "application_name"), "me");
    ck_assert_str_eq(value_of(&target, "client_encoding"), "UTF8");
    ck_assert_str_eq(value_of(&target, "tcp_user_timeout"), "15000");
    ck_assert_str_eq(value_of(&target, "target_session_attrs"), "read-write");
    ck_assert_str_eq(value_of(&target, "keepalives_idle"), "10");
    ck_assert_int_eq(target.connect_ms, 5000);
    db_target_release(&target);
    ck_assert(db_target_init(&target,
                             "postgresql://localhost/d?application_name=other&connect_timeout=9&"
                             "tcp_user_timeout=7&client_encoding=LATIN1&target_session_attrs=any",
                             "me", 0, false, &err));
    ck_assert_str_eq(value_of(&target, "application_name"), "other");
    ck_assert_str_eq(value_of(&target, "client_encoding"), "UTF8");
    ck_assert_str_eq(value_of(&target, "tcp_user_timeout"), "7");
    ck_assert_str_eq(value_of(&target, "target_session_attrs"), "any");
    ck_assert_int_eq(target.connect_ms, 9000);
    db_target_release(&target);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("db_connect");
    TCase *urls = tcase_create("urls");

    scene_add(suite, "connecting",
              (const TTest *[]){refused_first_host_is_skipped, silent_first_host_is_skipped,
                                silent_host_is_given_up, connections_that_fail_together_say_it_once,
                                unknown_name_is_tried_again, missing_database_is_tried_again,
                                NULL});
    scene_add(suite, "stopping",
              (const TTest *[]){stop_waits_for_answers, stop_ends_at_its_deadline,
                                stop_from_within_a_callback, stop_in_every_phase, never_started,
                                NULL});
    tcase_add_loop_test(urls, bad_urls_are_refused_without_their_secrets, 0,
                        sizeof bad_urls / sizeof *bad_urls);
    tcase_add_loop_test(urls, other_machines_need_verify_full, 0, sizeof privacy / sizeof *privacy);
    tcase_add_test(urls, keywords_are_set_unless_given);
    suite_add_tcase(suite, urls);
    return scene_run(suite);
}
