/* POST /api/v1/webhooks/forgejo. Nothing is believed, stored or parsed before the signature fits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/webhook/webhook.h"

#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "server/api/enter.h"
#include "server/api/request.h"
#include "server/api/value.h"
#include "server/server.h"
#include "server/webhook/forgejo.h"

#define DEADLINE_MS 4000 /* Forgejo waits 5 s for the whole exchange */
#define PATIENCE_MS 2500 /* for the database; what is under way then may take its time to end */
#define EVENT_MAX 64     /* bytes of an event's name, with NUL */
/* Of an SQL array: at worst each byte is escaped. */
#define LABELS_BYTES_MAX ((size_t)2 * WEBHOOK_BODY_MAX)

struct delivery {
    char id[37];
    char event[EVENT_MAX]; /* X-Forgejo-Event: not signed, only a hint */
    char type[EVENT_MAX];  /* X-Forgejo-Event-Type, or "" */
};

/* --- answers --- */

static void add_member(struct buf *out, const char *name, const char *text)
{
    if (text == NULL)
        return;
    buf_addf(out, ", \"%s\": ", name);
    json_quote(out, text, strlen(text));
}

static void answer(struct call *call, const char *result, const char *reason, const char *detail,
                   const char *task_id)
{
    const struct delivery *delivery = call->state;
    struct buf out;
    buf_init(&out, 8192);
    buf_addf(&out, "{\"delivery\": \"%s\"", delivery->id);
    add_member(&out, "result", result);
    add_member(&out, "reason", reason);
    add_member(&out, "detail", detail);
    add_member(&out, "task_id", task_id);
    buf_adds(&out, "}");
    call_json(call, 202, buf_text(&out));
    buf_release(&out);
}

static void refuse_signature(struct call *call, const char *why)
{
    api_log_refusal(call, why);
    call_server(call)->meter.refused_signatures++;
    call_error(call, 401, "bad_signature", NULL,
               "the delivery is not signed with this fleet's secret");
}

/* --- headers --- */

static struct forgejo_header header_of(const struct call *call, const char *name)
{
    struct forgejo_header header;
    header.value = call_header(call, name, &header.len, &header.count);
    return header;
}

/* The first of two headers that is there, as text; "" when neither is, or too long. */
static void read_header(const struct call *call, const char *first, const char *second, char *text,
                        size_t size)
{
    struct forgejo_header header = header_of(call, first);
    if (header.count == 0)
        header = header_of(call, second);
    text[0] = '\0';
    if (header.count == 0 || header.len >= size || memchr(header.value, '\0', header.len) != NULL)
        return;
    memcpy(text, header.value, header.len);
    text[header.len] = '\0';
}

static bool is_signed(struct call *call)
{
    const struct config *config = call_server(call)->config;
    struct forgejo_signatures headers = {header_of(call, "x-forgejo-signature"),
                                         header_of(call, "x-gitea-signature"),
                                         header_of(call, "x-hub-signature-256")};
    uint8_t mac[SHA256_SIZE];
    struct error err = {0};
    size_t len;
    const char *secret = config->forgejo.webhook_secret;
    if (secret == NULL || secret[0] == '\0') {
        refuse_signature(call, "forgejo.webhook_secret is not configured on this node");
        return false;
    }
    if (!forgejo_signature(&headers, mac, &err)) {
        refuse_signature(call, err.text);
        return false;
    }
    const char *body = call_body(call, &len);
    bool current = forgejo_signed_with(secret, body, len, mac);
    bool previous = forgejo_signed_with(config->forgejo.webhook_secret_previous, body, len, mac);
    if (!current && !previous)
        refuse_signature(call, "the signature does not fit the body");
    return current || previous;
}

/* --- the delivery --- */

static const char receive_sql[] =
    "select result, reason, detail, task_id from fleet.receive_delivery(p_delivery => $1, "
    "p_sha256 => $2, p_event => $3, p_event_type => $4, p_action => $5, p_repo => $6, p_number => "
    "$7::int, "
    "p_title => $8, p_body => $9, p_labels => $10::text[], p_state => $11, p_updated_at => $12, "
    "p_html_url => $13, p_sender => $14, p_admitted => $15::boolean, p_refusal => $16, "
    "p_timeout_secs => $17::int, p_max_retries => $18::int, p_max_attempts_total => $19::int)";

static const char *add_labels(struct buf *out, const struct json_object *labels)
{
    db_array_begin(out);
    for (size_t i = 0; i < json_object_array_length(labels); i++)
        db_array_text(out, json_object_get_string(json_object_array_get_idx(labels, i)));
    db_array_end(out);
    return buf_text(out);
}

static const char *number(int64_t value, char text[24])
{
    snprintf(text, 24, "%lld", (long long)value);
    return text;
}

static void body_digest(const struct call *call, char hex[2 * SHA256_SIZE + 1])
{
    uint8_t digest[SHA256_SIZE];
    size_t len;
    const char *body = call_body(call, &len);
    crypto_sha256(body, len, digest);
    crypto_hex(digest, sizeof digest, hex);
}

