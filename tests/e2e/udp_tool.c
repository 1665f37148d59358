/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults and forgeries of QUIC between hosts, for network namespaces. IPv4.
 *
 *   udp_tool relay ADDRESS PORT TO PORT SEED
 *       carries datagrams between whoever sends to ADDRESS PORT and TO PORT,
 *       as well as it is told: "loss P", "delay MS", "reorder P", "dup P",
 *       "hold N" (N more datagrams of the client pass, then none), "cut" (none
 *       either way), "mend", "rebind" (another port of ours towards TO),
 *       "spoof ADDRESS PORT" (another address, whose answers we do not see),
 *       "stats"
 *   udp_tool initials FILE N ADDRESS PORT
 *       writes the first datagrams of N connections to FILE
 *   udp_tool replay FILE SKIP N TIMES SOURCE PORT TO PORT
 *       sends them, each TIMES times and from a port of its own (PORT and up),
 *       from an address that need not be ours
 *   udp_tool sink
 *       counts UDP that comes to this host, wherever to; "stats LOW HIGH"
 *   udp_tool garbage KIND N SEED SOURCE TO PORT FILE
 *       sends nonsense and counts what is answered
 *
 * Commands are lines of standard input; each is answered "= N RESULT".
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <sys/prctl.h>
#include <sys/socket.h>

enum {
    LIFE_S = 400, /* whatever happens to the script */
    DATAGRAM_MAX = 65536,
    INITIALS_MAX = 256,
    INITIAL_LEN_MAX = 1500,
    ROUND_MS = 30,
    QUIET_MS = 1000
};

typedef struct sockaddr_in endpoint;

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vprintf(format, args);
    (void)putchar('\n');
    (void)fflush(stdout);
    va_end(args);
}

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* xorshift64*: the same chances every time. */
static uint64_t chance_state;

static uint32_t draw(uint32_t below)
{
    chance_state ^= chance_state >> 12;
    chance_state ^= chance_state << 25;
    chance_state ^= chance_state >> 27;
    return (uint32_t)((chance_state * UINT64_C(0x2545f4914f6cdd1d)) >> 33)
           % below;
}

static bool happens(unsigned percent)
{
    return draw(100) < percent;
}

static endpoint at(const char *address, const char *port)
{
    endpoint e = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};

    if (inet_pton(AF_INET, address, &e.sin_addr) != 1) {
        errno = EINVAL;
        die(address);
    }
    return e;
}

/* The source may be an address that is not ours. */
static int open_at(endpoint e)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0
        || setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof(on)) != 0
        || bind(fd, (struct sockaddr *)&e, sizeof(e)) != 0) {
        die("socket");
    }
    return fd;
}

static void send_to(int fd, const uint8_t *data, size_t len, endpoint to)
{
    /* An ICMP error of something sent before is reported once. */
    for (int i = 0; i < 3; i++) {
        if (sendto(fd, data, len, 0, (struct sockaddr *)&to, sizeof(to)) >= 0) {
            return;
        }
    }
}

static bool is_retry(const uint8_t *data, size_t len)
{
    return len > 5 && (data[0] & 0xf0) == 0xf0
           && (data[1] | data[2] | data[3] | data[4]) != 0;
}

/* ---- relay ------------------------------------------------------------- */

typedef struct waiting {
    struct waiting *next;
    uint64_t due_ms;
    bool is_to_server;
    size_t len;
    uint8_t data[];
} waiting;

typedef struct relay {
    int client_fd;
    int server_fd;
    endpoint server;
    endpoint client;
    unsigned loss, delay_ms, reorder, dup;
    long held; /* how many of the client still pass; -1: all */
    bool is_cut;
    waiting *queue; /* by time */
    uint64_t in[2], lost[2], retries;
    uint64_t carried; /* bytes towards the server since it began, or moved */
} relay;

static void relay_pass(relay *r, bool to_server, const uint8_t *d, size_t len)
{
    if (to_server) {
        r->carried += len;
        send_to(r->server_fd, d, len, r->server);
    } else {
        send_to(r->client_fd, d, len, r->client);
    }
}

