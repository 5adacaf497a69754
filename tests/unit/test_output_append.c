/* What append() is told, when, and what its answers mean: order, batches, rests, and what is of no
 * use any more. */
#include "tests/unit/worker_scene.h"

#define CLAIMED SCENE_JOB("claimed;proven=f", "1", "<null>", "0", "<null>", "f")
#define CHUNK ((size_t)256 << 10) /* most of one stream in one append */

static bool is_running(void)
{
    return scene_job() != NULL && scene_job()->state == JOB_RUNNING && scene_job()->watch != NULL &&
           scene_job()->looked > 0;
}

static struct job *run(void)
{
    scene_once("claim", CLAIMED);
    scene_until(is_running, "running");
    return scene_job();
}

static struct output *output(void)
{
    return &scene.dispatch->jobs.output;
}

static int appends;

static bool has_appended(void)
{
    return sql("append")->calls > appends && !output()->sending;
}

static bool is_sending(void)
{
    return output()->sending;
}

static bool is_idle(void)
{
    return output_idle(output());
}

static void let_go(void)
{
    appends = sql("append")->calls - 1;
    sql("append")->held = false;
    timer_start(&scene.pump, 1, 0);
    scene_until(has_appended, "an answer");
}

/* Bytes of a stream that nothing asks to store yet; no credential goes on behind them. */
static void read_of(struct job_stream *stream, const char *text)
{
    buf_adds(&stream->pending, text);
    stream->final = stream->stored + (int64_t)stream->pending.len;
}

/* The row that answers the append in flight. */
static void answer(const char *rows)
{
    list_each(link, &scene.queries)
    {
        struct scene_query *query = list_entry(link, struct scene_query, link);
        if (strcmp(query->sql->name, "append") == 0) {
            free(query->rows);
            query->rows = mem_strdup(rows);
        }
    }
    let_go();
}

/* One append with this in flight. */
static struct job *in_flight(const char *out, const char *err)
{
    struct job *job = run();
    sql("append")->held = true;
    sql("append")->rows = ""; /* the fake one stores nothing */
    read_of(&job->out, out);
    read_of(&job->err, err);
    output_soon(output(), job);
    scene_until(is_sending, "an append");
    return job;
}

static void stores_again(void)
{
    sql("append")->rows = NULL;
}

static void is_pending(const struct job_stream *stream, int64_t stored, const char *text)
{
    ck_assert_int_eq(stream->stored, stored);
    ck_assert_str_eq(buf_text(&stream->pending), text);
}

/* The test is over, and so is what it left pending. */
static void forget(struct job *job)
{
    buf_clear(&job->out.pending);
    buf_clear(&job->err.pending);
    buf_clear(&job->out.clean);
    buf_clear(&job->err.clean);
    stores_again();
}

/* --- What it is told --- */

START_TEST(both_streams_with_their_offsets)
{
    struct job *job = run();
    job->out.stored = 40;
    job->err.stored = 7;
    scene.dispatch->node.state = NODE_LIVE;
    sql("append")->held = true;
    sql("append")->rows = "";
    read_of(&job->out, "o\n");
    read_of(&job->err, "e\n");
    output_soon(output(), job);
    scene_until(is_sending, "an append");
    const struct scene_sql *told = sql("append");
    ck_assert_str_eq(told->last[0], scene.dispatch->node.id);
    ck_assert_str_eq(told->last[1], "{11,11}");
    ck_assert_str_eq(told->last[2], "{1,1}");
    ck_assert_str_eq(told->last[3], "{\"stdout\",\"stderr\"}");
    ck_assert_str_eq(told->last[4], "{40,7}");
    ck_assert_str_eq(told->last[5], "{\"\\\\x6f0a\",\"\\\\x650a\"}");
    /* where its parser stands belongs to stdout alone */
    ck_assert_int_eq(strncmp(told->last[6], "{\"{", 3), 0);
    ck_assert_str_eq(told->last[6] + strlen(told->last[6]) - 6, ",NULL}");
    answer("ord=1;verdict=ok;next_offset=42|ord=2;verdict=ok;next_offset=9");
    is_pending(&job->out, 42, "");
    is_pending(&job->err, 9, "");
    forget(job);
}
END_TEST

/* Only a part of a stream that has much; the rest comes at once. */
START_TEST(a_chunk_has_its_most)
{
    struct job *job = run();
    sql("append")->held = true;
    sql("append")->rows = "";
    while (job->out.pending.len < CHUNK + 100)
        read_of(&job->out, "0123456789012345678901234567890123456789012345678901234567890123");
    output_soon(output(), job);
    scene_until(is_sending, "an append");
    ck_assert_uint_eq(output()->count, 1);
    ck_assert_uint_eq(job->out.sending, CHUNK);
    forget(job);
    answer("ord=1;verdict=ok;next_offset=0");
}
END_TEST

