/* Bytes and records that a host pushes of a run: which part is taken, from where more is asked, how
 * much is granted, and what is tampering. */
#include "tests/unit/worker_scene.h"

#define CLAIMED SCENE_JOB("claimed;proven=f", "1", "<null>", "0", "<null>", "f")
#define MEGABYTE ((int64_t)1 << 20)

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

/* Of which its former owner stored 60 bytes, and its parser none. */
static struct job *inherit(void)
{
    sql("peers")->rows = "kind=left;"
                         "node=22222222-2222-4222-8222-222222222222;beat=5";
    while (scene_run.out_len < 60)
        scene_prints("0123456789");
    scene_run.chunk = 0;
    scene_once("adopt", SCENE_JOB("running;proven=t", "2", "t-1-x.1", "60", "<null>", "f"));
    scene_until(is_running, "running");
    return scene_job();
}

/* As the host pushes it, whatever it was asked for. */
static void push(int stream, int64_t offset, const char *bytes)
{
    struct link_watch *watch = scene_job()->watch;
    watch->events->on_output(watch->data, stream, offset, bytes, strlen(bytes));
}

static void is_pending(const struct job_stream *stream, const char *text)
{
    ck_assert_uint_eq(stream->pending.len, strlen(text));
    ck_assert_int_eq(strncmp(buf_text(&stream->pending), text, strlen(text)), 0);
}

static struct runner_record record_of(enum runner_state state, int64_t out_size, int64_t err_size)
{
    struct runner_record record;
    scene_record(&record);
    record.state = state;
    record.out_size = out_size;
    record.err_size = err_size;
    return record;
}

static void say(const struct runner_record *record)
{
    struct link_watch *watch = scene_job()->watch;
    watch->events->on_record(watch->data, record);
}

/* --- Bytes --- */

START_TEST(what_is_there_already_is_taken_once)
{
    struct job *job = run();
    sql("append")->held = true;
    push(1, 0, "abcdef");
    push(1, 0, "abcdef");
    push(1, 0, "abc");
    push(1, 3, "defghi");
    push(1, 9, "j");
    is_pending(&job->out, "abcdefghij");
    ck_assert_int_eq(adapter_next(&job->adapter), 10);
    push(2, 0, "err");
    push(2, 2, "ror and more of it");
    is_pending(&job->err, "error and more of it");
    is_pending(&job->out, "abcdefghij");
    ck_assert_int_eq(adapter_next(&job->adapter), 10); /* which reads no stderr */
    sql("append")->held = false;
}
END_TEST

START_TEST(what_lies_behind_a_gap_is_not_taken)
{
    struct job *job = run();
    sql("append")->held = true;
    push(1, 0, "abc");
    push(1, 4, "efg");
    push(2, 1, "x");
    is_pending(&job->out, "abc");
    is_pending(&job->err, "");
    ck_assert_int_eq(adapter_next(&job->adapter), 3);
    push(1, 3, "d");
    is_pending(&job->out, "abcd");
    ck_assert_int_eq(adapter_next(&job->adapter), 4);
    sql("append")->held = false;
}
END_TEST

/* Its parser reads again what is stored, and what is stored is not stored again. */
START_TEST(an_heir_parses_what_it_does_not_store)
{
    struct job *job = inherit();
    ck_assert_int_eq(job->watch->next[0], 0);
    ck_assert_int_eq(job->watch->next[1], 0);
    sql("append")->held = true;
    push(1, 0, "01234567890123456789");
    is_pending(&job->out, "");
    ck_assert_int_eq(adapter_next(&job->adapter), 20);
    push(1, 20, "0123456789012345678901234567890123456789new");
    is_pending(&job->out, "new");
    ck_assert_int_eq(adapter_next(&job->adapter), 63);
    job_follow_anew(job);
    ck_assert_int_eq(job->watch->next[0], 63);
    push(1, 63, "er");
    push(2, 0, "e");
    job_follow_anew(job);
    ck_assert_int_eq(job->watch->next[0], 65); /* pending counts as read */
    ck_assert_int_eq(job->watch->next[1], 1);
    sql("append")->held = false;
}
END_TEST

static int64_t cap;

static void set_cap(int64_t bytes)
{
    struct config *config = (struct config *)node_settings(&scene.dispatch->node);
    cap = bytes;
    config->orchestrator.max_output_bytes = bytes - MEGABYTE; /* the slack */
}

