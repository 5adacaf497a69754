/* common/db/schema: a program that the database does not serve any more is told so, once. */
#include "tests/unit/api_scene.h"

#include "common/db/schema.h"

static struct db_schema schema;
static int told;
static char why[400];

static void on_outdated(void *data, const char *text)
{
    (void)data;
    told++;
    snprintf(why, sizeof why, "%s", text);
}

static void begin(int oldest)
{
    static char rows[40];
    snprintf(rows, sizeof rows, "oldest_node=%d", oldest);
    api_sql("ready", rows);
    db_schema_watch(&schema, &api.server.loop, api.server.db, "server", on_outdated, NULL);
}

static void until_asked(int calls)
{
    int64_t end_ms = clock_ms() + API_WAIT_MS;
    while (api_asked("ready")->calls < calls) {
        timer_start(&schema.timer, 0, 20); /* no test waits for the next look */
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
        ck_assert_msg(clock_ms() < end_ms, "fleet.ready is not asked");
    }
    uv_run(&api.server.loop.uv, UV_RUN_NOWAIT);
}

static void teardown(void)
{
    db_schema_close(&schema);
    api_teardown();
}

START_TEST(served)
{
    begin(FLEET_SCHEMA);
    ck_assert(schema.timer.uv.repeat > 0 && schema.timer.uv.repeat <= 60000); /* within a minute */
    until_asked(3);
    api_was_asked("ready", (const char *[]){"server"});
    ck_assert_int_eq(told, 0);
}
END_TEST

START_TEST(not_served_any_more)
{
    char both[100];
    begin(FLEET_SCHEMA);
    until_asked(1);
    api_sql("ready", "oldest_node=9999");
    until_asked(4);
    ck_assert_int_eq(told, 1);
    snprintf(both, sizeof both,
             "programs of schema 9999 and later, and this one is of schema %d:", FLEET_SCHEMA);
    ck_assert_ptr_nonnull(strstr(why, both));
    ck_assert_ptr_nonnull(strstr(why, "install"));
}
END_TEST

START_TEST(an_error_is_no_answer)
{
    begin(9999);
    api_sql_fails("ready", "42703"); /* a schema that is older than the column */
    until_asked(2);
    ck_assert_int_eq(told, 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("schema");
    tcase_add_checked_fixture(tcase, api_setup, teardown);
    tcase_add_test(tcase, served);
    tcase_add_test(tcase, not_served_any_more);
    tcase_add_test(tcase, an_error_is_no_answer);
    return api_run(tcase);
}
