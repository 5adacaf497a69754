/* server/router/query, server/api/filter, server/http/net: what comes with a request besides its
 * path.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "server/api/filter.h"
#include "server/http/net.h"
#include "server/router/query.h"

static struct query query;
static struct error err;

static bool parse(const char *text)
{
    return query_parse(&query, text, strlen(text), &err);
}

START_TEST(parameters_are_decoded)
{
    const char *value;
    ck_assert(parse("a=1&b=x%26y+z&c&&d=%E2%82%AC=2"));
    ck_assert_int_eq(query.count, 4);
    ck_assert(query_text(&query, "b", &value, &err));
    ck_assert_str_eq(value, "x&y z");
    ck_assert(query_text(&query, "c", &value, &err));
    ck_assert_str_eq(value, "");
    ck_assert(query_text(&query, "d", &value, &err));
    ck_assert_str_eq(value, "\u20ac=2");
    ck_assert(query_text(&query, "nothing", &value, &err));
    ck_assert_ptr_null(value);
    query_release(&query);
}
END_TEST

START_TEST(bad_queries_are_refused)
{
    static const char *const bad[] = {"a=%", "a=%4", "a=%zz", "a=%00", "a=%ff", "%ff=1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_msg(!parse(bad[i]), "%s", bad[i]);
        query_release(&query);
    }
    char many[4 * QUERY_PARAMETERS + 16] = "";
    for (int i = 0; i <= QUERY_PARAMETERS; i++)
        strcat(many, "a=1&");
    ck_assert(!parse(many));
    query_release(&query);
}
END_TEST

START_TEST(unknown_and_repeated_are_found)
{
    static const char *const known[] = {"a", "b", NULL};
    const char *value;
    ck_assert(parse("a=1&b=2&a=3"));
    ck_assert_ptr_null(query_unknown(&query, known));
    ck_assert_str_eq(query_unknown(&query, NULL), "a");
    ck_assert(!query_text(&query, "a", &value, &err));
    query_release(&query);
    ck_assert(parse("a=1&foo=2"));
    ck_assert_str_eq(query_unknown(&query, known), "foo");
    query_release(&query);
}
END_TEST

START_TEST(numbers_have_limits)
{
    int64_t value;
    ck_assert(parse("a=12&b=x&c=&d=-5&e=99999999999999999999&f=%201&g=0x1"));
    ck_assert(query_int(&query, "a", 1, 200, 50, &value, &err));
    ck_assert_int_eq(value, 12);
    ck_assert(!query_int(&query, "a", 13, 200, 50, &value, &err));
    ck_assert(query_int(&query, "none", 1, 200, 50, &value, &err));
    ck_assert_int_eq(value, 50);
    ck_assert(query_int(&query, "d", -5, 5, 0, &value, &err));
    static const char *const bad[] = {"b", "c", "e", "f", "g"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!query_int(&query, bad[i], 0, INT64_MAX, 0, &value, &err), "%s", bad[i]);
    query_release(&query);
}
END_TEST

START_TEST(filters_are_joined)
{
    struct buf out;
    ck_assert(parse("status=created,running&status=failed&label=,,&q=x&repo=a%2Cb,%22%5C"));
    buf_init(&out, FILTER_MAX);
    ck_assert_str_eq(filter_array(&out, &query, "status"), "{\"created\",\"running\",\"failed\"}");
    buf_clear(&out);
    ck_assert_str_eq(filter_array(&out, &query, "repo"), "{\"a\",\"b\",\"\\\"\\\\\"}");
    buf_clear(&out);
    ck_assert_ptr_null(filter_array(&out, &query, "label"));
    ck_assert_ptr_null(filter_array(&out, &query, "host_id"));
    buf_release(&out);
    query_release(&query);
}
END_TEST

START_TEST(misspelt_words_are_found)
{
    char wrong[65];
    ck_assert(parse("status=created,runing&status=no&source=api,forgejo&mode=creat&long="
                    "%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4"
                    "%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4"
                    "%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4x%C3%A4"));
    ck_assert(filter_misspelt(&query, "status", "created running", wrong));
    ck_assert_str_eq(wrong, "runing");
    ck_assert(!filter_misspelt(&query, "source", "api forgejo", wrong));
    ck_assert(!filter_misspelt(&query, "absent", "api forgejo", wrong));
    ck_assert_msg(filter_misspelt(&query, "mode", "created", wrong), "a part is not the word");
    ck_assert(filter_misspelt(&query, "long", "created", wrong));
    ck_assert_uint_eq(strlen(wrong), 63); /* cut between characters */
    query_release(&query);
}
END_TEST

