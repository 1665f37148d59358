/* SPDX-License-Identifier: Apache-2.0 */
/* One line in, one line out: `ok ...` or `error ...`. See peer/control.ex. */
#include "ctool.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef void command_fn(char *args, FILE *out);

static pn_node *node;
static pn_node_options options;
static char data_dir[512];
static char discovery_address[64];
static char own_label[64];
static const pn_discovery_sink *discovery_sink;

static struct {
    char kind[160];
    char name[256];
} exposed[32];
static size_t n_exposed;

/* ---- words ---- */

/* The next word of *at, or "" at the end. */
static char *word(char **at)
{
    char *start = *at + strspn(*at, " ");
    char *end = start + strcspn(start, " ");

    *at = *end == '\0' ? end : end + 1;
    *end = '\0';
    return start;
}

static uint32_t number(char **at)
{
    return (uint32_t)strtoul(word(at), NULL, 10);
}

/* Prints the error and returns false when the next word is no key. */
static bool key_word(char **at, pn_public_key *ret_key, FILE *out)
{
    const char *text = word(at);

    if (pn_key_parse(text, ret_key) != PN_OK) {
        fprintf(out, "error no key: '%s'", text);
        return false;
    }
    return true;
}

static void print_key(const pn_public_key *key, FILE *out)
{
    for (size_t i = 0; i < sizeof(key->bytes); i++) {
        fprintf(out, "%02x", key->bytes[i]);
    }
}

/* The rest of the line as a term, in a writer the caller frees. */
static bool term_rest(
    const char *text, pn_term_writer *w, pn_term *ret_term, FILE *out)
{
    pn_text_error error = {0};

    /* Twice a frame: what is too large is for the library to refuse. */
    pn_term_writer_init(w, 4U << 20);
    if (pn_term_from_text(w, text, strlen(text), NULL, &error) != PN_OK
        || pn_term_writer_finish(w, NULL, ret_term) != PN_OK) {
        fprintf(out, "error no term: expected %s at %zu", error.expected,
            error.offset);
        return false;
    }
    return true;
}

static void answer(pn_err err, FILE *out)
{
    switch (err) {
    case PN_OK:
        fputs("ok", out);
        break;
    case PN_TIMEOUT:
        fputs("error :timeout", out);
        break;
    case PN_NOT_CONNECTED:
        fputs("error :not_connected", out);
        break;
    default:
        fprintf(out, "error PN_%s", pn_err_name(err));
    }
}

static void answer_reply(pn_err err, pn_reply *reply, FILE *out)
{
    if (err == PN_OK || err == PN_REMOTE) {
        char *text = ctool_term_text(pn_reply_term(reply));

        fprintf(out, "%s %s", err == PN_OK ? "ok" : "error", text);
        free(text);
        pn_reply_free(reply);
    } else {
        answer(err, out);
    }
}

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000U + (uint64_t)t.tv_nsec / 1000U;
}

static void nap(void)
{
    struct timespec t = {.tv_nsec = 2000000};

    nanosleep(&t, NULL);
}

/* ---- life ---- */

/* A discovery source that reports what the command `announce` gives. */
static pn_err source_start(void *user, const pn_discovery_sink *sink)
{
    (void)user;
    discovery_sink = sink;
    return PN_OK;
}

static void source_stop(void *user)
{
    (void)user;
    discovery_sink = NULL;
}

static const pn_discovery_source source = {
    .size = sizeof(source),
    .name = "test",
    .start = source_start,
    .stop = source_stop,
};

static void on_event(void *user, const pn_event *event)
{
    char fingerprint[PN_FINGERPRINT_LEN + 1] = "";

    (void)user;
    if (event->who != NULL) {
        pn_principal_fingerprint(event->who, fingerprint);
    }
    ctool_lines_add(
        &ctool_notes, ctool_printf("{%s, %s, %s}", pn_event_name(event->type),
                          fingerprint, pn_reason_text(event->reason)));
}

static void on_log(void *user, const pn_log_event *event)
{
    (void)user;
    if (getenv("CTOOL_LOG") != NULL) {
        fprintf(stderr, "%s %s %s %s\n", pn_log_text(event->what),
            event->peer != NULL ? event->peer : "-",
            event->text != NULL ? event->text : "-",
            pn_reason_text(event->reason));
    }
    if (event->text != NULL) {
        ctool_lines_add(
            &ctool_notes, ctool_printf("{log, %s, %s}",
                              pn_log_text(event->what), event->text));
    }
}

