/* server/tend: what is due is looked for again and again, at once when it was much; old rows go. */
#include "tests/unit/api_scene.h"

#include "server/tend.h"

static struct tend *tend;

static void until_called(const char *name, int calls)
{
    int64_t end_ms = clock_ms() + API_WAIT_MS;
    while (api_asked(name)->calls < calls) {
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
        ck_assert_msg(clock_ms() < end_ms, "fleet.%s is not asked", name);
    }
}

static void setup(void)
{
    bool registered = false;
    api_setup();
    api_sql("node_start", "fleet_id=f;schema_version=1000;beat_ms=60000");
    api_sql("tend", "done=0");
    api_sql("reap", "done=0");
    node_start(api.server.node);
    while (!registered) {
        uv_run(&api.server.loop.uv, UV_RUN_ONCE);
        registered = node_id(api.server.node) != NULL;
    }
}

static void teardown(void)
{
    tend_stop(tend);
    api_teardown();
    tend_free(tend);
}

/* A fleet may have HTTP agents and no worker: then nobody else makes partitions and clears up. */
START_TEST(servers_keep_house)
{
    tend = tend_new(&api.server.loop, api.server.db, api.server.node, 20);
    until_called("reap", 3);
    api_was_asked("reap", (const char *[]){node_id(api.server.node)});
    until_called("tend", 1);
    api_was_asked("tend", (const char *[]){node_id(api.server.node)});
}
END_TEST

START_TEST(what_is_left_follows_soon)
{
    api_sql("reap", "done=10000");
    tend = tend_new(&api.server.loop, api.server.db, api.server.node, 5000);
    until_called("reap", 3);
    api_sql("reap", "done=0");
}
END_TEST

START_TEST(failures_end_nothing)
{
    api_sql_fails("reap", "55P03");
    tend = tend_new(&api.server.loop, api.server.db, api.server.node, 20);
    until_called("reap", 2);
    api_sql("reap", "done=0");
    until_called("reap", 4);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("tend");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, servers_keep_house);
    tcase_add_test(tcase, what_is_left_follows_soon);
    tcase_add_test(tcase, failures_end_nothing);
    return api_run(tcase);
}
