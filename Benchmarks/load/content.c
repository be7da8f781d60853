// The contents of uploads. Every upload's bytes are its stamp, then a pool of random bytes over and over: unique per
// upload, without storing or generating gigabytes. The pool is small enough to stay in the cache of the client's core,
// so that the client costs little beside the kernel's copy.
#define OPENSSL_API_COMPAT 10100  // SHA256_Update and friends: the lowest layer, deprecated in 3.0 only for its age.
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum { POOL_LENGTH = 1 << 20 };

static uint8_t pool[POOL_LENGTH];
static char (*prepared)[DIGEST_HEX_LENGTH + 1];

// SplitMix64: random enough that nothing could compress or deduplicate it.
static uint64_t random_next(uint64_t *state) {
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static void random_fill(uint8_t *bytes, size_t length, uint64_t state) {
    for (size_t at = 0; at < length; at += sizeof(uint64_t)) {
        uint64_t word = random_next(&state);
        memcpy(bytes + at, &word, sizeof word);
    }
}

// Gives the job its digest, unless it has it.
void content_hash(struct job *job) {
    if (job->digest[0] != '\0') return;
    SHA256_CTX context;
    SHA256_Init(&context);
    struct iovec slice;
    for (uint64_t offset = 0; content_slices(job, offset, &slice, 1) > 0; offset += slice.iov_len)
        SHA256_Update(&context, slice.iov_base, slice.iov_len);
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256_Final(digest, &context);
    for (int i = 0; i < SHA256_DIGEST_LENGTH; i++) sprintf(job->digest + 2 * i, "%02x", digest[i]);
}

// Gives the job its stamp, and its digest if that was prepared.
void content_begin(struct job *job) {
    uint64_t state = options.seed * 0xD1342543DE82EF95u + job->serial;
    random_fill(job->stamp, STAMP_LENGTH, random_next(&state));
    job->digest[0] = '\0';
    if (prepared != NULL) memcpy(job->digest, prepared[job->serial], sizeof job->digest);
}

// Before the clock runs: the pool, and when the number of uploads is known, all their digests. A timed run hashes when
// it completes an upload: a few microseconds for a small blob, and timed runs are for small ones.
void content_prepare(void) {
    random_fill(pool, POOL_LENGTH, options.seed);
    if (options.count == 0) return;
    char(*digests)[DIGEST_HEX_LENGTH + 1] = calloc(options.count, sizeof *digests);
    if (digests == NULL) fail("no memory for the digests");
    for (uint64_t serial = 0; serial < options.count; serial++) {
        struct job job = {.serial = serial};
        content_begin(&job);
        content_hash(&job);
        memcpy(digests[serial], job.digest, sizeof job.digest);
    }
    prepared = digests;
}

// Points at up to `limit` pieces of the job's content from `offset` on; 0 at its end.
int content_slices(const struct job *job, uint64_t offset, struct iovec *slices, int limit) {
    int used = 0;
    while (used < limit && offset < options.size) {
        uint64_t left = options.size - offset;
        size_t start = offset < STAMP_LENGTH ? offset : offset % POOL_LENGTH;
        size_t room = (offset < STAMP_LENGTH ? STAMP_LENGTH : POOL_LENGTH) - start;
        size_t length = left < room ? left : room;
        const uint8_t *base = offset < STAMP_LENGTH ? job->stamp : pool;
        slices[used++] = (struct iovec){.iov_base = (void *)(base + start), .iov_len = length};
        offset += length;
    }
    return used;
}

// One digest per line, in order of the jobs; only for a run of a known count.
void content_write_digests(const char *file, uint64_t jobs) {
    FILE *out = fopen(file, "w");
    if (out == NULL) fail("cannot write %s", file);
    for (uint64_t serial = 0; serial < jobs; serial++) fprintf(out, "%s\n", prepared[serial]);
    if (fclose(out) != 0) fail("cannot write %s", file);
}
