// SPDX-License-Identifier: Apache-2.0
// Another time and other names for a server under test: a library that is loaded before the C
// library (LD_PRELOAD). What it says comes from the environment:
//
//   ELSEWHERE_CLOCK_MS  added to the time of day; a pause of hours is a restart with another number
//   ELSEWHERE_HOSTS     a file with lines "NAME ADDRESS", read at every look-up, so that a name can
//                       move while the server runs; several lines are several addresses
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <dlfcn.h>

#define ELSEWHERE_SECOND_NS  INT64_C(1000000000)
#define ELSEWHERE_LINE_CHARS 512

// --- Time

static int64_t elsewhere_shift_ms(void)
{
    const char *text = getenv("ELSEWHERE_CLOCK_MS");
    return text == NULL ? 0 : strtoll(text, NULL, 10);
}

static int64_t elsewhere_now_ns(void)
{
    struct timespec real;
    (void)syscall(SYS_clock_gettime, CLOCK_REALTIME, &real);
    return (int64_t)real.tv_sec * ELSEWHERE_SECOND_NS + real.tv_nsec +
           elsewhere_shift_ms() * 1000000;
}

int clock_gettime(clockid_t id, struct timespec *ret_time)
{
    if (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE)
        return (int)syscall(SYS_clock_gettime, id, ret_time);
    const int64_t now_ns = elsewhere_now_ns();
    ret_time->tv_sec = now_ns / ELSEWHERE_SECOND_NS;
    ret_time->tv_nsec = now_ns % ELSEWHERE_SECOND_NS;
    return 0;
}

int gettimeofday(struct timeval *restrict ret_time, void *restrict zone)
{
    (void)zone;
    const int64_t now_ns = elsewhere_now_ns();
    ret_time->tv_sec = now_ns / ELSEWHERE_SECOND_NS;
    ret_time->tv_usec = now_ns % ELSEWHERE_SECOND_NS / 1000;
    return 0;
}

time_t time(time_t *ret_time)
{
    const time_t now = elsewhere_now_ns() / ELSEWHERE_SECOND_NS;
    if (ret_time != NULL)
        *ret_time = now;
    return now;
}

// --- Names

typedef int elsewhere_lookup(const char *name, const char *service, const struct addrinfo *hints,
                             struct addrinfo **ret_list);

static elsewhere_lookup *elsewhere_real_lookup(void)
{
    void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
    elsewhere_lookup *lookup = NULL;
    memcpy(&lookup, &symbol, sizeof lookup);
    return lookup;
}

// The addresses behind the name, one list after the other; none when the file does not know it.
static void elsewhere_find(FILE *hosts, const char *name, const char *service,
                           const struct addrinfo *hints, struct addrinfo **ret_list)
{
    char line[ELSEWHERE_LINE_CHARS];
    while (fgets(line, sizeof line, hosts) != NULL) {
        char *rest = NULL;
        const char *known = strtok_r(line, " \n", &rest);
        const char *address = strtok_r(NULL, " \n", &rest);
        if (known == NULL || address == NULL || strcasecmp(known, name) != 0 ||
            elsewhere_real_lookup()(address, service, hints, ret_list) != 0)
            continue;
        while (*ret_list != NULL)
            ret_list = &(*ret_list)->ai_next;
    }
}

int getaddrinfo(const char *restrict name, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict ret_list)
{
    const char *path = getenv("ELSEWHERE_HOSTS");
    FILE *hosts = path == NULL || name == NULL ? NULL : fopen(path, "re");
    *ret_list = NULL;
    if (hosts != NULL) {
        elsewhere_find(hosts, name, service, hints, ret_list);
        (void)fclose(hosts);
    }
    return *ret_list != NULL ? 0 : elsewhere_real_lookup()(name, service, hints, ret_list);
}
