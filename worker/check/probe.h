/* One command that asks an account's shell what the machine is like, and its answer.
 *
 * It changes nothing but what every worker does there: work_dir is made where it is missing. A file
 * is written into it, run and removed again. As the runner's commands (worker/link/boot.h) it is
 * one line for a shell of any kind; its answers are lines that begin at its mark. */
#ifndef FLEET_CHECK_PROBE_H
#define FLEET_CHECK_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

#define PROBE_COMMAND_MAX ((size_t)16 << 10)
#define PROBE_SAID_MAX ((size_t)256 << 10) /* the answer, and what else comes */
#define PROBE_TEXT 512

/* Of the host's, any bytes. Numbers are -1 where nothing was said. */
struct probe {
    char mark[33];
    struct buf said; /* all that came */
    bool flooded;    /* more than PROBE_SAID_MAX came */

    bool begun, ended;           /* our script ran; to its end */
    struct buf noise;            /* what came before it */
    char system[PROBE_TEXT];     /* of `uname -sm` */
    char user[PROBE_TEXT];       /* of `id -un` */
    int64_t clock;               /* seconds since 1970 */
    bool made;                   /* work_dir was not there */
    bool stands;                 /* work_dir is a directory now */
    char unmade[PROBE_TEXT];     /* why it cannot be made */
    bool wrote;                  /* a file in it */
    char unwritable[PROBE_TEXT]; /* why not */
    bool ran;                    /* that file, as a program */
    int64_t blocks, block_size;  /* free for the account */
    int64_t inodes_free, inodes; /* inodes 0: the file system has no such limit */
    char logind[PROBE_TEXT];     /* as busctl shows its properties; "" = not asked */
};

void probe_init(struct probe *probe);
void probe_release(struct probe *probe);
void probe_command(struct probe *probe, const char *work_dir, struct buf *command);
void probe_take(struct probe *probe, const char *bytes, size_t len);
/* After the last byte: fills in what was said. */
void probe_read(struct probe *probe);

/* The command that removes a folder that only this check has used. */
void probe_remove_command(const char *folder, struct buf *command);

#endif
