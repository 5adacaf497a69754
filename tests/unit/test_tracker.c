/* Who talks to Forgejo, and from when on: not before the database was told by what it judges. */
#define SCENE_REAL_TRACKER
#include "tests/unit/forgejo_scene.h"

static int way; /* what is opened to Forgejo; nothing goes over it */

struct fetch *fetch_new(struct loop *loop, const struct fetch_options *options, struct error *err)
{
    (void)loop, (void)options, (void)err;
    return (struct fetch *)(void *)&way;
}

void fetch_stop(struct fetch *fetch, void (*on_stopped)(void *), void *data)
{
    (void)fetch;
    on_stopped(data);
}

void fetch_free(struct fetch *fetch)
{
    (void)fetch;
}

struct forgejo *forgejo_new(struct fetch *fetch, const char *token, const char *lookup_token)
{
    (void)fetch, (void)token, (void)lookup_token;
    return (struct forgejo *)(void *)&way;
}

void forgejo_count(struct forgejo *forgejo, uint64_t counts[FORGEJO_VERDICTS])
{
    (void)forgejo, (void)counts;
}

void forgejo_free(struct forgejo *forgejo)
{
    (void)forgejo;
}

static struct tracker *tracker;

static void use_config(const char *repositories)
{
    struct error err;
    char *text = mem_printf("database: { url: 'postgresql://nobody@127.0.0.1/none' }\n"
                            "forgejo: { url: 'http://127.0.0.1:1', token: t, repositories: %s }\n",
                            repositories);
    struct config *config = config_parse(text, strlen(text), "scene.yaml", CONFIG_WORKER, &err);
    ck_assert_msg(config != NULL, "%s", config == NULL ? err.text : "");
    free(text);
    node_take_config(&scene.node, config);
}

static void setup(void)
{
    scene_setup();
    use_config("[ acme/rocket ]");
    scene.node.state = NODE_REGISTERED;
    scene_page("/user", 200, "{\"id\": 7, \"login\": \"fleet\"}");
    tracker = tracker_new(&scene.node);
}

static void on_stopped(void *data)
{
    (void)data;
}

static void teardown(void)
{
    tracker_stop(tracker, on_stopped, NULL);
    scene_teardown();
    tracker_free(tracker);
}

/* What its timer does once a second, at once. */
static void tick(void)
{
    scene.now += 5000;
    timer_start(&tracker->tick, 0, 0);
    uv_run(&scene.loop.uv, UV_RUN_NOWAIT);
    uv_run(&scene.loop.uv, UV_RUN_NOWAIT);
}

static bool told(const char *name)
{
    return strstr(scene.told, name) != NULL;
}

static void start_live(void)
{
    scene.node.state = NODE_LIVE;
    tracker_start(tracker);
    tick();
    scene_run();
    ck_assert(tracker_ready(tracker));
    scene.told[0] = '\0';
}

START_TEST(test_nothing_is_read_before_the_database_is_told)
{
    tracker_start(tracker);
    tick();
    scene_run();
    ck_assert_int_eq(tracker->state, TRACKER_READY);
    ck_assert(!told("forgejo_configure")); /* the node is not known yet */
    scene.node.state = NODE_LIVE;
    ck_assert(!tracker_ready(tracker));
    tracker_told(tracker, "look");
    ck_assert(!told("looks"));
    tick();
    ck_assert(told("forgejo_configure"));
    tracker_told(tracker, "look");
    ck_assert(!tracker_ready(tracker) && !told("looks"));
    scene_run();
    ck_assert(tracker_ready(tracker) && told("looks"));
}
END_TEST

/* The first telling is under way, and will be refused so. */
static void tell_in_vain(const char *state)
{
    scene_sql("forgejo_configure", NULL, 1);
    scene.calls[0].state = state;
    scene.node.state = NODE_LIVE;
    tracker_start(tracker);
    tick();
}

START_TEST(test_what_was_refused_is_told_again)
{
    tell_in_vain("55P03");
    while (!told("forgejo_configure"))
        ck_assert(scene_step());
    scene_run();
    ck_assert(!tracker_ready(tracker) && !told("looks"));
    tick();
    scene_run();
    ck_assert(tracker_ready(tracker) && told("looks"));
}
END_TEST

START_TEST(test_another_configuration_is_told_first)
{
    start_live();
    use_config("[ acme/wing ]");
    tracker_reload(tracker);
    ck_assert(!tracker_ready(tracker));
    tick();
    tracker_told(tracker, "look");
    ck_assert(!told("looks"));
    scene_run();
    ck_assert(tracker_ready(tracker));
    ck_assert_msg(told("acme/wing"), "%s", scene.told);
}
END_TEST

START_TEST(test_a_new_life_tells_it_anew)
{
    start_live();
    node_reborn(&scene.node);
    scene.node.state = NODE_LIVE;
    ck_assert(!tracker_ready(tracker));
    tick();
    scene_run();
    ck_assert(tracker_ready(tracker) && told("forgejo_configure"));
}
END_TEST

START_TEST(test_an_answer_to_an_earlier_life)
{
    tell_in_vain("AF002");
    node_reborn(&scene.node);
    scene.node.state = NODE_LIVE;
    uint64_t life = scene.node.life;
    scene_run();
    ck_assert_uint_eq(scene.node.life, life);
    ck_assert(tracker_ready(tracker));
}
END_TEST

START_TEST(test_what_is_to_be_told_is_told_at_once)
{
    start_live();
    tracker_told(tracker, "tell");
    ck_assert(told("tells"));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("tracker");
    Suite *suite = suite_create("tracker");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_nothing_is_read_before_the_database_is_told);
    tcase_add_test(tcase, test_what_was_refused_is_told_again);
    tcase_add_test(tcase, test_another_configuration_is_told_first);
    tcase_add_test(tcase, test_a_new_life_tells_it_anew);
    tcase_add_test(tcase, test_an_answer_to_an_earlier_life);
    tcase_add_test(tcase, test_what_is_to_be_told_is_told_at_once);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
