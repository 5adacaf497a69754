/* common/forgejo/client against a server of this process: what is sent, what an answer means, how
 * lists are read to their end. */
#include "common/forgejo/client.h"
#include "tests/unit/fetch_scene.h"

#define TOKEN "aaaa1111bbbb2222"
#define LOOKUP "cccc3333dddd4444"

static struct forgejo *forgejo;

/* What a call came to. */
struct came {
    int calls, status;
    enum forgejo_verdict verdict;
    struct json_object *json; /* owned */
    int64_t retry;
    bool sent, more;
    char text[300];
};

static void on_came(void *data, const struct forgejo_answer *answer)
{
    struct came *came = data;

    came->calls++;
    came->verdict = answer->verdict;
    came->status = answer->status;
    came->json = json_object_get(answer->json);
    came->retry = answer->retry_secs;
    came->sent = answer->sent;
    came->more = answer->more;
    memcpy(came->text, answer->text, sizeof came->text);
    ck_assert(answer->verdict == FORGEJO_OK || answer->text[0] != '\0');
    ck_assert_ptr_null(strstr(answer->text, TOKEN));
}

static void open_forgejo(http_serve_cb serve, const char *lookup)
{
    begin(serve);
    open_fetch("http://127.0.0.1:%d/git", 20000, NULL);
    forgejo = forgejo_new(fetch, TOKEN, lookup);
}

static void close_forgejo(void)
{
    end();
    forgejo_free(forgejo);
}

/* The caller puts .json. */
static struct came call(const char *method, const char *path, const char *body, bool lookup)
{
    struct came came = {0};

    forgejo_call(forgejo, method, path, body, lookup, on_came, &came);
    ck_assert_int_eq(came.calls, 0);
    loop_run(&loop);
    ck_assert_int_eq(came.calls, 1);
    return came;
}

static struct came list(const char *path, size_t max)
{
    struct came came = {0};

    forgejo_list(forgejo, path, max, on_came, &came);
    loop_run(&loop);
    ck_assert_int_eq(came.calls, 1);
    return came;
}

/* --- what is sent --- */

START_TEST(headers)
{
    open_forgejo(serve_plain, LOOKUP);
    struct came came = call("POST", "/repos/o/r/issues/1/comments", "{\"body\":\"x\"}", false);
    ck_assert_int_eq(came.verdict, FORGEJO_OK);
    ck_assert_int_eq(json_int(came.json, "a", 0), 1);
    json_object_put(came.json);
    ck_assert_int_eq(http_count(&server, "POST /git/api/v1/repos/o/r/issues/1/comments"), 1);
    ck_assert_ptr_nonnull(strstr(server.last, "\r\nAuthorization: token " TOKEN "\r\n"));
    ck_assert_ptr_nonnull(strstr(server.last, "\r\nContent-Type: application/json\r\n"));
    ck_assert_str_eq(server.last_body, "{\"body\":\"x\"}");
    json_object_put(call("DELETE", "/x", NULL, false).json);
    ck_assert_ptr_null(strcasestr(server.last, "Content-Type"));
    json_object_put(call("GET", "/x", NULL, true).json);
    ck_assert_ptr_nonnull(strstr(server.last, "\r\nAuthorization: token " LOOKUP "\r\n"));
    json_object_put(call("GET", "/api/forgejo/v1/version", NULL, false).json);
    ck_assert_int_eq(http_count(&server, "GET /git/api/forgejo/v1/version"), 1);
    ck_assert_ptr_nonnull(strstr(server.last, "\r\nAuthorization: token " TOKEN "\r\n"));
    forgejo_free(forgejo);
    forgejo = forgejo_new(fetch, TOKEN, "");
    json_object_put(call("GET", "/x", NULL, true).json);
    ck_assert_ptr_nonnull(strstr(server.last, "\r\nAuthorization: token " TOKEN "\r\n"));
    forgejo_free(forgejo);
    forgejo = forgejo_new(fetch, NULL, NULL);
    json_object_put(call("GET", "/x", NULL, false).json);
    ck_assert_ptr_null(strcasestr(server.last, "Authorization"));
    close_forgejo();
}
END_TEST

