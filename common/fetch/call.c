/* One call: what is asked of libcurl, the answer as it comes, and what a failure means. */
#include <ctype.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/crypto.h"
#include "common/fetch/address.h"
#include "common/fetch/internal.h"
#include "common/mem.h"
#include "common/text.h"

#define CONNECT_MS 10000L
#define SLOW_BYTES 100L /* a second, over half of the time of a request: slower is cut */

/* --- the answer as it comes --- */

/* Called between the connection and the first byte of the request. */
static int on_before(void *data, char *ip, char *own_ip, int port, int own_port)
{
    struct call *call = data;

    (void)ip, (void)own_ip, (void)port, (void)own_port;
    call->answer.sent = true;
    return CURL_PREREQFUNC_OK;
}

/* Seconds, or a date (RFC 9110 10.2.3). */
static int64_t retry_secs(const char *value)
{
    char *end;
    int64_t secs = strtoll(value, &end, 10);

    if (end == value || *end != '\0') {
        time_t date = curl_getdate(value, NULL);
        if (date == -1)
            return -1;
        secs = (int64_t)date - (int64_t)time(NULL);
    }
    return secs < 0 ? 0 : secs > FETCH_RETRY_MAX ? FETCH_RETRY_MAX : secs;
}

static void header_read(struct call *call, const char *line, size_t len)
{
    char text[1200];
    const char *colon = memchr(line, ':', len);

    if (len > 5 && memcmp(line, "HTTP/", 5) == 0) { /* an interim answer was before it */
        call->answer.retry_after_secs = call->answer.total = call->answer.date = -1;
        call->location[0] = '\0';
    }
    if (!colon || len >= sizeof text || memchr(line, '\0', len))
        return;
    memcpy(text, line, len);
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    text[len] = '\0';
    char *value = text + (colon - line);
    *value++ = '\0';
    value += strspn(value, " \t");
    if (strcasecmp(text, "Retry-After") == 0) {
        call->answer.retry_after_secs = retry_secs(value);
    } else if (strcasecmp(text, "X-Total-Count") == 0) {
        char *end;
        int64_t total = strtoll(value, &end, 10);
        call->answer.total = end == value || *end != '\0' || total < 0 ? -1 : total;
    } else if (strcasecmp(text, "Date") == 0) {
        call->answer.date = (int64_t)curl_getdate(value, NULL);
    } else if (strcasecmp(text, "Location") == 0 && strlen(value) < sizeof call->location) {
        memcpy(call->location, value, strlen(value) + 1);
    }
}

static size_t on_header(char *line, size_t one, size_t len, void *data)
{
    struct call *call = data;

    (void)one;
    call->head_len += len;
    if (call->head_len > FETCH_HEAD_MAX) {
        call->big = true;
        return 0;
    }
    header_read(call, line, len);
    return len;
}

static size_t on_body(char *bytes, size_t one, size_t len, void *data)
{
    struct call *call = data;

    (void)one;
    call->big = !buf_add(&call->body, bytes, len);
    return call->big ? 0 : len;
}

/* --- how it ended --- */

static const struct {
    CURLcode code;
    const char *state, *what;
} faults[] = {
    {CURLE_COULDNT_RESOLVE_HOST, "name", "the name of its host has no address here"},
    {CURLE_COULDNT_CONNECT, "connect", "nothing takes a connection there"},
    {CURLE_PEER_FAILED_VERIFICATION, "tls", "its certificate is not one to trust"},
    {CURLE_SSL_CACERT_BADFILE, "tls", "the file of trusted certificates cannot be read"},
    {CURLE_SSL_CONNECT_ERROR, "tls", "no TLS comes about"},
    {CURLE_SSL_ISSUER_ERROR, "tls", "its certificate is not one to trust"},
    {CURLE_OPERATION_TIMEDOUT, "time", "no whole answer came in time"},
    {CURLE_PARTIAL_FILE, "cut", "the answer was cut off"},
    {CURLE_GOT_NOTHING, "cut", "the connection closed without an answer"},
    {CURLE_RECV_ERROR, "cut", "the connection broke"},
    {CURLE_SEND_ERROR, "cut", "the connection broke"},
};

/* What libcurl said, without bytes that a foreign certificate or server may have put into it. */
static void words_clean(char *words)
{
    for (; *words; words++) {
        if ((unsigned char)*words < ' ' || (unsigned char)*words > '~')
            *words = '?';
    }
}

