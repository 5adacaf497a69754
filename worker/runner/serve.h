/* The channel: frames on stdin and stdout until stdin ends.
 *
 * `fleet-runner serve BASE MARK HASH`: checks that what runs is what the worker meant (the SHA-256
 * of /proc/self/exe), says "\n<MARK> serving\n" (or "\n<MARK> other\n" and ends), then speaks
 * worker/runner/frame.h. One process, one loop; whatever may block (calls about a run) is done by
 * children whose answers it passes on. */
#ifndef FLEET_RUNNER_SERVE_H
#define FLEET_RUNNER_SERVE_H

int serve_main(int argc, char **argv);

#endif