START_TEST(paths)
{
    static const struct {
        const char *repository, *word, *path; /* NULL: none */
    } cases[] = {
        {"o/r", "x", "/repos/o/r/labels/-7/x"},
        {"o.o/r-r_r~", "a b/c?d#e%&+", "/repos/o.o/r-r_r~/labels/-7/a%20b%2Fc%3Fd%23e%25%26%2B"},
        {"o/r", "task/ä", "/repos/o/r/labels/-7/task%2F%C3%A4"},
        {"o/..", "x", NULL},
        {"../r", "x", NULL},
        {"./r", "x", NULL},
        {"o", "x", NULL},
        {"o/", "x", NULL},
        {"/r", "x", NULL},
        {"o/r/s", "x", NULL},
        {"", "x", NULL},
        {"o/r", "", NULL},
        {"o/r", ".", NULL},
        {"o/r", "..", NULL},
        {"o/r", "...", "/repos/o/r/labels/-7/..."},
    };
    struct buf path;

    buf_init(&path, 200);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_clear(&path);
        bool fits = forgejo_path(&path, "/repos/%r/labels/%d/%s", cases[i].repository, (int64_t)-7,
                                 cases[i].word);
        ck_assert_msg(fits == (cases[i].path != NULL), "%zu: %s", i, buf_text(&path));
        ck_assert_str_eq(buf_text(&path), fits ? cases[i].path : "");
    }
    buf_clear(&path);
    ck_assert(!forgejo_path(&path, "/%x"));
    buf_clear(&path);
    ck_assert(!forgejo_path(&path, "/%")); /* "%" alone is no word */
    buf_release(&path);
    open_forgejo(serve_plain, NULL);
    struct came came = call("GET", "", NULL, false); /* of a path that was none */
    ck_assert(came.verdict == FORGEJO_REFUSED && !came.sent);
    close_forgejo();
}
END_TEST

/* --- what it means --- */

static struct {
    const char *status, *headers, *body;
} next_answer;

static bool serve_next(struct http_peer *peer)
{
    return http_answer(peer, next_answer.status, next_answer.headers, next_answer.body);
}

#define HTML "Content-Type: text/html\r\n"
#define PAGE "<html><h1>502 Bad Gateway</h1></html>"