#define SETTING(field)                                                         \
    {                                                                          \
#field, offsetof(pn_node_options, field), sizeof(options.field)        \
    }

static const struct {
    const char *name;
    size_t offset;
    size_t size;
} settings[] = {
    SETTING(handshake_timeout_ms),
    SETTING(ping_interval_ms),
    SETTING(pong_timeout_ms),
    SETTING(handler_timeout_ms),
    SETTING(call_timeout_ms),
    SETTING(linger_ms),
    SETTING(reconnect_min_ms),
    SETTING(source_per_second),
    SETTING(source_burst),
    SETTING(duplicate_grace_ms),
    SETTING(announce_interval_ms),
    SETTING(discovery_port),
    SETTING(max_queue_per_link),
};

/* name=value; discovery=ADDRESS turns UDP on. */
static bool set(char *text)
{
    char *value = strchr(text, '=');
    unsigned long n;

    if (value == NULL) {
        return false;
    }
    *value++ = '\0';
    if (strcmp(text, "discovery") == 0) {
        snprintf(discovery_address, sizeof(discovery_address), "%s", value);
        options.discovery = PN_DISCOVERY_UDP;
        options.discovery_address = discovery_address;
        return true;
    }
    if (strcmp(text, "own_label") == 0) {
        snprintf(own_label, sizeof(own_label), "%s", value);
        options.own_label = own_label;
        return true;
    }
    n = strtoul(value, NULL, 10);
    for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
        void *field = (char *)&options + settings[i].offset;

        if (strcmp(settings[i].name, text) != 0) {
            continue;
        }
        if (settings[i].size == sizeof(uint16_t)) {
            *(uint16_t *)field = (uint16_t)n;
        } else {
            *(uint32_t *)field = (uint32_t)n;
        }
        return true;
    }
    return false;
}

static void open_node(FILE *out)
{
    pn_why why = {0};
    pn_err err = pn_node_open(&options, &node, &why);

    if (err != PN_OK) {
        fprintf(out, "error PN_%s %s", pn_err_name(err), why.text);
        return;
    }
    options.listen_port = pn_node_port(node);
    fputs("ok ", out);
    print_key(pn_node_key(node), out);
    fprintf(out, " %u", (unsigned)pn_node_port(node));
}

static void do_open(char *args, FILE *out)
{
    pn_node_options_init(&options);
    snprintf(data_dir, sizeof(data_dir), "%s", word(&args));
    options.data_dir = data_dir;
    options.listen_port = (int)number(&args);
    options.on_event = on_event;
    options.on_log = on_log;
    options.discovery_source = &source;
    options.watch_network = false;
    for (char *text = word(&args); *text != '\0'; text = word(&args)) {
        if (!set(text)) {
            fprintf(out, "error no such setting: %s", text);
            return;
        }
    }
    open_node(out);
}

static void do_close(char *args, FILE *out)
{
    (void)args;
    pn_node_close(node);
    node = NULL;
    fputs("ok", out);
}

static void do_restart(char *args, FILE *out)
{
    pn_err err = PN_OK;

    (void)args;
    pn_node_close(node);
    node = NULL;
    open_node(out);
    for (size_t i = 0; node != NULL && i < n_exposed; i++) {
        (void)ctool_expose(node, exposed[i].kind, exposed[i].name, &err);
    }
}

static void do_alive(char *args, FILE *out)
{
    (void)args;
    fprintf(out, "ok %s", node != NULL ? "true" : "false");
}

static void do_key(char *args, FILE *out)
{
    (void)args;
    fputs("ok ", out);
    print_key(pn_node_key(node), out);
}

static void do_port(char *args, FILE *out)
{
    (void)args;
    fprintf(out, "ok %u", (unsigned)pn_node_port(node));
}

/* ---- handles ---- */

