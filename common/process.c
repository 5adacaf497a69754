/* /proc/self, read now. */
#include "common/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static int count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;
    if (dir == NULL)
        return 0;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count - 1; /* the one just opened */
}

/* proc(5): the fields behind the name, which stands in parentheses, begin with number 3. */
static void read_stat(struct process_use *use)
{
    char text[1024] = "";
    unsigned long long field[25] = {0};
    FILE *file = fopen("/proc/self/stat", "re");
    if (file == NULL)
        return;
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = '\0';
    char *at = strrchr(text, ')');
    if (at == NULL || strlen(at) < 4)
        return;
    at += 3; /* ") S": number 3 is a letter */
    for (size_t number = 4; number < sizeof field / sizeof field[0]; number++)
        field[number] = strtoull(at, &at, 10);
    double ticks = (double)sysconf(_SC_CLK_TCK);
    struct timespec now, up;
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &up);
    use->cpu_seconds = (double)(field[14] + field[15]) / ticks;
    use->start_seconds = (double)(now.tv_sec - up.tv_sec) + (double)field[22] / ticks;
    use->virtual_bytes = field[23];
    use->resident_bytes = (uint64_t)field[24] * (uint64_t)sysconf(_SC_PAGESIZE);
}

struct process_use process_use(void)
{
    struct process_use use = {0};
    struct rlimit files;
    read_stat(&use);
    use.fds = count_fds();
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        use.fds_max = (int)files.rlim_cur;
    return use;
}
