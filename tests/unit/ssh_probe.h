/* A probe's stream over SSH. */
#ifndef FLEET_TEST_SSH_PROBE_H
#define FLEET_TEST_SSH_PROBE_H

#include "tests/unit/sshd.h"
#include "tests/unit/stream_probe.h"
#include "worker/ssh/ssh.h"

/* Around what leaks inside of libssh2. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#define LEAKS_BEGIN() __lsan_disable()
#define LEAKS_END() __lsan_enable()
#else
#define LEAKS_BEGIN() ((void)0)
#define LEAKS_END() ((void)0)
#endif

static inline void probe_ssh(struct probe *probe, const struct config_host *host)
{
    probe->stream = ssh_stream_open(&probe->loop, host, &probe_events, probe);
    probe_finish(probe);
}

/* One command, to the end. */
static inline void once(struct probe *probe, const struct config_host *host, const char *command)
{
    const char *const commands[] = {command, NULL};
    probe_init(probe, commands, 30);
    probe_ssh(probe, host);
    ck_assert_msg(probe->downs == 0, "%s: %s", command, probe->error.text);
    ck_assert_int_eq(probe->ends, 1);
}

/* It never comes up, or its first command cannot be run. */
static inline void fails_with(const struct config_host *host, const char *word, const char *text)
{
    struct probe probe;
    const char *const commands[] = {"true", NULL};
    probe_init(&probe, commands, 30);
    probe_ssh(&probe, host);
    ck_assert_int_eq(probe.downs, 1);
    ck_assert_int_eq(probe.ends, 0);
    ck_assert_msg(strstr(probe.error.text, text) != NULL, "%s", probe.error.text);
    ck_assert_str_eq(probe.error.state, word);
    probe_release(&probe);
}

#endif
