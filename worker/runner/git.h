/* Running git on the host: our own, in repositories of ours, never in one that an agent wrote.
 *
 * Its environment is made from nothing, its configuration is ours alone, and no protocol but that
 * of the url is allowed to it. It is a process group below a keeper of its own, which ends the
 * whole group with KILL as soon as git is done, at the deadline, when whoever asked for it is gone,
 * and when we are killed: nothing of it outlives us. */
#ifndef FLEET_RUNNER_GIT_H
#define FLEET_RUNNER_GIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/runner/words.h"

#define GIT_WORDS_SIZE WORDS_SIZE
#define GIT_FILE_SIZE 4096
#define GIT_TEXT_MAX ((size_t)256 << 20) /* bytes of a text */
#define GIT_STALL_MS 300000              /* without a word of progress from the network */

enum git_end {
    GIT_DONE,    /* exit 0 */
    GIT_REFUSED, /* another exit, or a signal's; `words` */
    GIT_LATE,    /* the deadline */
    GIT_STALLED, /* nothing came over the network for GIT_STALL_MS */
    GIT_FULL,    /* what came over the network left less than `floor` free */
    GIT_LOST,    /* whoever asked is gone: there is nobody to answer to */
    GIT_BROKEN,  /* it could not be started, or said more than GIT_TEXT_MAX */
};

struct git {
    const char *path;   /* borrowed; PATH of a login shell, in which git and ssh are looked for */
    int channel;        /* borrowed; ends everything once its other end is closed; -1: nobody */
    int64_t deadline;   /* clock_now() */
    int disk;           /* borrowed; a folder where `floor` bytes stay free */
    uint64_t floor;     /* while something comes over the network; 0: whatever */
    const char *secret; /* borrowed; masked in `words`; NULL: none */
    char file[GIT_FILE_SIZE]; /* the program */
    /* Of the last one that ran. */
    enum git_end end;
    int exit;                   /* of GIT_REFUSED: as a shell says it */
    char words[GIT_WORDS_SIZE]; /* its last ones on stderr, without progress, printable ASCII */
};

/* What one writes to stdout, NUL-ended; owned: git_text_release(). Empty: {0}. */
struct git_text {
    char *bytes;
    size_t len, size;
};

/* How one is run. Everything is borrowed and may be left out. */
struct git_child {
    const char *dir;              /* its repository, absolute */
    const char *tree;             /* its working tree, absolute */
    const char *index;            /* its index file, absolute */
    const char *objects;          /* where new objects are put (GIT_OBJECT_DIRECTORY) */
    const char *alternates;       /* where others are found, too */
    const char *const *variables; /* more of its environment, "NAME=value", NULL at the end */
    const char *scheme;           /* the only protocol that it may speak; NULL: none */
    const void *input;            /* its stdin: these bytes, or a file */
    size_t input_len;
    int in, out;           /* files of its stdin and stdout; 0: /dev/null */
    struct git_text *text; /* its stdout, whatever was in it before */
};

/* Looks for git. False: there is none in `path`, or it is too old; `words` is a sentence. */
bool git_init(struct git *git, const char *path, int channel, int64_t deadline);

/* Runs one with the words that follow; true: GIT_DONE. */
#define git_run(git, child, ...) git_run_words(git, child, GIT_ALL(__VA_ARGS__))
/* The first line of what it says, without its newline: false, and "", when it is none or does not
 * fit. */
#define git_ask(git, child, line, size, ...) \
    git_ask_words(git, child, line, size, GIT_ALL(__VA_ARGS__))
#define GIT_ALL(...) ((const char *const[]){__VA_ARGS__, NULL})

/* The same with a list, NULL at its end. */
bool git_run_words(struct git *git, const struct git_child *child, const char *const *words);
bool git_ask_words(struct git *git, const struct git_child *child, char *line, size_t size,
                   const char *const *words);

/* False: it would be too long, or there is no memory. */
bool git_text_add(struct git_text *text, const void *bytes, size_t len);
void git_text_release(struct git_text *text);

/* Whoever asked is still there, and the deadline is not over. False: `end` says which. */
bool git_may_go_on(struct git *git);

#endif