START_TEST(output_of_just_the_cap)
{
    struct job *job = run();
    sql("append")->held = true;
    set_cap(8);
    push(1, 0, "1234567");
    push(1, 7, "8");
    is_pending(&job->out, "12345678");
    ck_assert(!job->tampered);
    push(2, 0, "123456789");
    is_pending(&job->err, "");
    ck_assert(job->tampered);
    ck_assert_str_eq(job->stop_reason, "output_tampered");
    push(1, 8, ""); /* and nothing more is taken */
    set_cap(800);
    push(1, 8, "9");
    is_pending(&job->out, "12345678");
    sql("append")->held = false;
}
END_TEST

START_TEST(a_stopped_worker_takes_nothing_more)
{
    struct job *job = run();
    sql("append")->held = true;
    enum node_state state = scene.dispatch->node.state;
    scene.dispatch->node.state = NODE_DRAINING;
    push(1, 0, "abc");
    struct runner_record over = record_of(RUNNER_ENDED, 3, 0);
    say(&over);
    scene.dispatch->node.state = state;
    is_pending(&job->out, "");
    ck_assert_int_eq(job->state, JOB_RUNNING);
    sql("append")->held = false;
}
END_TEST

/* --- Credit --- */

START_TEST(small_room_is_not_granted_one_by_one)
{
    struct job *job = run();
    job->credit = JOB_CREDIT - JOB_CREDIT / 4 + 1;
    job_grant(job);
    ck_assert_uint_eq(job->credit, JOB_CREDIT - JOB_CREDIT / 4 + 1);
    job->credit--;
    int64_t granted = scene_run.granted;
    job_grant(job);
    ck_assert_uint_eq(job->credit, JOB_CREDIT);
    ck_assert_int_eq(scene_run.granted, granted + (int64_t)JOB_CREDIT / 4);
    job->credit = 0;
    job->tampered = true;
    job_grant(job);
    ck_assert_uint_eq(job->credit, 0);
}
END_TEST

/* What is pending takes of the room, of both streams; a new watch begins with the rest. */
START_TEST(a_new_watch_is_granted_what_there_is_room_for)
{
    struct job *job = run();
    sql("append")->held = true;
    push(1, 0, "1234567");
    push(2, 0, "123");
    job_follow_anew(job);
    ck_assert_uint_eq(job->credit, JOB_CREDIT - 10);
    ck_assert_uint_eq(job->watch->credit, JOB_CREDIT - 10);
    ck_assert_int_eq(job->looked, 0);
    sql("append")->held = false;
}
END_TEST

/* --- Records --- */

static void expect(const struct runner_record *record, bool tampered, const char *what)
{
    ck_assert_msg(job_record_tampered(scene_job(), record) == tampered, "%s", what);
}

START_TEST(files_that_cannot_be_what_they_were)
{
    static const enum runner_state ours[] = {RUNNER_RUNNING, RUNNER_ORPHANED, RUNNER_ENDED,
                                             RUNNER_LOST};
    static const enum runner_state others[] = {RUNNER_VOID, RUNNER_FOREIGN, RUNNER_PREPARED,
                                               RUNNER_ABSENT, RUNNER_TAMPERED};
    run();
    sql("append")->held = true;
    push(1, 0, "12345");
    push(2, 0, "123");
    set_cap(20);
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        struct runner_record record = record_of(ours[i], 5, 3);
        record.exit = -1;
        expect(&record, false, "just what was read");
        record = record_of(ours[i], 4, 3);
        expect(&record, true, "a shorter stdout");
        record = record_of(ours[i], 5, 2);
        expect(&record, true, "a shorter stderr");
        record = record_of(ours[i], 20, 20);
        record.exit = -1;
        expect(&record, false, "of the cap");
        record = record_of(ours[i], 21, 3);
        expect(&record, true, "stdout over its cap");
        record = record_of(ours[i], 5, 21);
        expect(&record, true, "stderr over its cap");
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct runner_record record = record_of(others[i], 0, 0);
        expect(&record, false, "a directory that is none of ours");
    }
    sql("append")->held = false;
}
END_TEST

/* A run that lives in a directory which says something else is judged by its reason. */
START_TEST(sizes_of_a_directory_that_is_not_ours)
{
    run();
    sql("append")->held = true;
    push(1, 0, "12345");
    struct runner_record record = record_of(RUNNER_RUNNING, 0, 0);
    snprintf(record.reason, sizeof record.reason, "rundir_gone");
    expect(&record, false, "its directory is gone");
    record.state = RUNNER_ORPHANED;
    expect(&record, false, "its directory is gone, and its supervisor");
    record = record_of(RUNNER_RUNNING, 0, 0);
    record.epoch = -1;
    expect(&record, false, "no epoch lies there");
    record.epoch = 0;
    expect(&record, true, "one does");
    sql("append")->held = false;
}
END_TEST

