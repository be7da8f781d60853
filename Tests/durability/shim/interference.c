// Stands between a server and the kernel (LD_PRELOAD): writes down every change of the files under one folder, lets
// chosen calls fail or end the process, and pretends that chosen syncs were done.
//
//     DURABILITY_ROOT     the folder; the server's data directory is in it
//     DURABILITY_CONTROL  a file of `struct control`, mapped: it can be changed while the server runs (optional)
//     DURABILITY_TRACE    where to append the records of all changes (optional); see journal.py for their form
//
// A file is known by its device and inode at the time of each call, so that dup and fcntl need no attention. SQLite's
// `-shm` file is left alone: it is rebuilt after every crash. The calls are made one at a time, each with its record,
// so that the trace tells the order in which they took effect.
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
char root[PATH_MAX];
static size_t root_length;
static int trace = -1;
static struct control none;
struct control *control = &none;
struct upload uploads[UPLOADS_AT_ONCE];

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

bool watch_path(int directory, const char *path, struct file *file) {
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

bool watch(int fd, struct file *file) {
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

uint64_t inode_at(int directory, const char *path, int flags) {
    int kept = errno;
    struct stat status;
    uint64_t inode = fstatat(directory, path, &status, flags) == 0 ? status.st_ino : 0;
    errno = kept;
    return inode;
}

struct upload *upload_of(uint64_t inode) {
    static size_t next;
    for (struct upload *each = uploads; each < uploads + UPLOADS_AT_ONCE; each++) {
        if (each->inode == inode) return each;
    }
    struct upload *oldest = &uploads[next++ % UPLOADS_AT_ONCE];
    *oldest = (struct upload){.inode = inode};
    return oldest;
}

void forget_upload(uint64_t inode) { *upload_of(inode) = (struct upload){.inode = inode}; }

// MARK: The trace

static bool is_header_last = true; // of the last bytes written to the WAL
static struct file late;           // the WAL, whose sync is not in the trace yet
static bool is_late;

bool is_put_off(const struct file *file) {
    if (file->place != WAL || !(control->mutations & (SYNCHRONOUS_NORMAL | ACKNOWLEDGE_BEFORE_COMMIT))) return false;
    // SQLite syncs the header of a WAL that begins anew before there is a frame, and does so at NORMAL, too.
    if (is_header_last) return false;
    late = *file;
    return is_late = true;
}

/// Writes down the sync that was put off, if it is due before this operation. A server that answers before its commit
/// is on the disk still syncs before it does anything else: files that it removes after a commit, it removes after the
/// sync. SQLite at NORMAL syncs the WAL before it copies from it into the database. A process that is killed before has
/// never synced.
static void note_late(enum kind kind, enum place place) {
    bool changes_database = place == DATABASE && (kind == WRITE || kind == TRUNCATE || kind == ALLOCATE);
    if (!is_late || !(control->mutations & ACKNOWLEDGE_BEFORE_COMMIT || changes_database)) return;
    is_late = false;
    note(DATA_SYNC, &late, late.inode, 0, NULL, NULL, 0);
}

void note(enum kind kind, const struct file *file, uint64_t inode, int64_t offset, const char *target,
                 const void *data, size_t count) {
    if (trace < 0) return;
    int kept = errno;
    note_late(kind, file->place);
    if (kind == WRITE && file->place == WAL) is_header_last = offset == 0;
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

struct verdict judge(enum kind kind, const struct file *file, int fd, size_t *count) {
    pthread_mutex_lock(&lock);
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

long settle(struct verdict verdict, long result) {
    if (verdict.ends_process) syscall(SYS_kill, getpid(), SIGKILL);
    pthread_mutex_unlock(&lock);
    return result;
}
