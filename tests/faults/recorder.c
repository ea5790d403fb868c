/*
 * Loaded into a program by LD_PRELOAD, this notes what it does to the files below a folder, in order, in a log that all
 * its processes share: RECORD_ROOT is the folder, RECORD_LOG the log. What it says on stdout and on sockets is noted too.
 *
 * A call and its note are one step, under one lock for all processes. A sync is two notes, at its begin and its end:
 * what was written before the begin is durable after the end. What goes by memory maps is not noted: SQLite's -shm.
 * A call that changes files and is not known here ends the process.
 *
 * A note, in the machine's byte order: u32 length of the whole, u32 pid, u64 kind (a letter), u64 inode, u64 number,
 * bytes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))real(#name))
#define HIGH_FD 700

static char root[PATH_MAX];
static size_t root_length;
static int log_fd = -1;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    return found;
}

static void fail(const char *what)
{
    dprintf(2, "recorder: %s\n", what);
    abort();
}

static void in_child(void)
{
    pthread_mutex_init(&mutex, NULL);
}

__attribute__((constructor)) static void begin(void)
{
    const char *folder = getenv("RECORD_ROOT"), *path = getenv("RECORD_LOG");
    if (!folder || !path)
        return;
    if (!realpath(folder, root))
        fail("RECORD_ROOT is not there");
    root_length = strlen(root);
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    log_fd = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
    if (log_fd < 0)
        fail("RECORD_LOG cannot be opened");
    syscall(SYS_close, fd);
    pthread_atfork(NULL, NULL, in_child);
}

static void turn(int type)
{
    /* A lock of the process, not of the open file, which a forked child shares. */
    struct flock whole = {.l_type = type, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    while (syscall(SYS_fcntl, log_fd, F_SETLKW, &whole))
        if (errno != EINTR)
            fail("no lock");
}

static void lock(void)
{
    pthread_mutex_lock(&mutex);
    turn(F_WRLCK);
}

static void unlock(void)
{
    int kept = errno;
    turn(F_UNLCK);
    pthread_mutex_unlock(&mutex);
    errno = kept;
}

static void note(char kind, ino_t inode, uint64_t number, const void *bytes, size_t length)
{
    struct {
        uint32_t length, pid;
        uint64_t kind, inode, number;
    } head = {sizeof head + length, getpid(), kind, inode, number};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)bytes, length}};
    int kept = errno;
    if (syscall(SYS_writev, log_fd, parts, 2) != (ssize_t)head.length)
        fail("the log is full");
    errno = kept;
}

/* The path below the folder, as "a/b"; 0 where it is elsewhere. Links in what leads to the last name are followed. */
static int below(int dir, const char *path, char *out)
{
    char joined[2 * PATH_MAX], parent[PATH_MAX], *name;
    if (log_fd < 0)
        return 0;
    if (path[0] == '/') {
        snprintf(joined, sizeof joined, "%s", path);
    } else if (dir == AT_FDCWD) {
        if (!getcwd(joined, PATH_MAX))
            return 0;
        snprintf(joined + strlen(joined), PATH_MAX, "/%s", path);
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
        ssize_t length = readlink(link, joined, PATH_MAX - 1);
        if (length < 0)
            return 0;
        snprintf(joined + length, PATH_MAX, "/%s", path);
    }
    name = strrchr(joined, '/');
    *name++ = 0;
    int kept = errno;
    char *found = realpath(joined[0] ? joined : "/", parent);
    errno = kept;
    if (!found || strncmp(parent, root, root_length) || (parent[root_length] && parent[root_length] != '/'))
        return 0;
    snprintf(out, PATH_MAX, "%s%s%s", parent + root_length + (parent[root_length] == '/'),
             parent[root_length] ? "/" : "", name);
    return 1;
}

/* Whether a descriptor is of a file (or of a folder) below the folder, and what there is to know of it. */
static int mine(int fd, struct stat *found)
{
    char link[64], path[PATH_MAX];
    int kept = errno, yes = 0;
    if (log_fd < 0 || fd == log_fd)
        return 0;
    if (!fstat(fd, found) && (S_ISREG(found->st_mode) || S_ISDIR(found->st_mode))) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, path, sizeof path - 1);
        path[length < 0 ? 0 : length] = 0;
        yes = !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
    }
    errno = kept;
    return yes;
}

