/* Failures by the words of the CLIs and of their providers, collected from their sources. */
#include "worker/adapter/failure.h"

#include <stddef.h>
#include <string.h>

#define WORDS_MAX 32

struct failure {
    const char *reason;
    int weight;
    bool before_status; /* says more than the status does */
    const char *words[WORDS_MAX];
};

/* The first one that fits. */
static const struct failure failures[] = {
    {"session_lost",
     3,
     true,
     {"no conversation found", "session not found", "no rollout found", "thread not found",
      "invalid session identifier"}},
    {"context_overflow",
     3,
     true,
     {"context window", "context length", "context_length", "maximum context", "prompt is too long",
      "prompt_too_long", "input is too long", "contextwindowexceeded", "contextoverflow",
      "hit a token limit", "maximum number of tokens", "request_too_large", "request too large"}},
    {"agent_refused",
     3,
     true,
     {"usage policy", "usage policies", "content policy", "content_policy", "contentpolicy",
      "content_filter", "content filter", "content management policy", "safety policy",
      "was flagged", "invalid_prompt", "prohibited_content", "cyber_policy"}},
    {"provider_quota",
     4,
     true,
     {"usage limit",     "usage_limit",          "hit your limit",     "session limit",
      "weekly limit",    "hour limit reached",   "opus limit",         "sonnet limit",
      "current quota",   "insufficient_quota",   "insufficient quota", "quota exceeded",
      "quota_exceeded",  "exceeded your quota",  "quota will reset",   "exhausted your capacity",
      "quotaerror",      "exhausted your daily", "out of credits",     "credit balance",
      "billing",         "spending limit",       "spend limit",        "budgetexceeded",
      "payment required"}},
    {"provider_down",
     1,
     true,
     {"high demand", "overloaded", "at capacity", "500 Internal", "internal server error",
      "internalservererror", "502 Bad", "bad gateway", "503 Service", "service unavailable",
      "serviceunavailable", "504 Gateway", "gateway timeout", "server-side issue"}},
    {"rate_limited",
     2,
     true,
     {"429 Too Many", "too many requests", "rate limit", "rate_limit", "ratelimit", "rate-limit",
      "resource has been exhausted", "resource_exhausted", "quota"}},
    {"auth_failed",
     3,
     false,
     {"401 Unauthorized", "403 Forbidden", "invalid api key", "invalid_api_key",
      "incorrect api key", "api key not valid", "api key not found", "missing api key",
      "not logged in", "please run /login", "sign in again", "log in again", "token expired",
      "token has expired", "authenticat", "unauthorized", "oauth_org_not_allowed"}},
    {"network_failed",
     1,
     false,
     {"error sending request",
      "connection refused",
      "ECONNREFUSED",
      "ENOTFOUND",
      "EAI_AGAIN",
      "ECONNRESET",
      "ETIMEDOUT",
      "EHOSTUNREACH",
      "ENETUNREACH",
      "network is unreachable",
      "no route to host",
      "dns error",
      "getaddrinfo",
      "could not resolve",
      "name resolution",
      "fetch failed",
      "unable to connect",
      "connection error",
      "connection failed",
      "failed to connect",
      "apiconnectionerror",
      "network error",
      "socket hang up",
      "certificate",
      "tls handshake"}},
    {"provider_down",
     1,
     false,
     {"stream disconnected", "stream error", "Reconnecting...", "server_error", "request timed out",
      "without returning a response"}},
    {"agent_setup",
     3,
     false,
     {"model_not_found", "model not found", "unknown model", "untrusted", "not a trusted"}},
    {"turn_limit",
     3,
     false,
     {"max turns", "maximum number of turns", "max session turns", "turnlimited"}},
    {"agent_error", 0, false, {NULL}},
};

#define FAILURES (sizeof failures / sizeof failures[0])

static bool says(const char *text, const struct failure *failure)
{
    for (size_t i = 0; i < WORDS_MAX && failure->words[i] != NULL; i++)
        if (strcasestr(text, failure->words[i]) != NULL)
            return true;
    return false;
}

static const char *by_words(const char *text, bool before_status)
{
    for (size_t i = 0; text != NULL && i < FAILURES; i++)
        if (failures[i].before_status == before_status && says(text, &failures[i]))
            return failures[i].reason;
    return NULL;
}

static const char *by_status(int status)
{
    switch (status) {
    case 401:
    case 403:
        return "auth_failed";
    case 402:
        return "provider_quota";
    case 404:
        return "agent_setup";
    case 413:
        return "context_overflow";
    case 429:
        return "rate_limited";
    default:
        return status == 408 || status >= 500 ? "provider_down" : NULL;
    }
}

const char *failure_of(int status, const char *text)
{
    const char *reason = by_words(text, true);
    if (reason == NULL)
        reason = by_status(status);
    if (reason == NULL)
        reason = by_words(text, false);
    return failure_named(reason != NULL ? reason : "agent_error");
}

const char *failure_named(const char *reason)
{
    for (size_t i = 0; reason != NULL && i < FAILURES; i++)
        if (strcmp(failures[i].reason, reason) == 0)
            return failures[i].reason;
    return NULL;
}

int failure_weight(const char *reason)
{
    for (size_t i = 0; reason != NULL && i < FAILURES; i++)
        if (strcmp(failures[i].reason, reason) == 0)
            return failures[i].weight;
    return -1;
}
