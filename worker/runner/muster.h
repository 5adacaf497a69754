/* Accounts of slots, looked at for a check of the host: nothing is ended, nothing is left.
 *
 *   fleet-runner muster BASE MARK (+ACCOUNT WORD...)...     by the account that SSH logs in as
 *
 * WORD: a command that the account shall find, or "~/FILE" that it shall be able to read. Lines,
 * each behind "MARK ": account NAME UID HOME      it can be used, and what it has is has NAME WORD
 * FILE         ... the program or file that the word means; "-": it has none reads NAME PATH ... a
 * folder of the fleet that it can read, and must not refused NAME TEXT          it cannot be used:
 * what sudo says */
#ifndef FLEET_RUNNER_MUSTER_H
#define FLEET_RUNNER_MUSTER_H

int muster_main(int argc, char **argv);
/* `fleet-runner attend UID_OF_CALLER BASE NAME WORD...`: the same as the account. */
int attend_main(int argc, char **argv);

#endif