static void relay_queue(relay *r, bool to_server, const uint8_t *d, size_t len)
{
    waiting *w = malloc(sizeof(*w) + len);
    waiting **place = &r->queue;

    if (w == NULL) {
        die("memory");
    }
    w->due_ms = now_ms() + r->delay_ms;
    w->is_to_server = to_server;
    w->len = len;
    memcpy(w->data, d, len);
    while (*place != NULL && (*place)->due_ms <= w->due_ms) {
        place = &(*place)->next;
    }
    w->next = *place;
    *place = w;
}

static bool relay_loses(relay *r, bool to_server)
{
    if (r->is_cut) {
        return true;
    }
    if (to_server && r->held >= 0 && r->held-- == 0) {
        r->held = 0;
        return true;
    }
    return happens(r->loss);
}

static void relay_take(relay *r, bool to_server)
{
    static uint8_t data[DATAGRAM_MAX];
    endpoint from;
    socklen_t from_len = sizeof(from);
    ssize_t n = recvfrom(to_server ? r->client_fd : r->server_fd, data,
        sizeof(data), MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);

    if (n < 0) {
        return;
    }
    if (to_server) {
        r->client = from;
    }
    r->in[to_server]++;
    r->retries += !to_server && is_retry(data, (size_t)n) ? 1 : 0;
    if (relay_loses(r, to_server)) {
        r->lost[to_server]++;
        return;
    }
    for (int copies = happens(r->dup) ? 2 : 1; copies > 0; copies--) {
        /* Datagrams that overtake those that wait. */
        if (r->delay_ms == 0 || happens(r->reorder)) {
            relay_pass(r, to_server, data, (size_t)n);
        } else {
            relay_queue(r, to_server, data, (size_t)n);
        }
    }
}

static int relay_wait_ms(relay *r)
{
    uint64_t now = now_ms();

    while (r->queue != NULL && r->queue->due_ms <= now) {
        waiting *w = r->queue;

        r->queue = w->next;
        relay_pass(r, w->is_to_server, w->data, w->len);
        free(w);
    }
    return r->queue == NULL ? -1 : (int)(r->queue->due_ms - now);
}

static void relay_from(relay *r, const char *address, const char *port)
{
    (void)close(r->server_fd);
    r->server_fd = open_at(at(address, port));
    r->carried = 0;
}

/* False at the end. */
static bool relay_obey(relay *r, const char *own, unsigned seq)
{
    char line[256];
    char word[32] = "";
    char address[64] = "";
    int number = 0;
    char port[16] = "";

    if (fgets(line, sizeof(line), stdin) == NULL) {
        return false;
    }
    (void)sscanf(line, "%31s %d", word, &number);
    (void)sscanf(line, "%*s %63s %15s", address, port);
    if (strcmp(word, "loss") == 0) {
        r->loss = (unsigned)number;
    } else if (strcmp(word, "delay") == 0) {
        r->delay_ms = (unsigned)number;
    } else if (strcmp(word, "reorder") == 0) {
        r->reorder = (unsigned)number;
    } else if (strcmp(word, "dup") == 0) {
        r->dup = (unsigned)number;
    } else if (strcmp(word, "hold") == 0) {
        r->held = number;
    } else if (strcmp(word, "cut") == 0) {
        r->is_cut = true;
    } else if (strcmp(word, "mend") == 0) {
        r->held = -1;
        r->is_cut = false;
        r->loss = r->delay_ms = r->reorder = r->dup = 0;
    } else if (strcmp(word, "rebind") == 0) {
        relay_from(r, own, "0");
    } else if (strcmp(word, "spoof") == 0) {
        relay_from(r, address, port);
    } else if (strcmp(word, "stats") != 0) {
        return false;
    }
    say("= %u up %llu lost %llu, down %llu lost %llu, retries %llu, "
        "carried %llu.",
        seq, (unsigned long long)r->in[1], (unsigned long long)r->lost[1],
        (unsigned long long)r->in[0], (unsigned long long)r->lost[0],
        (unsigned long long)r->retries, (unsigned long long)r->carried);
    return true;
}

