/* POST /api/v1/tasks: each item on its way through submit, and one answer for all. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/json.h"
#include "common/mem.h"
#include "server/api/filter.h"
#include "server/api/handlers.h"
#include "server/api/request.h"
#include "server/api/task_body.h"
#include "server/server.h"

#define KEY_MAX 200 /* bytes of an Idempotency-Key */

/* One submitted task of a request: what became of it. */
struct outcome {
    struct submission *submission; /* borrowed: the owner */
    bool made_id;                  /* the id was made here: "exists" means that we created it */
    int status;                    /* HTTP */
    char *code, *text, *details;   /* owned; of a refusal; details may be NULL */
    char *task_id, *answer;        /* owned */
    struct error err;              /* the database did not take it; text empty = it did */
};

/* A request: lives as long as its call. */
struct submission {
    struct call *call; /* borrowed */
    bool many;
    int count, left;
    struct outcome outcomes[]; /* count of them */
};

static void submission_free(void *state)
{
    struct submission *submission = state;
    for (int i = 0; i < submission->count; i++) {
        free(submission->outcomes[i].code);
        free(submission->outcomes[i].text);
        free(submission->outcomes[i].details);
        free(submission->outcomes[i].task_id);
        free(submission->outcomes[i].answer);
    }
    free(submission);
}

/* --- answers --- */

static void answer_one(struct call *call, const struct outcome *outcome)
{
    if (outcome->err.text[0] != '\0') {
        call_db_error(call, &outcome->err);
    } else if (outcome->status >= 300) {
        call_error(call, outcome->status, outcome->code, outcome->details, "%s", outcome->text);
    } else {
        struct buf location;
        buf_init(&location, 4096);
        buf_adds(&location, "/api/v1/tasks/");
        filter_encode(&location, outcome->task_id);
        call_add_header(call, "location", buf_text(&location));
        call_json(call, outcome->status, outcome->answer);
        buf_release(&location);
    }
}

static void write_outcome(struct buf *out, const struct outcome *outcome)
{
    const struct error *err = &outcome->err;
    int status = err->text[0] != '\0' ? db_fault(err->state)->http : outcome->status;
    buf_addf(out, "{\"status\": %d", status);
    if (outcome->task_id != NULL) {
        buf_adds(out, ", \"task_id\": ");
        json_quote(out, outcome->task_id, strlen(outcome->task_id));
    }
    if (status < 300) {
        buf_addf(out, ", \"task\": %s}", outcome->answer);
        return;
    }
    const char *code = outcome->code != NULL ? outcome->code : db_fault(err->state)->code;
    const char *text = outcome->text != NULL ? outcome->text : "the database did not take it";
    buf_adds(out, ", \"code\": ");
    json_quote(out, code, strlen(code));
    buf_adds(out, ", \"error\": ");
    json_quote(out, text, strlen(text));
    if (outcome->details != NULL)
        buf_addf(out, ", \"details\": %s", outcome->details);
    buf_adds(out, "}");
}

/* 201 when all were created, 200 when all stand now, else 207: each element has its own status. */
static void answer_many(struct call *call, const struct submission *submission)
{
    struct buf out;
    int status = 201;
    buf_init(&out, 64 << 20);
    for (int i = 0; i < submission->count; i++) {
        const struct outcome *outcome = &submission->outcomes[i];
        buf_adds(&out, i > 0 ? ", " : "[");
        write_outcome(&out, outcome);
        if (outcome->err.text[0] != '\0' || outcome->status >= 300)
            status = 207;
        else if (outcome->status == 200 && status == 201)
            status = 200;
    }
    buf_adds(&out, "]");
    if (out.failed)
        call_error(call, 500, "internal", NULL, "the answer is too large; ask for the tasks by id");
    else
        call_json(call, status, buf_text(&out));
    buf_release(&out);
}

/* --- verdicts --- */

static int status_of(const struct submit_verdict *verdict, bool made_id)
{
    if (strcmp(verdict->verdict, "created") == 0)
        return 201;
    if (strcmp(verdict->verdict, "exists") == 0)
        return made_id ? 201 : 200;
    if (strcmp(verdict->verdict, "conflict") == 0)
        return 409;
    const char *code = verdict->code != NULL ? verdict->code : "";
    return strcmp(code, "repository_not_allowed") == 0 ? 403 : 422;
}

