// The connections and the loop that drives them.
#define _GNU_SOURCE
#define OPENSSL_API_COMPAT 10100
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

enum {
    SLICES = 4,                // Of the pool, in one send: as much as a socket's buffer takes.
    READ_LIMIT = 64 << 20,     // Of a body, in one receive.
    VERIFY_BUFFER = 256 << 10,
};

struct connection {
    int descriptor;
    bool waits_to_send;
    struct job job;
    struct request request;
    uint64_t sent;  // Of the request, head and body together.
    char head[HEAD_LIMIT];
    size_t head_length;
    bool head_complete;
    struct answer answer;
    uint64_t body_left;
    SHA256_CTX hash;
};

static int poller;
static int active;
static uint64_t jobs_begun;
static uint64_t deadline;  // 0: the count decides.
static struct totals totals;
static uint64_t latency_capacity;

static void connect_to_server(struct connection *c) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(options.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->descriptor < 0 || connect(c->descriptor, (struct sockaddr *)&address, sizeof address) != 0)
        fail("cannot connect to port %u: %s", options.port, strerror(errno));
    int on = 1;
    setsockopt(c->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->descriptor, &event) != 0) fail("epoll: %s", strerror(errno));
    active++;
}

static void set_waits_to_send(struct connection *c, bool waits) {
    if (c->waits_to_send == waits) return;
    c->waits_to_send = waits;
    struct epoll_event event = {.events = waits ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_MOD, c->descriptor, &event) != 0) fail("epoll: %s", strerror(errno));
}

static bool request_is_sent(const struct connection *c) {
    return c->sent == c->request.head_length + c->request.body_length;
}

