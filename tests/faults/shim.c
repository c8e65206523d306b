/* Faults at the system's calls: the Nth write, fsync, rename (and their kin) under a folder fails
   with an errno, or ends the process as a kill does. Loaded with LD_PRELOAD, so that libraries
   written in any language meet it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[PATH_MAX];
static long counted, fails_at, lasts;
static int number;

/* From the Nth call on, `calls` of them fail with `error` (0: the process is killed at the first).
   n = 0: only count. */
void fault_arm(const char *where, long n, long calls, int error) {
    snprintf(folder, sizeof folder, "%s", where);
    counted = 0;
    fails_at = n;
    lasts = calls;
    number = error;
}

long fault_count(void) { return counted; }

static int strikes(const char *path) {
    if (!folder[0] || strncmp(path, folder, strlen(folder)) != 0) return 0;
    counted++;
    if (fails_at == 0 || counted < fails_at || counted >= fails_at + lasts) return 0;
    if (number == 0) _exit(137);
    errno = number;
    return 1;
}

static int strikes_file(int file) {
    char link[64], path[PATH_MAX];
    int kept = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = kept;
    if (length < 0) return 0;
    path[length] = 0;
    return strikes(path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *data, size_t size) {
    return strikes_file(file) ? -1 : REAL(write)(file, data, size);
}
ssize_t pwrite64(int file, const void *data, size_t size, off64_t at) {
    return strikes_file(file) ? -1 : REAL(pwrite64)(file, data, size, at);
}
ssize_t writev(int file, const struct iovec *parts, int count) {
    return strikes_file(file) ? -1 : REAL(writev)(file, parts, count);
}
int fsync(int file) { return strikes_file(file) ? -1 : REAL(fsync)(file); }
int fdatasync(int file) { return strikes_file(file) ? -1 : REAL(fdatasync)(file); }
int rename(const char *from, const char *to) { return strikes(from) ? -1 : REAL(rename)(from, to); }
int unlink(const char *path) { return strikes(path) ? -1 : REAL(unlink)(path); }
int unlinkat(int at, const char *path, int flags) {
    return strikes_file(at) ? -1 : REAL(unlinkat)(at, path, flags);
}
int mkdir(const char *path, mode_t mode) { return strikes(path) ? -1 : REAL(mkdir)(path, mode); }
