/* POST /api/v1/webhooks/forgejo. Nothing is believed, stored or parsed before the signature fits.
 */
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
#include "server/webhook/admit.h"
#include "server/webhook/form.h"
#include "server/webhook/payload.h"
#include "server/webhook/signature.h"

#define DEADLINE_MS 4000 /* Forgejo waits 5 s for the whole exchange */
#define PATIENCE_MS 2500 /* for the database; what is under way then may take its time to end */
#define EVENT_MAX 64     /* bytes of an event's name, with NUL */

struct delivery {
    char id[37];
    char event[EVENT_MAX]; /* X-Forgejo-Event: not signed, only a hint */
    char type[EVENT_MAX];  /* X-Forgejo-Event-Type, or "" */
    uint8_t mac[SHA256_SIZE];
    struct buf form;  /* owned: what a form held; empty of a JSON body */
    const char *json; /* borrowed from form, or from the call: what was signed */
    size_t len;
};

static void delivery_free(void *state)
{
    struct delivery *delivery = state;
    buf_release(&delivery->form);
    free(delivery);
}

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

static bool refuse_signature(struct call *call, const char *why)
{
    api_log_refusal(call, why);
    call_server(call)->meter.refused_signatures++;
    call_error(call, 401, "bad_signature", NULL,
               "the delivery is not signed with this fleet's secret");
    return false;
}

/* --- headers --- */

static struct signature_header header_of(const struct call *call, const char *name)
{
    struct signature_header header;
    header.value = call_header(call, name, &header.len, &header.count);
    return header;
}

/* A header under the first of its three names that is there, as text; "" when none is, or too long.
 */
static void read_header(const struct call *call, const char *what, char *text, size_t size)
{
    static const char *const brands[] = {"x-forgejo-", "x-gitea-", "x-gogs-"};
    struct signature_header header = {0};
    text[0] = '\0';
    for (size_t i = 0; i < sizeof brands / sizeof brands[0] && header.count == 0; i++) {
        char name[EVENT_MAX];
        stpcpy(stpcpy(name, brands[i]), what);
        header = header_of(call, name);
    }
    if (header.count == 0 || header.len >= size || memchr(header.value, '\0', header.len) != NULL)
        return;
    memcpy(text, header.value, header.len);
    text[header.len] = '\0';
}

static bool read_body(struct call *call, struct delivery *delivery)
{
    struct error err = {0};
    delivery->json = call_body(call, &delivery->len);
    if (request_has_type(call, "application/json"))
        return true;
    if (!form_payload(delivery->json, delivery->len, &delivery->form, &err))
        return refuse_signature(call, err.text);
    delivery->json = buf_text(&delivery->form);
    delivery->len = delivery->form.len;
    return true;
}

static bool is_signed(struct call *call, struct delivery *delivery)
{
    const struct config *config = call_server(call)->config;
    struct signature_headers headers = {
        header_of(call, "x-forgejo-signature"), header_of(call, "x-gitea-signature"),
        header_of(call, "x-gogs-signature"), header_of(call, "x-hub-signature-256")};
    struct error err = {0};
    if (!admit_has_secret(config))
        return refuse_signature(call, "forgejo.webhook_secret is not configured on this node");
    if (!signature_read(&headers, delivery->mac, &err))
        return refuse_signature(call, err.text);
    if (!admit_signed(config, NULL, delivery->json, delivery->len, delivery->mac))
        return refuse_signature(call, "the signature does not fit the body");
    return true;
}

/* --- the delivery --- */

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

static void add_text(struct json_object *event, const char *name, const char *text)
{
    json_object_object_add(event, name, text != NULL ? json_object_new_string(text) : NULL);
}

static void add_int(struct json_object *event, const char *name, int64_t value)
{
    json_object_object_add(event, name, json_object_new_int64(value));
}

static const char *refusal(const struct config *config, const struct delivery *delivery,
                           const struct payload *payload)
{
    if (!admit_event(config, event_word(delivery->event, delivery->type)))
        return "event_not_allowed";
    if (payload->repo[0] != '\0' && !admit_repository(config, payload->repo))
        return "repository_not_allowed";
    return NULL;
}

