// Stands between a server and the kernel (LD_PRELOAD): writes down what changes the files under one folder, lets chosen
// calls fail or end the process, and pretends that chosen syncs were done.
//
//     DURABILITY_ROOT     the folder; the server's data directory is in it
//     DURABILITY_CONTROL  a file of `struct control`, mapped: it can be changed while the server runs (optional)
//     DURABILITY_TRACE    where to append what was done (optional); see journal.py for the form
//
// A file is known by its device and inode at the time of each call, so that dup and fcntl need no attention. What SQLite
// keeps in `-shm` is left alone: it is rebuilt after every crash. The calls are made one at a time, each together with its
// record, so that the trace tells the order in which they took effect.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

// MARK: What journal.py and control.py know too

enum kind { OPEN, WRITE, TRUNCATE, ALLOCATE, SYNC, DATA_SYNC, LINK, RENAME, UNLINK, MKDIR, CLOSE, CREATE, FAILED_SYNC };
enum place { UPLOAD, UPLOADS, BLOB, BLOB_DIRECTORY, BLOBS, DATABASE, WAL, DATA, OUTSIDE, OTHER };
enum action { FAIL, SHORT, KILL_BEFORE, KILL_AFTER, SWALLOW, LOSE, LOSE_SILENTLY };
enum mutation {
    NO_UPLOAD_SYNC = 1, NO_NAME_COUNT_SYNC = 2, NO_UPLOADS_SYNC = 4, NO_BLOB_DIRECTORY_SYNC = 8, NO_WAL_SYNC = 16,
    NO_DATABASE_SYNC = 32, NO_DATA_DIRECTORY_SYNC = 64, NO_BLOBS_SYNC = 128, ROW_BEFORE_BYTES = 256,
    PUBLISH_BY_RENAME = 512
};

struct control {
    uint64_t armed, kinds, places, at, times, action, error; // the `at`-th call from now on of these kinds and places
    uint64_t seen, hits;                                     // how many there were, how many of them were acted on
    uint64_t mutations;
};

struct record {
    uint32_t size;
    uint8_t kind, place;
    uint16_t path_length, target_length, unused;
    uint32_t data_length;
    uint64_t inode;
    int64_t offset;
} __attribute__((packed));

// MARK: State

struct file {
    enum place place;
    uint64_t inode;
    char path[PATH_MAX];
};

// What was written to an upload's file since its last sync, and the name it was linked to: as many as a test has at once.
struct upload {
    uint64_t inode;
    int64_t from, to;
    bool is_deferred;
    char name[128];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_length;
static int trace = -1;
static struct control none;
static struct control *control = &none;
enum { UPLOADS_AT_ONCE = 1024 };
static struct upload uploads[UPLOADS_AT_ONCE];

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("DURABILITY_ROOT");
    if (!path || !realpath(path, root)) abort();
    root_length = strlen(root);
    if ((path = getenv("DURABILITY_CONTROL"))) {
        int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
        control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (control == MAP_FAILED) abort();
        syscall(SYS_close, fd);
    }
    if ((path = getenv("DURABILITY_TRACE"))) {
        trace = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
        if (trace < 0) abort();
    }
}

// MARK: Which file

static bool starts(const char *text, const char *start) { return strncmp(text, start, strlen(start)) == 0; }

static enum place place_of(const char *inside) {
    if (!*inside) return OUTSIDE;
    const char *name = strchr(inside + 1, '/'); // after the data directory
    if (!name) return DATA;
    if (strcmp(name, "/uploads") == 0) return UPLOADS;
    if (starts(name, "/uploads/")) return UPLOAD;
    if (strcmp(name, "/blobs") == 0) return BLOBS;
    if (starts(name, "/blobs/")) return strchr(name + 7, '/') ? BLOB : BLOB_DIRECTORY;
    if (strcmp(name, "/catalog.sqlite-wal") == 0) return WAL;
    return starts(name, "/catalog.sqlite") ? DATABASE : OTHER;
}

