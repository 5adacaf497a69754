/* common/crypto: known answers (FIPS 180, RFC 4231, RFC 4648), and what must be refused. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"

static const char *sha256(const char *text)
{
    static char hex[65];
    uint8_t digest[SHA256_SIZE];
    crypto_sha256(text, strlen(text), digest);
    crypto_hex(digest, sizeof digest, hex);
    return hex;
}

START_TEST(sha256_known_answers)
{
    ck_assert_str_eq(sha256(""),
                     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    ck_assert_str_eq(sha256("abc"),
                     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
END_TEST

START_TEST(hmac_known_answers)
{
    uint8_t mac[SHA256_SIZE];
    char hex[65];
    crypto_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, mac);
    crypto_hex(mac, sizeof mac, hex);
    ck_assert_str_eq(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    /* A key of no bytes must not become "the key of the call before". */
    crypto_hmac_sha256(NULL, 0, NULL, 0, mac);
    crypto_hex(mac, sizeof mac, hex);
    ck_assert_str_eq(hex, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}
END_TEST

START_TEST(hex_both_ways)
{
    uint8_t bytes[4];
    char text[9];
    ck_assert(crypto_unhex("00fFa19B", 8, bytes));
    crypto_hex(bytes, 4, text);
    ck_assert_str_eq(text, "00ffa19b");
    ck_assert(crypto_unhex("", 0, bytes));
    ck_assert(!crypto_unhex("abc", 3, bytes));
    ck_assert(!crypto_unhex("0g", 2, bytes));
    ck_assert(!crypto_unhex("0x12", 4, bytes));
    ck_assert(!crypto_unhex(" 1", 2, bytes));
}
END_TEST

START_TEST(base64url_known_answers)
{
    static const char *const cases[][2] = {
        {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff", "-_8"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[32];
        crypto_base64url(cases[i][0], strlen(cases[i][0]), text);
        ck_assert_str_eq(text, cases[i][1]);
    }
}
END_TEST

static bool decodes(const char *text, const char *wanted)
{
    uint8_t bytes[64];
    size_t len = sizeof bytes;
    if (!crypto_unbase64(text, strlen(text), bytes, &len))
        return wanted == NULL;
    return wanted != NULL && len == strlen(wanted) && memcmp(bytes, wanted, len) == 0;
}

START_TEST(base64_is_strict)
{
    ck_assert(decodes("", ""));
    ck_assert(decodes("Zg==", "f"));
    ck_assert(decodes("Zm8=", "fo"));
    ck_assert(decodes("Zm9vYmFy", "foobar"));
    ck_assert(decodes("+/8=", "\xfb\xff"));
    static const char *const bad[] = {
        "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Z g=", "-_8=", "Zm8=\n", "=Zm8"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(decodes(bad[i], NULL), "%s was taken", bad[i]);
    uint8_t byte;
    size_t room = 1;
    ck_assert(!crypto_unbase64("Zm8=", 4, &byte, &room)); /* two bytes, room for one */
}
END_TEST

START_TEST(equality)
{
    ck_assert(crypto_equal("abc", "abc", 3));
    ck_assert(!crypto_equal("abc", "abd", 3));
    ck_assert(crypto_equal("a", "b", 0));
}
END_TEST

START_TEST(uuid_has_its_form)
{
    char one[37], two[37];
    crypto_uuid(one);
    crypto_uuid(two);
    ck_assert_uint_eq(strlen(one), 36);
    ck_assert_str_ne(one, two);
    ck_assert_int_eq(one[14], '4');
    ck_assert_ptr_nonnull(strchr("89ab", one[19]));
    ck_assert(one[8] == '-' && one[13] == '-' && one[18] == '-' && one[23] == '-');
}
END_TEST

START_TEST(wipe_clears)
{
    char secret[] = "secret";
    crypto_wipe(secret, sizeof secret);
    ck_assert_mem_eq(secret, "\0\0\0\0\0\0\0", sizeof secret);
    crypto_wipe(NULL, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("crypto");
    TCase *tests = tcase_create("crypto");
    tcase_add_test(tests, sha256_known_answers);
    tcase_add_test(tests, hmac_known_answers);
    tcase_add_test(tests, hex_both_ways);
    tcase_add_test(tests, base64url_known_answers);
    tcase_add_test(tests, base64_is_strict);
    tcase_add_test(tests, equality);
    tcase_add_test(tests, uuid_has_its_form);
    tcase_add_test(tests, wipe_clears);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
