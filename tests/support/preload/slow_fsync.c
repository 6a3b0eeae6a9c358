// Preloaded into a server: each call that waits for the disk takes LD_SLOW_FSYNC_MS longer, as on a disk that is busy.
// Programs named in LD_NOT_SLOW are left alone.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

static void wait_for_disk(void) {
    const char *milliseconds = getenv("LD_SLOW_FSYNC_MS"), *spared = getenv("LD_NOT_SLOW");
    if (milliseconds == NULL || (spared != NULL && strcmp(spared, program_invocation_short_name) == 0)) return;
    long long left = atoll(milliseconds);
    struct timespec pause = {left / 1000, left % 1000 * 1000000};
    while (nanosleep(&pause, &pause) != 0 && errno == EINTR) {}
}

#define NEXT(name, type) ((type)dlsym(RTLD_NEXT, name))

int fsync(int fd) {
    wait_for_disk();
    return NEXT("fsync", int (*)(int))(fd);
}

int fdatasync(int fd) {
    wait_for_disk();
    return NEXT("fdatasync", int (*)(int))(fd);
}

int sync_file_range(int fd, off64_t offset, off64_t bytes, unsigned flags) {
    wait_for_disk();
    return NEXT("sync_file_range", int (*)(int, off64_t, off64_t, unsigned))(fd, offset, bytes, flags);
}

int msync(void *start, size_t length, int flags) {
    wait_for_disk();
    return NEXT("msync", int (*)(void *, size_t, int))(start, length, flags);
}

int syncfs(int fd) {
    wait_for_disk();
    return NEXT("syncfs", int (*)(int))(fd);
}

void sync(void) {
    wait_for_disk();
    NEXT("sync", void (*)(void))();
}
