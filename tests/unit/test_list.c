/* common/list. */
#include <check.h>
#include <stdlib.h>

#include "common/list.h"

struct item {
    int number;
    struct list link;
};

static int sum(struct list *head)
{
    int digits = 0;
    list_each(link, head) digits = digits * 10 + list_entry(link, struct item, link)->number;
    return digits;
}

START_TEST(keeps_order)
{
    struct list head;
    struct item a = {.number = 1}, b = {.number = 2}, c = {.number = 3};
    list_init(&head);
    ck_assert(list_empty(&head));
    list_append(&head, &a.link);
    list_append(&head, &b.link);
    list_append(&head, &c.link);
    ck_assert_int_eq(sum(&head), 123);
    list_remove(&b.link);
    ck_assert_int_eq(sum(&head), 13);
    ck_assert(!list_linked(&b.link));
    list_append(&head, &b.link);
    ck_assert_int_eq(sum(&head), 132);
}
END_TEST

START_TEST(removing_twice_is_harmless)
{
    struct list head;
    struct item a = {.number = 1};
    list_init(&head);
    list_remove(&a.link);
    list_append(&head, &a.link);
    list_remove(&a.link);
    list_remove(&a.link);
    ck_assert(list_empty(&head));
}
END_TEST

START_TEST(removing_while_walking)
{
    struct list head;
    struct item items[5] = {{0}};
    list_init(&head);
    for (int i = 0; i < 5; i++) {
        items[i].number = i + 1;
        list_append(&head, &items[i].link);
    }
    list_each(link, &head)
    {
        if (list_entry(link, struct item, link)->number % 2 == 1)
            list_remove(link);
    }
    ck_assert_int_eq(sum(&head), 24);
}
END_TEST

START_TEST(takes_the_first_until_none_is_left)
{
    struct item items[2] = {{.number = 1}, {.number = 2}};
    struct list head, *link;
    list_init(&head);
    list_append(&head, &items[0].link);
    list_append(&head, &items[1].link);
    link = list_take(&head);
    ck_assert_ptr_eq(link, &items[0].link);
    ck_assert(!list_linked(link));
    list_append(&head, link);
    ck_assert_ptr_eq(list_take(&head), &items[1].link);
    ck_assert_ptr_eq(list_take(&head), &items[0].link);
    ck_assert_ptr_null(list_take(&head));
    ck_assert(list_empty(&head));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("list");
    TCase *tests = tcase_create("list");
    tcase_add_test(tests, keeps_order);
    tcase_add_test(tests, removing_twice_is_harmless);
    tcase_add_test(tests, removing_while_walking);
    tcase_add_test(tests, takes_the_first_until_none_is_left);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
