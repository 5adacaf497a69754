/* common/file: small files, whole or not at all. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"

static char folder[] = "/tmp/test_file.XXXXXX";
static char path[64];

static void put(const char *bytes, size_t len)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fwrite(bytes, 1, len, file);
    fclose(file);
}

static void make_folder(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
}

static void remove_folder(void)
{
    unlink(path);
    rmdir(folder);
}

START_TEST(whole)
{
    struct buf bytes;
    struct stat info;
    struct error err;
    put("a\0b", 3);
    for (int kind = FILE_ANY; kind <= FILE_REGULAR; kind++) {
        ck_assert(file_read(path, (enum file_kind)kind, 3, &bytes, &info, &err)); /* just fits */
        ck_assert_uint_eq(bytes.len, 3);
        ck_assert_int_eq(memcmp(bytes.data, "a\0b", 4), 0);
        ck_assert_int_eq(info.st_size, 3);
        buf_release(&bytes);
    }
    put("", 0);
    ck_assert(file_read(path, FILE_REGULAR, 3, &bytes, NULL, &err));
    ck_assert_str_eq(buf_text(&bytes), "");
    buf_release(&bytes);
}
END_TEST

START_TEST(too_large)
{
    struct buf bytes;
    struct error err;
    put("abcd", 4);
    ck_assert(!file_read(path, FILE_REGULAR, 3, &bytes, NULL, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "/file is larger than 3 bytes"));
    ck_assert(!file_read("/dev/zero", FILE_ANY, 1000, &bytes, NULL, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "/dev/zero is larger than 1000 bytes"));
}
END_TEST

START_TEST(not_there_or_no_file)
{
    struct buf bytes;
    struct error err;
    ck_assert(!file_read(path, FILE_REGULAR, 3, &bytes, NULL, &err));
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_ptr_nonnull(strstr(err.text, "/file: No such file or directory"));
    ck_assert(!file_read(folder, FILE_ANY, 3, &bytes, NULL, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "Is a directory"));
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert(!file_read(path, FILE_REGULAR, 3, &bytes, NULL, &err)); /* waits for nobody */
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "/file is not a regular file"));
}
END_TEST

/* --config <(…), {file: /dev/fd/3}. */
START_TEST(a_pipe_is_read_to_its_end)
{
    struct buf bytes;
    struct error err;
    int ends[2];
    char name[40];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(write(ends[1], "abc", 3), 3);
    close(ends[1]);
    snprintf(name, sizeof name, "/dev/fd/%d", ends[0]);
    ck_assert_msg(file_read(name, FILE_ANY, 3, &bytes, NULL, &err), "%s", err.text);
    ck_assert_str_eq(bytes.data, "abc");
    buf_release(&bytes);
    close(ends[0]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("file");
    TCase *tests = tcase_create("file");
    tcase_add_checked_fixture(tests, make_folder, remove_folder);
    tcase_add_test(tests, whole);
    tcase_add_test(tests, too_large);
    tcase_add_test(tests, not_there_or_no_file);
    tcase_add_test(tests, a_pipe_is_read_to_its_end);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