/* What is said to others is noted before it goes out: from then on somebody may rely on it. */
static void said(int fd, const void *bytes, size_t length)
{
    struct stat found;
    int kept = errno;
    if (log_fd >= 0 && (fd == 1 || (!fstat(fd, &found) && S_ISSOCK(found.st_mode)))) {
        lock();
        note('a', 0, fd, bytes, length);
        unlock();
    }
    errno = kept;
}

static void said_in_parts(int fd, const struct iovec *parts, int count)
{
    for (int i = 0; i < count; i++)
        said(fd, parts[i].iov_base, parts[i].iov_len);
}

/* Writing. `offset` is -1 for where the descriptor stands. */

static ssize_t noted_write(int fd, struct stat *found, const void *bytes, size_t length, off_t offset)
{
    lock();
    ssize_t done = offset < 0 ? syscall(SYS_write, fd, bytes, length) : syscall(SYS_pwrite64, fd, bytes, length, offset);
    if (done > 0)
        note('w', found->st_ino, offset < 0 ? lseek(fd, 0, SEEK_CUR) - done : offset, bytes, done);
    unlock();
    return done;
}

ssize_t write(int fd, const void *bytes, size_t length)
{
    struct stat found;
    if (mine(fd, &found))
        return noted_write(fd, &found, bytes, length, -1);
    said(fd, bytes, length);
    return REAL(write)(fd, bytes, length);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset)
{
    struct stat found;
    return mine(fd, &found) ? noted_write(fd, &found, bytes, length, offset)
                            : REAL(pwrite64)(fd, bytes, length, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
    return pwrite64(fd, bytes, length, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    struct stat found;
    if (mine(fd, &found)) {
        ssize_t all = 0;
        for (int i = 0; i < count; i++) {
            ssize_t done = noted_write(fd, &found, parts[i].iov_base, parts[i].iov_len, -1);
            if (done < 0)
                return all ? all : done;
            all += done;
            if ((size_t)done < parts[i].iov_len)
                break;
        }
        return all;
    }
    said_in_parts(fd, parts, count);
    return REAL(writev)(fd, parts, count);
}

ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
    said(fd, bytes, length);
    return REAL(send)(fd, bytes, length, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    said_in_parts(fd, message->msg_iov, message->msg_iovlen);
    return REAL(sendmsg)(fd, message, flags);
}

int ftruncate64(int fd, off64_t size)
{
    struct stat found;
    if (!mine(fd, &found))
        return REAL(ftruncate64)(fd, size);
    lock();
    int failed = syscall(SYS_ftruncate, fd, size);
    if (!failed)
        note('t', found.st_ino, size, "", 0);
    unlock();
    return failed;
}

int ftruncate(int fd, off_t size)
{
    return ftruncate64(fd, size);
}

int posix_fallocate64(int fd, off64_t offset, off64_t length)
{
    struct stat found;
    if (!mine(fd, &found))
        return REAL(posix_fallocate64)(fd, offset, length);
    lock();
    fstat(fd, &found);
    int error = REAL(posix_fallocate64)(fd, offset, length);
    if (!error && offset + length > found.st_size)
        note('t', found.st_ino, offset + length, "", 0);
    unlock();
    return error;
}

int posix_fallocate(int fd, off_t offset, off_t length)
{
    return posix_fallocate64(fd, offset, length);
}

/* Syncing. */

static int noted_sync(int fd, int (*sync)(int))
{
    static uint64_t syncs;
    struct stat found;
    if (!mine(fd, &found))
        return sync(fd);
    uint64_t number = (uint64_t)getpid() << 32 | __atomic_add_fetch(&syncs, 1, __ATOMIC_RELAXED);
    lock();
    note('f', found.st_ino, number, "", 0);
    unlock();
    int failed = sync(fd);
    if (!failed) {
        lock();
        note('F', found.st_ino, number, "", 0);
        unlock();
    }
    return failed;
}

int fsync(int fd)
{
    return noted_sync(fd, REAL(fsync));
}

int fdatasync(int fd)
{
    return noted_sync(fd, REAL(fdatasync));
}

/* Names. */

static int noted_open(int dir, const char *path, int flags, mode_t mode)
{
    char name[PATH_MAX];
    struct stat found;
    if (!(flags & (O_CREAT | O_TRUNC)) || (flags & O_TMPFILE) == O_TMPFILE || !below(dir, path, name))
        return syscall(SYS_openat, dir, path, flags, mode);
    lock();
    int was_there = !fstatat(dir, path, &found, 0);
    int fd = syscall(SYS_openat, dir, path, flags, mode);
    if (fd >= 0) {
        fstat(fd, &found);
        if (!was_there)
            note('c', found.st_ino, 0, name, strlen(name));
        else if (flags & O_TRUNC)
            note('t', found.st_ino, 0, "", 0);
    }
    unlock();
    return fd;
}

#define OPEN(name, dir_parameter, dir)                        \
    int name(dir_parameter const char *path, int flags, ...)  \
    {                                                         \
        va_list more;                                         \
        va_start(more, flags);                                \
        mode_t mode = va_arg(more, int);                      \
        va_end(more);                                         \
        return noted_open(dir, path, flags, mode);            \
    }
#define NOTHING
#define DIR_FIRST int dir,
OPEN(open, NOTHING, AT_FDCWD)
OPEN(open64, NOTHING, AT_FDCWD)
OPEN(openat, DIR_FIRST, dir)
OPEN(openat64, DIR_FIRST, dir)

static int two_names(int from_dir, const char *from, int to_dir, const char *to, char *names, size_t *length)
{
    int first = below(from_dir, from, names);
    size_t end = first ? strlen(names) + 1 : 0;
    int second = below(to_dir, to, names + end);
    if (first != second)
        fail("a file came into the folder, or left it, by its name");
    *length = first ? end + strlen(names + end) : 0;
    return first;
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    char names[2 * PATH_MAX];
    size_t length;
    struct stat found;
    if (!two_names(from_dir, from, to_dir, to, names, &length))
        return syscall(SYS_renameat, from_dir, from, to_dir, to);
    lock();
    int failed = syscall(SYS_renameat, from_dir, from, to_dir, to);
    if (!failed) {
        fstatat(to_dir, to, &found, AT_SYMLINK_NOFOLLOW);
        note('r', found.st_ino, 0, names, length);
    }
    unlock();
    return failed;
}

int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    char names[2 * PATH_MAX];
    size_t length;
    struct stat found;
    if (!two_names(from_dir, from, to_dir, to, names, &length))
        return syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
    lock();
    int failed = syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
    if (!failed) {
        fstatat(to_dir, to, &found, AT_SYMLINK_NOFOLLOW);
        note('l', found.st_ino, 0, names, length);
    }
    unlock();
    return failed;
}

int link(const char *from, const char *to)
{
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlinkat(int dir, const char *path, int flags)
{
    char name[PATH_MAX];
    struct stat found;
    if (!below(dir, path, name))
        return syscall(SYS_unlinkat, dir, path, flags);
    lock();
    fstatat(dir, path, &found, AT_SYMLINK_NOFOLLOW);
    int failed = syscall(SYS_unlinkat, dir, path, flags);
    if (!failed)
        note('u', found.st_ino, 0, name, strlen(name));
    unlock();
    return failed;
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int remove(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int mkdirat(int dir, const char *path, mode_t mode)
{
    char name[PATH_MAX];
    struct stat found;
    if (!below(dir, path, name))
        return syscall(SYS_mkdirat, dir, path, mode);
    lock();
    int failed = syscall(SYS_mkdirat, dir, path, mode);
    if (!failed) {
        fstatat(dir, path, &found, 0);
        note('d', found.st_ino, 0, name, strlen(name));
    }
    unlock();
    return failed;
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

/* What no command of the wallet does to its files. */

static void refuse(int fd, const char *what)
{
    struct stat found;
    if (mine(fd, &found))
        fail(what);
}

ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off64_t offset, int flags)
{
    refuse(fd, "pwritev2");
    return REAL(pwritev64v2)(fd, parts, count, offset, flags);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    refuse(fd, "pwritev");
    return REAL(pwritev)(fd, parts, count, offset);
}

ssize_t sendfile64(int out, int in, off64_t *offset, size_t count)
{
    refuse(out, "sendfile");
    return REAL(sendfile64)(out, in, offset, count);
}

ssize_t copy_file_range(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t length, unsigned flags)
{
    refuse(out, "copy_file_range");
    return REAL(copy_file_range)(in, in_offset, out, out_offset, length, flags);
}

int truncate64(const char *path, off64_t size)
{
    char name[PATH_MAX];
    if (below(AT_FDCWD, path, name))
        fail("truncate");
    return REAL(truncate64)(path, size);
}

int symlinkat(const char *target, int dir, const char *path)
{
    char name[PATH_MAX];
    if (below(dir, path, name))
        fail("symlink");
    return REAL(symlinkat)(target, dir, path);
}

int symlink(const char *target, const char *path)
{
    return symlinkat(target, AT_FDCWD, path);
}
