/* Is a private key one that libssh2 can log in with? */
#ifndef FLEET_SSH_KEY_H
#define FLEET_SSH_KEY_H

#include <stdbool.h>

#include "common/error.h"

/* ed25519 or ECDSA without passphrase, readable by nobody else (ssh's rule). err names the
 * way out. */
bool ssh_key_check(const char *path, struct error *err);

#endif
