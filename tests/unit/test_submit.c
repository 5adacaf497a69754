/* server/submit: what arrives together goes into one statement, and each item has its own verdict.
 * Against a real PostgreSQL with a stand-in for fleet.submit that keeps a ledger. */
#include "common/mem.h"
#include "server/submit.h"
#include "tests/unit/db_scene.h"

#define ITEMS 500

struct result {
    struct scene *scene;
    char verdict[16];
    char state[24];
    char text[512];
};

static struct result results[ITEMS];

static void on_done(void *data, const struct submit_verdict *verdict, const struct error *err)
{
    struct result *result = data;
    result->scene->done++;
    if (err != NULL) {
        snprintf(result->state, sizeof result->state, "%s", err->state);
        snprintf(result->text, sizeof result->text, "%s", err->text);
        return;
    }
    snprintf(result->verdict, sizeof result->verdict, "%s", verdict->verdict);
    snprintf(result->text, sizeof result->text, "%s",
             verdict->answer != NULL ? verdict->answer : "");
}

static void on_sql(void *data, const struct db_result *res, const struct error *err)
{
    struct result *result = data;
    ck_assert_msg(err == NULL, "%s", err != NULL ? err->text : "");
    snprintf(result->text, sizeof result->text, "%s",
             db_rows(res) > 0 && db_text(res, 0, "v") != NULL ? db_text(res, 0, "v") : "");
    result->scene->done++;
}

/* Runs one statement; its value "v". */
static const char *sql(struct scene *scene, const char *statement)
{
    static struct result result;
    int before = scene->done;
    result = (struct result){.scene = scene};
    db_query(scene->db, statement, DB_ONCE, 0, NULL, on_sql, &result);
    UNTIL(scene, scene->done > before);
    return result.text;
}

/* An item (n,) is created; (,fail) fails its statement; (,skip) gets no verdict. */
static void scene_schema(struct scene *scene)
{
    sql(scene, "drop schema if exists fleet cascade");
    sql(scene, "create schema fleet");
    sql(scene, "create type fleet.new_task as (n int, word text)");
    sql(scene, "create table fleet.ledger (items int)");
    sql(scene, "create table fleet.woken (at timestamptz default now())");
    sql(scene, "create function fleet.wake() returns void language sql as "
               "'insert into fleet.woken default values'");
    sql(scene,
        "create function fleet.submit(p fleet.new_task[]) returns table (ord int, verdict text, "
        "code text, detail text, details jsonb, task_id text, answer json) language plpgsql as $$ "
        "begin"
        "  if exists (select from unnest(p) where word = 'fail') then raise 'poison'; end if;"
        "  if exists (select from unnest(p) where word = 'wait') then perform pg_sleep(0.2);"
        "  end if;"
        "  insert into fleet.ledger values (cardinality(p));"
        "  return query select e.o::int, "
        "    case when e.word in ('exists', 'refused') then e.word else 'created' end, null, null, "
        "    null::jsonb, 'id', json_build_object('n', e.n) "
        "  from unnest(p) with ordinality e (n, word, o) where e.word is distinct from 'skip' "
        "  order by random(); end $$");
}

static void begin(struct scene *scene, struct submit **submit)
{
    *scene = (struct scene){0};
    scene_open(scene);
    scene_schema(scene);
    scene->done = 0;
    *submit = submit_new(scene->db);
}

static void end(struct scene *scene, struct submit *submit)
{
    scene_close(scene);
    submit_free(submit);
}

static void add(struct scene *scene, struct submit *submit, int index, const char *item)
{
    struct error err = {0};
    results[index] = (struct result){.scene = scene};
    ck_assert_msg(submit_add(submit, item, on_done, &results[index], &err), "%s", err.text);
}

START_TEST(what_waits_is_merged)
{
    struct scene scene;
    struct submit *submit;
    char item[64];
    begin(&scene, &submit);
    for (int i = 0; i < ITEMS; i++) {
        snprintf(item, sizeof item, "(%d,)", i);
        add(&scene, submit, i, item);
    }
    UNTIL(&scene, scene.done == ITEMS);
    for (int i = 0; i < ITEMS; i++) {
        snprintf(item, sizeof item, "{\"n\" : %d}", i);
        ck_assert_str_eq(results[i].verdict, "created");
        ck_assert_str_eq(results[i].text, item);
    }
    /* the first went alone, the others in batches of at most 200 */
    ck_assert_str_eq(sql(&scene, "select string_agg(items::text, ',') as v from fleet.ledger"),
                     "1,200,200,99");
    end(&scene, submit);
}
END_TEST

START_TEST(a_bad_item_fails_alone)
{
    struct scene scene;
    struct submit *submit;
    begin(&scene, &submit);
    for (int i = 0; i < 20; i++)
        add(&scene, submit, i, i == 7 ? "(,fail)" : "(1,)");
    UNTIL(&scene, scene.done == 20);
    for (int i = 0; i < 20; i++)
        ck_assert_str_eq(results[i].verdict, i == 7 ? "" : "created");
    ck_assert_str_eq(results[7].text, "poison");
    ck_assert_str_eq(results[7].state, "P0001");
    end(&scene, submit);
}
END_TEST

START_TEST(a_missing_verdict_is_an_error)
{
    struct scene scene;
    struct submit *submit;
    begin(&scene, &submit);
    add(&scene, submit, 0, "(1,)");
    add(&scene, submit, 1, "(,skip)");
    add(&scene, submit, 2, "(,refused)");
    UNTIL(&scene, scene.done == 3);
    ck_assert_str_eq(results[0].verdict, "created");
    ck_assert_str_eq(results[1].verdict, "");
    ck_assert_str_ne(results[1].text, "");
    ck_assert_str_eq(results[2].verdict, "refused");
    end(&scene, submit);
}
END_TEST

START_TEST(waiters_are_woken_after_the_commit)
{
    struct scene scene;
    struct submit *submit;
    begin(&scene, &submit);
    add(&scene, submit, 0, "(,exists)");
    UNTIL(&scene, scene.done == 1);
    ck_assert_str_eq(sql(&scene, "select count(*)::text as v from fleet.woken"), "0");
    add(&scene, submit, 1, "(1,)");
    UNTIL(&scene, scene.done == 3);
    while (strcmp(sql(&scene, "select count(*)::text as v from fleet.woken"), "1") != 0)
        ;
    end(&scene, submit);
}
END_TEST

START_TEST(a_full_queue_refuses)
{
    struct scene scene;
    struct submit *submit;
    struct error err = {0};
    char *big = mem_alloc((32 << 20) + 1);
    begin(&scene, &submit);
    memset(big, ' ', 32 << 20);
    memcpy(big, "(,wait)", 7);
    add(&scene, submit, 0, "(,wait)");
    add(&scene, submit, 1, big);
    add(&scene, submit, 2, big);
    ck_assert(!submit_add(submit, "(1,)", on_done, &results[3], &err));
    ck_assert_str_eq(err.state, "53300");
    UNTIL(&scene, scene.done == 3);
    ck_assert_str_eq(results[2].verdict, "created");
    free(big);
    end(&scene, submit);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("submit");
    TCase *tests = tcase_create("submit");
    fixture_postgres_open();
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, what_waits_is_merged);
    tcase_add_test(tests, a_bad_item_fails_alone);
    tcase_add_test(tests, a_missing_verdict_is_an_error);
    tcase_add_test(tests, waiters_are_woken_after_the_commit);
    tcase_add_test(tests, a_full_queue_refuses);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    fixture_postgres_close();
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
