/* Settings of a login that would change what our statements mean, or how values are written. */
#include "tests/unit/db_scene.h"

static const char *const hostile[] = {
    "bytea_output to escape",
    "DateStyle to 'SQL, DMY'",
    "IntervalStyle to sql_standard",
    "TimeZone to 'Asia/Kathmandu'",
    "extra_float_digits to -15",
    "standard_conforming_strings to off",
    "escape_string_warning to off",
    "array_nulls to off",
    "transform_null_equals to on",
    "exit_on_error to on",
    "search_path to nowhere",
    "client_encoding to 'LATIN1'",
    "default_tablespace to pg_global",
    "default_transaction_isolation to serializable",
    "default_transaction_deferrable to on",
};

/* What each statement has to answer all the same. */
static const struct {
    const char *sql, *answer;
} meanings[] = {
    {"select '\\x00ff5c'::bytea", "\\x00ff5c"},
    {"select '2026-01-02T03:04:05Z'::timestamptz", "2026-01-02 03:04:05+00"},
    {"select '2 days 3:00'::interval", "2 days 03:00:00"},
    {"select 0.1::float8 + 0.2", "0.30000000000000004"},
    {"select 'a\\b'", "a\\b"},
    {"select ('{NULL}'::text[])[1] is null", "t"},
    {"select (1 = null) is null", "t"},
    {"select U&'\\20AC'", "\xe2\x82\xac"},
    {"select current_setting('search_path')", "pg_catalog,fleet,pg_temp"},
    {"select current_setting('default_tablespace')", ""},
    {"select current_setting('transaction_isolation')", "read committed"},
    {"select current_setting('transaction_deferrable')", "off"},
};

static void hostile_login(void)
{
    char sql[200];

    scene_admin("drop role if exists hostile");
    scene_admin("create role hostile login");
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        snprintf(sql, sizeof sql, "alter role hostile set %s", hostile[i]);
        scene_admin(sql);
    }
}

static void hostile_url(char *url, size_t size, const char *more)
{
    snprintf(url, size, "postgresql:///postgres?host=%s&user=hostile%s", fixture_postgres.folder,
             more);
}

static void check_meanings(const char *url)
{
    struct scene scene = {0};

    scene_open_url(&scene, url, 5000, 0);
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
        struct answer answer = scene_do(&scene, meanings[i].sql, "");
        ck_assert_msg(strcmp(answer.text, meanings[i].answer) == 0, "%s: got %s, want %s",
                      meanings[i].sql, answer.text, meanings[i].answer);
    }
    scene_do(&scene, "select 1/0", "22012"); /* an error, not the end of the session */
    ck_assert_uint_eq(db_generation(scene.db), 0);
    scene_close(&scene);
}

START_TEST(settings_of_a_login_change_no_meaning)
{
    char url[300];

    if (!fixture_postgres_is_private())
        return;
    hostile_login();
    hostile_url(url, sizeof url, "");
    check_meanings(url);
}
END_TEST

START_TEST(nor_do_those_of_the_url)
{
    char url[300];

    if (!fixture_postgres_is_private())
        return;
    hostile_login();
    hostile_url(url, sizeof url, "&options=-c%20bytea_output%3Descape%20-c%20TimeZone%3DCET");
    check_meanings(url);
}
END_TEST

START_TEST(limits_of_a_login_stay)
{
    struct scene scene = {0};
    char url[300];

    if (!fixture_postgres_is_private())
        return;
    hostile_login();
    scene_admin("alter role hostile set statement_timeout to 12345");
    hostile_url(url, sizeof url, "&options=-c%20work_mem%3D1234kB");
    scene_open_url(&scene, url, 5000, 0);
    ck_assert_str_eq(scene_do(&scene, "show statement_timeout", "").text, "12345ms");
    ck_assert_str_eq(scene_do(&scene, "show work_mem", "").text, "1234kB");
    scene_close(&scene);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("db_setting");

    scene_add(suite, "settings",
              (const TTest *[]){settings_of_a_login_change_no_meaning, nor_do_those_of_the_url,
                                limits_of_a_login_stay, NULL});
    return scene_run(suite);
}
