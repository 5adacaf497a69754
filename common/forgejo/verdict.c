/* What an answer of Forgejo means. */
#include <ctype.h>
#include <string.h>

#include "common/forgejo/internal.h"
#include "common/forgejo/words.h"

static const struct {
    const char *word, *says;
} verdicts[] = {
    [FORGEJO_OK] = {"ok", "well"},
    [FORGEJO_GONE] = {"gone", "it is not there, or not for this token to see"},
    [FORGEJO_DENIED] = {"denied", "the token may not do this"},
    [FORGEJO_MOVED] = {"moved", "the repository or its owner was renamed"},
    [FORGEJO_LOCKED] = {"locked", "the repository is archived"},
    [FORGEJO_REFUSED] = {"refused", "it is refused"},
    [FORGEJO_AWAY] = {"away", "it cannot answer now"},
    [FORGEJO_GARBLED] = {"garbled", "the answer is not what this call gives"},
};

const char *forgejo_verdict_word(enum forgejo_verdict verdict)
{
    return verdicts[verdict].word;
}

static enum forgejo_verdict verdict_of(int status)
{
    switch (status) {
    case 401:
    case 403:
        return FORGEJO_DENIED;
    case 404:
    case 410:
        return FORGEJO_GONE;
    case 423:
        return FORGEJO_LOCKED;
    case 408:
    case 425:
    case 429:
        return FORGEJO_AWAY;
    }
    switch (status / 100) {
    case 2:
        return FORGEJO_OK;
    case 3:
        return FORGEJO_MOVED;
    case 4:
        return FORGEJO_REFUSED;
    case 5:
        return FORGEJO_AWAY;
    }
    return FORGEJO_GARBLED;
}

static enum forgejo_verdict verdict_of_fault(const char *state)
{
    if (strcmp(state, "request") == 0)
        return FORGEJO_REFUSED;
    return strcmp(state, "big") == 0 ? FORGEJO_GARBLED : FORGEJO_AWAY;
}

/* Databases other than PostgreSQL keep NULs, and Forgejo hands them on as an escape. */
void forgejo_unnul(char *json, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++) {
        if (json[i] != '\\')
            continue;
        if (len - i >= 6 && memcmp(json + i, "\\u0000", 6) == 0)
            memcpy(json + i, "\\ufffd", 6);
        i++; /* what is escaped begins no escape */
    }
}

static struct json_object *read_body(const struct fetch_answer *http, struct error *err)
{
    struct buf text;
    struct json_object *json;

    buf_init(&text, http->len);
    buf_add(&text, http->body, http->len);
    forgejo_unnul(text.data, text.len);
    json = json_parse(buf_text(&text), text.len, err);
    buf_release(&text);
    return json;
}

static bool is_blank(const struct fetch_answer *http)
{
    return strspn(http->body, " \t\r\n") >= http->len;
}

/* One sentence: what was asked, what came, what that means, what Forgejo says of it. */
static void explain(struct forgejo_answer *answer, const struct fetch_answer *http,
                    const char *method, const char *path, const char *said)
{
    struct buf text;
    int path_len = (int)strcspn(path, "?");

    buf_init(&text, sizeof answer->text - 1);
    buf_addf(&text, "%.10s %.*s: ", method, path_len < 100 ? path_len : 100, path);
    if (http->status == 0) {
        buf_addf(&text, "%.180s", http->error.text);
    } else {
        buf_addf(&text, "%d, %s", http->status, verdicts[answer->verdict].says);
        if (said[0]) {
            buf_adds(&text, ": ");
            words_plain(&text, said, strlen(said), 100, NULL);
        }
    }
    memcpy(answer->text, buf_text(&text), text.len + 1);
    buf_release(&text);
}

static void judge(struct forgejo_answer *answer, const struct fetch_answer *http,
                  const char *method, const char *path, bool null_fits)
{
    struct error err = {0};
    struct json_object *json = NULL;
    const char *said = "";
    bool fine, missing;

    *answer = (struct forgejo_answer){
        .status = http->status, .retry_secs = http->retry_after_secs, .date = http->date};
    answer->verdict =
        http->status == 0 ? verdict_of_fault(http->error.state) : verdict_of(http->status);
    if (http->status != 0 && !is_blank(http))
        json = read_body(http, &err);
    fine = answer->verdict == FORGEJO_OK;
    missing = !json && (err.text[0] != '\0' ||
                        (strcmp(method, "GET") == 0 && (is_blank(http) || !null_fits)));
    if (fine && missing) {
        answer->verdict = FORGEJO_GARBLED;
        said = err.text;
    } else if (fine) {
        answer->json = json;
        return;
    } else if (json) { /* many refusals have no body, and proxies send HTML */
        said = json_string(json, "message", "");
    }
    answer->sent = fine || (http->status == 0 ? http->sent : answer->verdict == FORGEJO_AWAY);
    explain(answer, http, method, path, said);
    json_object_put(json);
}

void forgejo_judge(const struct forgejo *forgejo, struct forgejo_answer *answer,
                   const struct fetch_answer *http, const char *method, const char *path,
                   bool null_fits)
{
    judge(answer, http, method, path, null_fits);
    if (forgejo->counts)
        forgejo->counts[answer->verdict]++;
}