START_TEST(files_that_grew_behind_the_end)
{
    run();
    struct runner_record record = record_of(RUNNER_ENDED, 7, 4);
    record.exit = 0;
    record.out_final = 7;
    record.err_final = 4;
    expect(&record, false, "as the supervisor saw them");
    record.out_final = 6;
    expect(&record, true, "stdout grew");
    record.out_final = 7;
    record.err_final = 5;
    expect(&record, true, "stderr shrank");
    record.exit = -1;
    expect(&record, false, "nobody saw the end");
    record.state = RUNNER_LOST;
    record.exit = 0;
    expect(&record, false, "a lost run has no final sizes");
}
END_TEST

/* What a former owner stored is the database's word, though we have read less of it. */
START_TEST(a_file_shorter_than_what_is_stored_of_it)
{
    inherit();
    struct runner_record record = record_of(RUNNER_RUNNING, 60, 0);
    expect(&record, false, "all that is stored");
    record.out_size = 59;
    expect(&record, true, "one byte less");
}
END_TEST

/* --- The end --- */

static void end_with(int64_t out_size, int64_t out_final, int64_t err_size, int64_t err_final)
{
    struct runner_record record = record_of(RUNNER_LOST, out_size, err_size);
    record.out_final = out_final;
    record.err_final = err_final;
    record.exit = -1;
    say(&record);
}

START_TEST(the_end_of_the_output)
{
    struct job *job = run();
    sql("append")->held = true;
    scene_run.ignored = true;
    push(1, 0, "12345");
    push(2, 0, "1");
    end_with(9, 7, 4, -1);
    ck_assert_int_eq(job->state, JOB_ENDING);
    ck_assert_int_eq(job->out.final, 7); /* as its supervisor saw it */
    ck_assert_int_eq(job->err.final, 4); /* nobody did: as it is */
    ck_assert_ptr_nonnull(job->watch);
    push(1, 5, "67");
    ck_assert_ptr_nonnull(job->watch); /* stderr lacks bytes */
    push(2, 1, "234");
    ck_assert_ptr_null(job->watch);
    sql("append")->held = false;
}
END_TEST

START_TEST(an_end_below_what_is_stored)
{
    struct job *job = inherit();
    scene_run.ignored = true;
    sql("append")->held = true;
    end_with(60, 40, 0, 0);
    ck_assert_int_eq(job->out.final, 60);
    sql("append")->held = false;
}
END_TEST

/* Of a tampered file nothing more is read: what came is all. */
START_TEST(the_end_of_tampered_output)
{
    struct job *job = run();
    sql("append")->held = true;
    scene_run.ignored = true;
    push(1, 0, "12345");
    push(2, 0, "123");
    job->tampered = true;
    end_with(900, 900, 900, 900);
    ck_assert_int_eq(job->out.final, 5);
    ck_assert_int_eq(job->err.final, 3);
    ck_assert_ptr_null(job->watch);
    sql("append")->held = false;
}
END_TEST

/* Behind its end only an end is news. */
START_TEST(a_record_that_is_late)
{
    struct job *job = run();
    sql("append")->held = true;
    scene_run.ignored = true;
    end_with(7, 7, 0, 0);
    struct runner_record record = record_of(RUNNER_RUNNING, 3, 0);
    say(&record);
    ck_assert_int_eq(job->state, JOB_ENDING);
    ck_assert_int_eq(job->record.state, RUNNER_LOST);
    end_with(8, 8, 0, 0);
    ck_assert_int_eq(job->out.final, 8);
    sql("append")->held = false;
    push(1, 0, "12345678");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("output_pushed");
    TCase *tcase = tcase_create("output_pushed");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, scene_setup, scene_teardown);
    tcase_add_test(tcase, what_is_there_already_is_taken_once);
    tcase_add_test(tcase, what_lies_behind_a_gap_is_not_taken);
    tcase_add_test(tcase, an_heir_parses_what_it_does_not_store);
    tcase_add_test(tcase, output_of_just_the_cap);
    tcase_add_test(tcase, a_stopped_worker_takes_nothing_more);
    tcase_add_test(tcase, small_room_is_not_granted_one_by_one);
    tcase_add_test(tcase, a_new_watch_is_granted_what_there_is_room_for);
    tcase_add_test(tcase, files_that_cannot_be_what_they_were);
    tcase_add_test(tcase, sizes_of_a_directory_that_is_not_ours);
    tcase_add_test(tcase, files_that_grew_behind_the_end);
    tcase_add_test(tcase, a_file_shorter_than_what_is_stored_of_it);
    tcase_add_test(tcase, the_end_of_the_output);
    tcase_add_test(tcase, an_end_below_what_is_stored);
    tcase_add_test(tcase, the_end_of_tampered_output);
    tcase_add_test(tcase, a_record_that_is_late);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
