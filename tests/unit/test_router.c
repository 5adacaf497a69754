/* server/router: raw paths, decoded once, against the server's own table of routes. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/router/router.h"
#include "server/routes.h"

static struct router_path path;
static struct router_match match;
static struct error err;

static int split(const char *target)
{
    memset(&path, 0xa5, sizeof path);
    return router_split(&path, target, strlen(target), &err);
}

static enum router_verdict find(const char *method, const char *target)
{
    ck_assert_int_eq(split(target), 0);
    return router_find(server_routes, method, strlen(method), &path, &match);
}

START_TEST(an_encoded_slash_stays_in_its_segment)
{
    ck_assert_int_eq(find("GET", "/api/v1/tasks/org%2Frepo%2342"), ROUTER_FOUND);
    ck_assert_str_eq(match.id, "org/repo#42");
    ck_assert_int_eq(find("GET", "/api/v1/tasks/..%2f..%2fetc"), ROUTER_FOUND);
    ck_assert_str_eq(match.id, "../../etc");
}
END_TEST

START_TEST(escapes_are_decoded_once)
{
    ck_assert_int_eq(find("GET", "/api/v1/tasks/a%252Fb"), ROUTER_FOUND);
    ck_assert_str_eq(match.id, "a%2Fb");
    ck_assert_int_eq(find("GET", "/api/v1/t%61sks/%e2%82%ac"), ROUTER_FOUND);
    ck_assert_str_eq(match.id, "\u20ac");
    ck_assert_int_eq(find("GET", "/api/v1/tasks/a+b"), ROUTER_FOUND);
    ck_assert_str_eq(match.id, "a+b");
}
END_TEST

START_TEST(dots_are_ordinary)
{
    ck_assert_int_eq(find("GET", "/api/../healthz"), ROUTER_NO_PATH);
    ck_assert_int_eq(find("GET", "/api/v1/tasks/.."), ROUTER_FOUND);
    ck_assert_str_eq(match.id, "..");
}
END_TEST

START_TEST(every_segment_counts)
{
    ck_assert_int_eq(find("GET", "/healthz"), ROUTER_FOUND);
    ck_assert_int_eq(find("GET", "/healthz/"), ROUTER_NO_PATH);
    ck_assert_int_eq(find("GET", "/healthz/x"), ROUTER_NO_PATH);
    ck_assert_int_eq(find("GET", "//healthz"), ROUTER_NO_PATH);
    ck_assert_int_eq(find("GET", "/"), ROUTER_NO_PATH);
    ck_assert_int_eq(find("GET", "/api/v1/tasks/"), ROUTER_NO_PATH);
    ck_assert_int_eq(find("GET", "/a/b/c/d/e/f/g/h/i/j/k"), ROUTER_NO_PATH);
    ck_assert_int_eq(find("GET", "/api/v1/tasks/x/logs/"), ROUTER_NO_PATH);
}
END_TEST

START_TEST(bad_bytes_are_refused)
{
    ck_assert_int_eq(split("/a%00b"), 400);
    ck_assert_int_eq(split("/a%"), 400);
    ck_assert_int_eq(split("/a%4"), 400);
    ck_assert_int_eq(split("/a%4x/b"), 400);
    ck_assert_int_eq(split("/a%4/b"), 400);
    ck_assert_int_eq(split("/%ff"), 400);
    ck_assert_int_eq(split("/\xc0\xaf"), 400);
    ck_assert_int_eq(split("/%ed%a0%80"), 400);
    ck_assert_int_eq(split("/a#b"), 400);
    ck_assert_int_eq(split("a"), 400);
    ck_assert_int_eq(split(""), 400);
    ck_assert_int_eq(split("*"), 400);
    ck_assert_int_eq(split("http://x/healthz"), 400);
    ck_assert_int_eq(router_split(&path, "/a\0b", 4, &err), 400);
}
END_TEST

START_TEST(long_targets_are_refused)
{
    static char target[ROUTER_TARGET_MAX + 2];
    memset(target, 'a', sizeof target);
    target[0] = '/';
    ck_assert_int_eq(router_split(&path, target, ROUTER_PATH_MAX, &err), 0);
    ck_assert_int_eq(router_split(&path, target, ROUTER_PATH_MAX + 1, &err), 414);
    target[10] = '?';
    ck_assert_int_eq(router_split(&path, target, ROUTER_TARGET_MAX, &err), 0);
    ck_assert_uint_eq(path.query_len, ROUTER_TARGET_MAX - 11);
    ck_assert_int_eq(router_split(&path, target, ROUTER_TARGET_MAX + 1, &err), 414);
}
END_TEST

START_TEST(methods_have_their_rows)
{
    ck_assert_int_eq(find("HEAD", "/api/v1/tasks"), ROUTER_FOUND);
    ck_assert_int_eq(match.route->scope, SCOPE_READ);
    ck_assert_int_eq(find("POST", "/api/v1/tasks?x=1"), ROUTER_FOUND);
    ck_assert_int_eq(match.route->scope, SCOPE_SUBMIT);
    ck_assert_int_eq(find("DELETE", "/api/v1/tasks"), ROUTER_NO_METHOD);
    ck_assert_str_eq(match.allow, "POST, GET, HEAD, OPTIONS");
    ck_assert_int_eq(find("get", "/api/v1/tasks"), ROUTER_NO_METHOD);
    ck_assert_int_eq(find("HEAD", "/api/v1/webhooks/forgejo"), ROUTER_NO_METHOD);
    ck_assert_str_eq(match.allow, "POST, OPTIONS");
}
END_TEST

START_TEST(scopes_have_names)
{
    ck_assert_int_eq(scope_of("admin"), SCOPE_ADMIN);
    ck_assert_int_eq(scope_of("agent"), SCOPE_AGENT);
    ck_assert_int_eq(scope_of("agents"), SCOPE_NONE);
    ck_assert_int_eq(scope_of("none"), SCOPE_NONE);
    ck_assert_int_eq(scope_of(NULL), SCOPE_NONE);
    ck_assert_str_eq(scope_name(SCOPE_OPERATE), "operate");
}
END_TEST

/* Who may ask, where it is more than to read: the kind of door, the scope, whether agents may too.
 * What is not here is a GET for tokens that read. Written down once more, so that nobody changes it
 * by the way. */
