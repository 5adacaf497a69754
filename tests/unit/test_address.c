/* common/fetch/address: which servers may be called. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/fetch/address.h"

START_TEST(addresses)
{
    static const struct {
        const char *text, *base; /* NULL: refused */
    } cases[] = {
        {"https://git.example.org", "https://git.example.org"},
        {"https://git.example.org/", "https://git.example.org"},
        {"HTTPS://Git.Example.ORG:443/", "https://git.example.org"},
        {"https://git.example.org:3000/git//", "https://git.example.org:3000/git"},
        {"http://localhost:3000", "http://localhost:3000"},
        {"http://127.9.9.9", "http://127.9.9.9"},
        {"http://[::1]:3000/x", "http://[::1]:3000/x"},
        {"http://git.example.org", NULL},
        {"http://127.0.0.1.example.org", NULL},
        {"http://localhost.example.org", NULL},
        {"http://10.0.0.1", NULL},
        {"http://0.0.0.0", NULL},
        {"https://user@git.example.org", NULL},
        {"https://user:word@git.example.org", NULL},
        {"https://git.example.org/?x", NULL},
        {"https://git.example.org/#x", NULL},
        {"https://git.example.org/a/../b", "https://git.example.org/b"},
        {"ftp://git.example.org", NULL},
        {"file:///etc/passwd", NULL},
        {"git.example.org", NULL},
        {"https://", NULL},
        {"", NULL},
        {NULL, NULL},
        {"https://git.example.org/a b", NULL},
        {"https://git.example.org\r\nX: y", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        char *base = NULL;
        bool fits = address_read(cases[i].text, false, &base, &err);
        ck_assert_msg(fits == (cases[i].base != NULL), "%s", cases[i].text);
        if (fits)
            ck_assert_str_eq(base, cases[i].base);
        else
            ck_assert(err.text[0] && strstr(err.text, "word") == NULL);
        free(base);
    }
    struct error err = {0};
    ck_assert(address_read("http://10.0.0.1:3000", true, NULL, &err));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("address");
    TCase *tests = tcase_create("address");
    tcase_add_test(tests, addresses);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
