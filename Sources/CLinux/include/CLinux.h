// Calls of Linux that Swift's Glibc module does not show, because they need _GNU_SOURCE.
#ifndef CLINUX_H
#define CLINUX_H

#include <stddef.h>
#include <sys/types.h>

/// Reads what the page cache holds of a file at an offset, and never waits for the disk: preadv2(2) with RWF_NOWAIT.
/// Returns the number of bytes read, or -1 with errno set; EAGAIN when nothing of it is cached.
ssize_t clinux_read_cached(int descriptor, void *bytes, size_t count, off_t offset);

/// Keeps up to 32 MiB of freed memory for the next use instead of giving it back to the system at once: mallopt(3).
void clinux_keep_freed_memory(void);

#endif
