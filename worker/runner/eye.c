/* The one inotify instance. */
#include "worker/runner/eye.h"

#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#define FOLDER_EVENTS \
    (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_ONLYDIR)
/* A window in which more than so many reads brought something is waited out. */
#define WINDOW_MS 10
#define WINDOW_READS 4

static struct list *bucket_of(struct eyes *eyes, int wd)
{
    return &eyes->bucket[(unsigned)wd % EYE_BUCKETS];
}

/* Two watches of one run have eyes on the same files: one number. */
static void tell(struct eyes *eyes, int wd, const char *name)
{
    list_each(link, bucket_of(eyes, wd))
    {
        struct eye *eye = list_entry(link, struct eye, bucket);
        if (eye->wd == wd)
            eye->on_change(eye->owner, eye, name);
    }
}

/* What was looked at is gone. */
static void shut(struct eyes *eyes, int wd)
{
    list_each(link, bucket_of(eyes, wd))
    {
        struct eye *eye = list_entry(link, struct eye, bucket);
        if (eye->wd != wd)
            continue;
        list_remove(link);
        eye->on_change(eye->owner, eye, "");
    }
}

static void on_events(void *owner, uint32_t events)
{
    struct eyes *eyes = owner;
    _Alignas(struct inotify_event) char bytes[8192];
    (void)events;
    ssize_t len = read(eyes->fd, bytes, sizeof bytes);
    for (ssize_t at = 0; at < len;) {
        const struct inotify_event *event = (const struct inotify_event *)(void *)(bytes + at);
        if ((event->mask & IN_Q_OVERFLOW) != 0)
            eyes->on_overflow(eyes->data);
        else if ((event->mask & IN_IGNORED) != 0)
            shut(eyes, event->wd);
        else
            tell(eyes, event->wd, event->len > 0 ? event->name : "");
        at += (ssize_t)(sizeof *event + event->len);
    }
    int64_t now = clock_now();
    if (now - eyes->window >= WINDOW_MS) {
        eyes->window = now;
        eyes->reads = 0;
    }
    if (++eyes->reads > WINDOW_READS && !eyes->muted) {
        eyes->muted = true;
        source_change(&eyes->source, eyes->epoll, eyes->fd, 0);
    }
}

int64_t eyes_tick(struct eyes *eyes, int64_t now)
{
    if (!eyes->muted)
        return INT64_MAX;
    if (now - eyes->window < WINDOW_MS)
        return eyes->window + WINDOW_MS;
    eyes->muted = false;
    source_change(&eyes->source, eyes->epoll, eyes->fd, EPOLLIN);
    return INT64_MAX;
}

void eyes_init(struct eyes *eyes, int epoll, void (*on_overflow)(void *data), void *data)
{
    *eyes = (struct eyes){.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC),
                          .epoll = epoll,
                          .on_overflow = on_overflow,
                          .data = data};
    eyes->source = (struct source){on_events, eyes};
    for (int i = 0; i < EYE_BUCKETS; i++)
        list_init(&eyes->bucket[i]);
    if (eyes->fd >= 0)
        source_watch(&eyes->source, epoll, eyes->fd, EPOLLIN);
}

void eyes_release(struct eyes *eyes)
{
    if (eyes->fd >= 0)
        close(eyes->fd);
    eyes->fd = -1;
}

/* By its descriptor: it is the very file that was looked at before, whatever has its name now. */
bool eye_open(struct eyes *eyes, struct eye *eye, int fd, bool folder)
{
    char path[40];
    if (eyes->fd < 0 || fd < 0 || eye_is_open(eye))
        return eye_is_open(eye);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    eye->wd = inotify_add_watch(eyes->fd, path, folder ? FOLDER_EVENTS : IN_MODIFY);
    if (eye->wd < 0)
        return false;
    list_append(bucket_of(eyes, eye->wd), &eye->bucket);
    return true;
}

void eye_close(struct eyes *eyes, struct eye *eye)
{
    if (!eye_is_open(eye))
        return;
    list_remove(&eye->bucket);
    list_each(link, bucket_of(eyes, eye->wd)) if (list_entry(link, struct eye, bucket)->wd ==
                                                  eye->wd) return;
    inotify_rm_watch(eyes->fd, eye->wd);
}
