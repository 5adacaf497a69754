/* common/fetch against a server of this process: what it sends, and whom it calls. */
#include "tests/unit/fetch_scene.h"

/* --- what is sent --- */

START_TEST(a_request)
{
    begin(serve_plain);
    open_fetch("http://127.0.0.1:%d/git/", 20000, NULL);
    ck_assert_str_eq(strrchr(fetch_base(fetch), '/'), "/git");
    struct got got = ask("GET", "/api/v1/user?a=%20b", NULL);
    ck_assert_int_eq(got.status, 200);
    ck_assert_str_eq(got.body, "{\"a\":1}");
    ck_assert(got.sent && got.total == 7 && got.retry == -1);
    ck_assert_int_eq(http_count(&server, "GET /git/api/v1/user?a=%20b"), 1);
    ck_assert_ptr_nonnull(strstr(server.last, "\r\nAuthorization: " SECRET "\r\n"));
    ck_assert_ptr_null(strcasestr(server.last, "Content-Type"));
    ck_assert_ptr_null(strcasestr(server.last, "Accept-Encoding"));
    ck_assert_ptr_null(strcasestr(server.last, "Expect"));
    ck_assert(fetch_idle(fetch));
    end();
}
END_TEST

START_TEST(methods_and_types)
{
    static const struct {
        const char *method, *body;
        const char *type; /* NULL: none may be named */
    } cases[] = {
        {"POST", "{}", "\r\nContent-Type: application/json\r\n"},
        {"PUT", "{}", "\r\nContent-Type: application/json\r\n"},
        {"PATCH", "{}", "\r\nContent-Type: application/json\r\n"},
        {"DELETE", NULL, NULL},
        {"DELETE", "{}", "\r\nContent-Type: application/json\r\n"},
        {"POST", NULL, NULL},
    };
    begin(serve_plain);
    open_fetch("http://localhost:%d", 20000, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[64];
        snprintf(line, sizeof line, "%s /x", cases[i].method);
        int before = http_count(&server, line);
        ck_assert_int_eq(ask(cases[i].method, "/x", cases[i].body).status, 200);
        ck_assert_int_eq(http_count(&server, line), before + 1);
        if (cases[i].type)
            ck_assert_ptr_nonnull(strstr(server.last, cases[i].type));
        else
            ck_assert_ptr_null(strcasestr(server.last, "Content-Type"));
    }
    size_t size = (size_t)3 << 19; /* from 1 MiB on libcurl would ask first */
    char *large = mem_alloc(size + 1);
    memset(large, 'x', size);
    ck_assert_int_eq(ask("POST", "/large", large).status, 200);
    ck_assert_ptr_null(strcasestr(server.last, "Expect"));
    ck_assert_uint_eq(server.last_len, size);
    free(large);
    end();
}
END_TEST

START_TEST(no_request_at_all)
{
    static const struct fetch_request requests[] = {
        {.method = "BREW", .path = "/"},
        {.method = "GET", .path = ""},
        {.method = "GET", .path = "x"},
        {.method = "GET", .path = "@evil.example/"},
        {.method = "GET", .path = "/a b"},
        {.method = "GET", .path = "/a\r\nX: y"},
        {.method = "GET", .path = "/a#b"},
        {.method = "GET", .path = "/a/../b"},
        {.method = "GET", .path = "/a/%2E./b"},
        {.method = "GET", .path = "/a/%2e%2E"},
        {.method = "GET", .path = "/./a"},
        {.method = "GET", .path = "/a/..?x"},
        {.method = "GET", .path = "/a%2"},
        {.method = "GET", .path = "/a\\b"},
        {.method = "GET", .path = "/\xc3\xa4"},
        {.method = "GET", .path = "/", .authorization = "token x\r\nX: y"},
        {.method = "POST", .path = "/", .body = "{}", .body_len = 2},
    };
    begin(serve_plain);
    open_fetch("http://127.0.0.1:%d", 20000, NULL);
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        struct got got = {0};
        fetch_send(fetch, &requests[i], on_got, &got);
        loop_run(&loop);
        ck_assert_msg(got.calls == 1 && got.status == 0 && !got.sent, "%zu", i);
        ck_assert_str_eq(got.state, "request");
    }
    ck_assert_int_eq(server.peer_count, 0);
    ck_assert_int_eq(ask("GET", "/a/...?x=../y", NULL).status, 200);
    end();
}
END_TEST

/* --- whom it calls --- */

static struct http_server other;

static bool serve_redirect(struct http_peer *peer)
{
    char line[128];

    if (http_asked(peer, "GET /self"))
        snprintf(line, sizeof line, "Location: /elsewhere\r\n");
    else
        snprintf(line, sizeof line, "Location: http://127.0.0.1:%d/elsewhere\r\n", other.port);
    return http_answer(peer, peer->head[0] == 'G' ? "301 Moved Permanently" : "307 Temporary", line,
                       "");
}

