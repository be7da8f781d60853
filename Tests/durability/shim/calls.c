// The calls that the shim stands in for: each finds out whether it is watched, is judged, made, and written down.
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <string.h>
#include <unistd.h>

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
        if (!is_put_off(&file)) note(kind, &file, file.inode, 0, NULL, NULL, 0);
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
    struct verdict verdict = judge(LINK, &file, -1, NULL);
    if (verdict.is_over) return settle(verdict, verdict.result);
    int result = syscall(SYS_linkat, from, path, to, target, flags);
    if (result == 0) {
        uint64_t inode = inode_at(to, target, AT_SYMLINK_NOFOLLOW);
        note(LINK, &file, inode, 0, NULL, NULL, 0);
        bool is_temporary = strstr(file.path, ".new") != NULL;
        if (file.place == UPLOAD && !is_temporary) {
            snprintf(upload_of(inode)->name, sizeof uploads->name, "%.127s", file.path);
        }
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
    file.place = place.place;
    struct verdict verdict = judge(RENAME, &file, -1, NULL);
    if (verdict.is_over) return settle(verdict, verdict.result);
    uint64_t inode = inode_at(from, path, AT_SYMLINK_NOFOLLOW);
    int result = syscall(SYS_renameat2, from, path, to, target, flags);
    if (result == 0) {
        note(RENAME, &file, inode, 0, place.path, NULL, 0);
        if (file.place == BLOB && control->mutations & PUBLISH_BY_RENAME) unlink_upload(inode);
    }
    return settle(verdict, result);
}
int renameat(int from, const char *path, int to, const char *target) { return renameat2(from, path, to, target, 0); }
int rename(const char *path, const char *target) { return renameat2(AT_FDCWD, path, AT_FDCWD, target, 0); }

int unlinkat(int directory, const char *path, int flags) {
    struct file file;
    if (!watch_path(directory, path, &file)) return syscall(SYS_unlinkat, directory, path, flags);
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
    struct verdict verdict = judge(CLOSE, &file, fd, NULL);
    int kept = errno;
    long result = syscall(SYS_close, fd); // a close that fails has closed all the same
    errno = kept;
    return settle(verdict, verdict.is_over ? verdict.result : result);
}
