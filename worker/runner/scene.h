/* What an agent's process finds around it: its folder, streams, environment and rights. Set by the
 * process that becomes the agent, of whichever account that is. */
#ifndef FLEET_RUNNER_SCENE_H
#define FLEET_RUNNER_SCENE_H

#include <stdbool.h>
#include <stddef.h>

/* Texts are borrowed; descriptors are the caller's. */
struct scene {
    int folder;         /* its cwd */
    int prompt;         /* becomes stdin */
    int out, err;       /* become stdout and stderr; -1: as they are */
    int script;         /* of sh, to be read there; -1: it is `file` */
    const char *file;   /* path of the script */
    const char *tmp;    /* TMPDIR, which is there; in a sandbox it is /tmp */
    const char *mark;   /* FLEET_RUN */
    const char *path;   /* PATH; "": a plain one */
    const char *base;   /* path of the fleet's folder: hidden in a sandbox */
    const char *inside; /* path of `folder` */
    bool sandbox;
    bool fresh;           /* no agent ever worked in `folder` */
    const char *writable; /* of a sandbox: paths, one a line; "~/" is HOME */
    int oom_score_adj;    /* INT_MIN: as it is */
};

/* What cannot be executed ends as a shell says it: 126, 127. */
_Noreturn void scene_play(const struct scene *scene);

/* `fleet-runner begin`: what a sandbox executes. Gives an agent the signals that its sandbox does
 * without, and executes the script. */
int scene_main(int argc, char **argv);

/* A file in memory with these bytes that nobody can change any more, read from its beginning; -1 on
 * failure. Closed by an exec. */
int scene_file(const char *name, const void *bytes, size_t len);

/* The same of a script, which has SCENE_SCRIPT closed before anything of it runs. */
int scene_script(const void *job, size_t len);

void scene_reset_signals(void);
bool scene_set_oom_score(int score);

#define SCENE_SCRIPT 3 /* descriptor of a script without a name */
#define SCENE_RUNNER 4 /* descriptor of this program, for a sandbox that does not show it */

#endif