START_TEST(redirects)
{
    begin(serve_redirect);
    http_server_start(&other, serve_plain, NULL, NULL);
    open_fetch("http://127.0.0.1:%d", 20000, NULL);
    struct got got = ask("GET", "/self", NULL);
    ck_assert_int_eq(got.status, 301);
    ck_assert_str_eq(got.location, "/elsewhere");
    ck_assert_int_eq(ask("GET", "/x", NULL).status, 301);
    ck_assert_int_eq(ask("POST", "/x", "{}").status, 307);
    ck_assert_int_eq(http_count(&server, "GET /elsewhere"), 0);
    ck_assert_int_eq(other.peer_count, 0);
    end();
    http_server_stop(&other);
}
END_TEST

START_TEST(proxies_of_the_environment)
{
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY",
                                        "all_proxy",  "ALL_PROXY",   "HTTP_PROXY"};
    char proxy[64];

    begin(serve_plain);
    http_server_start(&other, serve_plain, NULL, NULL);
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", other.port);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        setenv(names[i], proxy, 1);
    open_fetch("http://127.0.0.1:%d", 20000, NULL);
    ck_assert_int_eq(ask("GET", "/x", NULL).status, 200);
    ck_assert_int_eq(http_count(&server, "GET /x"), 1);
    ck_assert_int_eq(other.peer_count, 0);
    end();
    http_server_stop(&other);
}
END_TEST

static char folder[] = "/tmp/fetch.XXXXXX";

static void folder_make(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void folder_remove(void)
{
    char command[64];

    snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0); // NOLINT(cert-env33-c)
}

/* A user's ~/.netrc has log-ins that nobody here asked for. */
START_TEST(netrc)
{
    char path[64];

    begin(serve_plain);
    folder_make();
    snprintf(path, sizeof path, "%s/.netrc", folder);
    FILE *file = fopen(path, "w");
    fputs("default login someone password of-netrc\n", file);
    fclose(file);
    setenv("HOME", folder, 1);
    open_fetch("http://127.0.0.1:%d", 20000, NULL);
    struct got got = {0};
    fetch_send(fetch, &(struct fetch_request){.method = "GET", .path = "/"}, on_got, &got);
    loop_run(&loop);
    ck_assert_int_eq(got.status, 200);
    ck_assert_ptr_null(strcasestr(server.last, "Authorization"));
    end();
    folder_remove();
}
END_TEST

/* --- TLS --- */

/* A certificate of its own authority for `name`, by openssl. */
static void make_certificate(const char *file, const char *name, const char *more)
{
    char command[1024];

    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
             " -subj /CN=test -addext subjectAltName=%s -keyout %s/%s.key -out %s/%s.crt %s"
             " 2>/dev/null",
             name, folder, file, folder, file, more);
    ck_assert_int_eq(system(command), 0); // NOLINT(cert-env33-c)
}

/* The same, which ended yesterday. */
static void expire(const char *file)
{
    char command[512];

    snprintf(command, sizeof command,
             "openssl x509 -in %s/%s.crt -signkey %s/%s.key -days -1 -out %s/new 2>/dev/null &&"
             " mv %s/new %s/%s.crt",
             folder, file, folder, file, folder, folder, folder, file);
    ck_assert_int_eq(system(command), 0); // NOLINT(cert-env33-c)
}

static struct got ask_tls(const char *certificate, const char *ca)
{
    char crt[128], key[128], trusted[128];

    loop_init(&loop);
    signal(SIGPIPE, SIG_IGN);
    snprintf(crt, sizeof crt, "%s/%s.crt", folder, certificate);
    snprintf(key, sizeof key, "%s/%s.key", folder, certificate);
    snprintf(trusted, sizeof trusted, "%s/%s.crt", folder, ca ? ca : "");
    http_server_start(&server, serve_plain, crt, key);
    open_fetch("https://127.0.0.1:%d", 20000, ca ? trusted : NULL);
    struct got got = ask("GET", "/x", NULL);
    end();
    return got;
}

START_TEST(tls)
{
    static const struct {
        const char *certificate, *ca;
        bool good;
    } cases[] = {
        {"own", "own", true},    {"own", "other", false},       {"own", NULL, false},
        {"host", "host", false}, {"expired", "expired", false}, {"own", "missing", false},
    };
    folder_make();
    make_certificate("own", "IP:127.0.0.1", "-days 2");
    make_certificate("other", "IP:127.0.0.1", "-days 2");
    make_certificate("host", "DNS:git.example.org", "-days 2");
    make_certificate("expired", "IP:127.0.0.1", "-days 2");
    expire("expired");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct got got = ask_tls(cases[i].certificate, cases[i].ca);
        ck_assert_msg(got.status == (cases[i].good ? 200 : 0), "%zu: %s", i, got.text);
        if (!cases[i].good) {
            ck_assert_str_eq(got.state, "tls");
            ck_assert(!got.sent);
        }
    }
    folder_remove();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fetch");
    const struct {
        const char *name;
        const TTest *tests[8];
    } cases[] = {
        {"sent", {a_request, methods_and_types, no_request_at_all}},
        {"called", {redirects, proxies_of_the_environment, netrc, tls}},
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
