/* What people are told about a database that cannot be used: once, and what to run. */
#include "tests/unit/db_scene.h"

START_TEST(every_trouble_is_named_with_what_to_run)
{
    static const struct {
        const char *state, *word, *says;
    } cases[] = {
        {"3F000", "schema", "run fleet-migrate (migrations/apply) "},
        {"42883", "schema", "migrations/apply"},
        {"42P01", "schema", "migrations/apply"},
        {"42501", "role", "grant fleet_worker to"},
        {"AF009", "role", "what the function says"},
        {"25006", "read_only", "primary"},
        {"08006", "database", "what the function"},
        {"XX000", "database", "what the function"},
        {"", "database", "what the function says"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        char text[400];
        error_set_state(&err, cases[i].state, "what the function says");
        db_trouble_text(&err, "worker", text, sizeof text);
        ck_assert_msg(strstr(text, cases[i].says) != NULL, "%s: %s", cases[i].state, text);
        ck_assert_str_eq(db_trouble_word(&err), cases[i].word);
    }
}
END_TEST

START_TEST(a_failed_connection_says_what_to_do)
{
    static const struct {
        const char *message, *says;
    } cases[] = {
        {"connection to server on socket \"/x\" failed: FATAL:  3D000: database \"nowhere\" does "
         "not "
         "exist\nLOCATION:  InitPostgres, postinit.c:1\n",
         "connection to server on socket \"/x\" failed: FATAL: database \"nowhere\" does not exist "
         "(create it and run fleet-migrate, or name another one in database.url)"},
        {"x: FATAL:  28P01: password authentication failed for user \"u\"\nLOCATION:  auth.c:1\n",
         "x: FATAL: password authentication failed for user \"u\" (name a login that may, and its "
         "password, in database.url)"},
        {"x failed: FATAL:  28000: role \"u\" does not exist\n",
         "x failed: FATAL: role \"u\" does not exist (name a login that may, and its password, in "
         "database.url)"},
        {"connection to server at \"::1\", port 54321 failed: Connection refused\n\tIs the server "
         "running?\n",
         "connection to server at \"::1\", port 54321 failed: Connection refused Is the server "
         "running?"},
        {"x: FATAL:  57P03: the database system is starting up\nLOCATION:  y\n",
         "x: FATAL: the database system is starting up"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[300];
        db_trouble_connect(cases[i].message, text, sizeof text);
        ck_assert_str_eq(text, cases[i].says);
        char small[80];
        db_trouble_connect(cases[i].message, small, sizeof small);
        ck_assert_uint_lt(strlen(small), sizeof small);
    }
}
END_TEST

START_TEST(an_old_schema_is_named_with_both_numbers)
{
    char text[400] = "x";
    db_trouble_schema(7, 7, text, sizeof text);
    ck_assert_str_eq(text, "");
    db_trouble_schema(6, 7, text, sizeof text);
    ck_assert(strstr(text, "schema 6") && strstr(text, "needs 7") && strstr(text, "apply"));
}
END_TEST

START_TEST(an_outdated_program_too)
{
    char text[400] = "x";
    struct error err = {.state = "AF010"};
    db_trouble_outdated(7, 7, text, sizeof text);
    ck_assert_str_eq(text, "");
    db_trouble_outdated(8, 7, text, sizeof text);
    ck_assert(strstr(text, "schema 8 and later") && strstr(text, "schema 7") &&
              strstr(text, "install the release"));
    ck_assert_str_eq(db_trouble_word(&err), "outdated");
    ck_assert(db_trouble_said_elsewhere(&err));
}
END_TEST

/* Lines that are written while the texts are said. */
static int count_lines(struct db_trouble *trouble, const char *const *texts)
{
    int ends[2], lines = 0, kept = dup(2);
    char bytes[8192];

    ck_assert_int_eq(pipe(ends), 0);
    dup2(ends[1], 2);
    log_open("test", LOG_WARN_LEVEL);
    for (; *texts; texts++)
        db_trouble_say(trouble, *texts);
    dup2(kept, 2);
    close(ends[1]), close(kept);
    for (ssize_t got; (got = read(ends[0], bytes, sizeof bytes)) > 0;)
        for (ssize_t i = 0; i < got; i++)
            lines += bytes[i] == '\n';
    close(ends[0]);
    return lines;
}

START_TEST(the_same_is_said_once)
{
    struct db_trouble trouble = {0};
    ck_assert_int_eq(count_lines(&trouble, (const char *[]){"a", "a", "b", "a", "b", NULL}), 2);
    ck_assert_int_eq(count_lines(&trouble, (const char *[]){"b", "a", NULL}), 0);
    trouble.said[0].at -= 600001;
    ck_assert_int_eq(count_lines(&trouble, (const char *[]){"a", "b", NULL}), 1);
    ck_assert(db_trouble_end(&trouble));
    ck_assert(!db_trouble_end(&trouble));
    ck_assert_int_eq(count_lines(&trouble, (const char *[]){"a", NULL}), 1);
}
END_TEST

START_TEST(tries_become_rare)
{
    struct db_trouble trouble = {0};
    int first = db_trouble_pause(&trouble), last = 0;
    ck_assert_int_ge(first, 500);
    ck_assert_int_le(first, 2000);
    for (int i = 0; i < 20; i++)
        last = db_trouble_pause(&trouble);
    ck_assert_int_ge(last, 15000);
    ck_assert_int_le(last, 30000);
}
END_TEST

START_TEST(read_only_database_is_not_connected_to)
{
    struct scene scene = {0};
    struct answer answer;
    char url[400];

    if (!fixture_postgres_is_private())
        return;
    scene_admin("create database fixed");
    scene_admin("alter database fixed set default_transaction_read_only = on");
    snprintf(url, sizeof url, "host=%s user=postgres dbname=fixed", fixture_postgres.folder);
    scene_open_url(&scene, url, 400, 0);
    scene_ask(&scene, &answer, "select 1", DB_ONCE, NULL);
    UNTIL(&scene, answer.order);
    ck_assert_str_eq(answer.state, "08001");
    ck_assert(db_read_only(scene.db));
    scene_admin("alter database fixed set default_transaction_read_only = off"); /* promoted */
    scene_do(&scene, "select 1", "");
    ck_assert(!db_read_only(scene.db));
    scene_close(&scene);
    snprintf(url, sizeof url, "host=%s user=postgres dbname=fixed target_session_attrs=any",
             fixture_postgres.folder);
    scene_admin("alter database fixed set default_transaction_read_only = on");
    scene = (struct scene){0};
    scene_open_url(&scene, url, 400, 0);
    scene_do(&scene, "select 1", ""); /* as the URL says */
    scene_close(&scene);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("db_trouble");

    scene_add(suite, "trouble",
              (const TTest *[]){every_trouble_is_named_with_what_to_run,
                                an_old_schema_is_named_with_both_numbers, an_outdated_program_too,
                                a_failed_connection_says_what_to_do, the_same_is_said_once,
                                tries_become_rare, read_only_database_is_not_connected_to, NULL});
    return scene_run(suite);
}