/* What belongs to the delivery and to this node, beside what the payload says. */
static void complete(const struct call *call, const struct payload *payload)
{
    const struct config *config = call_server(call)->config;
    const struct delivery *delivery = call->state;
    struct json_object *event = payload->json;
    uint8_t digest[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    crypto_sha256(delivery->json, delivery->len, digest);
    crypto_hex(digest, sizeof digest, hex);
    add_text(event, "delivery", delivery->id);
    add_text(event, "sha256", hex);
    add_text(event, "event", delivery->event);
    add_text(event, "event_type", delivery->type);
    add_text(event, "refusal", refusal(config, delivery, payload));
    json_object_object_add(event, "signer",
                           admit_signer(config, delivery->json, delivery->len, delivery->mac));
    json_object_object_add(event, "trusted",
                           json_object_new_boolean(admit_sender(config, payload->sender)));
    json_object_object_add(event, "reads", json_object_new_boolean(config->forgejo.reads));
    add_int(event, "timeout_secs", config->orchestrator.task_timeout_secs);
    add_int(event, "max_retries", config->orchestrator.default_max_retries);
    add_int(event, "max_attempts_total", config->orchestrator.max_attempts_total);
}

static void store(struct call *call, const struct payload *payload)
{
    complete(call, payload);
    const char *params[] = {json_object_to_json_string_ext(payload->json, JSON_C_TO_STRING_PLAIN)};
    char *subject = mem_printf("%s#%lld", payload->repo, (long long)payload->number);
    call_hold(call);
    db_query_locking(call_server(call)->db, subject, call->began_ms + PATIENCE_MS,
                     "select result, reason, detail, task_id from fleet.receive_event($1::jsonb)",
                     DB_REPEAT, 1, params, on_received, call);
    free(subject);
}

/* False: the call is answered. */
static bool is_signed_for(struct call *call, const char *repo)
{
    const struct delivery *delivery = call->state;
    return admit_signed(call_server(call)->config, repo[0] != '\0' ? repo : NULL, delivery->json,
                        delivery->len, delivery->mac) ||
           refuse_signature(call, "it is signed with a secret of other repositories");
}

static void take_payload(struct call *call)
{
    const struct delivery *delivery = call->state;
    struct payload payload;
    struct error err = {0};
    switch (payload_read(&payload, delivery->event, delivery->type, delivery->json, delivery->len,
                         &err)) {
    case PAYLOAD_READ:
        if (is_signed_for(call, payload.repo))
            store(call, &payload);
        break;
    case PAYLOAD_IGNORED:
        answer(call, "ignored", "action_not_used", NULL, NULL);
        break;
    case PAYLOAD_INVALID:
        call_error(call, 400, "malformed_payload", NULL, "%s", err.text);
        break;
    }
    payload_release(&payload);
}

static void take_delivery(struct call *call, struct delivery *delivery)
{
    read_header(call, "delivery", delivery->id, sizeof delivery->id);
    read_header(call, "event", delivery->event, sizeof delivery->event);
    read_header(call, "event-type", delivery->type, sizeof delivery->type);
    if (!value_is_uuid(delivery->id, strlen(delivery->id)))
        call_error(call, 400, "malformed_delivery", NULL,
                   "there is no X-Forgejo-Delivery header with a UUID");
    else if (event_kind_of(delivery->event, delivery->type) == EVENT_UNKNOWN)
        answer(call, "ignored", "event_unknown", NULL, NULL);
    else
        take_payload(call);
}

void webhook_receive(struct call *call)
{
    call->deadline_ms = call->began_ms + DEADLINE_MS;
    if (!request_has_type(call, "application/json") &&
        !request_has_type(call, "application/x-www-form-urlencoded")) {
        call_error(call, 415, "unsupported_media_type", NULL,
                   "the body has to be declared as Content-Type: application/json, or "
                   "application/x-www-form-urlencoded");
        return;
    }
    if (!call->framed) {
        call_error(call, 411, "length_required", NULL, "the delivery has no Content-Length");
        return;
    }
    if (!api_size_fits(call, WEBHOOK_BODY_MAX))
        return;
    struct delivery *delivery = mem_alloc(sizeof *delivery);
    call->state = delivery;
    call->state_free = delivery_free;
    if (read_body(call, delivery) && is_signed(call, delivery))
        take_delivery(call, delivery);
}
