// The load generator: one thread, one epoll, many keep-alive connections. It is as cheap as it can be made, because
// it shares the machine with the server that it measures.
//
// A job is one unit of the work that is counted: one download, or all requests of one upload. A connection does one
// job after another; a job is a short chain of exchanges (request, answer), each built by a protocol.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
    DIGEST_HEX_LENGTH = 64,
    STAMP_LENGTH = 64,  // The bytes at the front of an upload's content that make it differ from every other.
    HEAD_LIMIT = 8192,  // The longest head of a request or an answer.
};

enum phase { INITIATE, APPEND, COMPLETE, PHASES };

struct options {
    bool downloads;           // Mode `get`; otherwise an upload.
    bool body_with_complete;  // Mode `upload-small`: no append, the completing request carries the bytes.
    bool verify;              // Downloads: hash the bytes and compare them with the digest that ends the path.
    const struct protocol *protocol;
    const char *method;        // Downloads: GET or HEAD.
    const char *paths_file;    // Downloads: one path per line, asked for in turn.
    const char *digests_file;  // Uploads: where to list the digests of the uploaded blobs.
    char headers[2048];        // Complete header lines that every request bears.
    uint16_t port;
    int connections;
    uint64_t count;  // Jobs to do in all; 0 when `seconds` limits the run.
    double seconds;  // No job starts later than this; 0 when `count` limits the run.
    uint64_t size;   // Bytes of an upload.
    uint64_t seed;   // Uploads of one seed repeat the same contents, uploads of another share none with them.
};

extern struct options options;

struct job {
    uint64_t serial;
    enum phase phase;
    uint64_t started;  // Nanoseconds on the monotonic clock.
    char digest[DIGEST_HEX_LENGTH + 1];
    uint8_t stamp[STAMP_LENGTH];
    char location[2048];  // Where the next request of this upload goes: an id or a path, as the protocol has it.
    char token[512];
};

struct request {
    char head[HEAD_LIMIT];
    size_t head_length;
    uint64_t body_length;  // Bytes of the job's content that follow the head.
    int expected_status;
};

// How one kind of server is asked. A phase that it does not have is null and skipped.
struct protocol {
    const char *name;
    void (*build[PHASES])(const struct job *job, struct request *request);
    void (*remember)(struct job *job, const char *answer_head);
};

// protocol.c
extern const struct protocol download_protocol;
const struct protocol *protocol_named(const char *name);
bool protocol_next_phase(struct job *job, int after);
void protocol_build(struct job *job, struct request *request);
void protocol_load_paths(const char *file);

// content.c
void content_prepare(void);
void content_begin(struct job *job);
void content_hash(struct job *job);
int content_slices(const struct job *job, uint64_t offset, struct iovec *slices, int limit);
void content_write_digests(const char *file, uint64_t jobs);

// answer.c
struct answer {
    int status;
    uint64_t body_length;
};
bool answer_parse(const char *head, bool to_head_request, struct answer *answer);
bool answer_header(const char *head, const char *name, char *value, size_t capacity);

// engine.c
struct totals {
    uint64_t jobs;
    uint64_t bytes;       // Content bytes, in either direction; heads are not counted.
    double seconds;       // From the first connect to the last answer.
    uint64_t *latencies;  // Nanoseconds, one per job, in order of completion.
};
struct totals engine_run(void);

// load.c
uint64_t now(void);
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
