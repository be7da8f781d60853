// The floor under every upload figure: the least work of a program that receives a file, knows its SHA-256 and has it
// on the disk before it answers. One thread per connection; recv, hash, pwrite with one buffer of 256 KiB, fdatasync
// once at the end. It understands just enough of HTTP/1.1 for the load generator to speak to it: `PUT` with a
// Content-Length, answered by 201 and the digest.
//
//   floor DIRECTORY     writes its files there, prints "floor is ready on http://127.0.0.1:PORT", runs until killed
#define _GNU_SOURCE
#define OPENSSL_API_COMPAT 10100
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_LIMIT = 4096, BUFFER_LENGTH = 256 << 10 };

static const char *directory;

static void check(bool good, const char *what) {
    if (good) return;
    perror(what);
    exit(1);
}

// Reads a head; returns its length, 0 when the client has closed. Bytes after it stay in the buffer.
static size_t receive_head(int client, uint8_t *buffer, size_t *filled) {
    *filled = 0;
    while (*filled < HEAD_LIMIT) {
        ssize_t taken = recv(client, buffer + *filled, HEAD_LIMIT - *filled, 0);
        if (taken <= 0) return 0;
        *filled += taken;
        uint8_t *end = memmem(buffer, *filled, "\r\n\r\n", 4);
        if (end != NULL) return end + 4 - buffer;
    }
    return 0;
}

// Receives, hashes and writes `length` bytes, of which the buffer holds the first `filled`.
static bool store(int client, int file, uint8_t *buffer, size_t filled, uint64_t length, uint8_t *digest) {
    SHA256_CTX hash;
    SHA256_Init(&hash);
    uint64_t offset = 0;
    while (offset < length) {
        uint64_t left = length - offset;
        size_t wanted = left < BUFFER_LENGTH ? left : BUFFER_LENGTH;
        if (filled < wanted) {
            ssize_t taken = recv(client, buffer + filled, wanted - filled, MSG_WAITALL);
            if (taken <= 0) return false;
            filled += taken;
            if (filled < wanted) continue;
        }
        SHA256_Update(&hash, buffer, filled);
        check(pwrite(file, buffer, filled, offset) == (ssize_t)filled, "pwrite");
        offset += filled;
        filled = 0;
    }
    SHA256_Final(digest, &hash);
    return true;
}

static bool answer(int client, const uint8_t *digest) {
    char text[256];
    int used = sprintf(text, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\nETag: \"");
    for (int i = 0; i < SHA256_DIGEST_LENGTH; i++) used += sprintf(text + used, "%02x", digest[i]);
    used += sprintf(text + used, "\"\r\n\r\n");
    return send(client, text, used, MSG_NOSIGNAL) == used;
}

static bool serve_request(int client, uint8_t *buffer) {
    static atomic_uint_fast64_t files;
    size_t filled;
    size_t head_length = receive_head(client, buffer, &filled);
    if (head_length == 0) return false;
    buffer[head_length - 1] = '\0';
    const char *field = strcasestr((char *)buffer, "\r\nContent-Length:");
    if (field == NULL) return false;
    uint64_t length = strtoull(field + strlen("\r\nContent-Length:"), NULL, 10);
    filled -= head_length;
    memmove(buffer, buffer + head_length, filled);

    char path[4096];
    snprintf(path, sizeof path, "%s/%llu", directory, (unsigned long long)atomic_fetch_add(&files, 1));
    int file = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    check(file >= 0, path);
    uint8_t digest[SHA256_DIGEST_LENGTH];
    bool stored = store(client, file, buffer, filled, length, digest);
    check(fdatasync(file) == 0, "fdatasync");
    close(file);
    return stored && answer(client, digest);
}

static void *serve_connection(void *argument) {
    int client = (int)(intptr_t)argument;
    int on = 1;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    uint8_t *buffer = malloc(BUFFER_LENGTH);
    check(buffer != NULL, "malloc");
    while (serve_request(client, buffer)) continue;
    free(buffer);
    close(client);
    return NULL;
}

int main(int count, char **arguments) {
    if (count != 2) {
        fputs("usage: floor DIRECTORY\n", stderr);
        return 2;
    }
    directory = arguments[1];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(bind(listener, (struct sockaddr *)&address, length) == 0, "bind");
    check(listen(listener, 512) == 0, "listen");
    check(getsockname(listener, (struct sockaddr *)&address, &length) == 0, "getsockname");
    printf("floor is ready on http://127.0.0.1:%u\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        check(client >= 0, "accept");
        pthread_t thread;
        check(pthread_create(&thread, NULL, serve_connection, (void *)(intptr_t)client) == 0, "pthread_create");
        pthread_detach(thread);
    }
}
