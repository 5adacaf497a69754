/* /healthz, /livez, /readyz: what a probe hears, and when a node counts as ready. */
#include "tests/unit/api_scene.h"

static int probe(const char *target)
{
    return api_ask_with("GET", target, "", NULL);
}

static void schema(int version)
{
    static char rows[100];
    snprintf(rows, sizeof rows, "schema_version=%d;oldest_node=1;member=t;writable=t", version);
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

static int probe_deep(const char *scope)
{
    return api_ask(scope, "GET", "/readyz?deep=1", NULL);
}

START_TEST(deep_looks_at_the_invariants)
{
    schema(FLEET_SCHEMA);
    api_sql("check_all", "name=check_slot;faults=0|name=check_live;faults=0");
    ck_assert_int_eq(probe_deep("read"), 200);
    api_has("\"checks\": {\"check_slot\": 0, \"check_live\": 0}");
    api_sql("check_all", "name=check_slot;faults=0|name=check_live;faults=3");
    ck_assert_int_eq(probe_deep("read"), 503);
    api_has("\"reason\": \"invariants\"");
    api_has("\"check_live\": 3");
    api_sql_fails("check_all", "57014");
    ck_assert_int_eq(probe_deep("read"), 503);
    api_sql("check_all", "name=check_slot;faults=0");
    ck_assert_int_eq(probe_deep("read"), 200); /* the next one is looked at again */
    ck_assert_int_eq(probe("/readyz?deep=0"), 200);
    ck_assert_int_eq(probe("/readyz?deep=2"), 422);
}
END_TEST

START_TEST(deep_needs_a_token_that_reads)
{
    schema(FLEET_SCHEMA);
    api_sql("check_all", "name=check_slot;faults=0");
    ck_assert_int_eq(probe("/readyz?deep=1"), 401);
    ck_assert_int_eq(probe_deep("agent"), 403);
    api_sql("authenticate", "token_id=7;name=b;scope=read;bounded=t;expires_ms=<null>");
    auth_free(api.server.auth);
    api.server.auth = auth_new(api.server.db);
    api_ask_with("GET", "/readyz?deep=1", "Authorization: Bearer " API_TOKEN "\r\n", NULL);
    api_is_error(403, "token_is_bound");
    ck_assert_int_eq(api_asked("check_all")->calls, 0);
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
    {"schema_version=99;oldest_node=1;member=f;writable=t", NULL, "role"},
    {"schema_version=99;oldest_node=1;member=t;writable=f", NULL, "read_only"},
    {"schema_version=99;oldest_node=99;member=t;writable=t", NULL, "outdated"},
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
    tcase_add_test(tcase, deep_looks_at_the_invariants);
    tcase_add_test(tcase, deep_needs_a_token_that_reads);
    tcase_add_loop_test(tcase, each_hindrance_has_its_word, 0,
                        sizeof hindrances / sizeof hindrances[0]);
    tcase_add_test(tcase, not_ready_while_it_drains);
    tcase_add_test(tcase, not_ready_when_it_began_to_drain_meanwhile);
    tcase_add_test(tcase, a_probe_is_answered_though_the_database_hangs);
    return api_run(tcase);
}