static int relay_run(char **argv)
{
    relay r = {.held = -1};
    unsigned seq = 0;
    struct pollfd fds[3];

    r.client_fd = open_at(at(argv[2], argv[3]));
    r.server_fd = open_at(at(argv[2], "0"));
    r.server = at(argv[4], argv[5]);
    chance_state = (uint64_t)atoi(argv[6]) * 2 + 1;
    /* A line at a time: poll does not see what stdio has read ahead. */
    (void)setvbuf(stdin, NULL, _IONBF, 0);
    say("ready");
    for (;;) {
        int wait_ms = relay_wait_ms(&r);

        fds[0] = (struct pollfd){.fd = r.client_fd, .events = POLLIN};
        fds[1] = (struct pollfd){.fd = r.server_fd, .events = POLLIN};
        fds[2] = (struct pollfd){.fd = 0, .events = POLLIN};
        if (poll(fds, 3, wait_ms) < 0) {
            die("poll");
        }
        if (fds[0].revents != 0) {
            relay_take(&r, true);
        }
        if (fds[1].revents != 0) {
            relay_take(&r, false);
        }
        if (fds[2].revents != 0 && !relay_obey(&r, argv[2], ++seq)) {
            return 0;
        }
    }
}

/* ---- Initials ---------------------------------------------------------- */

typedef struct initial {
    uint32_t len;
    uint8_t data[INITIAL_LEN_MAX];
} initial;

static initial initials[INITIALS_MAX];

/* Of another connection: by the id the client has chosen for the server. */
static bool is_new(const uint8_t *data, size_t len, int n)
{
    if (len < 1200 || len > INITIAL_LEN_MAX || (data[0] & 0xf0) != 0xc0) {
        return false;
    }
    for (int i = 0; i < n; i++) {
        if (memcmp(initials[i].data + 5, data + 5, 1u + data[5]) == 0) {
            return false;
        }
    }
    return true;
}

static int initials_run(char **argv)
{
    static uint8_t data[DATAGRAM_MAX];
    int fd = open_at(at(argv[4], argv[5]));
    int wanted = atoi(argv[3]);
    int n = 0;
    FILE *file;

    say("ready");
    while (n < wanted && n < INITIALS_MAX) {
        ssize_t len = recv(fd, data, sizeof(data), 0);

        if (len > 0 && is_new(data, (size_t)len, n)) {
            initials[n].len = (uint32_t)len;
            memcpy(initials[n++].data, data, (size_t)len);
        }
    }
    file = fopen(argv[2], "w");
    if (file == NULL
        || fwrite(initials, sizeof(initials[0]), (size_t)n, file) != (size_t)n
        || fclose(file) != 0) {
        die(argv[2]);
    }
    say("written %d", n);
    return 0;
}

static int initials_read(const char *path)
{
    FILE *file = fopen(path, "r");
    size_t n;

    if (file == NULL) {
        die(path);
    }
    n = fread(initials, sizeof(initials[0]), INITIALS_MAX, file);
    (void)fclose(file);
    return (int)n;
}

static int replay_run(char **argv)
{
    int have = initials_read(argv[2]);
    int skip = atoi(argv[3]);
    int n = atoi(argv[4]);
    int times = atoi(argv[5]);
    endpoint from = at(argv[6], argv[7]);
    endpoint to = at(argv[8], argv[9]);
    uint64_t bytes = 0;

    if (skip + n > have) {
        errno = ENODATA;
        die("initials");
    }
    for (int i = skip; i < skip + n; i++) {
        int fd = open_at(from);

        for (int k = 0; k < times; k++) {
            send_to(fd, initials[i].data, initials[i].len, to);
            bytes += initials[i].len;
        }
        (void)close(fd);
        from.sin_port = htons((uint16_t)(ntohs(from.sin_port) + 1));
    }
    say("sent %llu bytes", (unsigned long long)bytes);
    return 0;
}