/* Forgejo knows no Retry-After. */
static void say_lost(const struct call *call)
{
    const struct delivery *delivery = call->state;
    log_warn(LOG_ABOUT(LOG_FIELD("request", call->id), LOG_FIELD("delivery", delivery->id)),
             "this delivery was not taken, and Forgejo does not send it again by itself: a person "
             "does, in the webhook's settings, or changes the label once more");
}

static void on_received(void *data, const struct db_result *res, const struct error *err)
{
    struct call *call = data;
    if (err != NULL) {
        say_lost(call);
        call_db_error(call, err);
    } else if (db_rows(res) != 1) {
        call_error(call, 500, "internal", NULL, "internal error in request %s", call->id);
    } else {
        const char *result = db_text(res, 0, "result");
        if (strcmp(result, "accepted") == 0)
            submit_wake(call_server(call)->submit);
        answer(call, result, db_text(res, 0, "reason"), db_text(res, 0, "detail"),
               db_text(res, 0, "task_id"));
    }
    call_drop(call);
}

static void store(struct call *call, const struct forgejo_issue *issue)
{
    const struct config *config = call_server(call)->config;
    const struct delivery *delivery = call->state;
    const char *refusal =
        forgejo_refusal(issue, &config->forgejo.repositories, &config->forgejo.trigger_users);
    char hex[2 * SHA256_SIZE + 1], numbers[4][24];
    struct buf labels;
    buf_init(&labels, LABELS_BYTES_MAX);
    body_digest(call, hex);
    const char *params[] = {/* in the order of receive_sql */
                            delivery->id,
                            hex,
                            delivery->event,
                            delivery->type,
                            issue->action,
                            issue->repo,
                            number(issue->number, numbers[0]),
                            issue->title,
                            issue->body,
                            add_labels(&labels, issue->labels),
                            issue->state,
                            issue->updated_at,
                            issue->html_url,
                            issue->sender,
                            refusal == NULL ? "true" : "false",
                            refusal,
                            number(config->orchestrator.task_timeout_secs, numbers[1]),
                            number(config->orchestrator.default_max_retries, numbers[2]),
                            number(config->orchestrator.max_attempts_total, numbers[3])};
    char *task_id = mem_printf("%s#%lld", issue->repo, (long long)issue->number);
    call_hold(call);
    db_query_locking(call_server(call)->db, task_id, call->began_ms + PATIENCE_MS, receive_sql,
                     DB_REPEAT, sizeof params / sizeof params[0], params, on_received, call);
    free(task_id);
    buf_release(&labels);
}

static void take_issue(struct call *call)
{
    const struct delivery *delivery = call->state;
    struct forgejo_issue issue;
    struct error err = {0};
    size_t len;
    const char *body = call_body(call, &len);
    switch (forgejo_issue_parse(&issue, body, len, delivery->type, &err)) {
    case FORGEJO_PARSED:
        store(call, &issue);
        break;
    case FORGEJO_IGNORED:
        answer(call, "ignored", "action_not_used", NULL, NULL);
        break;
    case FORGEJO_INVALID:
        call_error(call, 400, "malformed_payload", NULL, "%s", err.text);
        break;
    }
    forgejo_issue_release(&issue);
}

static void take_delivery(struct call *call)
{
    const struct delivery *delivery = call->state;
    if (!value_is_uuid(delivery->id, strlen(delivery->id))) {
        call_error(call, 400, "malformed_delivery", NULL,
                   "there is no X-Forgejo-Delivery header with a UUID");
        return;
    }
    switch (forgejo_event_of(delivery->event, delivery->type)) {
    case FORGEJO_ISSUE:
        take_issue(call);
        break;
    case FORGEJO_OTHER:
        answer(call, "ignored", "event_not_used", NULL, NULL);
        break;
    case FORGEJO_UNKNOWN:
        answer(call, "ignored", "event_unknown", NULL, NULL);
        break;
    }
}

void webhook_receive(struct call *call)
{
    call->deadline_ms = call->began_ms + DEADLINE_MS;
    if (!request_is_json(call))
        return;
    if (!call->framed) {
        call_error(call, 411, "length_required", NULL, "the delivery has no Content-Length");
        return;
    }
    if (!api_size_fits(call, WEBHOOK_BODY_MAX) || !is_signed(call))
        return;
    struct delivery *delivery = mem_alloc(sizeof *delivery);
    call->state = delivery;
    call->state_free = free;
    read_header(call, "x-forgejo-delivery", "x-gitea-delivery", delivery->id, sizeof delivery->id);
    read_header(call, "x-forgejo-event", "x-gitea-event", delivery->event, sizeof delivery->event);
    read_header(call, "x-forgejo-event-type", "x-gitea-event-type", delivery->type,
                sizeof delivery->type);
    take_delivery(call);
}