START_TEST(the_next_page_keeps_the_filters)
{
    struct buf out;
    buf_init(&out, 1000);
    ck_assert(parse("status=created,running&cursor=old&label=agent%3Ac%2B%2B"));
    filter_next_query(&out, &query, "n>1\r\n");
    ck_assert_str_eq(buf_text(&out),
                     "status=created%2Crunning&label=agent%3Ac%2B%2B&cursor=n%3E1%0D%0A");
    buf_release(&out);
    query_release(&query);
}
END_TEST

static struct config_list list_of(char **items, size_t count)
{
    return (struct config_list){items, count};
}

START_TEST(clients_behind_a_proxy)
{
    char *entries[] = {"10.0.0.0/8", "127.0.0.1", "::1", "fd00::/8", "nonsense", "1.2.3.4/99"};
    struct config_list trusted = list_of(entries, 6);
    char client[64];
    const char *hops = "1.1.1.1, 2.2.2.2";
    net_client(&trusted, "10.9.8.7", hops, strlen(hops), client, sizeof client);
    ck_assert_str_eq(client, "2.2.2.2");
    net_client(&trusted, "11.9.8.7", hops, strlen(hops), client, sizeof client);
    ck_assert_str_eq(client, "11.9.8.7");
    net_client(&trusted, "127.0.0.1", "evil\r\n", 6, client, sizeof client);
    ck_assert_str_eq(client, "127.0.0.1");
    net_client(&trusted, "fd00::7", "::2 ", 4, client, sizeof client);
    ck_assert_str_eq(client, "::2");
    net_client(&trusted, "10.1.1.1", NULL, 0, client, sizeof client);
    ck_assert_str_eq(client, "10.1.1.1");
    ck_assert(!net_in_list(&trusted, "1.2.3.4"));
    ck_assert(!net_in_list(&trusted, "unknown"));
}
END_TEST

START_TEST(known_hosts_only)
{
    char *entries[] = {"fleet.example.org", "other.example.org:8443"};
    struct config_list hosts = list_of(entries, 2), none = list_of(NULL, 0);
    struct {
        const char *host;
        bool known;
    } cases[] = {{"fleet.example.org", true},
                 {"FLEET.example.org:9090", true},
                 {"other.example.org:8443", true},
                 {"other.example.org", false},
                 {"evil.example.org", false},
                 {"fleet.example.org.evil", false},
                 {"localhost:9090", true},
                 {"127.0.0.1", true},
                 {"127.8.8.8:1", true},
                 {"[::1]:9090", true},
                 {"10.0.0.1", false},
                 {"", false},
                 {"127.0.0.1.evil", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_msg(net_host_known(&hosts, cases[i].host, strlen(cases[i].host)) ==
                          cases[i].known,
                      "%s", cases[i].host);
    }
    ck_assert(net_host_known(&none, "anything", 8));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("query");
    TCase *tests = tcase_create("query");
    tcase_add_test(tests, parameters_are_decoded);
    tcase_add_test(tests, bad_queries_are_refused);
    tcase_add_test(tests, unknown_and_repeated_are_found);
    tcase_add_test(tests, numbers_have_limits);
    tcase_add_test(tests, filters_are_joined);
    tcase_add_test(tests, misspelt_words_are_found);
    tcase_add_test(tests, the_next_page_keeps_the_filters);
    tcase_add_test(tests, clients_behind_a_proxy);
    tcase_add_test(tests, known_hosts_only);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