static void fill(struct job_stream *stream, size_t len)
{
    while (stream->pending.len < len)
        read_of(stream, "x");
}

/* What comes together is stored together; there is no use in waiting for more than a chunk. */
START_TEST(a_whole_chunk_does_not_wait)
{
    struct job *job = run();
    struct job_stream *streams[] = {&job->out, &job->err};
    for (int i = 0; i < 2; i++) {
        output()->sent = clock_ms() + 60000;
        fill(streams[i], CHUNK - 1);
        output_soon(output(), job);
        ck_assert_int_eq(output()->at, output()->sent + 25);
        buf_clear(&streams[i]->clean);
        fill(streams[i], CHUNK);
        output_soon(output(), job);
        ck_assert_int_eq(output()->at, output()->sent);
        timer_stop(&output()->timer);
        forget(job);
    }
}
END_TEST

/* An append that is due earlier for another is not put off. */
START_TEST(the_earlier_append_stands)
{
    struct job *job = run();
    output()->not_before = clock_ms() + 60000;
    read_of(&job->out, "a");
    output_soon(output(), job);
    int64_t at = output()->at;
    ck_assert_int_eq(at, output()->not_before);
    output()->not_before += 1000;
    output_soon(output(), job);
    ck_assert_int_eq(output()->at, at);
    output()->not_before -= 2000;
    output_soon(output(), job);
    ck_assert_int_eq(output()->at, at - 1000);
    output()->not_before = 0;
    forget(job);
}
END_TEST

/* A second one waits for the answer of the first. */
START_TEST(one_at_a_time)
{
    struct job *job = in_flight("a", "");
    int calls = sql("append")->calls;
    read_of(&job->out, "b");
    read_of(&job->err, "c");
    output_soon(output(), job);
    output_flush(output());
    ck_assert_int_eq(sql("append")->calls, calls);
    ck_assert(!output_idle(output()));
    answer("ord=1;verdict=ok;next_offset=1");
    is_pending(&job->out, 1, "b");
    sql("append")->held = true;
    scene_until(is_sending, "the next");
    ck_assert_str_eq(sql("append")->last[4], "{1,0}");
    answer("ord=1;verdict=ok;next_offset=2|ord=2;verdict=ok;next_offset=1");
    scene_until(is_idle, "nothing left");
    is_pending(&job->out, 2, "");
    forget(job);
}
END_TEST

/* An heir goes on where the stored output ends, so what the parser knew there is stored with it. */
START_TEST(where_the_parser_stands_with_each)
{
    struct job *job = run();
    for (int i = 0; i < 3; i++) {
        sql("append")->held = true;
        sql("append")->rows = "";
        read_of(&job->out, "x");
        output_soon(output(), job);
        scene_until(is_sending, "an append");
        ck_assert_int_eq(strncmp(sql("append")->last[6], "{\"{", 3), 0);
        char rows[64];
        snprintf(rows, sizeof rows, "ord=1;verdict=ok;next_offset=%lld",
                 (long long)job->out.stored + 1);
        answer(rows);
    }
    forget(job);
}
END_TEST

/* --- What it answers --- */

START_TEST(a_part_is_stored)
{
    struct job *job = in_flight("abcd", "");
    uint64_t counted = job->node->counts.output_bytes;
    sql("append")->rows = "ord=1;verdict=ok;next_offset=4";
    answer("ord=1;verdict=ok;next_offset=3");
    ck_assert_uint_eq(job->node->counts.output_bytes - counted, 3);
    is_pending(&job->out, 3, "d");
    scene_until(is_idle, "the rest");
    ck_assert_str_eq(sql("append")->last[4], "{3}");
    is_pending(&job->out, 4, "");
    ck_assert_uint_eq(job->node->counts.output_bytes - counted, 4);
    forget(job);
}
END_TEST

START_TEST(rows_that_answer_nothing)
{
    struct job *job = in_flight("a", "b");
    int64_t now = clock_ms();
    answer("ord=0;verdict=ok;next_offset=9|ord=3;verdict=ok;next_offset=9|"
           "ord=2;verdict=ok;next_offset=1");
    is_pending(&job->out, 0, "a");
    is_pending(&job->err, 1, "");
    ck_assert_int_lt(output()->not_before, now); /* that is no reason to rest */
    forget(job);
}
END_TEST

START_TEST(busy_rests_and_keeps_what_it_has)
{
    struct job *job = in_flight("a", "b");
    int64_t now = clock_ms();
    answer("ord=1;verdict=busy;next_offset=<null>|ord=2;verdict=<null>;next_offset=<null>");
    is_pending(&job->out, 0, "a");
    is_pending(&job->err, 0, "b");
    ck_assert_int_ge(output()->not_before, now + 900);
    ck_assert_int_le(output()->not_before, clock_ms() + 1000);
    ck_assert(list_linked(&job->to_store));
    ck_assert_int_ge(output()->at, output()->not_before);
    forget(job);
}
END_TEST