// Sends as much as the socket takes; the loop comes back when it takes more.
static void send_request(struct connection *c) {
    while (!request_is_sent(c)) {
        struct iovec slices[SLICES + 1];
        int used = 0;
        uint64_t body_sent = 0;
        if (c->sent < c->request.head_length)
            slices[used++] = (struct iovec){c->request.head + c->sent, c->request.head_length - c->sent};
        else
            body_sent = c->sent - c->request.head_length;
        if (c->request.body_length > 0) used += content_slices(&c->job, body_sent, slices + used, SLICES);
        struct msghdr message = {.msg_iov = slices, .msg_iovlen = used};
        ssize_t taken = sendmsg(c->descriptor, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (taken < 0 && errno == EAGAIN) return set_waits_to_send(c, true);
        // A reset is often an early refusal: the server's answer is still to be read, and says more.
        if (taken < 0 && (errno == EPIPE || errno == ECONNRESET)) return set_waits_to_send(c, false);
        if (taken < 0) fail("send: %s", strerror(errno));
        c->sent += taken;
    }
    set_waits_to_send(c, false);
}

static void begin_exchange(struct connection *c) {
    protocol_build(&c->job, &c->request);
    c->sent = 0;
    c->head_length = 0;
    c->head_complete = false;
    send_request(c);
}

// Starts the connection's next job, or closes the connection when there is none left.
static void begin_job(struct connection *c) {
    bool over = deadline > 0 ? now() >= deadline : jobs_begun >= options.count;
    if (over) {
        close(c->descriptor);
        active--;
        return;
    }
    c->job.serial = jobs_begun++;
    protocol_next_phase(&c->job, -1);
    if (!options.downloads) content_begin(&c->job);
    c->job.started = now();
    begin_exchange(c);
}

static void record_job(const struct connection *c) {
    if (totals.jobs == latency_capacity) {
        latency_capacity = latency_capacity == 0 ? 1 << 16 : latency_capacity * 2;
        totals.latencies = realloc(totals.latencies, latency_capacity * sizeof *totals.latencies);
        if (totals.latencies == NULL) fail("no memory for the latencies");
    }
    totals.latencies[totals.jobs++] = now() - c->job.started;
    totals.bytes += options.downloads ? c->answer.body_length : options.size;
}

static void verify_digest(struct connection *c) {
    uint8_t digest[SHA256_DIGEST_LENGTH];
    char hex[DIGEST_HEX_LENGTH + 1];
    SHA256_Final(digest, &c->hash);
    for (int i = 0; i < SHA256_DIGEST_LENGTH; i++) sprintf(hex + 2 * i, "%02x", digest[i]);
    const char *path_end = strstr(c->request.head, " HTTP/1.1\r\n");
    if (strncmp(path_end - DIGEST_HEX_LENGTH, hex, DIGEST_HEX_LENGTH) != 0)
        fail("the bytes received have the digest %s, the request was:\n%s", hex, c->request.head);
}

static void end_exchange(struct connection *c) {
    if (options.verify) verify_digest(c);
    if (protocol_next_phase(&c->job, c->job.phase)) {
        options.protocol->remember(&c->job, c->head);
        return begin_exchange(c);
    }
    record_job(c);
    begin_job(c);
}

// Looks at the head once it is complete. Bytes of the body that came with it count as received.
static void take_head(struct connection *c) {
    char *end = memmem(c->head, c->head_length, "\r\n\r\n", 4);
    if (end == NULL) {
        if (c->head_length == HEAD_LIMIT - 1) fail("the head of an answer is over %d bytes", HEAD_LIMIT);
        return;
    }
    c->head[c->head_length] = '\0';
    if (strncmp(c->head + 9, "100", 3) == 0) fail("an answer 100 that nobody asked for");
    char first_of_body = end[4];
    end[4] = '\0';
    bool understood = answer_parse(c->head, options.downloads && options.method[0] == 'H', &c->answer);
    end[4] = first_of_body;
    if (!understood) fail("an answer that this program cannot read:\n%s", c->head);
    if (c->answer.status != c->request.expected_status || !request_is_sent(c))
        fail("expected %d after the whole request, got:\n%s\n\nto:\n%s", c->request.expected_status, c->head,
             c->request.head);
    size_t with_head = c->head_length - (end + 4 - c->head);
    if (with_head > c->answer.body_length) fail("an answer longer than its Content-Length:\n%s", c->head);
    c->head_complete = true;
    c->body_left = c->answer.body_length - with_head;
    if (options.verify) {
        SHA256_Init(&c->hash);
        SHA256_Update(&c->hash, end + 4, with_head);
    }
    end[4] = '\0';
}

// MSG_TRUNC lets TCP drop the bytes inside the kernel: a client that looks at nothing need not copy anything.
static ssize_t receive_body(struct connection *c) {
    static uint8_t buffer[VERIFY_BUFFER];
    uint64_t limit = options.verify ? VERIFY_BUFFER : READ_LIMIT;
    size_t length = c->body_left < limit ? c->body_left : limit;
    if (!options.verify) return recv(c->descriptor, NULL, length, MSG_TRUNC | MSG_DONTWAIT);
    ssize_t taken = recv(c->descriptor, buffer, length, MSG_DONTWAIT);
    if (taken > 0) SHA256_Update(&c->hash, buffer, taken);
    return taken;
}

static void receive_answer(struct connection *c) {
    ssize_t taken = c->head_complete ? receive_body(c)
                                     : recv(c->descriptor, c->head + c->head_length,
                                            HEAD_LIMIT - 1 - c->head_length, MSG_DONTWAIT);
    if (taken < 0 && errno == EAGAIN) return;
    if (taken < 0) fail("receive: %s", strerror(errno));
    if (taken == 0) fail("the server closed a connection in the middle of:\n%s", c->request.head);
    if (c->head_complete) {
        c->body_left -= taken;
    } else {
        c->head_length += taken;
        take_head(c);
    }
    if (c->head_complete && c->body_left == 0) end_exchange(c);
}

// Runs all jobs and returns when the last answer is in. Any unexpected answer ends the program: a figure taken from
// errors is worse than none.
struct totals engine_run(void) {
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct connection *connections = calloc(options.connections, sizeof *connections);
    if (poller < 0 || connections == NULL) fail("cannot start: %s", strerror(errno));
    uint64_t start = now();
    if (options.seconds > 0) deadline = start + (uint64_t)(options.seconds * 1e9);
    for (int i = 0; i < options.connections; i++) connect_to_server(&connections[i]);
    for (int i = 0; i < options.connections; i++) begin_job(&connections[i]);
    while (active > 0) {
        struct epoll_event events[256];
        int ready = epoll_wait(poller, events, 256, -1);
        if (ready < 0 && errno != EINTR) fail("epoll: %s", strerror(errno));
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                receive_answer(c);
            else
                send_request(c);
        }
    }
    totals.seconds = (now() - start) / 1e9;
    free(connections);
    return totals;
}
