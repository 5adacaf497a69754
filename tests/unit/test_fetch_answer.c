/* common/fetch against a server of this process: what it takes, what it keeps, and how it ends. */
#include <fcntl.h>
#include <time.h>

#include "tests/unit/fetch_scene.h"

/* --- what it takes --- */

static bool serve_much(struct http_peer *peer)
{
    static char block[1 << 16];
    bool head = http_asked(peer, "GET /head");

    memset(block, 'x', sizeof block);
    if (http_asked(peer, "GET /fits")) {
        http_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", FETCH_BODY_MAX);
        for (size_t i = 0; i < FETCH_BODY_MAX / sizeof block; i++)
            http_write(peer, block, sizeof block);
        return true;
    }
    if (http_asked(peer, "GET /interim")) {
        for (int i = 0; i < 100000; i++) {
            if (!http_say(peer, "HTTP/1.1 100 Continue\r\nX: y\r\n\r\n"))
                return false;
        }
        return http_answer(peer, "200 OK", "", "{}");
    }
    http_say(peer, head ? "HTTP/1.1 200 OK\r\n" : "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < 100000; i++) { /* for ever, for who reads it all */
        if (head ? !http_say(peer, "X-%d: %.200s\r\n", i, block)
                 : !http_write(peer, block, sizeof block))
            return false;
    }
    return false;
}

START_TEST(sizes)
{
    begin(serve_much);
    open_fetch("http://127.0.0.1:%d", 20000, NULL);
    struct got got = ask("GET", "/fits", NULL);
    ck_assert_msg(got.status == 200 && got.len == FETCH_BODY_MAX, "%s", got.text);
    static const char *const paths[] = {"/body", "/head", "/interim"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        got = ask("GET", paths[i], NULL);
        ck_assert_msg(got.status == 0 && got.sent, "%s: %d", paths[i], got.status);
        ck_assert_str_eq(got.state, "big");
    }
    end();
}
END_TEST

static bool serve_badly(struct http_peer *peer)
{
    if (http_asked(peer, "POST /cut") || http_asked(peer, "GET /cut"))
        http_say(peer, "HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{\"id\"");
    else if (http_asked(peer, "GET /chunk"))
        http_say(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc");
    else if (http_asked(peer, "GET /old"))
        http_say(peer, "{}");
    else if (http_asked(peer, "GET /hang") || http_asked(peer, "POST /hang"))
        while (!peer->server->stopping)
            http_linger(20);
    return false; /* "/nothing", too */
}

START_TEST(broken_answers)
{
    static const struct {
        const char *method, *path, *state;
    } cases[] = {
        {"POST", "/cut", "cut"},     {"GET", "/cut", "cut"},     {"GET", "/chunk", "cut"},
        {"POST", "/nothing", "cut"}, {"GET", "/nothing", "cut"}, {"GET", "/old", "broken"},
        {"GET", "/hang", "time"},    {"POST", "/hang", "time"},
    };
    begin(serve_badly);
    open_fetch("http://127.0.0.1:%d", 700, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct got got = ask(cases[i].method, cases[i].path, cases[i].method[0] == 'P' ? "{}" : 0);
        ck_assert_msg(got.status == 0 && got.sent, "%s: %d", cases[i].path, got.status);
        ck_assert_msg(strcmp(got.state, cases[i].state) == 0, "%s: %s, %s", cases[i].path,
                      got.state, got.text);
        ck_assert(got.body[0] == '\0' && got.len == 0);
    }
    end();
}
END_TEST

static bool serve_slowly(struct http_peer *peer)
{
    http_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    while (http_say(peer, "x"))
        http_linger(50);
    return false;
}

START_TEST(a_slow_answer)
{
    begin(serve_slowly);
    open_fetch("http://127.0.0.1:%d", 3900, NULL); /* half of it: 2 s */
    struct got got = ask("GET", "/x", NULL);
    ck_assert_str_eq(got.state, "slow");
    ck_assert(got.sent && got.status == 0);
    end();
}
END_TEST

START_TEST(nobody_there)
{
    begin(serve_plain);
    int port = server.port;
    http_server_stop(&server);
    memset(&server, 0, sizeof server);
    server.port = port;
    open_fetch("http://127.0.0.1:%d", 20000, NULL);
    struct got got = ask("POST", "/x", "{}");
    ck_assert_str_eq(got.state, "connect");
    ck_assert(!got.sent && got.status == 0);
    char base[64];
    snprintf(base, sizeof base, "127.0.0.1:%d", port);
    ck_assert_ptr_nonnull(strstr(got.text, base));
    fetch_stop(fetch, on_stopped, NULL);
    loop_run(&loop);
    fetch_free(fetch);
    open_fetch("https://nowhere.invalid:%d", 5000, NULL);
    got = ask("POST", "/x", "{}");
    ck_assert_msg(strcmp(got.state, "name") == 0, "%s: %s", got.state, got.text);
    ck_assert(!got.sent);
    fetch_stop(fetch, NULL, NULL);
    loop_run(&loop);
    fetch_free(fetch);
    loop_release(&loop);
}
END_TEST

/* --- connections that are kept --- */

static bool serve_once(struct http_peer *peer)
{
    if (peer->asked > 0) /* taken, maybe done, and the connection dies without a word */
        return false;
    return http_answer(peer, "200 OK", "", "{}");
}

/* libcurl repeats a request by itself when a kept connection closes without a byte: of what
 * changes something that would be a second comment. */
START_TEST(nothing_is_sent_twice)
{
    static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE"};

    begin(serve_once);
    open_fetch("http://127.0.0.1:%d", 20000, NULL);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        char line[32];
        snprintf(line, sizeof line, "%s /x", methods[i]);
        ck_assert_int_eq(ask("GET", "/x", NULL).status, 200);
        ck_assert_int_eq(ask(methods[i], "/x", "{}").status, 200);
        ck_assert_int_eq(ask(methods[i], "/x", "{}").status, 200);
        ck_assert_int_eq(http_count(&server, line), 2);
    }
    end();
}
END_TEST

