/* What the service manager is told, by sd_notify(3)'s datagrams and without libsystemd: that this
 * node serves, what it waits for, that its loop turns (WatchdogSec), that it reloads and stops.
 * Without NOTIFY_SOCKET it is told nothing. FLEET_STATUS_FILE gets the status too
 * (common/health.h).
 *
 * Life: notify_open once the loop is there, notify_ready when the node serves, notify_close before
 * the loop is released. Its timers keep no loop running. */
#ifndef FLEET_NOTIFY_H
#define FLEET_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/loop.h"

#define NOTIFY_STATUS_MAX 400

/* One line for people about what the node does now; false: it waits, or stops. */
typedef bool (*notify_status_cb)(void *data, char *text, size_t size);

struct notify {
    int fd; /* -1: nobody wants to know */
    struct sockaddr_un address;
    socklen_t address_len;
    const char *file;      /* borrowed from the environment; NULL: none */
    struct timer look;     /* asks for the status, which is told when it changed */
    struct timer watchdog; /* says that the loop turns */
    notify_status_cb status;
    void *data; /* borrowed, for status */
    char said[NOTIFY_STATUS_MAX];
};

/* Takes what it needs from the environment: no child inherits it. */
void notify_open(struct notify *notify, struct loop *loop, notify_status_cb status, void *data);
void notify_ready(struct notify *notify); /* it serves; or its reload is over */
void notify_reloading(struct notify *notify);
void notify_stopping(struct notify *notify);
void notify_close(struct notify *notify);

#endif
