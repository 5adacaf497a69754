/* The program of a bundle that a person calls: starts the one of the same name with the bundle's
 * own loader and libraries, wherever the bundle lies. Static; compiled by deploy/lib/bundle.sh.
 *
 *   DIR/bin/NAME (this)  ->  DIR/lib/agent-fleet/{LOADER,NAME,*.so*}
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPTIONS 9 /* of the loader, with itself and the program */

extern char **environ;

static void die(const char *what, const char *path)
{
    fprintf(stderr, "%s: %s: %s\n", what, path, strerror(errno));
    exit(127);
}

/* What would bring libraries of the machine, built for another libc, into the program. */
static void forget_libraries(void)
{
    char **kept = environ;
    for (char **variable = environ; *variable != NULL; variable++)
        if (strncmp(*variable, "LD_", 3) != 0 && strncmp(*variable, "LOCPATH=", 8) != 0 &&
            strncmp(*variable, "GCONV_PATH=", 11) != 0)
            *kept++ = *variable;
    *kept = NULL;
}

/* Splits the path of this very file, symbolic links resolved, into DIR and NAME. */
static void find_bundle(char *self, size_t size, const char **name)
{
    ssize_t len = readlink("/proc/self/exe", self, size - 1);
    if (len < 0)
        die("cannot tell where this program lies (is /proc mounted?)", "/proc/self/exe");
    self[len] = '\0';
    char *slash = strrchr(self, '/');
    *name = slash + 1;
    *slash = '\0';
    slash = strrchr(self, '/');
    if (slash == NULL) {
        errno = ENOENT;
        die("this program belongs into bin/ of its folder", *name);
    }
    *slash = '\0';
    if (strpbrk(self, ":;$") != NULL) {
        errno = EINVAL;
        die("the loader takes no folder with ':', ';' or '$' in its name; move the bundle", self);
    }
}

int main(int argc, char **argv)
{
    static char self[PATH_MAX], libraries[PATH_MAX + 32], loader[PATH_MAX + 64],
        program[PATH_MAX + 320];
    const char *name;
    find_bundle(self, sizeof self, &name);
    snprintf(libraries, sizeof libraries, "%s/lib/agent-fleet", self);
    snprintf(loader, sizeof loader, "%s/%s", libraries, LOADER);
    snprintf(program, sizeof program, "%s/%s", libraries, name);

    char *called = argc > 0 ? argv[0] : program;
    char *options[OPTIONS] = {called,      "--inhibit-cache", "--library-path", libraries,
                              "--preload", "settle.so",       "--argv0",        called,
                              program};
    char **args = calloc((size_t)argc + OPTIONS + 1, sizeof *args);
    if (args == NULL)
        die("no memory", program);
    memcpy(args, options, sizeof options);
    for (int i = 1; i < argc; i++)
        args[OPTIONS + i - 1] = argv[i];
    forget_libraries();
    execv(loader, args);
    die("cannot start", loader);
}
