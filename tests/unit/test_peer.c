/* worker/peer: when another worker counts as dead. */
#include <check.h>
#include <string.h>

#include "worker/dispatch/peer.h"

#define A "11111111-1111-4111-8111-111111111111"
#define B "22222222-2222-4222-8222-222222222222"
#define DEAD 10000
#define GAP 5000

static struct peers peers;

/* One answered renew that names A with this beat. */
static void answer(int64_t now, int64_t beat)
{
    peers_begin(&peers, now, 1, GAP);
    peers_beat(&peers, A, beat, now);
    peers_end(&peers);
}

static void setup(void)
{
    peers = (struct peers){0};
}

static void teardown(void)
{
    peers_release(&peers);
}

START_TEST(test_beating_peer_lives)
{
    for (int i = 1; i < 20; i++) {
        answer(1000 + i * 3000, i);
        ck_assert_ptr_null(peers_next_dead(&peers, 1000 + i * 3000, DEAD));
    }
}
END_TEST

START_TEST(test_still_peer_dies_on_time)
{
    for (int64_t now = 1000; now < 11000; now += 1000) {
        answer(now, 7);
        ck_assert_ptr_null(peers_next_dead(&peers, now, DEAD));
    }
    answer(11000, 7);
    struct peer *dead = peers_next_dead(&peers, 11000, DEAD);
    ck_assert_ptr_nonnull(dead);
    ck_assert_str_eq(dead->node, A);
    ck_assert_int_eq(dead->beat, 7);
    dead->next_try = 13000;
    ck_assert_ptr_null(peers_next_dead(&peers, 12000, DEAD));
    ck_assert_ptr_nonnull(peers_next_dead(&peers, 13000, DEAD));
    answer(13500, 8); /* it lives after all */
    ck_assert_ptr_null(peers_next_dead(&peers, 14000, DEAD));
}
END_TEST

START_TEST(test_own_pause_starts_anew)
{
    answer(1000, 7);
    answer(4000, 7);
    answer(4000 + GAP + 1, 7); /* we slept: who knows what it did */
    ck_assert_ptr_null(peers_next_dead(&peers, 11500, DEAD));
    for (int64_t now = 12000; now < 4000 + GAP + 1 + DEAD; now += 3000)
        answer(now, 7);
    answer(4000 + GAP + 1 + DEAD, 7);
    ck_assert_ptr_nonnull(peers_next_dead(&peers, 4000 + GAP + 1 + DEAD, DEAD));
}
END_TEST

START_TEST(test_reconnect_starts_anew)
{
    for (int64_t now = 1000; now <= 10000; now += 3000)
        answer(now, 7);
    peers_begin(&peers, 10500, 2, GAP);
    peers_beat(&peers, A, 7, 10500);
    peers_end(&peers);
    for (int64_t now = 11500; now < 20500; now += 3000) {
        ck_assert_ptr_null(peers_next_dead(&peers, now, DEAD));
        peers_begin(&peers, now, 2, GAP);
        peers_beat(&peers, A, 7, now);
        peers_end(&peers);
    }
    peers_begin(&peers, 20500, 2, GAP);
    peers_beat(&peers, A, 7, 20500);
    peers_end(&peers);
    ck_assert_ptr_nonnull(peers_next_dead(&peers, 20500, DEAD));
}
END_TEST

START_TEST(test_no_answer_is_no_sight)
{
    for (int64_t now = 1000; now <= 10000; now += 3000)
        answer(now, 7);
    ck_assert_ptr_null(peers_next_dead(&peers, 60000, DEAD)); /* the database hangs, for all */
    answer(60000, 7);
    ck_assert_ptr_null(peers_next_dead(&peers, 60000, DEAD));
}
END_TEST

START_TEST(test_left_is_taken_at_once)
{
    answer(1000, 1);
    peers_look(&peers);
    peers_left(&peers, B, 9, 1000);
    ck_assert_str_eq(peers_next_dead(&peers, 1000, DEAD)->node, B);
}
END_TEST

START_TEST(test_gone_needs_no_watch)
{
    answer(1000, 1);
    peers_look(&peers);
    peers_gone(&peers, A, 1, 1100);
    struct peer *dead = peers_next_dead(&peers, 1100, DEAD);
    ck_assert_ptr_nonnull(dead);
    ck_assert_str_eq(dead->node, A);
    dead->next_try = 3000; /* the database refused */
    ck_assert_ptr_null(peers_next_dead(&peers, 2000, DEAD));
    peers_look(&peers); /* its lock is there again */
    ck_assert_ptr_null(peers_next_dead(&peers, 3000, DEAD));
}
END_TEST

START_TEST(test_what_a_look_says_outlives_the_beats)
{
    peers_look(&peers);
    peers_left(&peers, A, 1, 1000);
    peers_gone(&peers, B, 2, 1000);
    peers_begin(&peers, 1100, 1, GAP); /* an answer that names nobody */
    peers_end(&peers);
    ck_assert_uint_eq(peers.count, 2);
    peers_look(&peers);
    peers_begin(&peers, 1200, 1, GAP);
    peers_end(&peers);
    ck_assert_uint_eq(peers.count, 0);
}
END_TEST

START_TEST(test_unnamed_is_forgotten)
{
    peers_begin(&peers, 1000, 1, GAP);
    peers_beat(&peers, A, 1, 1000);
    peers_beat(&peers, B, 1, 1000);
    peers_end(&peers);
    answer(2000, 2);
    ck_assert_uint_eq(peers.count, 1);
    ck_assert_ptr_null(peers_find(&peers, B));
    ck_assert_ptr_nonnull(peers_find(&peers, A));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("peer");
    TCase *tcase = tcase_create("peer");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_beating_peer_lives);
    tcase_add_test(tcase, test_still_peer_dies_on_time);
    tcase_add_test(tcase, test_own_pause_starts_anew);
    tcase_add_test(tcase, test_reconnect_starts_anew);
    tcase_add_test(tcase, test_no_answer_is_no_sight);
    tcase_add_test(tcase, test_left_is_taken_at_once);
    tcase_add_test(tcase, test_gone_needs_no_watch);
    tcase_add_test(tcase, test_what_a_look_says_outlives_the_beats);
    tcase_add_test(tcase, test_unnamed_is_forgotten);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
