/* Queries and values: what goes in and comes out over connections that stand. */
#include "tests/unit/db_scene.h"

#define MANY 2000

START_TEST(many_queries_come_back_in_order)
{
    struct scene scene = {0};
    static struct answer answers[MANY];
    char text[16];

    scene_open(&scene);
    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "%d", i);
        scene_ask(&scene, &answers[i], "select $1::bigint as n", DB_REPEAT, text);
    }
    UNTIL(&scene, scene.done == MANY);
    for (int i = 0; i < MANY; i++) {
        ck_assert_str_eq(answers[i].state, "");
        ck_assert_int_eq(atoi(answers[i].text), i);
        ck_assert_int_eq(answers[i].order, i + 1);
    }
    scene_close(&scene);
}
END_TEST

START_TEST(queries_go_to_the_least_busy_connection)
{
    struct scene scene = {0};
    struct db_options options = scene_options(&scene);
    struct answer answers[4];

    options.connections = 4;
    scene_new(&scene, &options);
    db_start(scene.db);
    UNTIL(&scene, scene.db->up == 4);
    for (int i = 0; i < 4; i++)
        scene_ask(&scene, &answers[i], "select pg_backend_pid() from pg_sleep(0.1)", DB_REPEAT,
                  NULL);
    UNTIL(&scene, scene.done == 4);
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < i; j++)
            ck_assert_str_ne(answers[i].text, answers[j].text);
    }
    ck_assert_int_eq(scene.ups, 1); /* the first of them */
    ck_assert_uint_eq(db_generation(scene.db), 0);
    scene_close(&scene);
}
END_TEST

START_TEST(errors_stay_with_their_query)
{
    struct scene scene = {0};
    struct answer answers[5];

    scene_open(&scene);
    scene_ask(&scene, &answers[0], "select 'before'", DB_ONCE, NULL);
    scene_ask(&scene, &answers[1], "select 1 / $1::int", DB_ONCE, "0");
    scene_ask(&scene, &answers[2], "select 'between'", DB_ONCE, NULL);
    scene_ask(&scene, &answers[3], "select $1::int", DB_ONCE, "no number");
    scene_ask(&scene, &answers[4], "select 'after'", DB_ONCE, NULL);
    UNTIL(&scene, scene.done == 5);
    ck_assert_str_eq(answers[0].text, "before");
    ck_assert_str_eq(answers[1].state, "22012");
    ck_assert_str_eq(answers[2].text, "between");
    ck_assert_str_eq(answers[3].state, "22P02");
    ck_assert_str_eq(answers[4].text, "after");
    scene_close(&scene);
}
END_TEST

START_TEST(own_states_come_through)
{
    struct scene scene = {0};
    struct answer answer;

    scene_admin("create or replace function raise_af() returns void language plpgsql as "
                "$$begin raise exception 'the task is gone' using errcode = 'AF003'; end$$");
    scene_open(&scene);
    answer = scene_do(&scene, "select raise_af()", "AF003");
    ck_assert_str_eq(answer.text, "the task is gone");
    scene_close(&scene);
}
END_TEST

START_TEST(statements_are_prepared_once)
{
    static const char literal[] = "select count(*) from pg_prepared_statements where $1 = 'x'";
    struct scene scene = {0};
    struct answer answers[10];

    scene_open(&scene);
    for (int i = 0; i < 10; i++)
        scene_ask(&scene, &answers[i], literal, DB_REPEAT, "x");
    UNTIL(&scene, scene.done == 10);
    for (int i = 0; i < 10; i++)
        ck_assert_str_eq(answers[i].text, "1");
    scene_close(&scene);
}
END_TEST

START_TEST(failed_preparation_fails_each_and_is_tried_again)
{
    static const char literal[] = "select a from not_yet";
    struct scene scene = {0};
    struct answer answers[5];

    scene_admin("drop table if exists not_yet");
    scene_open(&scene);
    for (int i = 0; i < 5; i++)
        scene_ask(&scene, &answers[i], literal, DB_ONCE, NULL);
    UNTIL(&scene, scene.done == 5);
    for (int i = 0; i < 5; i++)
        ck_assert_str_eq(answers[i].state, "42P01"); /* not 26000 */
    scene_admin("create table not_yet (a int)");
    scene_do(&scene, literal, "");
    scene_close(&scene);
}
END_TEST

START_TEST(outdated_and_lost_plans_are_made_anew)
{
    struct scene scene = {0};

    scene_admin("drop table if exists changing; create table changing (a int)");
    scene_open(&scene);
    scene_do(&scene, "select * from changing", "");
    scene_admin("alter table changing add column b text");
    scene_do(&scene, "select * from changing", ""); /* cached plan must not change result type */
    scene_do(&scene, "deallocate all", "");
    scene_do(&scene, "select * from changing", "");
    scene_close(&scene);
}
END_TEST