static void do_expose(char *args, FILE *out)
{
    const char *kind = word(&args);
    const char *name = word(&args);
    pn_err err = PN_OK;

    if (*name == '\0') {
        name = kind;
    }
    if (!ctool_expose(node, kind, name, &err)) {
        fprintf(out, "error no such kind: %s", kind);
        return;
    }
    if (n_exposed < sizeof(exposed) / sizeof(*exposed)) {
        snprintf(exposed[n_exposed].kind, sizeof(exposed->kind), "%s", kind);
        snprintf(exposed[n_exposed].name, sizeof(exposed->name), "%s", name);
        n_exposed++;
    }
    answer(err, out);
}

static void do_revoke(char *args, FILE *out)
{
    answer(pn_revoke(node, word(&args)), out);
}

/* ---- peers ---- */

static void do_pair(char *args, FILE *out)
{
    pn_public_key key;

    if (key_word(&args, &key, out)) {
        pn_err err = pn_pair(node, &key, *args != '\0' ? args : NULL);

        answer(err == PN_EXISTS ? PN_OK : err, out);
    }
}

static void do_unpair(char *args, FILE *out)
{
    pn_public_key key;

    if (key_word(&args, &key, out)) {
        answer(pn_unpair(node, &key), out);
    }
}

/* Prints the peers for which wanted returns true. */
static void print_peers(bool only_up, FILE *out)
{
    pn_peer_info *peers;
    size_t n;
    pn_err err = pn_list_peers(node, &peers, &n);

    if (err != PN_OK) {
        answer(err, out);
        return;
    }
    fputs("ok", out);
    for (size_t i = 0; i < n; i++) {
        if (!only_up || peers[i].state == PN_PEER_UP) {
            fputs(" ", out);
            print_key(&peers[i].key, out);
        }
    }
    free(peers);
}

static void do_peers(char *args, FILE *out)
{
    (void)args;
    print_peers(false, out);
}

static void do_links(char *args, FILE *out)
{
    (void)args;
    print_peers(true, out);
}

/* Whether the peer is of our kind, and its label. */
static void do_kind(char *args, FILE *out)
{
    pn_public_key key;
    pn_peer_info peer;

    if (key_word(&args, &key, out)) {
        pn_err err = pn_get_peer(node, &key, &peer);

        if (err != PN_OK) {
            answer(err, out);
            return;
        }
        fprintf(out, "ok %s %s", peer.is_our_kind ? "ours" : "other",
            peer.proposed_label);
    }
}

static void do_dial(char *args, FILE *out)
{
    pn_public_key key;
    char address[128];

    if (key_word(&args, &key, out)) {
        const char *host = word(&args);

        snprintf(address, sizeof(address), "%s:%s", host, word(&args));
        answer(pn_connect(node, &key, address), out);
    }
}

static void do_announce(char *args, FILE *out)
{
    pn_public_key key;
    char address[128];

    if (key_word(&args, &key, out)) {
        const char *host = word(&args);

        snprintf(address, sizeof(address), "%s:%s", host, word(&args));
        discovery_sink->found(discovery_sink->node, &key, address);
        fputs("ok", out);
    }
}

static void do_up(char *args, FILE *out)
{
    pn_public_key key;
    pn_why why = {0};

    if (key_word(&args, &key, out)) {
        pn_err err = pn_wait_connected(node, &key, number(&args), &why);

        answer(err, out);
        if (err != PN_OK) {
            fprintf(out, " %s", pn_reason_text(why.reason));
        }
    }
}

static void do_down(char *args, FILE *out)
{
    pn_public_key key;

    if (key_word(&args, &key, out)) {
        uint64_t deadline = now_us() + 1000U * (uint64_t)number(&args);

        while (pn_connected(node, &key) && now_us() < deadline) {
            nap();
        }
        answer(pn_connected(node, &key) ? PN_TIMEOUT : PN_OK, out);
    }
}

/* ---- messages ---- */

static void do_call(char *args, FILE *out)
{
    pn_public_key key;

    if (key_word(&args, &key, out)) {
        const char *name = word(&args);
        uint32_t ms = number(&args);
        pn_term_writer w;
        pn_term term;

        if (term_rest(args, &w, &term, out)) {
            pn_reply *reply = NULL;
            pn_err err = pn_call_term(node, &key, name, ms, term, &reply);

            answer_reply(err, reply, out);
        }
        pn_term_writer_free(&w);
    }
}