/* ---- sink -------------------------------------------------------------- */

typedef struct tally {
    uint32_t datagrams, retries;
    uint64_t bytes;
} tally;

static tally tallies[65536];

static void sink_take(int fd)
{
    static uint8_t data[DATAGRAM_MAX + 128];
    ssize_t n = recv(fd, data, sizeof(data), MSG_DONTWAIT);
    size_t head = n > 0 ? (size_t)(data[0] & 0xf) * 4 + 8 : 0;
    tally *t;

    if (n < 0 || (size_t)n < head) {
        return;
    }
    t = &tallies[data[head - 6] << 8 | data[head - 5]];
    t->datagrams++; /* several of one length may come as one */
    t->bytes += (size_t)n - head;
    t->retries += is_retry(data + head, (size_t)n - head) ? 1 : 0;
}

static bool sink_obey(unsigned seq)
{
    char line[256];
    unsigned low = 0;
    unsigned high = 0;
    uint64_t most = 0;
    tally sum = {0};

    if (fgets(line, sizeof(line), stdin) == NULL
        || sscanf(line, "stats %u %u", &low, &high) != 2 || high > 65535) {
        return false;
    }
    for (unsigned port = low; port <= high; port++) {
        sum.datagrams += tallies[port].datagrams;
        sum.retries += tallies[port].retries;
        sum.bytes += tallies[port].bytes;
        most = tallies[port].bytes > most ? tallies[port].bytes : most;
    }
    say("= %u %llu bytes in %u, most %llu, retries %u.", seq,
        (unsigned long long)sum.bytes, sum.datagrams, (unsigned long long)most,
        sum.retries);
    return true;
}

static int sink_run(void)
{
    int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP);
    int room = 8 * 1024 * 1024;
    unsigned seq = 0;

    if (fd < 0) {
        die("raw socket");
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
    (void)setvbuf(stdin, NULL, _IONBF, 0);
    say("ready");
    for (;;) {
        struct pollfd fds[2] = {
            {.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};

        if (poll(fds, 2, -1) < 0) {
            die("poll");
        }
        if (fds[0].revents != 0) {
            sink_take(fd);
        }
        if (fds[1].revents != 0 && !sink_obey(++seq)) {
            return 0;
        }
    }
}

/* ---- garbage ----------------------------------------------------------- */

static void randomise(uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        data[i] = (uint8_t)draw(256);
    }
}

static size_t random_datagram(uint8_t *data, int i, int have)
{
    size_t len = draw(1472);

    (void)i;
    (void)have;
    randomise(data, len);
    return len;
}

static size_t cut_initial(uint8_t *data, int i, int have)
{
    const initial *from = &initials[i % have];
    size_t len = (size_t)i < 100 ? (size_t)i : draw(1200);

    memcpy(data, from->data, len);
    return len;
}

static size_t short_header(uint8_t *data, int i, int have)
{
    size_t len = 1 + (size_t)i % 1400;

    (void)have;
    randomise(data, len);
    data[0] = (uint8_t)((data[0] & 0x3f) | 0x40);
    return len;
}

/* Too short to be answered with something shorter. */
static size_t tiny(uint8_t *data, int i, int have)
{
    (void)short_header(data, i, have);
    return 1 + (size_t)i % 21;
}

static size_t other_version(uint8_t *data, int i, int have)
{
    static const uint8_t version[4] = {0xba, 0xba, 0xba, 0xba};
    const initial *from = &initials[i % have];

    memcpy(data, from->data, from->len);
    memcpy(data + 1, version, sizeof(version));
    return from->len;
}

static size_t short_other_version(uint8_t *data, int i, int have)
{
    size_t len = other_version(data, i, have);

    return len < 1200 ? len : 7 + draw(1192);
}

/* A bit of the packet's protected part is not what it was. */
static size_t damaged_initial(uint8_t *data, int i, int have)
{
    const initial *from = &initials[i % have];

    memcpy(data, from->data, from->len);
    data[40 + draw(from->len - 40)] ^= (uint8_t)(1u << draw(8));
    return from->len;
}

