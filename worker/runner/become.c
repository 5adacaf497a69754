/* From a parcel to an agent. */
#include "worker/runner/become.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/runner/file.h"
#include "worker/runner/frame.h"
#include "worker/runner/scene.h"
#include "worker/runner/shell.h"

#define PARCEL_MAX ((size_t)2 * FRAME_ASK_MAX)

/* --- Packing --- */

/* With its NUL, so that it can be used where it lies. */
static void put_string(struct frame_out *out, const char *text)
{
    put_blob(out, text, (uint32_t)strlen(text) + 1);
}

int become_pack(const struct parcel *parcel)
{
    size_t size = (size_t)parcel->job_len + parcel->prompt_len + strlen(parcel->writable) +
                  (size_t)4 * PATH_MAX + 1024;
    uint8_t *bytes = malloc(size);
    if (bytes == NULL)
        return -1;
    struct frame_out out = {.start = bytes, .at = bytes, .end = bytes + size};
    put_string(&out, parcel->folder);
    put_string(&out, parcel->tmp);
    put_string(&out, parcel->mark);
    put_string(&out, parcel->base);
    put_u8(&out, parcel->sandbox);
    put_u8(&out, parcel->fresh);
    put_string(&out, parcel->writable);
    put_blob(&out, parcel->job, parcel->job_len);
    put_blob(&out, parcel->prompt, parcel->prompt_len);
    int file = out.failed ? -1 : scene_file("parcel", bytes, (size_t)(out.at - bytes));
    free(bytes);
    return file;
}

/* --- Unpacking --- */

static _Noreturn void fail(int status, const char *what)
{
    fprintf(stderr, "fleet-runner: %s: %s\n", what, strerror(errno));
    exit(status);
}

static const char *get_string(struct frame_in *in)
{
    uint32_t len;
    const char *text = get_blob(in, &len);
    if (text != NULL && len > 0 && text[len - 1] == '\0')
        return text;
    in->failed = true;
    return "";
}

static bool unpack(struct parcel *parcel)
{
    struct stat status;
    if (fstat(0, &status) != 0 || status.st_size <= 0 || (size_t)status.st_size > PARCEL_MAX)
        return false;
    size_t size = (size_t)status.st_size;
    const uint8_t *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, 0, 0);
    if (bytes == MAP_FAILED)
        return false;
    struct frame_in in = {.at = bytes, .end = bytes + size};
    parcel->folder = get_string(&in);
    parcel->tmp = get_string(&in);
    parcel->mark = get_string(&in);
    parcel->base = get_string(&in);
    parcel->sandbox = get_u8(&in) != 0;
    parcel->fresh = get_u8(&in) != 0;
    parcel->writable = get_string(&in);
    parcel->job = get_blob(&in, &parcel->job_len);
    parcel->prompt = get_blob(&in, &parcel->prompt_len);
    return frame_done(&in);
}

/* A folder of this account's. */
static int open_own(const char *path)
{
    struct stat status;
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder >= 0 && fstat(folder, &status) == 0 && status.st_uid == getuid())
        return folder;
    if (folder >= 0)
        errno = EPERM;
    return -1;
}

/* Nothing of this account gets other rights than it has: no program that is another's, no work that
 * cron or at are given. So its processes are all of its uid for ever. */
static void renounce(void)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        fail(126, "no_new_privs");
}

int become_main(int argc, char **argv)
{
    static struct shell shell;
    struct parcel parcel;
    (void)argv;
    if (argc != 2 || !unpack(&parcel))
        return 2;
    umask(077);
    renounce();
    int folder = open_own(parcel.folder);
    if (folder < 0)
        fail(126, parcel.folder);
    if (mkdir(parcel.tmp, 0700) != 0 && (errno != EEXIST || open_own(parcel.tmp) < 0))
        fail(126, parcel.tmp);
    int script = scene_script(parcel.job, parcel.job_len);
    int prompt = scene_file("prompt", parcel.prompt, parcel.prompt_len);
    if (script < 0 || prompt < 0 || setsid() < 0)
        fail(126, "cannot start");
    shell_ask(&shell);
    scene_play(&(struct scene){
        .folder = folder,
        .prompt = prompt,
        .out = -1,
        .err = -1,
        .script = script,
        .tmp = parcel.tmp,
        .mark = parcel.mark,
        .path = shell.path,
        .base = parcel.base,
        .inside = parcel.folder,
        .sandbox = parcel.sandbox,
        .fresh = parcel.fresh,
        .writable = parcel.writable,
        .oom_score_adj = INT_MIN,
    });
}