START_TEST(fenced_out)
{
    in_flight("a", "b");
    answer("ord=1;verdict=fenced;next_offset=<null>|ord=2;verdict=ok;next_offset=1");
    ck_assert_ptr_null(scene_job());
    ck_assert(output_idle(output()));
    stores_again();
}
END_TEST

/* The database has more than we sent: what we read of it is not sent again. */
START_TEST(more_is_stored_than_was_sent)
{
    struct job *job = in_flight("abcd", "");
    read_of(&job->out, "efgh");
    int watches = call("watch")->calls;
    sql("append")->rows = "ord=1;verdict=ok;next_offset=8";
    answer("ord=1;verdict=gap;next_offset=6");
    is_pending(&job->out, 6, "gh");
    ck_assert_int_eq(call("watch")->calls, watches + 1);
    ck_assert_int_eq(job->watch->next[0], 0); /* its parser has seen none of it */
    scene_until(is_idle, "the rest");
    ck_assert_str_eq(sql("append")->last[4], "{6}");
    forget(job);
}
END_TEST

/* A gap of the database, not of ours: read again from there. */
START_TEST(less_is_stored_than_was)
{
    struct job *job = run();
    job->out.stored = 100;
    sql("append")->held = true;
    sql("append")->rows = "";
    read_of(&job->out, "abcd");
    output_soon(output(), job);
    scene_until(is_sending, "an append");
    uint64_t counted = job->node->counts.output_bytes;
    answer("ord=1;verdict=gap;next_offset=50");
    is_pending(&job->out, 50, "");
    ck_assert_uint_eq(job->node->counts.output_bytes, counted);
    forget(job);
}
END_TEST

/* --- What fails --- */

static void fails(const char *state)
{
    list_each(link, &scene.queries)
    {
        struct scene_query *query = list_entry(link, struct scene_query, link);
        if (strcmp(query->sql->name, "append") == 0)
            query->state = state;
    }
    let_go();
}

/* What cannot be stored waits longer than the others, who go on. */
START_TEST(refused_for_good_holds_up_nobody_else)
{
    struct job *job = in_flight("a", "");
    int64_t now = clock_ms();
    fails("22P05");
    ck_assert_uint_eq(output()->one_by_one, 0);
    ck_assert_int_ge(job->append_at, now + 4900);
    ck_assert_int_le(job->append_at, clock_ms() + 5000);
    ck_assert_int_ge(job->refused_since, now);
    ck_assert_int_eq(output()->at, job->append_at);
    is_pending(&job->out, 0, "a");
    ck_assert_ptr_null(job->unstored);
    /* it comes when it is due, not before */
    output()->not_before = 0;
    int calls = sql("append")->calls;
    output_flush(output());
    ck_assert_int_eq(sql("append")->calls, calls);
    job->append_at = 0;
    output_flush(output());
    ck_assert_int_eq(sql("append")->calls, calls + 1);
    int64_t since = job->refused_since;
    fails("22P05");
    ck_assert_int_eq(job->refused_since, since);
    job->append_at = 0;
    output_flush(output());
    answer("ord=1;verdict=ok;next_offset=1");
    ck_assert_int_eq(job->refused_since, 0);
    forget(job);
}
END_TEST

/* Five minutes of refusals in a row: then it is left out, and told. */
START_TEST(refused_for_minutes_is_left_out)
{
    struct job *job = in_flight("abc", "de");
    fails("22P05"); /* of two: one of them may be good */
    ck_assert_uint_eq(output()->one_by_one, 2);
    ck_assert_int_eq(job->refused_since, 0);
    struct error err;
    error_set_state(&err, "22P05", "no");
    job->refused_since = clock_ms() - 299000;
    job_refused_output(job, &err);
    ck_assert_ptr_null(job->unstored);
    is_pending(&job->out, 0, "abc");
    job->refused_since = clock_ms() - 300000;
    job_refused_output(job, &err);
    ck_assert_str_eq(
        job->unstored,
        "output behind byte 0 (stdout) and 0 (stderr) could not be stored: SQLSTATE 22P05");
    is_pending(&job->out, 3, "");
    is_pending(&job->err, 2, "");
    /* what comes behind it neither */
    struct link_watch *watch = job->watch;
    watch->events->on_output(watch->data, 1, 0, "abcdef", 6);
    is_pending(&job->out, 6, "");
    ck_assert_int_eq(adapter_next(&job->adapter), 6);
    stores_again();
}
END_TEST