void fetch_call_explain(struct call *call, CURLcode code)
{
    const char *state = "broken", *what = "its answer is no HTTP";

    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        if (faults[i].code == code) {
            state = faults[i].state;
            what = faults[i].what;
        }
    }
    if (code == CURLE_OPERATION_TIMEDOUT && strncmp(call->words, "Operation too slow", 18) == 0) {
        state = "slow";
        what = "its answer comes too slowly";
    } else if (call->big) {
        state = "big";
        what = "its answer is larger than is read (8 MiB, 64 KiB of headers)";
    }
    words_clean(call->words);
    error_set_state(&call->answer.error, state, "%s: %s (%s)", call->fetch->base, what,
                    call->words[0] ? call->words : curl_easy_strerror(code));
}

void fetch_call_free(struct call *call)
{
    curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->headers);
    buf_release(&call->body);
    free(call);
}

/* --- what may be asked --- */

static bool line_fits(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    }
    return true;
}

const char *fetch_call_refusal(const struct fetch_request *request)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", NULL};

    if (!text_listed(request->method, methods))
        return "has a method that is not used here";
    if (!address_path_fits(request->path))
        return "has a path that is none";
    if (request->authorization && !line_fits(request->authorization))
        return "has an authorization of more than one line: look for a line break in the token";
    if (request->body && (!request->content_type || !line_fits(request->content_type)))
        return "has a body of no type";
    return NULL;
}

/* The header's name is a literal of ours. */
static void header_add(struct call *call, const char *name, const char *value)
{
    char *line = mem_join(name, value);

    call->headers = curl_slist_append(call->headers, line);
    fetch_memory_must(call->headers != NULL);
    crypto_wipe(line, strlen(line));
    free(line);
}

/* Who may be called and how: the same for each request. */
static void easy_guard(struct fetch *fetch, CURL *easy)
{
    long connect_ms = fetch->timeout_ms < CONNECT_MS ? fetch->timeout_ms : CONNECT_MS;
    bool clear = strncmp(fetch->base, "http:", 5) == 0;

    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, clear ? "http" : "https");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* also none of the environment's */
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (fetch->ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, fetch->ca_file);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)fetch->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, SLOW_BYTES);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, 1L + fetch->timeout_ms / 2000L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* A name that is still being looked up when its call ends would hold the whole loop. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
}

static void easy_listen(struct call *call)
{
    curl_easy_setopt(call->easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(call->easy, CURLOPT_ERRORBUFFER, call->words);
    curl_easy_setopt(call->easy, CURLOPT_PREREQFUNCTION, on_before);
    curl_easy_setopt(call->easy, CURLOPT_PREREQDATA, call);
    curl_easy_setopt(call->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(call->easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(call->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(call->easy, CURLOPT_WRITEDATA, call);
}

static void easy_request(struct call *call, const struct fetch_request *request)
{
    bool reads = strcmp(request->method, "GET") == 0;
    char *url = mem_printf("%s%s", call->fetch->base, request->path);

    curl_easy_setopt(call->easy, CURLOPT_URL, url);
    free(url);
    header_add(call, "Accept: ", "application/json");
    header_add(call, "Expect:", ""); /* a name alone keeps libcurl from adding its own */
    header_add(call, "User-Agent: ", "agent-fleet/" FLEET_VERSION);
    if (request->authorization)
        header_add(call, "Authorization: ", request->authorization);
    header_add(call, request->body ? "Content-Type: " : "Content-Type:",
               request->body ? request->content_type : "");
    curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
    if (request->body || strcmp(request->method, "DELETE") != 0) {
        curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t)(request->body ? request->body_len : 0));
        curl_easy_setopt(call->easy, CURLOPT_COPYPOSTFIELDS, request->body ? request->body : "");
    }
    if (reads)
        curl_easy_setopt(call->easy, CURLOPT_HTTPGET, 1L);
    else
        curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, request->method);
    /* On a connection that was there before, and that the server closes without a byte of an
     * answer, libcurl sends the request again by itself: what changes something gets a new one. */
    curl_easy_setopt(call->easy, CURLOPT_FRESH_CONNECT, reads ? 0L : 1L);
}

void fetch_call_make(struct call *call, const struct fetch_request *request)
{
    call->easy = curl_easy_init();
    fetch_memory_must(call->easy != NULL);
    easy_guard(call->fetch, call->easy);
    easy_listen(call);
    easy_request(call, request);
}