START_TEST(many_literals_fit)
{
    struct scene scene = {0};
    static char literals[DB_STATEMENTS + 50][32];
    static struct answer answers[DB_STATEMENTS + 50];

    scene_open(&scene);
    for (int i = 0; i < DB_STATEMENTS + 50; i++) {
        snprintf(literals[i], sizeof literals[i], "select %d", i);
        scene_ask(&scene, &answers[i], literals[i], DB_REPEAT, NULL);
    }
    UNTIL(&scene, scene.done == DB_STATEMENTS + 50);
    for (int i = 0; i < DB_STATEMENTS + 50; i++)
        ck_assert_int_eq(atoi(answers[i].text), i);
    snprintf(literals[0], sizeof literals[0], "select 'another'"); /* at a known address */
    scene_ask(&scene, &answers[0], literals[0], DB_REPEAT, NULL);
    UNTIL(&scene, answers[0].order);
    ck_assert_str_eq(answers[0].text, "another");
    scene_close(&scene);
}
END_TEST

START_TEST(success_means_committed)
{
    struct scene scene = {0};

    scene_open(&scene);
    scene_do(&scene, "create temp table parent (id int primary key)", "");
    scene_do(&scene,
             "create temp table child (id int references parent deferrable initially deferred)",
             "");
    /* The insert itself is answered well; its Sync is not. */
    scene_do(&scene, "insert into child values (1)", "23503");
    scene_do(&scene, "select 1", "");
    scene_close(&scene);
}
END_TEST

START_TEST(big_parameters_pass)
{
    struct scene scene = {0};
    struct answer answers[20];
    size_t size = 1 << 20;
    char *text = malloc(size + 1);

    memset(text, 'x', size);
    text[size] = '\0';
    scene_open(&scene);
    for (int i = 0; i < 20; i++)
        scene_ask(&scene, &answers[i], "select length($1::text), $1::text", DB_REPEAT, text);
    UNTIL(&scene, scene.done == 20);
    for (int i = 0; i < 20; i++)
        ck_assert_str_eq(answers[i].text, "1048576");
    free(text);
    scene_close(&scene);
}
END_TEST

START_TEST(full_queue_refuses_later)
{
    struct scene scene = {0};
    struct db_options options = scene_options(&scene);
    struct answer answers[4];

    options.queue_max = 3;
    scene_new(&scene, &options);
    for (int i = 0; i < 4; i++) /* before db_start, which is fine */
        scene_ask(&scene, &answers[i], "select 1", DB_REPEAT, NULL);
    db_start(scene.db);
    UNTIL(&scene, scene.done == 4);
    for (int i = 0; i < 3; i++)
        ck_assert_str_eq(answers[i].state, "");
    ck_assert_str_eq(answers[3].state, "53300");
    ck_assert_int_eq(answers[3].order, 1);
    scene_close(&scene);
}
END_TEST

/* --- values --- */

static void on_values(void *data, const struct db_result *res, const struct error *err)
{
    struct answer *answer = data;
    struct buf bytes;

    ck_assert_ptr_null(err);
    buf_init(&bytes, 100);
    ck_assert_int_eq(db_rows(res), 1);
    ck_assert_ptr_null(db_text(res, 0, "nothing"));
    ck_assert_str_eq(db_text(res, 0, "Mixed Case"), "text");
    ck_assert_int_eq(db_int(res, 0, "big", 0), INT64_MIN);
    ck_assert_int_eq(db_int(res, 0, "nothing", 7), 7);
    ck_assert_int_eq(db_int(res, 0, "Mixed Case", 8), 8);
    ck_assert(db_bool(res, 0, "yes") && !db_bool(res, 0, "no") && !db_bool(res, 0, "nothing"));
    ck_assert(db_bytes(res, 0, "raw", &bytes));
    ck_assert_uint_eq(bytes.len, 3);
    ck_assert_mem_eq(bytes.data, "\0\xff\\", 3);
    ck_assert(db_bytes(res, 0, "empty", &bytes));
    ck_assert_uint_eq(bytes.len, 3);
    ck_assert(!db_bytes(res, 0, "nothing", &bytes));
    ck_assert(!db_bytes(res, 0, "Mixed Case", &bytes));
    buf_release(&bytes);
    answer->order = 1;
}

