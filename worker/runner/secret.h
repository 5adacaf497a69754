/* Files that look like secrets, by their name and by what is in them: they are never committed by
 * us. A guess, on the safe side: what is left out is named in the answer and stays where it is. */
#ifndef FLEET_RUNNER_SECRET_H
#define FLEET_RUNNER_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/* By the last part of a path: .env and its like, keys, stores of passwords. Examples (.env.example)
 * are none. */
bool secret_is_name(const char *path);
/* A private key, or a token of a known shape, somewhere in the bytes. */
bool secret_is_in(const char *bytes, size_t len);
/* ... in the file, to its end. False also when it cannot be read: that is for the caller to see. */
bool secret_is_in_file(int fd);

#endif