static void do_send(char *args, FILE *out)
{
    pn_public_key key;

    if (key_word(&args, &key, out)) {
        const char *name = word(&args);
        pn_term_writer w;
        pn_term term;

        if (term_rest(args, &w, &term, out)) {
            answer(pn_send_term(node, &key, name, term), out);
        }
        pn_term_writer_free(&w);
    }
}

/* Splits {Module, function, args} the way pn_beam_dist_call takes it. */
static bool split_mfa(pn_term term, char module[300], char function[300],
    pn_term *ret_args, FILE *out)
{
    pn_slice m;
    pn_slice f;

    if (!pn_term_match(term, "{~a, ~a, ~t}", &m, &f, ret_args)) {
        fputs("error no {M, F, A}", out);
        return false;
    }
    if (m.len > 7 && memcmp(m.data, "Elixir.", 7) == 0) {
        snprintf(module, 300, "%.*s", (int)m.len - 7, (const char *)m.data + 7);
    } else {
        snprintf(module, 300, ":%.*s", (int)m.len, (const char *)m.data);
    }
    snprintf(function, 300, "%.*s", (int)f.len, (const char *)f.data);
    return true;
}

static void dist(char *args, bool is_call, FILE *out)
{
    pn_public_key key;
    char module[300];
    char function[300];
    pn_term_writer w;
    pn_term mfa;
    pn_term list;
    uint32_t ms;
    const char *handle;

    if (!key_word(&args, &key, out)) {
        return;
    }
    ms = is_call ? number(&args) : 0;
    handle = word(&args);
    handle = strcmp(handle, "-") == 0 ? NULL : handle;
    if (term_rest(args, &w, &mfa, out)
        && split_mfa(mfa, module, function, &list, out)) {
        if (is_call) {
            pn_reply *reply = NULL;
            pn_err err = pn_beam_dist_call(
                node, &key, handle, module, function, list, ms, &reply);

            answer_reply(err, reply, out);
        } else {
            answer(
                pn_beam_dist_cast(node, &key, handle, module, function, list),
                out);
        }
    }
    pn_term_writer_free(&w);
}

static void do_rpc(char *args, FILE *out)
{
    dist(args, true, out);
}

static void do_cast(char *args, FILE *out)
{
    dist(args, false, out);
}

static void do_echo(char *args, FILE *out)
{
    pn_public_key key;
    pn_reply *reply = NULL;
    pn_slice sent;
    pn_slice got;
    uint8_t *data;
    uint32_t ms;
    pn_err err;

    if (!key_word(&args, &key, out)) {
        return;
    }
    ms = number(&args);
    sent.len = number(&args);
    data = ctool_alloc(NULL, sent.len + 1);
    for (size_t i = 0; i < sent.len; i++) {
        data[i] = (uint8_t)(i * 31 + i / 251);
    }
    sent.data = data;
    err = pn_call(node, &key, "echo", ms, &reply, "~b", sent);
    if (err != PN_OK) {
        answer_reply(err, reply, out);
    } else {
        bool same = pn_term_match(pn_reply_term(reply), "~b", &got)
                    && got.len == sent.len
                    && memcmp(got.data, data, sent.len) == 0;

        fputs(same ? "ok same" : "error differs", out);
        pn_reply_free(reply);
    }
    free(data);
}