START_TEST(values_are_read)
{
    struct scene scene = {0};
    struct answer answer = {.scene = &scene};

    scene_open(&scene);
    db_query(scene.db,
             "select null as nothing, 'text' as \"Mixed Case\", -9223372036854775808 as big, "
             "true as yes, false as no, '\\x00ff5c'::bytea as raw, ''::bytea as empty",
             DB_REPEAT, 0, NULL, on_values, &answer);
    UNTIL(&scene, answer.order);
    scene_close(&scene);
}
END_TEST

static void on_wrong_column(void *data, const struct db_result *res, const struct error *err)
{
    (void)data, (void)err;
    db_text(res, 0, "no such column");
}

START_TEST(unknown_column_aborts)
{
    struct scene scene = {0};

    log_open("test", LOG_ERROR_LEVEL + 1);
    scene_open(&scene);
    db_query(scene.db, "select 1 as n", DB_REPEAT, 0, NULL, on_wrong_column, NULL);
    UNTIL(&scene, false);
}
END_TEST

START_TEST(arrays_go_and_come_back)
{
    static const unsigned char raw[] = {0, 1, '"', '\\', 255};
    struct scene scene = {0};
    struct buf texts, ints, bytes, one, rows, row;
    const char *params[6];
    const char *settings[] = {"a", "{\"x\\y\", (1,2)}\n", "", NULL};
    struct answer answer = {.scene = &scene}, made = {.scene = &scene};

    buf_init(&texts, 1000), buf_init(&ints, 1000), buf_init(&bytes, 1000), buf_init(&one, 1000);
    buf_init(&rows, 1000), buf_init(&row, 1000);
    db_row_begin(&row);
    for (int i = 0; i < 4; i++)
        db_row_text(&row, settings[i]);
    db_row_end(&row);
    db_array_begin(&rows);
    db_array_row(&rows, 4, settings);
    db_array_row(&rows, 4, settings);
    db_array_end(&rows);
    db_array_begin(&texts);
    db_array_text(&texts, "plain");
    db_array_text(&texts, NULL);
    db_array_text(&texts, "");
    db_array_text(&texts, "{\"a\\b\", null}\n{");
    db_array_text(&texts, "NULL");
    db_array_end(&texts);
    db_array_begin(&ints);
    db_array_int(&ints, INT64_MIN);
    db_array_int(&ints, INT64_MAX);
    db_array_end(&ints);
    db_array_begin(&bytes);
    db_array_bytes(&bytes, raw, sizeof raw);
    db_array_bytes(&bytes, "", 0);
    db_array_end(&bytes);
    db_bytea(&one, raw, sizeof raw);
    params[0] = buf_text(&texts), params[1] = buf_text(&ints);
    params[2] = buf_text(&bytes), params[3] = buf_text(&one);
    params[4] = buf_text(&row), params[5] = buf_text(&rows);
    scene_open(&scene);
    db_query(scene.db, "create type public.four as (a text, b text, c text, d text)", DB_ONCE, 0,
             NULL, scene_answer, &made);
    UNTIL(&scene, made.order);
    db_query(scene.db,
             "select ($1::text[] = array['plain', null, '', E'{\"a\\\\b\", null}\\n{', 'NULL'] and "
             "$2::bigint[] = array[-9223372036854775808, 9223372036854775807] and "
             "$3::bytea[] = array['\\x0001225cff'::bytea, ''] and $4::bytea = '\\x0001225cff' and "
             "$5::public.four = row('a', E'{\"x\\\\y\", (1,2)}\\n', '', null)::public.four is not "
             "false and "
             "$6::public.four[] = array[$5::public.four, $5::public.four])",
             DB_REPEAT, 6, params, scene_answer, &answer);
    UNTIL(&scene, answer.order);
    ck_assert_str_eq(answer.text, "t");
    buf_release(&texts), buf_release(&ints), buf_release(&bytes), buf_release(&one);
    buf_release(&rows), buf_release(&row);
    scene_close(&scene);
}
END_TEST

START_TEST(empty_arrays_and_ceilings)
{
    struct buf out;
    char big[2000];

    buf_init(&out, 100);
    db_array_begin(&out);
    db_array_end(&out);
    ck_assert_str_eq(buf_text(&out), "{}");
    buf_clear(&out);
    memset(big, 'x', sizeof big);
    db_bytea(&out, big, sizeof big);
    ck_assert(out.failed);
    buf_release(&out);
}
END_TEST

