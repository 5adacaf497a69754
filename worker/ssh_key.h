/* Is a private key one that libssh2 can log in with? Read from its own bytes, so that the error
 * names what is wrong with the key instead of "authentication failed". */
#ifndef FLEET_SSH_KEY_H
#define FLEET_SSH_KEY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

/* ed25519 or ECDSA without passphrase, readable by nobody else (ssh's rule). err names the way out.
 */
bool ssh_key_check(const char *path, struct error *err);
/* The same for the bytes of a file. */
bool ssh_key_check_bytes(const char *bytes, size_t len, const char *path, struct error *err);

#endif