static void do_blob(char *args, FILE *out)
{
    pn_public_key key;

    if (key_word(&args, &key, out)) {
        const char *name = word(&args);
        size_t n = number(&args);
        uint8_t *data = ctool_alloc(NULL, n + 1);
        pn_slice slice = {data, n};

        memset(data, 'b', n);
        answer(pn_send(node, &key, name, "~b", slice), out);
        free(data);
    }
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void do_burst(char *args, FILE *out)
{
    pn_public_key key;
    uint64_t times[256];
    uint32_t n;

    if (!key_word(&args, &key, out)) {
        return;
    }
    n = number(&args);
    if (n == 0 || n > 256) {
        fputs("error 1..256", out);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint64_t start = now_us();
        pn_err err = pn_send(node, &key, "sink", "~i", (int)i);

        if (err == PN_OK) {
            err = pn_call(node, &key, "echo", 5000, NULL, "~i", (int)i);
        }
        if (err != PN_OK) {
            answer(err, out);
            return;
        }
        times[i] = now_us() - start;
    }
    qsort(times, n, sizeof(*times), compare_u64);
    fprintf(out, "ok %llu %llu", (unsigned long long)times[n / 2],
        (unsigned long long)times[n - 1]);
}

static void do_seen(char *args, FILE *out)
{
    (void)args;
    ctool_lines_flush(&ctool_seen, out);
}

static void do_notes(char *args, FILE *out)
{
    (void)args;
    ctool_lines_flush(&ctool_notes, out);
}

/* ---- commands beside others ---- */

typedef struct task {
    char tag[32];
    char *line;
    char *answer;
    pthread_t thread;
    struct task *next;
} task;

static task *tasks;

static char *run(char *line);

static void *run_task(void *user)
{
    task *t = user;

    t->answer = run(t->line);
    return NULL;
}

static void do_start(char *args, FILE *out)
{
    task *t = ctool_alloc(NULL, sizeof(*t));

    snprintf(t->tag, sizeof(t->tag), "%s", word(&args));
    t->line = ctool_printf("%s", args);
    t->answer = NULL;
    if (pthread_create(&t->thread, NULL, run_task, t) != 0) {
        fputs("error no thread", out);
        free(t->line);
        free(t);
        return;
    }
    t->next = tasks;
    tasks = t;
    fputs("ok", out);
}

static void do_join(char *args, FILE *out)
{
    const char *tag = word(&args);
    struct timespec until;
    uint32_t ms = number(&args);
    task **at = &tasks;

    while (*at != NULL && strcmp((*at)->tag, tag) != 0) {
        at = &(*at)->next;
    }
    if (*at == NULL) {
        fputs("error no such task", out);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000 + 1;
    if (pthread_timedjoin_np((*at)->thread, NULL, &until) != 0) {
        fputs("error still running", out);
    } else {
        task *t = *at;

        *at = t->next;
        fputs(t->answer, out);
        free(t->answer);
        free(t->line);
        free(t);
    }
}

/* ---- dispatch ---- */

static const struct {
    const char *name;
    command_fn *run;
} commands[] = {
    {"open", do_open},
    {"close", do_close},
    {"restart", do_restart},
    {"alive", do_alive},
    {"key", do_key},
    {"port", do_port},
    {"expose", do_expose},
    {"revoke", do_revoke},
    {"pair", do_pair},
    {"unpair", do_unpair},
    {"peers", do_peers},
    {"links", do_links},
    {"kind", do_kind},
    {"dial", do_dial},
    {"announce", do_announce},
    {"up", do_up},
    {"down", do_down},
    {"call", do_call},
    {"send", do_send},
    {"rpc", do_rpc},
    {"cast", do_cast},
    {"echo", do_echo},
    {"blob", do_blob},
    {"burst", do_burst},
    {"seen", do_seen},
    {"notes", do_notes},
    {"start", do_start},
    {"join", do_join},
};

/* The answer to one line; malloc'ed. */
static char *run(char *line)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    char *args = line;
    const char *name = word(&args);
    size_t i = 0;

    if (out == NULL) {
        fputs("ctool: out of memory\n", stderr);
        exit(2);
    }
    while (i < sizeof(commands) / sizeof(*commands)
           && strcmp(commands[i].name, name) != 0) {
        i++;
    }
    if (i == sizeof(commands) / sizeof(*commands)) {
        fprintf(out, "error no such command: %s", name);
    } else if (node == NULL && strcmp(name, "open") != 0
               && strcmp(name, "alive") != 0 && strcmp(name, "join") != 0) {
        fputs("error not open", out);
    } else {
        commands[i].run(args, out);
    }
    fclose(out);
    return text;
}

int main(void)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;

    while ((len = getline(&line, &cap, stdin)) > 0) {
        char *text;

        if (line[len - 1] == '\n') {
            line[len - 1] = '\0';
        }
        if (strcmp(line, "quit") == 0) {
            break;
        }
        text = run(line);
        puts(text);
        fflush(stdout);
        free(text);
    }
    free(line);
    options.linger_ms = 0;
    pn_node_close(node);
    return 0;
}
