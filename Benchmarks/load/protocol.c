// The requests of each server's API, and the parts of an answer that the next request needs.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static char **paths;
static uint64_t path_count;

// One path per line; the run asks for them in turn.
void protocol_load_paths(const char *file) {
    FILE *in = fopen(file, "r");
    if (in == NULL) fail("cannot read %s", file);
    char line[1024];
    while (fgets(line, sizeof line, in) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        paths = realloc(paths, (path_count + 1) * sizeof *paths);
        if (paths == NULL || (paths[path_count++] = strdup(line)) == NULL) fail("no memory for the paths");
    }
    fclose(in);
    if (path_count == 0) fail("%s names no path", file);
}

__attribute__((format(printf, 3, 4)))
static void set_head(struct request *request, int expected_status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int first = vsnprintf(request->head, HEAD_LIMIT, format, arguments);
    va_end(arguments);
    int rest = snprintf(request->head + first, HEAD_LIMIT - first, "Host: 127.0.0.1:%u\r\n%s", options.port,
                        options.headers);
    request->head_length = first + rest;
    request->expected_status = expected_status;
}

static void add_body_and_end(struct request *request, uint64_t body_length, bool has_content) {
    size_t used = request->head_length;
    int added = has_content ? snprintf(request->head + used, HEAD_LIMIT - used,
                                       "%sContent-Length: %llu\r\n\r\n",
                                       body_length > 0 ? "Content-Type: application/octet-stream\r\n" : "",
                                       (unsigned long long)body_length)
                            : snprintf(request->head + used, HEAD_LIMIT - used, "\r\n");
    request->head_length = used + added;
    request->body_length = body_length;
    if (request->head_length >= HEAD_LIMIT) fail("the head of a request is over %d bytes", HEAD_LIMIT);
}

// MARK: Downloads

static void get(const struct job *job, struct request *request) {
    set_head(request, 200, "%s %s HTTP/1.1\r\n", options.method, paths[job->serial % path_count]);
}

const struct protocol download_protocol = {.name = "get", .build = {[COMPLETE] = get}};

// MARK: blobd. The location is the upload's id.

static void blobd_initiate(const struct job *job, struct request *request) {
    (void)job;
    set_head(request, 202, "POST /api/blobs/uploads?filename=benchmark.bin HTTP/1.1\r\n");
}

static void blobd_append(const struct job *job, struct request *request) {
    set_head(request, 203, "POST /api/blobs/uploads/%s/append HTTP/1.1\r\nPortSIP-Upload-Token: %s\r\n", job->location,
             job->token);
}

static void blobd_complete(const struct job *job, struct request *request) {
    set_head(request, 201, "POST /api/blobs/uploads/%s/complete?digest=%s HTTP/1.1\r\nPortSIP-Upload-Token: %s\r\n",
             job->location, job->digest, job->token);
}

static void blobd_remember(struct job *job, const char *head) {
    if (!answer_header(head, "PortSIP-Upload-ID", job->location, sizeof job->location) ||
        !answer_header(head, "PortSIP-Upload-Token", job->token, sizeof job->token))
        fail("the answer names no upload:\n%s", head);
}

// MARK: docker-registry. The location is the path and query of its last Location header: each answer has a new one.

static void registry_initiate(const struct job *job, struct request *request) {
    (void)job;
    set_head(request, 202, "POST /v2/benchmark/blobs/uploads/ HTTP/1.1\r\n");
}

static void registry_append(const struct job *job, struct request *request) {
    set_head(request, 202, "PATCH %s HTTP/1.1\r\n", job->location);
}

static void registry_complete(const struct job *job, struct request *request) {
    set_head(request, 201, "PUT %s%cdigest=sha256:%s HTTP/1.1\r\n", job->location,
             strchr(job->location, '?') == NULL ? '?' : '&', job->digest);
}

static void registry_remember(struct job *job, const char *head) {
    char url[sizeof job->location];
    if (!answer_header(head, "Location", url, sizeof url)) fail("the answer has no Location:\n%s", head);
    const char *authority = strstr(url, "://");
    const char *path = authority == NULL ? url : strchr(authority + 3, '/');
    if (path == NULL) fail("the Location has no path: %s", url);
    strcpy(job->location, path);
}

// MARK: One PUT: nginx's DAV module and the floor.

static void put(const struct job *job, struct request *request) {
    set_head(request, 201, "PUT /%s HTTP/1.1\r\n", job->digest);
}

static const struct protocol upload_protocols[] = {
    {.name = "blobd", .build = {blobd_initiate, blobd_append, blobd_complete}, .remember = blobd_remember},
    {.name = "registry", .build = {registry_initiate, registry_append, registry_complete},
     .remember = registry_remember},
    {.name = "put", .build = {[COMPLETE] = put}},
};

const struct protocol *protocol_named(const char *name) {
    for (size_t i = 0; i < sizeof upload_protocols / sizeof *upload_protocols; i++)
        if (strcmp(upload_protocols[i].name, name) == 0) return &upload_protocols[i];
    return NULL;
}

// Moves the job to its first phase beyond `after` (-1: from the start); false when the job is done.
bool protocol_next_phase(struct job *job, int after) {
    for (int phase = after + 1; phase < PHASES; phase++) {
        if (options.protocol->build[phase] == NULL || (phase == APPEND && options.body_with_complete)) continue;
        job->phase = phase;
        return true;
    }
    return false;
}

// The body goes with the append, or with the completion when there is no append.
void protocol_build(struct job *job, struct request *request) {
    if (!options.downloads && job->phase == COMPLETE) content_hash(job);
    options.protocol->build[job->phase](job, request);
    bool has_append = options.protocol->build[APPEND] != NULL && !options.body_with_complete;
    bool carries = !options.downloads && job->phase == (has_append ? APPEND : COMPLETE);
    add_body_and_end(request, carries ? options.size : 0, !options.downloads);
}
