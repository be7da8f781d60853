// Tells the thread sanitizer about Swift's `Mutex` where it cannot see it. The paths of a contended lock are in the
// Synchronization library, which is not instrumented: without these two edges, every use of a contended lock would be
// reported as a race. The paths of a free lock are inlined into the caller, and instrumented there.
//
// Preloaded, so that these functions come before the library's. The lock's address is the context of Swift's calling
// convention.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context))

typedef SWIFT void (*lock_function)(uint32_t, SELF void *);
typedef SWIFT void (*unlock_function)(SELF void *);
typedef void (*edge_function)(void *);

static lock_function lock;
static unlock_function unlock;
static edge_function acquire, release;

static void *find(void *where, const char *name) {
    void *found = dlsym(where, name);
    if (!found) abort();
    return found;
}

__attribute__((constructor)) static void begin(void) {
    // Preloaded into every process of the run; only one that has the sanitizer has something to tell it.
    acquire = (edge_function)dlsym(RTLD_DEFAULT, "__tsan_acquire");
    release = (edge_function)dlsym(RTLD_DEFAULT, "__tsan_release");
}

SWIFT void slow_lock(uint32_t id, SELF void *self) __asm__("$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF");
SWIFT void slow_lock(uint32_t id, SELF void *self) {
    if (!lock) lock = (lock_function)find(RTLD_NEXT, "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF");
    lock(id, self);
    if (acquire) acquire(self);
}

SWIFT void slow_unlock(SELF void *self) __asm__("$s15Synchronization12_MutexHandleV11_unlockSlowyyF");
SWIFT void slow_unlock(SELF void *self) {
    if (!unlock) unlock = (unlock_function)find(RTLD_NEXT, "$s15Synchronization12_MutexHandleV11_unlockSlowyyF");
    if (release) release(self);
    unlock(self);
}