START_TEST(reading_keeps_its_connection)
{
    begin(serve_plain);
    open_fetch("http://127.0.0.1:%d", 20000, NULL);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(ask("GET", "/x", NULL).status, 200);
    ck_assert_int_eq(server.peer_count, 1);
    end();
}
END_TEST

/* --- Retry-After --- */

static char retry_after[128];

static bool serve_later(struct http_peer *peer)
{
    return http_answer(peer, "503 Later", retry_after, "");
}

START_TEST(retry)
{
    char date[64];
    time_t then = time(NULL) + 100;
    struct tm utc;
    static const struct {
        const char *value;
        int64_t secs;
    } cases[] = {
        {"Retry-After: 17\r\n", 17},
        {"retry-after:   0  \r\n", 0},
        {"Retry-After: 99999999\r\n", 86400},
        {"Retry-After: -5\r\n", 0},
        {"Retry-After: soon\r\n", -1},
        {"Retry-After:\r\n", -1},
        {"", -1},
        {"Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n", 0},
        {"Retry-After: 99999999999999999999999\r\n", 86400},
    };
    begin(serve_later);
    open_fetch("http://127.0.0.1:%d", 20000, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(retry_after, sizeof retry_after, "%s", cases[i].value);
        struct got got = ask("GET", "/x", NULL);
        ck_assert_msg(got.status == 503 && got.retry == cases[i].secs, "%s: %lld", cases[i].value,
                      (long long)got.retry);
    }
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&then, &utc));
    snprintf(retry_after, sizeof retry_after, "Retry-After: %s\r\n", date);
    int64_t secs = ask("GET", "/x", NULL).retry;
    ck_assert_msg(secs > 30 && secs <= 100, "%lld", (long long)secs);
    end();
}
END_TEST

/* --- many, and the end --- */

static atomic_int at_once, most;

static bool serve_counted(struct http_peer *peer)
{
    int now = ++at_once;

    if (now > most)
        most = now;
    http_linger(20);
    --at_once;
    return http_answer(peer, "200 OK", "", "{}");
}

START_TEST(only_so_many_at_once)
{
    struct got got[12] = {0};

    begin(serve_counted);
    open_fetch("http://127.0.0.1:%d", 20000, NULL);
    for (int i = 0; i < 12; i++)
        fetch_send(fetch, &(struct fetch_request){.method = i % 2 ? "GET" : "POST", .path = "/x"},
                   on_got, &got[i]);
    ck_assert(!fetch_idle(fetch));
    loop_run(&loop);
    for (int i = 0; i < 12; i++)
        ck_assert(got[i].calls == 1 && got[i].status == 200);
    ck_assert_msg(most == 2, "%d at once", (int)most);
    end();
}
END_TEST

