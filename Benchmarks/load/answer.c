// Reads the head of an answer: only what a load generator needs of HTTP/1.1, and a refusal of the rest.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "load.h"

// Copies a header's value; false when the head has no such header, or the value does not fit.
bool answer_header(const char *head, const char *name, char *value, size_t capacity) {
    size_t name_length = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, name_length) != 0 || line[name_length] != ':') continue;
        const char *start = line + name_length + 1;
        start += strspn(start, " \t");
        size_t length = strcspn(start, "\r");
        if (length >= capacity) return false;
        memcpy(value, start, length);
        value[length] = '\0';
        return true;
    }
    return false;
}

// `head` ends with a null byte. False when the answer cannot be framed by its length alone.
bool answer_parse(const char *head, bool to_head_request, struct answer *answer) {
    if (sscanf(head, "HTTP/1.1 %3d", &answer->status) != 1) return false;
    answer->body_length = 0;
    if (to_head_request || answer->status == 204 || answer->status == 304) return true;
    char value[32];
    if (!answer_header(head, "Content-Length", value, sizeof value)) return false;
    char *end;
    answer->body_length = strtoull(value, &end, 10);
    return *end == '\0';
}