/// Whether a path is one that the tests are about; it is then in `file->path`, from the folder on.
static bool watch_path(int directory, const char *path, struct file *file) {
    char whole[PATH_MAX * 2];
    if (path[0] == '/') {
        if (strlen(path) >= sizeof whole) return false;
        strcpy(whole, path);
    } else {
        char link[64];
        snprintf(link, sizeof link, directory == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", directory);
        ssize_t length = readlink(link, whole, PATH_MAX - 1);
        if (length < 0 || strlen(path) >= PATH_MAX) return false;
        sprintf(whole + length, "/%s", path);
    }
    if (strncmp(whole, root, root_length) != 0 || (whole[root_length] && whole[root_length] != '/')) return false;
    char *inside = whole + root_length;
    for (size_t end = strlen(inside); end && inside[end - 1] == '/';) inside[--end] = 0;
    if (strlen(inside) >= sizeof file->path || strstr(inside, ".sqlite-shm")) return false;
    strcpy(file->path, inside);
    file->place = place_of(inside);
    file->inode = 0;
    return true;
}

static bool watch(int fd, struct file *file) {
    int kept = errno;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    bool is_watched = false;
    if (length > 0 && path[0] == '/') {
        path[length] = 0;
        struct stat status;
        if (watch_path(AT_FDCWD, path, file) && fstat(fd, &status) == 0) {
            file->inode = status.st_ino;
            is_watched = true;
        }
    }
    errno = kept;
    return is_watched;
}

static uint64_t inode_at(int directory, const char *path, int flags) {
    int kept = errno;
    struct stat status;
    uint64_t inode = fstatat(directory, path, &status, flags) == 0 ? status.st_ino : 0;
    errno = kept;
    return inode;
}

static struct upload *upload_of(uint64_t inode) {
    static size_t next;
    for (struct upload *each = uploads; each < uploads + UPLOADS_AT_ONCE; each++) {
        if (each->inode == inode) return each;
    }
    struct upload *oldest = &uploads[next++ % UPLOADS_AT_ONCE];
    *oldest = (struct upload){.inode = inode};
    return oldest;
}

static void forget_upload(uint64_t inode) { *upload_of(inode) = (struct upload){.inode = inode}; }

// MARK: The trace

static void note(enum kind kind, const struct file *file, uint64_t inode, int64_t offset, const char *target,
                 const void *data, size_t count) {
    if (trace < 0) return;
    int kept = errno;
    struct record head = {.kind = kind, .place = file->place, .path_length = strlen(file->path),
                          .target_length = target ? strlen(target) : 0, .data_length = count, .inode = inode,
                          .offset = offset};
    head.size = sizeof head + head.path_length + head.target_length + count;
    struct iovec parts[] = {{&head, sizeof head}, {(void *)file->path, head.path_length},
                            {(void *)target, head.target_length}, {(void *)data, count}};
    if (syscall(SYS_writev, trace, parts, 4) != head.size) abort();
    errno = kept;
}

// MARK: Interference

/// What becomes of one call: go on, or return `result` with the errno that was set.
struct verdict {
    bool is_over, ends_process;
    long result;
};

static void lose(int fd, const struct file *file) {
    static const char zeros[1 << 16];
    struct upload *upload = upload_of(file->inode);
    for (int64_t at = upload->from; at < upload->to;) {
        int64_t count = upload->to - at < (int64_t)sizeof zeros ? upload->to - at : (int64_t)sizeof zeros;
        if (syscall(SYS_pwrite64, fd, zeros, count, at) != count) abort();
        at += count;
    }
    upload->from = upload->to = 0;
}

/// Called with the lock held. `count`: what a write is about to write, which may be made less.
static struct verdict judge(enum kind kind, const struct file *file, int fd, size_t *count) {
    struct verdict verdict = {0};
    if (!__atomic_load_n(&control->armed, __ATOMIC_ACQUIRE)) return verdict;
    if (!(control->kinds >> kind & 1) || !(control->places >> file->place & 1)) return verdict;
    uint64_t number = ++control->seen;
    if (number < control->at || number >= control->at + control->times) return verdict;
    control->hits++;
    switch (control->action) {
    case FAIL:
        errno = control->error;
        return (struct verdict){.is_over = true, .result = -1};
    case SHORT:
        if (count && *count > 1) *count /= 2;
        return verdict;
    case KILL_BEFORE:
        syscall(SYS_kill, getpid(), SIGKILL);
        return verdict;
    case KILL_AFTER:
        return (struct verdict){.ends_process = true};
    case SWALLOW:
        return (struct verdict){.is_over = true, .result = count ? (long)*count : 0};
    case LOSE:
        lose(fd, file);
        errno = control->error;
        return (struct verdict){.is_over = true, .result = -1};
    default:
        lose(fd, file);
        return (struct verdict){.is_over = true};
    }
}

static long settle(struct verdict verdict, long result) {
    if (verdict.ends_process) syscall(SYS_kill, getpid(), SIGKILL);
    pthread_mutex_unlock(&lock);
    return result;
}

// MARK: Bytes

/// The calls that write, brought to one form: `offset` is -1 for those that go on from the descriptor's position.
static ssize_t write_parts(int fd, const struct iovec *parts, int number, int64_t offset) {
    struct file file;
    struct iovec shortened;
    size_t count = 0;
    for (int each = 0; each < number; each++) count += parts[each].iov_len;
    if (!watch(fd, &file)) {
        return offset < 0 ? syscall(SYS_writev, fd, parts, number) : syscall(SYS_pwritev, fd, parts, number, offset, 0L);
    }
    pthread_mutex_lock(&lock);
    size_t allowed = count;
    struct verdict verdict = judge(WRITE, &file, fd, &allowed);
    if (verdict.is_over) return settle(verdict, verdict.result);
    if (allowed < count) {
        shortened = (struct iovec){parts[0].iov_base, parts[0].iov_len < allowed ? parts[0].iov_len : allowed};
        parts = &shortened;
        number = 1;
    }
    ssize_t result = offset < 0 ? syscall(SYS_writev, fd, parts, number)
                                : syscall(SYS_pwritev, fd, parts, number, offset, 0L);
    if (result > 0) {
        if (offset < 0) offset = syscall(SYS_lseek, fd, 0, SEEK_CUR) - result;
        if (file.place == UPLOAD) {
            struct upload *upload = upload_of(file.inode);
            if (upload->from == upload->to) upload->from = offset;
            if (offset + result > upload->to) upload->to = offset + result;
        }
        int64_t at = offset;
        for (ssize_t left = result; left > 0; parts++) {
            size_t part = parts->iov_len < (size_t)left ? parts->iov_len : (size_t)left;
            note(WRITE, &file, file.inode, at, NULL, parts->iov_base, part);
            at += part;
            left -= part;
        }
    }
    return settle(verdict, result);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    return write_parts(fd, &(struct iovec){(void *)bytes, count}, 1, -1);
}
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    return write_parts(fd, &(struct iovec){(void *)bytes, count}, 1, offset);
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) { return pwrite(fd, bytes, count, offset); }
ssize_t writev(int fd, const struct iovec *parts, int number) { return write_parts(fd, parts, number, -1); }
ssize_t pwritev(int fd, const struct iovec *parts, int number, off_t offset) {
    return write_parts(fd, parts, number, offset);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int number, off64_t offset) {
    return write_parts(fd, parts, number, offset);
}