START_TEST(faults_have_one_meaning)
{
    static const struct {
        const char *state, *code;
        int http;
        bool transient;
        enum db_again again;
    } expected[] = {
        {"AF001", "illegal_transition", 400, false, DB_AGAIN_NEVER},
        {"AF002", "fenced", 409, false, DB_AGAIN_NEVER},
        {"AF003", "not_found", 404, false, DB_AGAIN_NEVER},
        {"AF004", "conflict", 409, false, DB_AGAIN_NEVER},
        {"AF005", "no_capacity", 409, false, DB_AGAIN_NEVER},
        {"AF006", "not_proven_dead", 409, false, DB_AGAIN_NEVER},
        {"AF007", "invalid", 422, false, DB_AGAIN_NEVER},
        {"AF008", "retries_exhausted", 400, false, DB_AGAIN_NEVER},
        {"AF009", "forbidden", 403, false, DB_AGAIN_NEVER},
        {"08006", "unavailable", 503, true, DB_AGAIN_NEVER},
        {"08001", "unavailable", 503, true, DB_AGAIN_NEVER},
        {"57P01", "unavailable", 503, true, DB_AGAIN_NEVER},
        {"25006", "unavailable", 503, true, DB_AGAIN_NEVER},
        {"53300", "unavailable", 503, true, DB_AGAIN_LATER},
        {"53200", "unavailable", 503, true, DB_AGAIN_LATER},
        {"53100", "unavailable", 503, true, DB_AGAIN_LATER},
        {"40001", "unavailable", 503, true, DB_AGAIN_LATER},
        {"40P01", "unavailable", 503, true, DB_AGAIN_LATER},
        {"55P03", "unavailable", 503, true, DB_AGAIN_LATER},
        {"57014", "unavailable", 503, true, DB_AGAIN_LATER},
        {"54000", "unavailable", 503, true, DB_AGAIN_LATER},
        {"XX000", "internal_error", 500, false, DB_AGAIN_CHANGED},
        {"42883", "unavailable", 503, true, DB_AGAIN_CHANGED},
        {"42P01", "unavailable", 503, true, DB_AGAIN_CHANGED},
        {"42704", "unavailable", 503, true, DB_AGAIN_CHANGED},
        {"42804", "internal_error", 500, false, DB_AGAIN_CHANGED},
        {"0A000", "internal_error", 500, false, DB_AGAIN_CHANGED},
        {"3F000", "unavailable", 503, true, DB_AGAIN_CHANGED},
        {"28P01", "unavailable", 503, true, DB_AGAIN_NEVER},
        {"3D000", "unavailable", 503, true, DB_AGAIN_NEVER},
        {"42501", "unavailable", 503, true, DB_AGAIN_NEVER},
        {"22P02", "internal_error", 500, false, DB_AGAIN_NEVER},
        {"23505", "internal_error", 500, false, DB_AGAIN_NEVER},
        {"AF999", "internal_error", 500, false, DB_AGAIN_NEVER},
        {"XX001", "internal_error", 500, false, DB_AGAIN_NEVER},
        {"", "internal_error", 500, false, DB_AGAIN_NEVER},
    };

    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const struct db_fault *fault = db_fault(expected[i].state);

        ck_assert_str_eq(fault->code, expected[i].code);
        ck_assert_int_eq(fault->http, expected[i].http);
        ck_assert_int_eq(fault->transient, expected[i].transient);
        ck_assert_int_eq(fault->again, expected[i].again);
    }
    ck_assert_int_eq(db_fault(NULL)->http, 500);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("db");
    TCase *queries = tcase_create("queries"), *values = tcase_create("values");

    tcase_set_timeout(queries, 40);
    tcase_add_test(queries, many_queries_come_back_in_order);
    tcase_add_test(queries, queries_go_to_the_least_busy_connection);
    tcase_add_test(queries, errors_stay_with_their_query);
    tcase_add_test(queries, own_states_come_through);
    tcase_add_test(queries, statements_are_prepared_once);
    tcase_add_test(queries, failed_preparation_fails_each_and_is_tried_again);
    tcase_add_test(queries, outdated_and_lost_plans_are_made_anew);
    tcase_add_test(queries, many_literals_fit);
    tcase_add_test(queries, success_means_committed);
    tcase_add_test(queries, big_parameters_pass);
    tcase_add_test(queries, full_queue_refuses_later);
    suite_add_tcase(suite, queries);
    tcase_set_timeout(values, 40);
    tcase_add_test(values, values_are_read);
    tcase_add_test_raise_signal(values, unknown_column_aborts, SIGABRT);
    tcase_add_test(values, arrays_go_and_come_back);
    tcase_add_test(values, empty_arrays_and_ceilings);
    tcase_add_test(values, faults_have_one_meaning);
    suite_add_tcase(suite, values);
    return scene_run(suite);
}
