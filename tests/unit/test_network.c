/* common/network: what is an address, a network, and what lies in it. */
#include <check.h>
#include <stdlib.h>

#include "common/network.h"

START_TEST(networks)
{
    static const struct {
        const char *network, *address;
        bool inside;
    } cases[] = {
        {"10.0.0.0/8", "10.255.0.1", true},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"10.0.0.0/8", "::ffff:10.1.1.1", true}, /* the same address, in IPv6's writing */
        {"10.0.0.0/31", "10.0.0.1", true},
        {"10.0.0.0/31", "10.0.0.2", false},
        {"10.1.2.3", "10.1.2.3", true},
        {"10.1.2.3/32", "10.1.2.4", false},
        {"0.0.0.0/0", "255.1.1.1", true},
        {"0.0.0.0/0", "fd00::1", false},
        {"::/0", "1.2.3.4", true},
        {"fd00::/9", "fd7f::1", true},
        {"fd00::/9", "fd80::1", false},
        {"::1", "::1", true},
        {"10.0.0.0/8", "10.0.0", false},
        {"10.0.0.0/8", "", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct network network;
        ck_assert_msg(network_parse(cases[i].network, &network), "%s", cases[i].network);
        ck_assert_msg(network_holds(&network, cases[i].address) == cases[i].inside, "%s in %s",
                      cases[i].address, cases[i].network);
    }
}
END_TEST

START_TEST(what_is_no_network)
{
    static const char *const texts[] = {
        "",          "10.0.0.0/33", "::/129",      "10.0.0.0/",  "10.0.0.0/-1", "10.0.0.0/+8",
        "10.0.0/8",  "10.0.0.0/8 ", "10.0.0.0/ 8", "host",       "[::1]",       "10.0.0.0/0008",
        "1.2.3.4.5", "/8",          "::1%lo",      "10.0.0.0//8"};
    struct network network;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        ck_assert_msg(!network_parse(texts[i], &network), "%s", texts[i]);
    ck_assert(!network_is_address("10.0.0.0/8"));
    ck_assert(network_is_address("fd00::1") && network_is_address("1.2.3.4"));
}
END_TEST

START_TEST(loopback)
{
    static const char *const own[] = {"127.0.0.1", "127.255.1.2", "::1", "::ffff:127.0.0.1"};
    static const char *const others[] = {"0.0.0.0",   "::",       "128.0.0.1", "126.255.255.255",
                                         "localhost", "127.evil", "::2",       ""};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        ck_assert_msg(network_is_loopback(own[i]), "%s", own[i]);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        ck_assert_msg(!network_is_loopback(others[i]), "%s", others[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("network");
    TCase *tests = tcase_create("network");
    tcase_add_test(tests, networks);
    tcase_add_test(tests, what_is_no_network);
    tcase_add_test(tests, loopback);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