int ftruncate(int fd, off_t length) {
    struct file file;
    if (!watch(fd, &file)) return syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&lock);
    struct verdict verdict = judge(TRUNCATE, &file, fd, NULL);
    if (verdict.is_over) return settle(verdict, verdict.result);
    int result = syscall(SYS_ftruncate, fd, length);
    if (result == 0) note(TRUNCATE, &file, file.inode, length, NULL, NULL, 0);
    return settle(verdict, result);
}
int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

int fallocate(int fd, int mode, off_t offset, off_t length) {
    struct file file;
    if (!watch(fd, &file)) return syscall(SYS_fallocate, fd, mode, offset, length);
    pthread_mutex_lock(&lock);
    struct verdict verdict = judge(ALLOCATE, &file, fd, NULL);
    if (verdict.is_over) return settle(verdict, verdict.result);
    int result = syscall(SYS_fallocate, fd, mode, offset, length);
    if (result == 0 && mode == 0) note(ALLOCATE, &file, file.inode, offset + length, NULL, NULL, 0);
    return settle(verdict, result);
}
int fallocate64(int fd, int mode, off64_t offset, off64_t length) { return fallocate(fd, mode, offset, length); }
int posix_fallocate(int fd, off_t offset, off_t length) { return fallocate(fd, 0, offset, length) == 0 ? 0 : errno; }
int posix_fallocate64(int fd, off64_t offset, off64_t length) { return posix_fallocate(fd, offset, length); }