/* An Initial whose token is none of ours. */
static size_t bad_token(uint8_t *data, int i, int have)
{
    const initial *from = &initials[i % have];
    size_t ids = 7u + from->data[5] + from->data[6 + from->data[5]];

    memcpy(data, from->data, from->len);
    data[ids] = 32;
    return from->len;
}

typedef struct garbage {
    const char *name;
    size_t (*make)(uint8_t *data, int i, int have);
} garbage;

static const garbage kinds[] = {
    {"random", random_datagram},
    {"cut", cut_initial},
    {"short", short_header},
    {"tiny", tiny},
    {"version", other_version},
    {"short-version", short_other_version},
    {"damaged", damaged_initial},
    {"token", bad_token},
};

typedef struct answers {
    uint64_t sent, got;
    unsigned n_sent, n_got;
    size_t longest; /* answer */
    unsigned versions, retries, resets, longs;
} answers;

static void classify(answers *a, const uint8_t *data, size_t len)
{
    a->n_got++;
    a->got += len;
    a->longest = len > a->longest ? len : a->longest;
    if ((data[0] & 0x80) == 0) {
        a->resets++;
    } else if (is_retry(data, len)) {
        a->retries++;
    } else if (len > 5 && (data[1] | data[2] | data[3] | data[4]) == 0) {
        a->versions++;
    } else {
        a->longs++;
    }
}

/* Answers within ms. */
static void collect(int fd, answers *a, int ms)
{
    static uint8_t data[DATAGRAM_MAX];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint64_t end = now_ms() + (uint64_t)ms;

    for (;;) {
        uint64_t now = now_ms();
        ssize_t n;

        if (now >= end || poll(&p, 1, (int)(end - now)) <= 0) {
            return;
        }
        n = recv(fd, data, sizeof(data), MSG_DONTWAIT);
        if (n > 0) {
            classify(a, data, (size_t)n);
        }
    }
}

static int garbage_run(char **argv)
{
    static uint8_t data[DATAGRAM_MAX];
    int n = atoi(argv[3]);
    int fd = open_at(at(argv[5], "0"));
    endpoint to = at(argv[6], argv[7]);
    int have = initials_read(argv[8]);
    const garbage *kind = NULL;
    answers a = {0};

    chance_state = (uint64_t)atoi(argv[4]) * 2 + 1;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        kind = strcmp(argv[2], kinds[i].name) == 0 ? &kinds[i] : kind;
    }
    if (kind == NULL || have == 0) {
        errno = EINVAL;
        die(argv[2]);
    }
    for (int i = 0; i < n; i++) {
        size_t len = kind->make(data, i, have);

        send_to(fd, data, len, to);
        a.sent += len;
        a.n_sent++;
        collect(fd, &a, i % 16 == 0 ? ROUND_MS : 1);
    }
    collect(fd, &a, QUIET_MS);
    say("sent %u %llu got %u %llu, versions %u retries %u resets %u longs %u "
        "longest %zu.",
        a.n_sent, (unsigned long long)a.sent, a.n_got,
        (unsigned long long)a.got, a.versions, a.retries, a.resets, a.longs,
        a.longest);
    return 0;
}

int main(int argc, char **argv)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)alarm(LIFE_S);
    if (argc == 7 && strcmp(argv[1], "relay") == 0) {
        return relay_run(argv);
    }
    if (argc == 6 && strcmp(argv[1], "initials") == 0) {
        return initials_run(argv);
    }
    if (argc == 10 && strcmp(argv[1], "replay") == 0) {
        return replay_run(argv);
    }
    if (argc == 2 && strcmp(argv[1], "sink") == 0) {
        return sink_run();
    }
    if (argc == 9 && strcmp(argv[1], "garbage") == 0) {
        return garbage_run(argv);
    }
    (void)fprintf(stderr, "usage: udp_tool relay|initials|replay|sink|garbage "
                          "...\n");
    return 1;
}
