// Declarations that the parts of the shim share; see interference.c for its purpose. Hidden: the names are nobody
// else's.
#ifndef SHIM_H
#define SHIM_H
#define _GNU_SOURCE
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#pragma GCC visibility push(hidden)

// MARK: Shared with journal.py and control.py

enum kind { OPEN, WRITE, TRUNCATE, ALLOCATE, SYNC, DATA_SYNC, LINK, RENAME, UNLINK, MKDIR, CLOSE, CREATE, FAILED_SYNC };
enum place { UPLOAD, UPLOADS, BLOB, BLOB_DIRECTORY, BLOBS, DATABASE, WAL, DATA, OUTSIDE, OTHER };
enum action { FAIL, SHORT, KILL_BEFORE, KILL_AFTER, SWALLOW, LOSE, LOSE_SILENTLY };
enum mutation {
    NO_UPLOAD_SYNC = 1, NO_NAME_COUNT_SYNC = 2, NO_UPLOADS_SYNC = 4, NO_BLOB_DIRECTORY_SYNC = 8, NO_WAL_SYNC = 16,
    NO_DATABASE_SYNC = 32, NO_DATA_DIRECTORY_SYNC = 64, NO_BLOBS_SYNC = 128, ROW_BEFORE_BYTES = 256,
    PUBLISH_BY_RENAME = 512, SYNCHRONOUS_NORMAL = 1024, ACKNOWLEDGE_BEFORE_COMMIT = 2048
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

struct file {
    enum place place;
    uint64_t inode;
    char path[PATH_MAX];
};

// The bytes written to an upload's file since its last sync, and the name it was linked to: as many as a test has at a
// time.
struct upload {
    uint64_t inode;
    int64_t from, to;
    bool is_deferred;
    char name[128];
};

/// The fate of one call: go on, or return `result` with the errno that was set.
struct verdict {
    bool is_over, ends_process;
    long result;
};

enum { UPLOADS_AT_ONCE = 1024 };

extern pthread_mutex_t lock;
extern char root[PATH_MAX];
extern struct control *control;
extern struct upload uploads[UPLOADS_AT_ONCE];

/// Whether a path is one that the tests are about; it is then in `file->path`, from the folder on.
bool watch_path(int directory, const char *path, struct file *file);
/// The same for an open file. Keeps errno.
bool watch(int fd, struct file *file);
/// 0 when there is nothing.
uint64_t inode_at(int directory, const char *path, int flags);

struct upload *upload_of(uint64_t inode);
void forget_upload(uint64_t inode);

/// Appends a record to the trace. Keeps errno.
void note(enum kind kind, const struct file *file, uint64_t inode, int64_t offset, const char *target, const void *data,
          size_t count);

/// SYNCHRONOUS_NORMAL, ACKNOWLEDGE_BEFORE_COMMIT: whether a sync of the WAL that was made comes into the trace later.
bool is_put_off(const struct file *file);

/// Takes the lock for one call and decides its fate. `count`: the bytes that a write is about to write, which may be
/// made fewer.
struct verdict judge(enum kind kind, const struct file *file, int fd, size_t *count);
/// Ends what ``judge`` began, and returns the result.
long settle(struct verdict verdict, long result);

#pragma GCC visibility pop
#endif