// MARK: Syncs

static bool is_pretended(enum kind kind, enum place place) {
    uint64_t mutations = control->mutations;
    switch (place) {
    case UPLOAD: return mutations & (kind == DATA_SYNC ? NO_UPLOAD_SYNC : NO_NAME_COUNT_SYNC);
    case UPLOADS: return mutations & NO_UPLOADS_SYNC;
    case BLOB_DIRECTORY: return mutations & NO_BLOB_DIRECTORY_SYNC;
    case WAL: return mutations & NO_WAL_SYNC;
    case DATABASE: return mutations & NO_DATABASE_SYNC;
    case DATA: case OUTSIDE: return mutations & NO_DATA_DIRECTORY_SYNC;
    case BLOBS: return mutations & NO_BLOBS_SYNC;
    default: return false;
    }
}

/// Records the syncs that ROW_BEFORE_BYTES held back until the catalog's was done.
static void note_deferred(void) {
    struct file file = {.place = UPLOAD};
    for (struct upload *each = uploads; each < uploads + UPLOADS_AT_ONCE; each++) {
        if (!each->is_deferred) continue;
        each->is_deferred = false;
        note(DATA_SYNC, &file, each->inode, 0, NULL, NULL, 0);
    }
}

static int sync_file(enum kind kind, int fd) {
    struct file file;
    long number = kind == SYNC ? SYS_fsync : SYS_fdatasync;
    if (!watch(fd, &file)) return syscall(number, fd);
    pthread_mutex_lock(&lock);
    struct verdict verdict = judge(kind, &file, fd, NULL);
    if (verdict.is_over) {
        if (verdict.result != 0 && errno != EINTR) note(FAILED_SYNC, &file, file.inode, 0, NULL, NULL, 0);
        return settle(verdict, verdict.result);
    }
    if (is_pretended(kind, file.place)) return settle(verdict, 0);
    if (file.place == UPLOAD && kind == DATA_SYNC && control->mutations & ROW_BEFORE_BYTES) {
        upload_of(file.inode)->is_deferred = true;
        return settle(verdict, 0);
    }
    int result = syscall(number, fd);
    if (result == 0) {
        note(kind, &file, file.inode, 0, NULL, NULL, 0);
        if (file.place == UPLOAD) upload_of(file.inode)->from = upload_of(file.inode)->to = 0;
        if (file.place == WAL) note_deferred();
    }
    return settle(verdict, result);
}

int fsync(int fd) { return sync_file(SYNC, fd); }
int fdatasync(int fd) { return sync_file(DATA_SYNC, fd); }

// MARK: Names

int openat(int directory, const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    struct file file;
    bool changes = flags & (O_CREAT | O_DIRECTORY | O_TRUNC) || (flags & O_ACCMODE) != O_RDONLY;
    if (!changes || !watch_path(directory, path, &file)) return syscall(SYS_openat, directory, path, flags, mode);
    pthread_mutex_lock(&lock);
    bool is_unnamed = (flags & O_TMPFILE) == O_TMPFILE;
    if (is_unnamed && file.place == UPLOADS) file.place = UPLOAD;
    struct verdict verdict = judge(OPEN, &file, -1, NULL);
    if (verdict.is_over) return settle(verdict, verdict.result);
    bool is_new = is_unnamed || (flags & O_CREAT && !inode_at(directory, path, AT_SYMLINK_NOFOLLOW));
    int fd = syscall(SYS_openat, directory, path, flags, mode);
    if (fd >= 0) {
        struct stat status;
        if (fstat(fd, &status) != 0) abort();
        if (is_unnamed) file.path[0] = 0;
        if (is_new) note(CREATE, &file, status.st_ino, 0, NULL, NULL, 0);
        if (is_new && file.place == UPLOAD) forget_upload(status.st_ino);
        if (!is_new && flags & O_TRUNC) note(TRUNCATE, &file, status.st_ino, 0, NULL, NULL, 0);
    }
    return settle(verdict, fd);
}
int openat64(int directory, const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return openat(directory, path, flags, mode);
}
int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return openat(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return openat(AT_FDCWD, path, flags, mode);
}