START_TEST(verdicts)
{
    static const struct {
        const char *method, *status, *headers, *body;
        enum forgejo_verdict verdict;
        bool sent;
        const char *says; /* in the text */
    } cases[] = {
        {"GET", "200 OK", "", "{}", FORGEJO_OK, false, ""},
        {"GET", "200 OK", "", " [1]\n", FORGEJO_OK, false, ""},
        {"POST", "201 Created", "", "{}", FORGEJO_OK, false, ""},
        {"POST", "201 Created", "", "", FORGEJO_OK, false, ""},
        {"GET", "200 OK", "", "", FORGEJO_GARBLED, true, "200"},
        {"GET", "200 OK", "", "null", FORGEJO_GARBLED, true, "200"},
        {"GET", "200 OK", HTML, "<html>log in</html>", FORGEJO_GARBLED, true, "invalid JSON"},
        {"POST", "201 Created", "", "{\"id\":", FORGEJO_GARBLED, true, "201"},
        {"GET", "200 OK", "", "{} {}", FORGEJO_GARBLED, true, "200"},
        {"GET", "200 OK", "", "{\"a\":\"\xff\"}", FORGEJO_GARBLED, true, "200"},
        {"GET", "301 Moved", "Location: /x\r\n", "", FORGEJO_MOVED, false, "renamed"},
        {"POST", "307 Moved", "Location: http://evil.example/\r\n", "", FORGEJO_MOVED, false, ""},
        {"POST", "400 Bad", "", "{\"message\":\"mixed\"}", FORGEJO_REFUSED, false, "mixed"},
        {"GET", "401 No", "", "{\"message\":\"token is required\"}", FORGEJO_DENIED, false,
         "token is required"},
        {"PATCH", "403 No", "", "", FORGEJO_DENIED, false, "may not"},
        {"POST", "403 No", "", "{\"message\":\"required scope(s): [write:issue]\"}", FORGEJO_DENIED,
         false, "write:issue"},
        {"GET", "404 No", "", "{\"message\":\"x\",\"errors\":[]}", FORGEJO_GONE, false,
         "not there"},
        {"GET", "410 Gone", "", "", FORGEJO_GONE, false, "410"},
        {"GET", "404 No", HTML, PAGE, FORGEJO_GONE, false, "404"},
        {"GET", "408 Time", "", "", FORGEJO_AWAY, true, "408"},
        {"POST", "409 No", "", "{\"message\":\"exists\"}", FORGEJO_REFUSED, false, "exists"},
        {"POST", "413 No", "", "", FORGEJO_REFUSED, false, "413"},
        {"POST", "422 No", "", "{\"message\":\"Empty Content-Type\"}", FORGEJO_REFUSED, false,
         "Content-Type"},
        {"POST", "423 Locked", "", "{}", FORGEJO_LOCKED, false, "archived"},
        {"GET", "429 Slow", "Retry-After: 17\r\n", "", FORGEJO_AWAY, true, "429"},
        {"POST", "500 No", "", "{\"message\":\"\"}", FORGEJO_AWAY, true, "500"},
        {"POST", "502 Bad", HTML, PAGE, FORGEJO_AWAY, true, "502"},
        {"POST", "503 No", "Retry-After: 17\r\n", "", FORGEJO_AWAY, true, "503"},
        {"GET", "599 No", "", "{}", FORGEJO_AWAY, true, "599"},
        {"GET", "200 OK", "", "{\"a\":{\"a\":\"\\u0000\"}}", FORGEJO_OK, false, ""},
        {"GET", "403 No", "",
         "{\"message\":\"\xe2\x80\xae<b>@all ghp_0123456789abcdefghijABCDEFGHIJ012345\"}",
         FORGEJO_DENIED, false, "＠all"},
    };
    open_forgejo(serve_next, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        next_answer.status = cases[i].status;
        next_answer.headers = cases[i].headers;
        next_answer.body = cases[i].body;
        struct came came = call(cases[i].method, "/repos/o/r/issues/1?x=y", NULL, false);
        ck_assert_msg(came.verdict == cases[i].verdict, "%zu, %s: %s, %s", i, cases[i].status,
                      forgejo_verdict_word(came.verdict), came.text);
        ck_assert_msg(came.sent == cases[i].sent, "%zu: %s", i, came.text);
        ck_assert_msg(strstr(came.text, cases[i].says) != NULL, "%zu: %s", i, came.text);
        ck_assert_int_eq(came.retry, cases[i].headers[0] == 'R' ? 17 : -1);
        ck_assert_int_eq(came.status, atoi(cases[i].status)); // NOLINT(cert-err34-c)
        ck_assert(came.verdict == FORGEJO_OK || came.json == NULL);
        ck_assert_ptr_null(strstr(came.text, "ghp_0"));
        if (came.verdict != FORGEJO_OK)
            ck_assert_ptr_nonnull(strstr(came.text, "/repos/o/r/issues/1: "));
        json_object_put(came.json);
    }
    close_forgejo();
}
END_TEST

START_TEST(depth)
{
    static char bomb[200001];

    memset(bomb, '[', 100000);
    memset(bomb + 100000, ']', 100000);
    next_answer.status = "200 OK";
    next_answer.headers = "";
    next_answer.body = bomb;
    open_forgejo(serve_next, NULL);
    ck_assert_int_eq(call("GET", "/x", NULL, false).verdict, FORGEJO_GARBLED);
    next_answer.status = "403 No"; /* it is read for its message only */
    ck_assert_int_eq(call("GET", "/x", NULL, false).verdict, FORGEJO_DENIED);
    close_forgejo();
}
END_TEST

