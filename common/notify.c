/* Datagrams to the service manager: sd_notify(3), sd_watchdog_enabled(3). */
#include "common/notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/health.h"
#include "common/text.h"

#define LOOK_MS 1000

/* What cannot be sent is lost: no node stops because its manager does not listen. */
static void tell(struct notify *notify, const char *text)
{
    if (notify->fd < 0)
        return;
    ssize_t sent = sendto(notify->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
                          (struct sockaddr *)&notify->address, notify->address_len);
    (void)sent;
}

/* An absolute path, or "@name" for the abstract socket of that name. */
static bool set_address(struct notify *notify, const char *path)
{
    size_t len = path != NULL ? strlen(path) : 0;
    if (len < 2 || len >= sizeof notify->address.sun_path || (*path != '/' && *path != '@'))
        return false;
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, path, len);
    if (*path == '@')
        notify->address.sun_path[0] = '\0';
    notify->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return true;
}

/* How often to say that the loop turns; 0: nobody watches this process. */
static uint64_t watchdog_ms(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    bool ours = pid == NULL || strtoll(pid, NULL, 10) == getpid();
    unsigned long long value = usec != NULL && ours ? strtoull(usec, NULL, 10) : 0;
    return value > 0 ? value / 3000 + (value < 3000) : 0;
}

static void on_watchdog(void *data)
{
    tell(data, "WATCHDOG=1");
}

static void on_look(void *data)
{
    struct notify *notify = data;
    char text[NOTIFY_STATUS_MAX] = "", line[NOTIFY_STATUS_MAX + 8];
    bool works = notify->status(notify->data, text, sizeof text);
    for (char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f) /* a line end would begin another message */
            *at = ' ';
    }
    text[text_cut(text, sizeof text - 1)] = '\0';
    if (notify->file != NULL)
        health_write(notify->file, works, text);
    if (strcmp(text, notify->said) == 0)
        return;
    memcpy(notify->said, text, sizeof text);
    snprintf(line, sizeof line, "STATUS=%s", text);
    tell(notify, line);
}

void notify_open(struct notify *notify, struct loop *loop, notify_status_cb status, void *data)
{
    *notify = (struct notify){.fd = -1, .status = status, .data = data};
    uint64_t beat = watchdog_ms();
    timer_init(&notify->look, loop, on_look, notify);
    timer_init(&notify->watchdog, loop, on_watchdog, notify);
    if (set_address(notify, getenv("NOTIFY_SOCKET")))
        notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    notify->file = getenv("FLEET_STATUS_FILE");
    if (notify->fd < 0 && notify->file == NULL)
        return;
    timer_start(&notify->look, 0, LOOK_MS);
    if (beat > 0 && notify->fd >= 0)
        timer_start(&notify->watchdog, 0, beat);
    timer_alone(&notify->look);
    timer_alone(&notify->watchdog);
}

void notify_ready(struct notify *notify)
{
    tell(notify, "READY=1");
}

void notify_reloading(struct notify *notify)
{
    struct timespec now;
    char text[64];
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
             (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    tell(notify, text);
}

void notify_stopping(struct notify *notify)
{
    tell(notify, "STOPPING=1");
}

void notify_close(struct notify *notify)
{
    timer_close(&notify->look, NULL);
    timer_close(&notify->watchdog, NULL);
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
}
