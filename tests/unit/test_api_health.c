/* /healthz, /livez, /readyz: what a probe hears, and when a node counts as ready. */
#include "tests/unit/api_scene.h"

static int probe(const char *target)
{
    return api_ask_with("GET", target, "", NULL);
}

static void schema(int version)
{
    static char rows[80];
    snprintf(rows, sizeof rows, "schema_version=%d;member=t;writable=t", version);
    api_sql("ready", rows);
}

static void not_ready(const char *reason)
{
    char member[80];
    snprintf(member, sizeof member, "\"reason\": \"%s\"", reason);
    probe("/readyz");
    api_is_error(503, "not_ready");
    api_has(member);
}

START_TEST(alive_whatever_the_database_does)
{
    api.down = true;
    ck_assert_int_eq(probe("/healthz"), 200);
    ck_assert_str_eq(api.body, "ok");
    ck_assert_int_eq(probe("/livez"), 200);
    ck_assert_int_eq(api_ask_with("HEAD", "/healthz", "", NULL), 200);
    ck_assert_str_eq(api.body, "");
}
END_TEST

START_TEST(ready_with_the_schema_that_it_needs)
{
    schema(FLEET_SCHEMA);
    ck_assert_int_eq(probe("/readyz"), 200);
    api_has("\"status\": \"ready\"");
    schema(FLEET_SCHEMA + 1);
    ck_assert_int_eq(probe("/readyz"), 200);
    schema(FLEET_SCHEMA - 1);
    not_ready("schema");
}
END_TEST

START_TEST(not_ready_without_a_database)
{
    schema(FLEET_SCHEMA);
    api.down = true;
    not_ready("database");
    ck_assert_int_eq(api_asked("ready")->calls, 0);
    api.down = false;
    api_sql_fails("ready", "08006");
    not_ready("database");
}
END_TEST

static const struct {
    const char *rows, *state, *reason;
} hindrances[] = {
    {"schema_version=99;member=f;writable=t", NULL, "role"},
    {"schema_version=99;member=t;writable=f", NULL, "read_only"},
    {NULL, "3F000", "schema"},
    {NULL, "42883", "schema"},
    {NULL, "42P01", "schema"},
    {NULL, "42501", "role"},
    {NULL, "25006", "read_only"},
    {NULL, "53200", "database"},
    {NULL, "XX000", "database"},
};

START_TEST(each_hindrance_has_its_word)
{
    api_sql("ready", hindrances[_i].rows)->state = hindrances[_i].state;
    not_ready(hindrances[_i].reason);
    api_has("retry-after: 1");
}
END_TEST

START_TEST(not_ready_while_it_drains)
{
    schema(FLEET_SCHEMA);
    api.server.draining = true;
    not_ready("draining");
    ck_assert_int_eq(probe("/healthz"), 200);
}
END_TEST

static void on_begin_to_drain(void *data)
{
    (void)data;
    api.server.draining = true;
    api_asked("ready")->held = false;
}

/* The probe's query is on its way when the node is told to stop. */
START_TEST(not_ready_when_it_began_to_drain_meanwhile)
{
    static struct timer timer; /* its closing outlives this function */
    schema(FLEET_SCHEMA);
    api_asked("ready")->held = true;
    timer_init(&timer, &api.server.loop, on_begin_to_drain, NULL);
    timer_start(&timer, 50, 0);
    not_ready("draining");
    timer_close(&timer, NULL);
}
END_TEST

START_TEST(a_probe_is_answered_though_the_database_hangs)
{
    schema(FLEET_SCHEMA);
    api_asked("ready")->held = true;
    ck_assert_int_eq(probe("/readyz"), 503);
}
END_TEST

int main(void)
{
    TCase *tcase = api_case("health");
    tcase_add_test(tcase, alive_whatever_the_database_does);
    tcase_add_test(tcase, ready_with_the_schema_that_it_needs);
    tcase_add_test(tcase, not_ready_without_a_database);
    tcase_add_loop_test(tcase, each_hindrance_has_its_word, 0,
                        sizeof hindrances / sizeof hindrances[0]);
    tcase_add_test(tcase, not_ready_while_it_drains);
    tcase_add_test(tcase, not_ready_when_it_began_to_drain_meanwhile);
    tcase_add_test(tcase, a_probe_is_answered_though_the_database_hangs);
    return api_run(tcase);
}