static bool serve_silence(struct http_peer *peer)
{
    (void)peer;
    return false;
}

START_TEST(away)
{
    open_forgejo(serve_silence, NULL);
    struct came came = call("POST", "/x", "{}", false);
    ck_assert(came.verdict == FORGEJO_AWAY && came.status == 0 && came.sent);
    came = list("/x", 10);
    ck_assert(came.verdict == FORGEJO_AWAY && !came.json);
    close_forgejo();
}
END_TEST

/* --- lists --- */

static struct {
    int all;         /* items of the list */
    int cap;         /* the server's own size of a page */
    bool settings;   /* it says so */
    bool total;      /* X-Total-Count says all */
    bool page_total; /* X-Total-Count says what came */
    bool unpaged;
    int hidden; /* every so many-th is left out of its page; 0: none */
    int huge;   /* the item of this number is too large to be read; 0: none */
    int huges;  /* and so many behind it */
} shelf;

static int parameter(const char *head, const char *name)
{
    const char *at = strstr(head, name);
    ck_assert_ptr_nonnull(at);
    return atoi(at + strlen(name)); // NOLINT(cert-err34-c)
}

static void shelf_item(struct buf *body, int number, int *count)
{
    bool huge = shelf.huge && number >= shelf.huge && number <= shelf.huge + shelf.huges;

    if (shelf.hidden && number % shelf.hidden == 0)
        return;
    buf_addf(body, "%s{\"id\":%d", (*count)++ ? "," : "", number);
    if (huge) {
        static char text[FETCH_BODY_MAX];
        memset(text, 'x', sizeof text);
        buf_adds(body, ",\"body\":\"");
        buf_add(body, text, sizeof text);
        buf_adds(body, "\"");
    }
    buf_adds(body, "}");
}

static bool serve_shelf(struct http_peer *peer)
{
    struct buf body;
    char total[128] = "", settings[64];
    int count = 0;

    snprintf(settings, sizeof settings, "{\"max_response_items\":%d}", shelf.cap);
    if (http_asked(peer, "GET /git/api/v1/settings/api"))
        return http_answer(peer, shelf.settings ? "200 OK" : "404 No", "", settings);
    int limit = parameter(peer->head, "limit="), first = 1, last = shelf.all;
    if (!shelf.unpaged) {
        limit = limit < shelf.cap ? limit : shelf.cap;
        first = (parameter(peer->head, "page=") - 1) * limit + 1;
        last = first + limit - 1 < shelf.all ? first + limit - 1 : shelf.all;
    }
    buf_init(&body, FETCH_BODY_MAX * 8);
    buf_adds(&body, "[");
    for (int i = first; i <= last; i++)
        shelf_item(&body, i, &count);
    buf_adds(&body, "]");
    if (shelf.total || shelf.page_total)
        snprintf(total, sizeof total,
                 "X-Total-Count: %d\r\nLink: <http://evil.example/>; "
                 "rel=\"next\"\r\n",
                 shelf.total ? shelf.all : count);
    http_say(peer, "HTTP/1.1 200 OK\r\n%sContent-Length: %zu\r\n\r\n", total, body.len);
    bool on = http_write(peer, buf_text(&body), body.len);
    buf_release(&body);
    return on;
}

