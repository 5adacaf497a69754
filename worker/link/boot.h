/* The two commands that bring the runner up on a host, and their answers.
 *
 * A command is one line for a login shell of any kind (sh, bash, fish, tcsh) and gives it nothing
 * to understand but words: '…' without backslash and exclamation mark. Login files may print what
 * they like, before and meanwhile: an answer is a line that begins at the command's mark, wherever
 * that stands, with a word that we know. */
#ifndef FLEET_LINK_BOOT_H
#define FLEET_LINK_BOOT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "worker/link/carried.h"

/* A command or frame made of anything but what was checked before is a bug of ours: better no
 * worker. */
void link_must(bool right, const char *what);

#define BOOT_MARK_SIZE 33
#define BOOT_COMMAND_MAX ((size_t)16 << 10)
#define BOOT_NOISE_MAX ((size_t)1 << 20) /* of what is no answer */
#define BOOT_LINE_SIZE 512               /* of an answer behind its mark */

/* Where the runner lives on a host: <work_dir>/.fleet/<fleet id>. The caller owns it. Aborts when
 * the arguments are none (configuration and database have checked them). */
char *boot_base(const char *work_dir, const char *fleet_id);
const char *boot_hash(const struct carried *runner); /* SHA-256, hex; lives for ever */
/* The runner for "Linux x86_64", as `uname -sm` says it; NULL when we carry none. */
const struct carried *boot_runner(const char *system);

/* Says what the host is, then becomes the runner, or says that it is missing. */
void boot_command(struct buf *command, const char *base, const char *mark);
/* Takes the runner from stdin. */
void boot_install_command(struct buf *command, const char *base, const char *mark,
                          const struct carried *runner);

enum boot_word {
    BOOT_NOTHING, /* no whole answer yet */
    BOOT_SYSTEM,  /* `rest`: of `uname -sm` */
    BOOT_MISSING,
    BOOT_OTHER,     /* the runner there is not ours */
    BOOT_SERVING,   /* frames follow */
    BOOT_INSTALLED, /* by the install command */
    BOOT_FAILED,    /* the install command; `rest`: at what, and why */
    BOOT_NOISE,     /* more than BOOT_NOISE_MAX of something else */
};

/* What a command said until now. */
struct boot {
    char mark[BOOT_MARK_SIZE]; /* a new one for every command */
    struct buf said;           /* what is not yet understood */
    size_t searched;           /* of it, holds no mark */
    char rest[BOOT_LINE_SIZE];
};

void boot_init(struct boot *boot);
void boot_release(struct boot *boot);
void boot_renew(struct boot *boot); /* a new mark, nothing said */
/* Takes bytes up to the end of the next answer and says which; returns how many were taken: all,
 * unless there is an answer. */
size_t boot_take(struct boot *boot, const char *bytes, size_t len, enum boot_word *word);

#endif
