/* What inotify tells us: one instance, and an eye for each file or folder that somebody
 * looks at. */
#ifndef FLEET_RUNNER_EYE_H
#define FLEET_RUNNER_EYE_H

#include "common/list.h"
#include "worker/runner/source.h"

#define EYE_BUCKETS 1024

struct eye {
    struct list bucket; /* in eyes.bucket while it is open */
    int wd;
    void (*on_change)(void *owner, struct eye *eye, const char *name); /* name in a folder, or "" */
    void *owner;                                                       /* borrowed */
};

struct eyes {
    int fd;    /* owned; -1: there is no inotify */
    int epoll; /* borrowed */
    struct source source;
    struct list bucket[EYE_BUCKETS];
    void (*on_overflow)(void *data); /* anything may have changed */
    void *data;                      /* borrowed */
    bool muted;     /* until the window is over: it would wake us for every write */
    int64_t window; /* when the present one began */
    int reads;      /* in it */
};

void eyes_init(struct eyes *eyes, int epoll, void (*on_overflow)(void *data), void *data);
void eyes_release(struct eyes *eyes);
/* Listens again; returns when it wants to be called (clock_now), INT64_MAX: never. */
int64_t eyes_tick(struct eyes *eyes, int64_t now);

/* Opens the eye on what the descriptor stands for, which may be closed then. A folder: when names
 * in it come and go. A file: when it is written. */
bool eye_open(struct eyes *eyes, struct eye *eye, int fd, bool folder);
void eye_close(struct eyes *eyes, struct eye *eye);
static inline bool eye_is_open(const struct eye *eye)
{
    return list_linked(&eye->bucket);
}

#endif
