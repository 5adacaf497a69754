/* Questions to the Forgejo and to the database, each waited for. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "server/doctor/doctor.h"

/* A question under way. */
struct question {
    struct loop *loop; /* borrowed */
    bool answered;
    struct doctor_answer *answer; /* borrowed; of a call */
};

/* The loop would look for more before it comes back. */
static void answered(struct question *question)
{
    question->answered = true;
    uv_stop(&question->loop->uv);
}

static void wait_for(struct question *question)
{
    while (!question->answered)
        uv_run(&question->loop->uv, UV_RUN_DEFAULT);
}

static void on_answer(void *data, const struct forgejo_answer *given)
{
    struct question *question = data;
    struct doctor_answer *answer = question->answer;
    answer->verdict = given->verdict;
    answer->status = given->status;
    answer->json = json_object_get(given->json);
    answer->date = given->date;
    snprintf(answer->text, sizeof answer->text, "%s", given->text);
    answered(question);
}

void doctor_ask(struct doctor *doctor, const char *method, struct buf *path, const char *body,
                bool lookup, struct doctor_answer *answer)
{
    struct question question = {.loop = &doctor->loop, .answer = answer};
    *answer = (struct doctor_answer){.date = -1};
    forgejo_call(doctor->forgejo, method, buf_text(path), body, lookup, on_answer, &question);
    wait_for(&question);
    buf_release(path);
}

void doctor_list(struct doctor *doctor, struct buf *path, size_t max_items, bool lookup,
                 struct doctor_answer *answer)
{
    struct question question = {.loop = &doctor->loop, .answer = answer};
    *answer = (struct doctor_answer){.date = -1};
    if (lookup) /* of these lists the first page says enough */
        forgejo_call(doctor->forgejo, "GET", buf_text(path), NULL, true, on_answer, &question);
    else
        forgejo_list(doctor->forgejo, buf_text(path), max_items, on_answer, &question);
    wait_for(&question);
    buf_release(path);
}

void doctor_answer_release(struct doctor_answer *answer)
{
    json_object_put(answer->json);
    answer->json = NULL;
}

bool doctor_scope_missing(const struct doctor_answer *answer)
{
    return answer->status == 403 && strstr(answer->text, "required scope") != NULL;
}

/* --- the database --- */

/* A query, and who reads its rows. */
struct look {
    struct question question;
    db_done_cb read;
    void *data; /* borrowed, for read */
};

static void on_rows(void *data, const struct db_result *res, const struct error *err)
{
    struct look *look = data;
    look->read(look->data, res, err);
    answered(&look->question);
}

void doctor_query(struct doctor *doctor, const char *sql, int count, const char *const *params,
                  db_done_cb read, void *data)
{
    struct look look = {.question = {.loop = &doctor->loop}, .read = read, .data = data};
    db_query(doctor->db, sql, DB_REPEAT, count, params, on_rows, &look);
    wait_for(&look.question);
}

static void read_delivery(void *data, const struct db_result *res, const struct error *err)
{
    struct doctor_delivery *delivery = data;
    delivery->number = err != NULL ? -1 : 0;
    if (err != NULL || db_rows(res) == 0)
        return;
    delivery->number = db_int(res, 0, "delivery", 0);
    delivery->age_secs = db_int(res, 0, "age_secs", 0);
    snprintf(delivery->words, sizeof delivery->words, "%s", db_text(res, 0, "words"));
}

bool doctor_delivery(struct doctor *doctor, const char *repo, int64_t after,
                     struct doctor_delivery *delivery)
{
    char number[24];
    snprintf(number, sizeof number, "%" PRId64, after);
    const char *params[] = {repo, number};
    *delivery = (struct doctor_delivery){0};
    if (doctor->db == NULL)
        return false;
    doctor_query(doctor,
                 "select delivery, age_secs, words from fleet.last_delivery($1, $2::bigint)", 2,
                 params, read_delivery, delivery);
    return delivery->number >= 0;
}

/* --- time --- */

static void on_pause(void *data)
{
    answered(data);
}

void doctor_pause(struct doctor *doctor, int ms)
{
    struct question question = {.loop = &doctor->loop};
    struct timer timer;
    timer_init(&timer, &doctor->loop, on_pause, &question);
    timer_start(&timer, (uint64_t)ms, 0);
    wait_for(&question);
    question.answered = false;
    timer_close(&timer, on_pause);
    wait_for(&question);
}
