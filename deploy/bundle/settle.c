/* Loaded before a bundle's program: keeps the machine's name service modules, which are built for
 * another libc, out of it, and gives the process the program's name instead of the loader's.
 * Compiled by deploy/lib/bundle.sh. */
#include <errno.h>
#include <nss.h>
#include <sys/prctl.h>

__attribute__((constructor)) static void settle(void)
{
    /* Both are inside of glibc 2.34 and newer. Whatever /etc/nsswitch.conf says. */
    static const char *const files[] = {"passwd", "group", "services", "protocols", "networks"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        __nss_configure_lookup(files[i], "files");
    __nss_configure_lookup("hosts", "files dns");
    prctl(PR_SET_NAME, program_invocation_short_name);
}
