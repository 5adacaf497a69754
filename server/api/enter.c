/* The checks that a request passes before its handler, each of which may answer it. */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "server/api/enter.h"
#include "server/api/handlers.h"
#include "server/http/net.h"
#include "server/server.h"

#define HEADERS_MAX 65536    /* bytes of all request headers */
#define REFUSAL_LOG_MS 10000 /* between two lines about answers 401 */

static void name_client(struct call *call)
{
    size_t len, count;
    const char *forwarded = call_header(call, "x-forwarded-for", &len, &count);
    char peer[sizeof call->client];
    memcpy(peer, call->client, sizeof peer);
    net_client(&call_server(call)->config->server.trusted_proxies, peer, forwarded, len,
               call->client, sizeof call->client);
}

/* Each check answers the call itself when it says false. */
static bool check_route(struct call *call)
{
    struct error err = {0};
    size_t len;
    const char *target = call_target(call, &len);
    int status = router_split(&call->path, target, len, &err);
    if (status != 0) {
        call_error(call, status, status == 414 ? "target_too_long" : "malformed_path", NULL, "%s",
                   err.text);
        return false;
    }
    const char *method = call_method(call, &len);
    switch (router_find(call_server(call)->routes, method, len, &call->path, &call->match)) {
    case ROUTER_FOUND:
        return true;
    case ROUTER_NO_PATH:
        call_error(call, 404, "not_found", NULL, "there is nothing at this path");
        return false;
    case ROUTER_NO_METHOD:
        call_add_header(call, "allow", call->match.allow);
        if (len == 7 && memcmp(method, "OPTIONS", 7) == 0) {
            call_answer(call, 204, NULL, "", 0);
            return false;
        }
        call_error(call, 405, "method_not_allowed", NULL, "this path answers to %s only",
                   call->match.allow);
        return false;
    }
    return false;
}

static bool check_query(struct call *call)
{
    static const char *const secrets[] = {"token", "access_token"};
    struct error err = {0};
    const char *value;
    if (!query_parse(&call->query, call->path.query, call->path.query_len, &err)) {
        call_error(call, 400, "malformed_query", NULL, "%s", err.text);
        return false;
    }
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
        if (!query_text(&call->query, secrets[i], &value, &err) || value != NULL) {
            call_error(
                call, 400, "token_in_query", NULL,
                "a token in the URL ends up in logs: send it as Authorization: Bearer TOKEN, "
                "and revoke the one you sent");
            return false;
        }
    }
    const char *unknown = query_unknown(&call->query, call->match.route->queries);
    if (unknown != NULL)
        call_error(call, 400, "unknown_parameter", NULL,
                   "there is no query parameter '%.100s' here", unknown);
    return unknown == NULL;
}

/* Open to all where the configuration says so. */
static bool is_public(const struct call *call)
{
    return call->match.route->handle == api_metrics && call_server(call)->config->metrics.is_public;
}

/* Which name the request was sent to: not a foreign one that was pointed at this node. */
static bool check_host(struct call *call)
{
    size_t len;
    const struct config *config = call_server(call)->config;
    const struct config_list *hosts = &config->server.public_hosts;
    const char *host = call_host(call, &len);
    /* without tokens, a name that was pointed at the loopback would be enough to get in */
    bool anyone = config->server.insecure_open && hosts->count == 0;
    if (anyone ? net_host_is_loopback(host, len) : net_host_known(hosts, host, len))
        return true;
    call_error(call, 421, "unknown_host", NULL,
               "this node is not served under the name '%.*s' (see server.public_hosts)",
               (int)(len > 100 ? 100 : len), host);
    return false;
}

bool api_size_fits(struct call *call, int64_t limit)
{
    size_t len;
    call_body(call, &len);
    if ((int64_t)len <= limit)
        return true;
    struct buf details;
    buf_init(&details, 200);
    buf_addf(&details, "{\"limit\": %lld, \"value\": %zu}", (long long)limit, len);
    call_error(call, 413, "body_too_large", buf_text(&details),
               "the body has %zu bytes; at most %lld are taken here", len, (long long)limit);
    buf_release(&details);
    return false;
}

void api_log_refusal(struct call *call, const char *why)
{
    struct server *server = call_server(call);
    int64_t now = clock_ms();
    server->refusals++;
    if (server->refusals_logged_ms != 0 && now - server->refusals_logged_ms < REFUSAL_LOG_MS)
        return;
    log_warn(LOG_ABOUT(LOG_FIELD("client", call->client), LOG_FIELD("request", call->id)),
             "%llu requests answered 401 since the last such line; this one: %s",
             (unsigned long long)server->refusals, why);
    server->refusals_logged_ms = now;
    server->refusals = 0;
}

