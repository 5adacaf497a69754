/* Small files and folders that a hostile account may have replaced by anything. All names are
 * relative to a directory's descriptor, no link is followed, and only regular files (or folders) of
 * our own uid are touched. Failures leave errno. */
#ifndef FLEET_RUNNER_FILE_H
#define FLEET_RUNNER_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define FILE_SMALL_MAX 4096 /* bytes of a control file; a larger one is none */

/* Bytes until the end, at most `max`; 0 on failure. */
size_t file_read_some(int fd, void *bytes, size_t max);
bool file_write_all(int fd, const void *bytes, size_t len);

/* Whether there is anything under the name, and what. */
bool file_look(int dir, const char *name, struct stat *status);
bool file_is_small(const struct stat *status); /* a control file of ours */
/* An existing regular file of ours; -1 else. `flags`: O_RDONLY and the like. */
int file_open(int dir, const char *name, int flags);
/* The lines of a control file without the last newline, NUL-ended; bytes of it are as they lie
 * there, but a NUL ends it. False when there is none. */
bool file_text(int dir, const char *name, char text[static FILE_SMALL_MAX + 1]);
/* Its first line. */
bool file_line(int dir, const char *name, char text[static FILE_SMALL_MAX + 1]);
/* In full, synced, and put under the name in one step, whatever stood there; the folder itself is
 * not synced. */
bool file_write(int dir, const char *name, const void *bytes, size_t len);

/* One of ours, -1 else; made readable again where somebody took that right away. */
int file_open_folder(int dir, const char *name);
/* The same, made where it is missing. What is no folder is removed first. */
int file_make_folder(int dir, const char *name);
/* Whatever lies under the name: a folder with all that is in it, however deep and whatever modes
 * there are, or anything else. No link is followed and no other mount entered. True when nothing
 * lies there any more; false also when it took longer than FILE_REMOVE_MS, or until `deadline`
 * (clock_now): what is left then can be removed by another call. */
#define FILE_REMOVE_MS 40000
bool file_remove(int dir, const char *name);
bool file_remove_by(int dir, const char *name, int64_t deadline);
/* Pipes in a folder, however deep: whoever opens one that nobody writes to waits for ever, and git
 * opens what is called .gitignore or HEAD. */
void file_remove_pipes(int dir);

#endif
