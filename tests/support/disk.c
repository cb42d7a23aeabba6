/* Stands between a process and its disk and clock, for what a test cannot ask of a real one.
 *
 * Preloaded into the service. Only files under DISK_FOLDER are looked at.
 *
 * DISK_JOURNAL  every change is noted in this file, in order, after it was made: what a power cut
 *               would leave can be made from that (see disk.py)
 * DISK_FULL     while this file exists, no file grows: ENOSPC
 * CLOCK_OFFSET  this file holds the seconds by which the clock is wrong
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

struct note {
    char kind; /* w: bytes at offset, t: cut to offset, s: synced, u: deleted */
    char padding[7];
    int64_t offset;
    int64_t path_size;
    int64_t data_size;
};

static int under_folder(const char *path)
{
    const char *folder = getenv("DISK_FOLDER");
    return folder && strncmp(path, folder, strlen(folder)) == 0;
}

static int path_of(int descriptor, char path[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    if (size < 0)
        return 0;
    path[size] = 0;
    return under_folder(path);
}

static void note(char kind, const char *path, int64_t offset, const void *data, size_t size)
{
    static int journal = -2;
    int saved = errno;
    if (journal == -2) {
        const char *name = getenv("DISK_JOURNAL");
        journal = name ? open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    }
    if (journal >= 0) {
        struct note head = {.kind = kind, .offset = offset,
                            .path_size = (int64_t)strlen(path), .data_size = (int64_t)size};
        struct iovec parts[] = {{&head, sizeof head}, {(void *)path, strlen(path)},
                                {(void *)data, size}};
        if (writev(journal, parts, 3) < 0)
            abort();
    }
    errno = saved;
}

static int is_full(int descriptor, int64_t end)
{
    const char *flag = getenv("DISK_FULL");
    struct stat now;
    if (!flag || access(flag, F_OK) != 0 || fstat(descriptor, &now) != 0 || end <= now.st_size)
        return 0;
    errno = ENOSPC;
    return 1;
}

ssize_t pwrite64(int descriptor, const void *data, size_t size, off64_t offset)
{
    char path[PATH_MAX];
    int ours = path_of(descriptor, path);
    if (ours && is_full(descriptor, offset + (int64_t)size))
        return -1;
    ssize_t written = REAL(pwrite64)(descriptor, data, size, offset);
    if (ours && written > 0)
        note('w', path, offset, data, (size_t)written);
    return written;
}

ssize_t pwrite(int descriptor, const void *data, size_t size, off_t offset)
{
    return pwrite64(descriptor, data, size, offset);
}

ssize_t write(int descriptor, const void *data, size_t size)
{
    char path[PATH_MAX];
    int ours = path_of(descriptor, path);
    int64_t offset = ours ? lseek(descriptor, 0, SEEK_CUR) : 0;
    if (ours && is_full(descriptor, offset + (int64_t)size))
        return -1;
    ssize_t written = REAL(write)(descriptor, data, size);
    if (ours && written > 0)
        note('w', path, offset, data, (size_t)written);
    return written;
}

int ftruncate64(int descriptor, off64_t size)
{
    char path[PATH_MAX];
    int ours = path_of(descriptor, path);
    if (ours && is_full(descriptor, size))
        return -1;
    int result = REAL(ftruncate64)(descriptor, size);
    if (ours && result == 0)
        note('t', path, size, "", 0);
    return result;
}

int ftruncate(int descriptor, off_t size)
{
    return ftruncate64(descriptor, size);
}

int fdatasync(int descriptor)
{
    char path[PATH_MAX];
    int ours = path_of(descriptor, path);
    int result = REAL(fdatasync)(descriptor);
    if (ours && result == 0)
        note('s', path, 0, "", 0);
    return result;
}

int fsync(int descriptor)
{
    char path[PATH_MAX];
    int ours = path_of(descriptor, path);
    int result = REAL(fsync)(descriptor);
    if (ours && result == 0)
        note('s', path, 0, "", 0);
    return result;
}

int unlink(const char *path)
{
    int result = REAL(unlink)(path);
    if (result == 0 && under_folder(path))
        note('u', path, 0, "", 0);
    return result;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = REAL(clock_gettime)(clock, now);
    const char *name = getenv("CLOCK_OFFSET");
    if (result != 0 || clock != CLOCK_REALTIME || !name)
        return result;
    char text[32] = "";
    int file = open(name, O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        if (read(file, text, sizeof text - 1) > 0)
            now->tv_sec += atol(text);
        close(file);
    }
    return result;
}