/// PUBLISH_BY_RENAME: takes the upload's own name away as soon as its file has the blob's.
static void unlink_upload(uint64_t inode) {
    struct upload *upload = upload_of(inode);
    if (!upload->name[0]) return;
    char path[PATH_MAX * 2];
    snprintf(path, sizeof path, "%s%s", root, upload->name);
    struct file file;
    if (watch_path(AT_FDCWD, path, &file) && syscall(SYS_unlinkat, AT_FDCWD, path, 0) == 0) {
        note(UNLINK, &file, 0, 0, NULL, NULL, 0);
    }
}

int linkat(int from, const char *path, int to, const char *target, int flags) {
    struct file file;
    if (!watch_path(to, target, &file)) return syscall(SYS_linkat, from, path, to, target, flags);
    pthread_mutex_lock(&lock);
    struct verdict verdict = judge(LINK, &file, -1, NULL);
    if (verdict.is_over) return settle(verdict, verdict.result);
    int result = syscall(SYS_linkat, from, path, to, target, flags);
    if (result == 0) {
        uint64_t inode = inode_at(to, target, AT_SYMLINK_NOFOLLOW);
        note(LINK, &file, inode, 0, NULL, NULL, 0);
        if (file.place == UPLOAD) snprintf(upload_of(inode)->name, sizeof uploads->name, "%.127s", file.path);
        if (file.place == BLOB && control->mutations & PUBLISH_BY_RENAME) unlink_upload(inode);
    }
    return settle(verdict, result);
}
int link(const char *path, const char *target) { return linkat(AT_FDCWD, path, AT_FDCWD, target, 0); }

int renameat2(int from, const char *path, int to, const char *target, unsigned flags) {
    struct file file, place;
    if (!watch_path(from, path, &file) || !watch_path(to, target, &place)) {
        return syscall(SYS_renameat2, from, path, to, target, flags);
    }
    pthread_mutex_lock(&lock);
    file.place = place.place;
    struct verdict verdict = judge(RENAME, &file, -1, NULL);
    if (verdict.is_over) return settle(verdict, verdict.result);
    uint64_t inode = inode_at(from, path, AT_SYMLINK_NOFOLLOW);
    int result = syscall(SYS_renameat2, from, path, to, target, flags);
    if (result == 0) note(RENAME, &file, inode, 0, place.path, NULL, 0);
    return settle(verdict, result);
}
int renameat(int from, const char *path, int to, const char *target) { return renameat2(from, path, to, target, 0); }
int rename(const char *path, const char *target) { return renameat2(AT_FDCWD, path, AT_FDCWD, target, 0); }

int unlinkat(int directory, const char *path, int flags) {
    struct file file;
    if (!watch_path(directory, path, &file)) return syscall(SYS_unlinkat, directory, path, flags);
    pthread_mutex_lock(&lock);
    struct verdict verdict = judge(UNLINK, &file, -1, NULL);
    if (verdict.is_over) return settle(verdict, verdict.result);
    int result = syscall(SYS_unlinkat, directory, path, flags);
    if (result == 0) note(UNLINK, &file, 0, 0, NULL, NULL, 0);
    return settle(verdict, result);
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

int mkdirat(int directory, const char *path, mode_t mode) {
    struct file file;
    if (!watch_path(directory, path, &file)) return syscall(SYS_mkdirat, directory, path, mode);
    pthread_mutex_lock(&lock);
    struct verdict verdict = judge(MKDIR, &file, -1, NULL);
    if (verdict.is_over) return settle(verdict, verdict.result);
    int result = syscall(SYS_mkdirat, directory, path, mode);
    if (result == 0) note(MKDIR, &file, inode_at(directory, path, AT_SYMLINK_NOFOLLOW), 0, NULL, NULL, 0);
    return settle(verdict, result);
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int close(int fd) {
    struct file file;
    if (!__atomic_load_n(&control->armed, __ATOMIC_ACQUIRE) || !watch(fd, &file)) return syscall(SYS_close, fd);
    pthread_mutex_lock(&lock);
    struct verdict verdict = judge(CLOSE, &file, fd, NULL);
    int kept = errno;
    long result = syscall(SYS_close, fd); // a close that fails has closed all the same
    errno = kept;
    return settle(verdict, verdict.is_over ? verdict.result : result);
}
