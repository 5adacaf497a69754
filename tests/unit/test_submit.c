/* server/submit: what arrives together goes into one statement, and each item has its own verdict.
 * Against a real PostgreSQL with a stand-in for fleet.submit that keeps a ledger. */
#include "common/mem.h"
#include "server/submit.h"
#include "tests/unit/db_scene.h"

#define ITEMS 500

struct result {
    struct scene *scene;
    int status;
    char state[24];
    char text[512];
};

static struct result results[ITEMS];

static void on_done(void *data, const struct submit_answer *answer, const struct error *err)
{
    struct result *result = data;
    result->scene->done++;
    if (err != NULL) {
        snprintf(result->state, sizeof result->state, "%s", err->state);
        snprintf(result->text, sizeof result->text, "%s", err->text);
        return;
    }
    result->status = answer->status;
    snprintf(result->text, sizeof result->text, "%s", answer->body != NULL ? answer->body : "");
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

/* A task (n,) is created; (,fail) fails its statement; (,skip) gets no answer. A request is told
 * the number of its tasks and the last one's n. */
static void scene_schema(struct scene *scene)
{
    sql(scene, "drop schema if exists fleet cascade");
    sql(scene, "create schema fleet");
    sql(scene, "create type fleet.submission as (name text)");
    sql(scene, "create type fleet.wanted_task as (n int, word text)");
    sql(scene, "create table fleet.ledger (items int)");
    sql(scene, "create table fleet.woken (at timestamptz default now())");
    sql(scene, "create function fleet.wake() returns void language sql as "
               "'insert into fleet.woken default values'");
    sql(scene,
        "create function fleet.submit_tasks(r fleet.submission[], q int[], "
        "p fleet.wanted_task[]) returns "
        "table (request int, status int, body text, task_id text, created int) language plpgsql "
        "as $$ begin"
        "  if exists (select from unnest(p) where word = 'fail') then raise 'poison'; end if;"
        "  if exists (select from unnest(p) where word = 'wait') then perform pg_sleep(0.2);"
        "  end if;"
        "  insert into fleet.ledger values (cardinality(r));"
        "  return query select q[e.o], "
        "    case max(e.word) when 'exists' then 200 when 'refused' then 422 else 201 end, "
        "    r[q[e.o]].name || ' ' || count(*) || ' ' || coalesce(max(e.n)::text, ''), 'id', "
        "    (count(*) filter (where e.word is null))::int "
        "  from unnest(p) with ordinality e (n, word, o) where e.word is distinct from 'skip' "
        "  group by q[e.o] order by random(); end $$");
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

/* Hands in a request of `count` tasks, elements of an array; its state when it is not taken. */
static struct error hand_in(struct scene *scene, struct submit *submit, int index,
                            const char *tasks, int count)
{
    struct error err = {0};
    struct submit_request request = {.count = count};
    char row[32];
    results[index] = (struct result){.scene = scene};
    snprintf(row, sizeof row, "(r%d)", index);
    buf_init(&request.row, 64);
    buf_init(&request.tasks, 64 << 20);
    db_array_text(&request.row, row);
    buf_adds(&request.tasks, tasks);
    submit_add(submit, &request, on_done, &results[index], &err);
    return err;
}

static void add(struct scene *scene, struct submit *submit, int index, const char *task)
{
    struct error err = hand_in(scene, submit, index, task, 1);
    ck_assert_msg(err.text[0] == '\0', "%s", err.text);
}

START_TEST(what_waits_is_merged)
{
    struct scene scene;
    struct submit *submit;
    char item[64];
    begin(&scene, &submit);
    for (int i = 0; i < ITEMS; i++) {
        snprintf(item, sizeof item, "\"(%d,)\"", i);
        add(&scene, submit, i, item);
    }
    UNTIL(&scene, scene.done == ITEMS);
    for (int i = 0; i < ITEMS; i++) {
        snprintf(item, sizeof item, "r%d 1 %d", i, i);
        ck_assert_int_eq(results[i].status, 201);
        ck_assert_str_eq(results[i].text, item);
    }
    /* two go at once, alone; the others follow in batches of at most 200 */
    ck_assert_str_eq(
        sql(&scene, "select string_agg(items::text, ',' order by items) as v from fleet.ledger"),
        "1,1,98,200,200");
    end(&scene, submit);
}
END_TEST

/* A list does not wait for what is merged, and is told of as one. */
START_TEST(a_list_is_a_statement_of_its_own)
{
    struct scene scene;
    struct submit *submit;
    begin(&scene, &submit);
    add(&scene, submit, 0, "\"(1,)\"");
    add(&scene, submit, 1, "\"(2,)\"");
    ck_assert_str_eq(hand_in(&scene, submit, 2, "\"(3,)\",\"(4,)\",\"(5,exists)\"", 3).text, "");
    UNTIL(&scene, scene.done == 3);
    ck_assert_str_eq(results[0].text, "r0 1 1");
    ck_assert_str_eq(results[1].text, "r1 1 2");
    ck_assert_str_eq(results[2].text, "r2 3 5");
    ck_assert_str_eq(sql(&scene, "select string_agg(items::text, ',') as v from fleet.ledger"),
                     "1,1,1");
    end(&scene, submit);
}
END_TEST

START_TEST(a_bad_item_fails_alone)
{
    struct scene scene;
    struct submit *submit;
    begin(&scene, &submit);
    for (int i = 0; i < 20; i++)
        add(&scene, submit, i, i == 7 ? "\"(,fail)\"" : "\"(1,)\"");
    UNTIL(&scene, scene.done == 20);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(results[i].status, i == 7 ? 0 : 201);
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
    add(&scene, submit, 0, "\"(1,)\"");
    add(&scene, submit, 1, "\"(,skip)\"");
    add(&scene, submit, 2, "\"(,refused)\"");
    UNTIL(&scene, scene.done == 3);
    ck_assert_int_eq(results[0].status, 201);
    ck_assert_int_eq(results[1].status, 0);
    ck_assert_str_ne(results[1].text, "");
    ck_assert_int_eq(results[2].status, 422);
    end(&scene, submit);
}
END_TEST

START_TEST(waiters_are_woken_after_the_commit)
{
    struct scene scene;
    struct submit *submit;
    begin(&scene, &submit);
    add(&scene, submit, 0, "\"(,exists)\"");
    UNTIL(&scene, scene.done == 1);
    ck_assert_str_eq(sql(&scene, "select count(*)::text as v from fleet.woken"), "0");
    add(&scene, submit, 1, "\"(1,)\"");
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
    static const char start[] = "\"(,wait)\"";
    char *big = mem_alloc((30 << 20) + 1);
    begin(&scene, &submit);
    memset(big, ' ', 30 << 20);
    memcpy(big, start, sizeof start - 1);
    add(&scene, submit, 0, start);
    add(&scene, submit, 1, start);
    add(&scene, submit, 2, big);
    add(&scene, submit, 3, big);
    memset(big + (8 << 20), '\0', 1);
    ck_assert_str_eq(hand_in(&scene, submit, 4, big, 1).state, "53300");
    UNTIL(&scene, scene.done == 4);
    /* so much takes long, on a busy machine longer than one may be behind another */
    ck_assert_msg(results[3].status == 201 || strcmp(results[3].state, "55P03") == 0, "%s %s",
                  results[3].state, results[3].text);
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
    tcase_add_test(tests, a_list_is_a_statement_of_its_own);
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