START_TEST(stop)
{
    struct got got[5] = {0};

    begin(serve_badly);
    open_fetch("http://127.0.0.1:%d", 20000, NULL);
    for (int i = 0; i < 5; i++)
        fetch_send(fetch, &(struct fetch_request){.method = "POST", .path = "/hang"}, on_got,
                   &got[i]);
    while (http_count(&server, "POST /hang") < 2)
        uv_run(&loop.uv, UV_RUN_NOWAIT);
    end();
    for (int i = 0; i < 5; i++) {
        ck_assert(got[i].calls == 1 && got[i].status == 0);
        ck_assert_str_eq(got[i].state, "stopped");
        ck_assert(got[i].sent == (i < 2));
    }
}
END_TEST

/* --- secrets --- */

#define CHUNK ((size_t)1 << 16)
#define OVERLAP ((size_t)64)

/* How often it stands in what this process may write. */
static int seen_in_memory(const char *secret)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC), count = 0;
    char line[512], *block = malloc(CHUNK);

    while (fgets(line, sizeof line, maps)) {
        unsigned long from, to;
        char may[8];
        if (sscanf(line, "%lx-%lx %7s", &from, &to, may) != 3 || may[1] != 'w' ||
            to - from > (256UL << 20)) // NOLINT(cert-err34-c)
            continue;
        for (unsigned long at = from; at < to; at += CHUNK - OVERLAP) {
            ssize_t n = pread(memory, block, to - at < CHUNK ? to - at : CHUNK, (off_t)at);
            char *hit = n > 0 ? memmem(block, (size_t)n, secret, strlen(secret)) : NULL;
            unsigned long where = hit ? at + (unsigned long)(hit - block) : 0;
            /* not in `block`, which has read itself */
            count += hit && (where < (unsigned long)block || where >= (unsigned long)block + CHUNK);
        }
    }
    memset(block, 0, CHUNK);
    free(block);
    close(memory);
    fclose(maps);
    return count;
}

static bool serve_deaf(struct http_peer *peer)
{
    memset(peer->head, 0, sizeof peer->head); /* our own server forgets it, too */
    memset(peer->body, 0, sizeof peer->body);
    pthread_mutex_lock(&peer->server->lock);
    memset(peer->server->last, 0, sizeof peer->server->last);
    memset(peer->server->last_body, 0, sizeof peer->server->last_body);
    pthread_mutex_unlock(&peer->server->lock);
    return http_answer(peer, "200 OK", "", "{}");
}

START_TEST(secrets_are_wiped)
{
    char secret[64], body[64], half[32];

    begin(serve_deaf);
    open_fetch("http://127.0.0.1:%d", 20000, NULL);
    snprintf(half, sizeof half, "needle%d", (int)getpid());
    snprintf(secret, sizeof secret, "token x-%s", half);
    snprintf(body, sizeof body, "{\"secret\":\"y-%s\"}", half);
    for (int i = 0; i < 3; i++) {
        struct got got = {0};
        fetch_send(fetch,
                   &(struct fetch_request){.method = i ? "POST" : "GET",
                                           .path = "/x",
                                           .authorization = secret,
                                           .body = i ? body : NULL,
                                           .body_len = i ? strlen(body) : 0,
                                           .content_type = "application/json"},
                   on_got, &got);
        loop_run(&loop);
        ck_assert_int_eq(got.status, 200);
    }
    memset(secret, 0, sizeof secret);
    memset(body, 0, sizeof body);
    for (int i = 0; i < 2; i++) { /* what is sought stands in `secret` now */
        snprintf(secret, sizeof secret, "%c-%s", i ? 'y' : 'x', half);
        ck_assert_int_eq(seen_in_memory(secret), 1);
    }
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fetch_answer");
    const struct {
        const char *name;
        const TTest *tests[8];
    } cases[] = {
        {"taken", {sizes, broken_answers, a_slow_answer, nobody_there}},
        {"kept", {nothing_is_sent_twice, reading_keeps_its_connection, retry}},
        {"life", {only_so_many_at_once, stop, secrets_are_wiped}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        TCase *tests = tcase_create(cases[i].name);
        tcase_set_timeout(tests, 60);
        for (size_t j = 0; j < 8 && cases[i].tests[j]; j++)
            tcase_add_test(tests, cases[i].tests[j]);
        suite_add_tcase(suite, tests);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
