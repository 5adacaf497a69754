/* Is a private key one that libssh2 can log in with? */
#ifndef FLEET_SSH_KEY_H
#define FLEET_SSH_KEY_H

#include <stdbool.h>

#include "common/error.h"

/* ed25519 or ECDSA without passphrase, readable by nobody else (ssh's rule). err names the
 * way out. */
bool ssh_key_check(const char *path, struct error *err);

/* Its public half as a line of authorized_keys begins: "ssh-ed25519 AAAA…". False for a file in
 * another form than OpenSSH's, whose public half does not lie open. */
#define SSH_KEY_LINE 512
bool ssh_key_public(const char *path, char line[SSH_KEY_LINE]);

#endif
