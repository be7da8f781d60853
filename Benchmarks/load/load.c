// The command line and the report. See load.h for the terms.
#include "load.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct options options = {.connections = 1, .method = "GET"};

static const char usage[] =
    "usage: load get          --port N --paths FILE [--method HEAD] [--verify]\n"
    "       load upload-large --port N --protocol blobd|registry|put --size BYTES\n"
    "       load upload-small --port N --protocol blobd|registry|put --size BYTES\n"
    "  --connections N        keep-alive connections, all on this machine's loopback\n"
    "  --count N | --seconds S   how many jobs in all, or for how long jobs are started\n"
    "  --header 'NAME: VALUE'    goes with every request; may be repeated\n"
    "  --seed N               uploads: decides their contents\n"
    "  --digests FILE         uploads, with --count: where to list what was uploaded\n"
    "Prints one JSON object; latencies are those of whole jobs, in microseconds.\n";

uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static void add_header(const char *line) {
    size_t used = strlen(options.headers);
    int added = snprintf(options.headers + used, sizeof options.headers - used, "%s\r\n", line);
    if (used + added >= sizeof options.headers) fail("the headers are too long");
}

static uint64_t positive(const char *text) {
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (*end != '\0' || value == 0) fail("not a positive number: %s", text);
    return value;
}

static void take_mode(const char *mode) {
    options.downloads = strcmp(mode, "get") == 0;
    options.body_with_complete = strcmp(mode, "upload-small") == 0;
    if (options.downloads) options.protocol = &download_protocol;
    if (!options.downloads && !options.body_with_complete && strcmp(mode, "upload-large") != 0) fail("%s", usage);
}

static void take_option(int option) {
    switch (option) {
        case 'p': options.port = positive(optarg); break;
        case 'f': options.paths_file = optarg; break;
        case 'm': options.method = optarg; break;
        case 'v': options.verify = true; break;
        case 'P': options.protocol = protocol_named(optarg); break;
        case 's': options.size = positive(optarg); break;
        case 'c': options.connections = positive(optarg); break;
        case 'n': options.count = positive(optarg); break;
        case 't': options.seconds = atof(optarg); break;
        case 'H': add_header(optarg); break;
        case 'S': options.seed = positive(optarg); break;
        case 'd': options.digests_file = optarg; break;
        default: fail("%s", usage);
    }
}

static void parse_options(int count, char **arguments) {
    static const struct option known[] = {
        {"port", required_argument, NULL, 'p'},     {"paths", required_argument, NULL, 'f'},
        {"method", required_argument, NULL, 'm'},   {"verify", no_argument, NULL, 'v'},
        {"protocol", required_argument, NULL, 'P'}, {"size", required_argument, NULL, 's'},
        {"connections", required_argument, NULL, 'c'}, {"count", required_argument, NULL, 'n'},
        {"seconds", required_argument, NULL, 't'},  {"header", required_argument, NULL, 'H'},
        {"seed", required_argument, NULL, 'S'},     {"digests", required_argument, NULL, 'd'},
        {NULL, 0, NULL, 0},
    };
    if (count < 2) fail("%s", usage);
    take_mode(arguments[1]);
    int option;
    while ((option = getopt_long(count - 1, arguments + 1, "", known, NULL)) != -1) take_option(option);
    bool limited = (options.count > 0) != (options.seconds > 0);
    bool complete = options.downloads ? options.paths_file != NULL : options.protocol != NULL && options.size > 0;
    if (options.port == 0 || !limited || !complete) fail("%s", usage);
    if (options.digests_file != NULL && options.count == 0) fail("--digests needs --count");
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double percentile(const struct totals *totals, double share) {
    if (totals->jobs == 0) return 0;
    uint64_t index = (uint64_t)(share * (totals->jobs - 1) + 0.5);
    return totals->latencies[index] / 1e3;
}

int main(int count, char **arguments) {
    parse_options(count, arguments);
    if (options.downloads)
        protocol_load_paths(options.paths_file);
    else
        content_prepare();
    struct totals totals = engine_run();
    if (totals.jobs > 0) qsort(totals.latencies, totals.jobs, sizeof *totals.latencies, compare);
    if (options.digests_file != NULL) content_write_digests(options.digests_file, totals.jobs);
    printf("{\"jobs\": %llu, \"bytes\": %llu, \"seconds\": %.6f, \"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}\n",
           (unsigned long long)totals.jobs, (unsigned long long)totals.bytes, totals.seconds,
           percentile(&totals, 0.50), percentile(&totals, 0.99), percentile(&totals, 1));
    return 0;
}