/* Each item once and in order but for the hidden and huge ones. */
static void whole_list(const char *path, int requests)
{
    struct came came = list(path, 10000);
    size_t at = 0;

    ck_assert_msg(came.verdict == FORGEJO_OK, "%s", came.text);
    ck_assert(!came.more);
    for (int i = 1; i <= shelf.all; i++) {
        if ((shelf.hidden && i % shelf.hidden == 0) ||
            (shelf.huge && i >= shelf.huge && i <= shelf.huge + shelf.huges))
            continue;
        struct json_object *item = json_object_array_get_idx(came.json, at++);
        ck_assert_msg(json_int(item, "id", 0) == i, "%d of %d is not there", i, shelf.all);
    }
    ck_assert_uint_eq(json_object_array_length(came.json), at);
    json_object_put(came.json);
    int asked = 0;
    for (const char *line = buf_text(&server.log); (line = strchr(line, '\n')); line++)
        asked++;
    if (requests)
        ck_assert_msg(asked == requests, "%d requests:\n%s", asked, buf_text(&server.log));
}

START_TEST(lists)
{
    static const struct {
        const char *path;
        int all, cap;
        bool settings, total, page_total, unpaged;
        int hidden;
        int requests; /* 0: whatever */
    } cases[] = {
        {"/labels", 0, 50, true, true, false, false, 0, 2},
        {"/labels", 7, 50, true, true, false, false, 0, 2},
        {"/labels?x=y", 50, 50, true, true, false, false, 0, 2},
        {"/labels", 120, 50, true, true, false, false, 0, 4},
        {"/labels", 120, 50, true, false, false, false, 0, 4},
        {"/labels", 100, 50, true, false, false, false, 0, 4}, /* and one that is empty */
        {"/labels", 120, 30, true, false, false, false, 0, 6},
        {"/labels", 120, 30, false, true, false, false, 0, 5},
        {"/labels", 120, 30, false, false, false, false, 0, 6}, /* until an empty one */
        {"/labels", 10, 50, false, false, false, false, 0, 3},
        {"/labels", 3, 1, true, true, false, false, 0, 4},
        {"/comments", 20, 50, true, true, false, true, 0, 2},
        {"/comments", 20, 50, true, false, false, true, 0, 2},
        {"/comments", 20, 50, false, false, false, true, 0, 3}, /* the same again */
        {"/comments", 70, 50, true, false, false, true, 0, 2},
        {"/comments", 50, 50, true, false, false, true, 0, 3},
        {"/timeline", 120, 50, true, false, true, false, 0, 5},
        {"/timeline?x=y", 120, 50, true, false, true, false, 7, 5},
        {"/timeline", 120, 30, false, false, true, false, 3, 6},
        {"/timeline", 0, 50, true, false, true, false, 0, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memset(&shelf, 0, sizeof shelf);
        shelf.all = cases[i].all;
        shelf.cap = cases[i].cap;
        shelf.settings = cases[i].settings;
        shelf.total = cases[i].total;
        shelf.page_total = cases[i].page_total;
        shelf.unpaged = cases[i].unpaged;
        shelf.hidden = cases[i].hidden;
        open_forgejo(serve_shelf, NULL);
        whole_list(cases[i].path, cases[i].requests);
        close_forgejo();
    }
}
END_TEST

START_TEST(the_size_of_a_page_is_asked_once)
{
    memset(&shelf, 0, sizeof shelf);
    shelf.all = 3;
    shelf.cap = 50;
    shelf.settings = true;
    open_forgejo(serve_shelf, NULL);
    for (int i = 0; i < 3; i++)
        json_object_put(list("/labels", 100).json);
    ck_assert_int_eq(http_count(&server, "GET /git/api/v1/settings/api"), 1);
    ck_assert_int_eq(http_count(&server, "GET /git/api/v1/labels?page=1&limit=50"), 3);
    close_forgejo();
}
END_TEST

/* Somebody's endless text does not hide what stands beside it. */
START_TEST(items_that_are_too_large)
{
    static const struct {
        int all, cap, huge, huges;
        bool settings;
    } cases[] = {
        {70, 50, 3, 0, true},
        {70, 50, 55, 1, true},
        {120, 30, 47, 0, true},
        {70, 50, 3, 0, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memset(&shelf, 0, sizeof shelf);
        shelf.all = cases[i].all;
        shelf.cap = cases[i].cap;
        shelf.huge = cases[i].huge;
        shelf.huges = cases[i].huges;
        shelf.settings = cases[i].settings;
        open_forgejo(serve_shelf, NULL);
        whole_list("/timeline", 0);
        close_forgejo();
    }
    shelf.huge = 1;
    shelf.huges = 9; /* nothing but such: it ends */
    open_forgejo(serve_shelf, NULL);
    ck_assert_int_eq(list("/timeline", 100).verdict, FORGEJO_GARBLED);
    close_forgejo();
    shelf.unpaged = true;
    open_forgejo(serve_shelf, NULL);
    ck_assert_int_eq(list("/comments", 100).verdict, FORGEJO_GARBLED);
    ck_assert_int_le(server.peer_count, 10);
    close_forgejo();
}
END_TEST

START_TEST(no_more_than_asked_for)
{
    memset(&shelf, 0, sizeof shelf);
    shelf.all = 1000;
    shelf.cap = 50;
    shelf.settings = shelf.total = true;
    open_forgejo(serve_shelf, NULL);
    struct came came = list("/labels", 70);
    ck_assert(came.verdict == FORGEJO_OK && came.more);
    ck_assert_uint_eq(json_object_array_length(came.json), 70);
    json_object_put(came.json);
    ck_assert_int_eq(http_count(&server, "GET /git/api/v1/labels?page=2&limit=50"), 1);
    ck_assert_int_eq(http_count(&server, "GET /git/api/v1/labels?page=3&limit=50"), 0);
    close_forgejo();
}
END_TEST

/* Every other item, as its number. */
static struct json_object *odd(const struct json_object *item)
{
    int64_t id = json_int(item, "id", 0);

    return id % 2 == 1 ? json_object_new_int64(id) : NULL;
}

/* What is not kept counts all the same: the list goes on to its end. */
START_TEST(what_is_made_of_items)
{
    struct came came = {0};

    open_forgejo(serve_shelf, NULL);
    shelf.all = 120;
    shelf.cap = 50;
    shelf.settings = shelf.total = true;
    forgejo_list_shaped(forgejo, "/repos/o/r/issues", 1000, odd, on_came, &came);
    loop_run(&loop);
    ck_assert(came.verdict == FORGEJO_OK && !came.more);
    ck_assert_uint_eq(json_object_array_length(came.json), 60);
    ck_assert_int_eq(json_object_get_int(json_object_array_get_idx(came.json, 59)), 119);
    json_object_put(came.json);
    close_forgejo();
}
END_TEST

START_TEST(no_lists)
{
    static const struct {
        const char *status, *body;
        enum forgejo_verdict verdict;
    } cases[] = {
        {"200 OK", "{}", FORGEJO_GARBLED}, {"200 OK", "", FORGEJO_GARBLED},
        {"200 OK", "[1", FORGEJO_GARBLED}, {"200 OK", "null", FORGEJO_OK},
        {"200 OK", "[]", FORGEJO_OK},      {"404 No", "", FORGEJO_GONE},
        {"403 No", "", FORGEJO_DENIED},    {"301 Moved", "", FORGEJO_MOVED},
        {"502 Bad", PAGE, FORGEJO_AWAY},
    };
    open_forgejo(serve_next, NULL);
    next_answer.headers = "";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        next_answer.status = cases[i].status;
        next_answer.body = cases[i].body;
        struct came came = list("/labels", 100);
        ck_assert_msg(came.verdict == cases[i].verdict, "%zu: %s", i, came.text);
        ck_assert(came.verdict == FORGEJO_OK || !came.json);
        json_object_put(came.json);
    }
    close_forgejo();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("forgejo_client");
    const struct {
        const char *name;
        const TTest *tests[8];
    } cases[] = {
        {"sent", {headers, paths}},
        {"verdicts", {verdicts, depth, away}},
        {"lists",
         {lists, the_size_of_a_page_is_asked_once, items_that_are_too_large, no_more_than_asked_for,
          what_is_made_of_items, no_lists}},
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
