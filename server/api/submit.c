/* POST /api/v1/tasks: one task, or many, become one request of fleet.submit_tasks, whose answer is
 * passed on. */
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

#define LINES "application/x-ndjson"
#define TASKS_MAX ((size_t)256 << 20) /* bytes: twice the largest body, and more */
#define HASH_SIZE (2 * SHA256_SIZE + 8)

/* What the answer needs of the request; lives as long as its call. */
struct sent {
    enum task_form form;
};

/* --- the answer --- */

static void add_location(struct call *call, const char *task_id)
{
    struct buf location;
    buf_init(&location, 4096);
    buf_adds(&location, "/api/v1/tasks/");
    filter_encode(&location, task_id);
    call_add_header(call, "location", buf_text(&location));
    buf_release(&location);
}

static void pass_on(struct call *call, const struct submit_answer *answer)
{
    const struct sent *sent = call->state;
    const char *body = answer->body != NULL ? answer->body : "{}";
    bool good = answer->status < 300;
    if (sent->form == TASK_ONE && good && answer->task_id != NULL)
        add_location(call, answer->task_id);
    call_answer(call, answer->status, sent->form == TASK_LINES && good ? LINES : "application/json",
                body, strlen(body));
}

static void on_answer(void *data, const struct submit_answer *answer, const struct error *err)
{
    struct call *call = data;
    if (answer == NULL)
        call_db_error(call, err);
    else
        pass_on(call, answer);
    call_drop(call);
}

/* --- the request --- */

/* Ids are made here, before the first try: a statement that is sent again makes no second task. */
static void make_id(const uint8_t random[12], char text[TASK_ID_SIZE])
{
    static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567"; /* RFC 4648, lower case */
    memcpy(text, "t-", 2);
    for (int i = 0; i < 12; i++)
        text[2 + i] = base32[random[i] % 32];
    text[14] = '\0';
}

static void add_tasks(struct submit_request *request, const struct json_object *list)
{
    struct buf scratch;
    size_t count = json_object_array_length(list);
    uint8_t(*random)[12] = mem_alloc(count * sizeof *random);
    crypto_random(random, count * sizeof *random);
    buf_init(&request->tasks, TASKS_MAX);
    buf_init(&scratch, TASKS_MAX);
    for (size_t i = 0; i < count; i++) {
        char id[TASK_ID_SIZE];
        make_id(random[i], id);
        task_body_add(&request->tasks, json_object_array_get_idx(list, i), id, &scratch);
    }
    request->count = (int)count;
    buf_release(&scratch);
    free(random);
}

/* The request's hash: its body and how it was to be read. */
static void hash_body(struct call *call, enum task_form form, char text[HASH_SIZE])
{
    uint8_t digest[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    size_t len;
    const char *body = call_body(call, &len);
    crypto_sha256(body, len, digest);
    crypto_hex(digest, sizeof digest, hex);
    snprintf(text, HASH_SIZE, "%s%s", form == TASK_LINES ? "lines " : "", hex);
}

static void submit_list(struct call *call, const struct json_object *list, enum task_form form,
                        const char *key)
{
    const struct config *config = call_server(call)->config;
    char hash[HASH_SIZE];
    struct submit_request request;
    struct error err = {0};
    struct task_sender sender = {.token_id = call->who.token_id,
                                 .address = call->client,
                                 .request_id = call->id,
                                 .key = key,
                                 .hash = key != NULL ? hash : NULL,
                                 .form = form,
                                 .timeout_secs = config->orchestrator.task_timeout_secs,
                                 .max_retries = config->orchestrator.default_max_retries,
                                 .max_attempts_total = config->orchestrator.max_attempts_total};
    struct sent *sent = mem_alloc(sizeof *sent);
    sent->form = form;
    call->state = sent;
    call->state_free = free;
    if (key != NULL)
        hash_body(call, form, hash);
    task_body_request(&request.row, &sender);
    add_tasks(&request, list);
    call_hold(call);
    if (!submit_add(call_server(call)->submit, &request, on_answer, call, &err))
        on_answer(call, NULL, &err);
}

static void refuse_body(struct call *call, const struct task_fault *fault)
{
    call_error(call, fault->http, fault->code, fault->details[0] != '\0' ? fault->details : NULL,
               "%s", fault->text.text);
}

/* False: the call is answered. */
static bool read_form(struct call *call, enum task_form *form)
{
    *form = request_has_type(call, LINES) ? TASK_LINES : TASK_ONE;
    return *form == TASK_LINES || request_is_json(call);
}

void api_task_submit(struct call *call)
{
    struct task_fault fault;
    enum task_form form;
    size_t len;
    char *key;
    if (!read_form(call, &form) || !request_key(call, &key))
        return;
    const char *body = call_body(call, &len);
    struct json_object *list = task_body_parse(body, len, &form, &fault);
    if (list == NULL)
        refuse_body(call, &fault);
    else
        submit_list(call, list, form, key);
    json_object_put(list);
    free(key);
}