static void refuse_token(struct call *call, const char *what)
{
    int secs = auth_failed(call_server(call)->auth, call->client);
    char text[16];
    api_log_refusal(call, what);
    call_server(call)->meter.refused_tokens++;
    if (secs > 0) {
        snprintf(text, sizeof text, "%d", secs);
        call_add_header(call, "retry-after", text);
        call_error(call, 429, "too_many_failures", NULL,
                   "%s, and too many such requests came from this address: try again in %d s", what,
                   secs);
        return;
    }
    call_add_header(call, "www-authenticate", "Bearer realm=\"agent-fleet\"");
    call_error(
        call, 401, "unauthorized", NULL,
        "%s. Send a header 'Authorization: Bearer TOKEN'; 'fleet-server token create --scope "
        "SCOPE' on a server makes one",
        what);
}

/* Of a token that is bound to repositories: tasks, and what is theirs. The fleet is others' too. */
static bool opens_to_bounded(const struct route *route)
{
    static const char *const theirs[] = {"/api/v1/tasks", "/api/v1/events"};
    for (size_t i = 0; i < sizeof theirs / sizeof theirs[0]; i++) {
        size_t len = strlen(theirs[i]);
        if (strncmp(route->pattern, theirs[i], len) == 0 &&
            (route->pattern[len] == '\0' || route->pattern[len] == '/'))
            return true;
    }
    return route->agents; /* an agent's own endpoints */
}

static void check_scope(struct call *call, const struct identity *who)
{
    const struct route *route = call->match.route;
    identity_copy(&call->who, who);
    if (who->scope == SCOPE_AGENT ? !route->agents : who->scope < route->scope)
        call_error(call, 403, "scope_needed", NULL,
                   "this needs a token of scope %s or more; yours has %s", scope_name(route->scope),
                   scope_name(who->scope));
    else if (who->bounded && !opens_to_bounded(route))
        call_error(call, 403, "token_is_bound", NULL,
                   "this token is bound to repositories: it reaches their tasks, not what belongs "
                   "to the whole fleet");
    else
        route->handle(call);
}

static void on_identity(void *data, const struct identity *who, const struct error *err)
{
    struct call *call = data;
    call->on_gone = NULL;
    call->state = NULL;
    if (call_gone(call)) {
        /* nobody waits any more */
    } else if (err != NULL) {
        call_db_error(call, err);
    } else if (who == NULL) {
        refuse_token(call, "this token is unknown, revoked or expired");
    } else {
        check_scope(call, who);
    }
    call_drop(call);
}

/* Clients that come and go must not fill the line in which their tokens wait to be looked up. */
static void on_gone(struct call *call)
{
    if (auth_forgo(call->state))
        call_drop(call);
}

/* Browsers let any page send a POST without a body to any address, and say where it came from. */
static void enter_open(struct call *call)
{
    static char name[] = "open";
    size_t len, count;
    if (call_header(call, "origin", &len, &count) == NULL)
        check_scope(call, &(struct identity){.scope = SCOPE_ADMIN, .name = name});
    else
        call_error(call, 403, "cross_site", NULL,
                   "server.insecure_open takes no requests of web pages: use tokens instead");
}

static void enter_shared(struct call *call)
{
    static char name[] = "shared";
    check_scope(call,
                &(struct identity){.token_id = TOKEN_SHARED, .scope = SCOPE_AGENT, .name = name});
}

void api_admit(struct call *call)
{
    struct server *server = call_server(call);
    uint8_t digest[SHA256_SIZE];
    size_t len, count;
    const char *header = call_header(call, "authorization", &len, &count);
    if (server->config->server.insecure_open) {
        enter_open(call);
        return;
    }
    if (count == 1 && auth_is_shared(header, len, server->config->orchestrator.http_pull_token)) {
        enter_shared(call);
        return;
    }
    if (header == NULL || count > 1 || !auth_parse(header, len, digest)) {
        refuse_token(call, header == NULL ? "a token is needed"
                           : count > 1    ? "there is more than one Authorization header"
                                       : "the Authorization header holds no token of this fleet");
        return;
    }
    const struct identity *who = auth_cached(server->auth, digest);
    if (who != NULL) {
        check_scope(call, who);
        return;
    }
    call_hold(call);
    call->state = auth_lookup(server->auth, digest, call->client, on_identity, call);
    call->on_gone = on_gone;
}

void api_answered(struct call *call, int status)
{
    meter_add(&call_server(call)->meter, call->match.route, status, clock_us() - call->began_us);
}

void api_enter(struct call *call)
{
    name_client(call);
    size_t headers = call_header_bytes(call);
    if (headers > HEADERS_MAX) {
        call_error(call, 431, "headers_too_large", NULL,
                   "the headers have %zu bytes; at most %d are taken", headers, HEADERS_MAX);
        return;
    }
    if (!check_route(call) || !check_query(call))
        return;
    enum route_kind kind = call->match.route->kind;
    if (kind != ROUTE_HEALTH && !check_host(call))
        return;
    if (kind == ROUTE_API && !is_public(call)) {
        if (api_size_fits(call, call_server(call)->config->server.max_body_bytes))
            api_admit(call);
    } else {
        call->match.route->handle(call);
    }
}