static void on_verdict(void *data, const struct submit_verdict *verdict, const struct error *err)
{
    struct outcome *outcome = data;
    struct submission *submission = outcome->submission;
    struct call *call = submission->call;
    if (verdict == NULL) {
        outcome->err = *err;
    } else {
        outcome->status = status_of(verdict, outcome->made_id);
        outcome->code = mem_strdup(verdict->code != NULL ? verdict->code : verdict->verdict);
        outcome->text = mem_strdup(verdict->detail != NULL ? verdict->detail : "refused");
        outcome->details = mem_strdup(verdict->details);
        outcome->task_id = mem_strdup(verdict->task_id != NULL ? verdict->task_id : "");
        outcome->answer = mem_strdup(verdict->answer != NULL ? verdict->answer : "null");
    }
    submission->left--;
    if (submission->left == 0 && submission->many)
        answer_many(call, submission);
    else if (submission->left == 0)
        answer_one(call, outcome);
    call_drop(call);
}

/* --- items --- */

static void make_id(char text[16])
{
    static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567"; /* RFC 4648, lower case */
    uint8_t random[12];
    crypto_random(random, sizeof random);
    memcpy(text, "t-", 2);
    for (int i = 0; i < 12; i++)
        text[2 + i] = base32[random[i] % 32];
    text[14] = '\0';
}

/* The id is made here, before the first try: a statement that is sent again makes no second task.
 */
static bool give_id(struct json_object *task)
{
    char text[16];
    if (json_member(task, "task_id") != NULL)
        return false;
    make_id(text);
    json_object_object_add(task, "task_id", json_object_new_string(text));
    return true;
}

/* The request's hash: the body without what this node adds, so that a repeat has the same. */
static void hash_body(struct call *call, char hex[2 * SHA256_SIZE + 1])
{
    uint8_t digest[SHA256_SIZE];
    size_t len;
    const char *body = call_body(call, &len);
    crypto_sha256(body, len, digest);
    crypto_hex(digest, sizeof digest, hex);
}

/* False: the call is answered. *key is owned by the caller; NULL when there is none. */
static bool read_key(struct call *call, char **key)
{
    size_t len, count;
    const char *text = call_header(call, "idempotency-key", &len, &count);
    *key = NULL;
    if (text == NULL)
        return true;
    bool good = count == 1 && len >= 1 && len <= KEY_MAX;
    for (size_t i = 0; good && i < len; i++)
        good = text[i] > 0x20 && text[i] < 0x7f;
    if (good)
        *key = mem_strndup(text, len);
    else
        call_error(call, 422, "invalid_value", "{\"member\": \"Idempotency-Key\"}",
                   "Idempotency-Key has to be 1 to %d visible ASCII characters, given once",
                   KEY_MAX);
    return good;
}

static void submit_item(struct submission *submission, int index, struct json_object *task,
                        const struct task_sender *sender)
{
    struct call *call = submission->call;
    struct outcome *outcome = &submission->outcomes[index];
    struct task_sender own = *sender;
    struct error err = {0};
    struct buf row;
    outcome->submission = submission;
    outcome->made_id = give_id(task);
    char *key = sender->key != NULL && submission->many ? mem_printf("%s#%d", sender->key, index)
                                                        : mem_strdup(sender->key);
    own.key = key;
    task_body_row(&row, task, &own);
    call_hold(call);
    if (row.failed)
        error_set_state(&err, "54000", "the task is too large");
    if (row.failed ||
        !submit_add(call_server(call)->submit, buf_text(&row), on_verdict, outcome, &err))
        on_verdict(outcome, NULL, &err);
    buf_release(&row);
    free(key);
}

static void submit_list(struct call *call, struct json_object *list, bool many, const char *key)
{
    const struct config *config = call_server(call)->config;
    char hash[2 * SHA256_SIZE + 1];
    int count = (int)json_object_array_length(list);
    struct submission *submission =
        mem_alloc(sizeof *submission + (size_t)count * sizeof *submission->outcomes);
    struct task_sender sender = {.token_id = call->who.token_id,
                                 .key = key,
                                 .hash = hash,
                                 .timeout_secs = config->orchestrator.task_timeout_secs,
                                 .max_retries = config->orchestrator.default_max_retries,
                                 .max_attempts_total = config->orchestrator.max_attempts_total};
    submission->call = call;
    submission->many = many;
    submission->count = submission->left = count;
    call->state = submission;
    call->state_free = submission_free;
    hash_body(call, hash);
    for (int i = 0; i < count; i++)
        submit_item(submission, i, json_object_array_get_idx(list, (size_t)i), &sender);
}

static void refuse_body(struct call *call, const struct task_fault *fault)
{
    call_error(call, fault->http, fault->code, fault->details[0] != '\0' ? fault->details : NULL,
               "%s", fault->text.text);
}

void api_task_submit(struct call *call)
{
    struct task_fault fault;
    size_t len;
    bool many;
    char *key;
    if (!request_is_json(call) || !read_key(call, &key))
        return;
    const char *body = call_body(call, &len);
    struct json_object *list = task_body_parse(body, len, &many, &fault);
    if (list == NULL)
        refuse_body(call, &fault);
    else
        submit_list(call, list, many, key);
    json_object_put(list);
    free(key);
}