static const struct rule {
    enum route_kind kind;
    enum scope scope;
    bool agents;
    const char *routes; /* each between blanks */
} rules[] = {
    {ROUTE_HEALTH, SCOPE_NONE, false, " GET/healthz GET/livez GET/readyz "},
    {ROUTE_OPEN, SCOPE_NONE, false, " GET/api/v1/openapi.json "},
    {ROUTE_HOOK, SCOPE_NONE, false, " POST/api/v1/webhooks/forgejo "},
    {ROUTE_API, SCOPE_READ, true,
     " GET/api/v1/tasks GET/api/v1/tasks/{} GET/api/v1/tasks/{}/events GET/api/v1/tasks/{}/attempts"
     " GET/api/v1/tasks/{}/logs GET/api/v1/tasks/{}/logs/search GET/api/v1/events "},
    {ROUTE_API, SCOPE_SUBMIT, false,
     " POST/api/v1/tasks POST/api/v1/tasks/{}/answer POST/api/v1/tasks/{}/cancel "},
    {ROUTE_API, SCOPE_OPERATE, false,
     " POST/api/v1/tasks/{}/retry POST/api/v1/tasks/{}/continue POST/api/v1/tasks/{}/assign"
     " POST/api/v1/hosts/{}/check POST/api/v1/hosts/{}/cordon POST/api/v1/hosts/{}/uncordon"
     " POST/api/v1/hosts/{}/drain POST/api/v1/hosts/{}/declare_dead"
     " POST/api/v1/accounts/{}/park POST/api/v1/accounts/{}/unpark"
     " GET/api/v1/deliveries POST/api/v1/deliveries/{}/replay "},
    {ROUTE_API, SCOPE_ADMIN, false,
     " PUT/api/v1/hosts/{} DELETE/api/v1/hosts/{}"
     " POST/api/v1/tokens GET/api/v1/tokens DELETE/api/v1/tokens/{} "},
    {ROUTE_API, SCOPE_ADMIN, true,
     " POST/api/v1/agents/register POST/api/v1/agents/heartbeat POST/api/v1/agents/deregister"
     " POST/api/v1/tasks/dequeue POST/api/v1/tasks/{}/status POST/api/v1/tasks/{}/logs"
     " POST/api/v1/tasks/{}/complete "},
};

static const struct rule *rule_of(const struct route *route)
{
    static const struct rule reading = {ROUTE_API, SCOPE_READ, false, NULL};
    char name[200];
    snprintf(name, sizeof name, " %s%s ", route->method, route->pattern);
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (strstr(rules[i].routes, name) != NULL)
            return &rules[i];
    }
    ck_assert_msg(strcmp(route->method, "GET") == 0, "%s: nobody said who may", name);
    return &reading;
}

START_TEST(nobody_may_more_than_was_said)
{
    for (const struct route *route = server_routes; route->method != NULL; route++) {
        const struct rule *rule = rule_of(route);
        bool same = route->kind == rule->kind && route->scope == rule->scope &&
                    route->agents == rule->agents;
        ck_assert_msg(same, "%s %s: kind %d, scope %s, agents %d", route->method, route->pattern,
                      route->kind, scope_name(route->scope), route->agents);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("router");
    TCase *tests = tcase_create("router");
    tcase_add_test(tests, an_encoded_slash_stays_in_its_segment);
    tcase_add_test(tests, escapes_are_decoded_once);
    tcase_add_test(tests, dots_are_ordinary);
    tcase_add_test(tests, every_segment_counts);
    tcase_add_test(tests, bad_bytes_are_refused);
    tcase_add_test(tests, long_targets_are_refused);
    tcase_add_test(tests, methods_have_their_rows);
    tcase_add_test(tests, scopes_have_names);
    tcase_add_test(tests, nobody_may_more_than_was_said);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
