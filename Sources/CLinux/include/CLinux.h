// Calls of Linux and its C library that Swift's Glibc module does not show.
#ifndef CLINUX_H
#define CLINUX_H

#include <stddef.h>
#include <sys/types.h>

/// Reads the bytes of a file at an offset that are in the page cache, and never waits for the disk: preadv2(2) with
/// RWF_NOWAIT. Returns the number of bytes read, or -1 with errno set; EAGAIN when none of them are cached.
ssize_t clinux_read_cached(int descriptor, void *bytes, size_t count, off_t offset);

/// Makes a file that has no name and goes with its descriptor, unless linkat(2) gives it a name: open(2) with
/// O_TMPFILE. Returns a descriptor for reading and writing, or -1 with errno set.
int clinux_open_unnamed(const char *directory);

/// Gives a file disk space for its first bytes, without writing them: fallocate(2). Returns 0, or -1 with errno set;
/// EOPNOTSUPP where the file system cannot do that.
int clinux_allocate(int descriptor, off_t size);

/// Keeps freed memory for the next buffer instead of giving it back to the system at once, by mallopt(3): receive
/// buffers come and go by the thousand per second, and each return would be paid for with page faults. Two arenas,
/// since more of them would each keep memory of their own.
void clinux_keep_freed_memory(void);

#endif