/* A stream in flight waits for its answer; it is in the database or not. */
START_TEST(what_is_in_flight_is_not_left_out)
{
    struct job *job = in_flight("abc", "");
    struct error err;
    error_set_state(&err, "22P05", "no");
    read_of(&job->err, "de");
    job->refused_since = clock_ms() - 300001;
    job_refused_output(job, &err);
    is_pending(&job->out, 0, "abc");
    is_pending(&job->err, 2, "");
    answer("ord=1;verdict=ok;next_offset=3");
    is_pending(&job->out, 3, "");
    stores_again();
}
END_TEST

/* Nobody of a batch is to blame when the database is away. */
START_TEST(an_outage_refuses_nothing)
{
    struct job *job = in_flight("a", "b");
    int64_t now = clock_ms();
    fails("57P01");
    ck_assert_uint_eq(output()->one_by_one, 0);
    ck_assert_int_eq(job->refused_since, 0);
    ck_assert_int_eq(job->append_at, 0);
    ck_assert_int_ge(output()->not_before, now + 900);
    is_pending(&job->out, 0, "a");
    is_pending(&job->err, 0, "b");
    forget(job);
}
END_TEST

static bool is_reborn(void)
{
    return sql("node_start")->calls == 2;
}

START_TEST(a_node_that_was_declared_dead)
{
    in_flight("a", "b");
    fails("AF002");
    ck_assert_ptr_null(scene_job());
    scene_until(is_reborn, "a new life");
    stores_again();
}
END_TEST

/* Each append of those that were one batch carries one chunk; then they are a batch again. */
START_TEST(one_by_one_ends)
{
    struct job *job = in_flight("a", "b");
    fails("22P05");
    output()->not_before = 0;
    sql("append")->held = true;
    output_flush(output());
    ck_assert_uint_eq(output()->count, 1);
    answer("ord=1;verdict=ok;next_offset=1");
    ck_assert_uint_eq(output()->one_by_one, 1);
    sql("append")->held = true;
    scene_until(is_sending, "the other");
    ck_assert_str_eq(sql("append")->last[1], "{11}");
    answer("ord=1;verdict=ok;next_offset=1");
    ck_assert_uint_eq(output()->one_by_one, 0);
    read_of(&job->out, "c");
    read_of(&job->err, "d");
    sql("append")->held = true;
    output_soon(output(), job);
    scene_until(is_sending, "both");
    ck_assert_uint_eq(output()->count, 2);
    answer("ord=1;verdict=ok;next_offset=2|ord=2;verdict=ok;next_offset=2");
    forget(job);
}
END_TEST

/* --- Jobs that are gone --- */

START_TEST(gone_while_its_output_is_on_its_way)
{
    struct job *job = in_flight("a", "");
    job_drop(job, "the test says so");
    ck_assert(list_empty(&output()->jobs));
    answer("ord=1;verdict=ok;next_offset=1");
    ck_assert(output_idle(output()));
    stores_again();
}
END_TEST

/* Nothing more is asked for it, and nothing that waits is kept for it. */
START_TEST(a_job_that_is_gone_asks_for_nothing)
{
    struct job *job = in_flight("a", "");
    job_hold(job);
    job_drop(job, "the test says so");
    output_soon(output(), job);
    ck_assert(list_empty(&output()->jobs));
    fails("22P05");
    ck_assert_int_eq(job->refused_since, 0);
    job_let_go(job);
    stores_again();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("output_append");
    TCase *tcase = tcase_create("output_append");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, scene_setup, scene_teardown);
    tcase_add_test(tcase, both_streams_with_their_offsets);
    tcase_add_test(tcase, a_chunk_has_its_most);
    tcase_add_test(tcase, a_whole_chunk_does_not_wait);
    tcase_add_test(tcase, the_earlier_append_stands);
    tcase_add_test(tcase, one_at_a_time);
    tcase_add_test(tcase, where_the_parser_stands_with_each);
    tcase_add_test(tcase, a_part_is_stored);
    tcase_add_test(tcase, rows_that_answer_nothing);
    tcase_add_test(tcase, busy_rests_and_keeps_what_it_has);
    tcase_add_test(tcase, fenced_out);
    tcase_add_test(tcase, more_is_stored_than_was_sent);
    tcase_add_test(tcase, less_is_stored_than_was);
    tcase_add_test(tcase, refused_for_good_holds_up_nobody_else);
    tcase_add_test(tcase, refused_for_minutes_is_left_out);
    tcase_add_test(tcase, what_is_in_flight_is_not_left_out);
    tcase_add_test(tcase, an_outage_refuses_nothing);
    tcase_add_test(tcase, a_node_that_was_declared_dead);
    tcase_add_test(tcase, one_by_one_ends);
    tcase_add_test(tcase, gone_while_its_output_is_on_its_way);
    tcase_add_test(tcase, a_job_that_is_gone_asks_for_nothing);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
