/* The account's login shell, as far as jobs have to do with it: its PATH. */
#ifndef FLEET_RUNNER_SHELL_H
#define FLEET_RUNNER_SHELL_H

#define SHELL_PATH_SIZE 4096
#define SHELL_NAME_SIZE 33
#define SHELL_ASK_MS 16000 /* shell_ask at most */

struct shell {
    char path[SHELL_PATH_SIZE];
    char name[SHELL_NAME_SIZE]; /* "": nobody answered, it is our own PATH */
};

/* PATH as somebody finds it who logs in and types: agents live in ~/.local/bin, in ~/.nvm and the
 * like, and sshd's own shell for a command has read none of the files that say so. The shell is
 * asked as a login shell that is interactive; as one that is not, where that one does not answer;
 * then /bin/sh. Folders that are not absolute are left out. */
void shell_ask(struct shell *shell);

#endif
