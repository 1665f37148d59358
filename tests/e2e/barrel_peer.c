/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node with a Barrel part that is driven by commands, through the public
 * headers alone; for tests between hosts.
 *
 *   barrel_peer key DIR              prints the key of the identity there
 *   barrel_peer pin DIR NAME KEY
 *   barrel_peer run NAME DIR ADDRESS PORT [WHAT]...
 *
 * WHAT is NAME@HOST=ADDRESS:PORT (where a node is), grant=KEY (who may use
 * "echo" and "inbox"), or OPTION=NUMBER, a limit of pn_barrel_options. It
 * prints "ready PORT", then a line "up", "down" or "failed" for each event, and
 * "= N RESULT" for the N-th command. A command is a line of standard input:
 *
 *   connect NAME MS    calls NAME N IN_FLIGHT   sends NAME N
 *   big NAME BYTES     dial NAME N (N names: "1NAME", "2NAME"... at once)
 *   metrics            nodes                    quit
 */
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/prctl.h>

#include <peernet/barrel.h>

enum {
    LIFE_S = 400, /* whatever happens to the script */
    CALL_MS = 150000,
    MAX_ADDRESSES = 256,
    MAX_WORDS = 4
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

/* ---- output ------------------------------------------------------------ */

static void say(const char *format, ...) PN_PRINTF(1, 2);
static void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    flockfile(stdout);
    (void)vprintf(format, args);
    (void)putchar('\n');
    (void)fflush(stdout);
    funlockfile(stdout);
    va_end(args);
}

static _Noreturn void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static void on_event(void *user, const pn_event *event)
{
    (void)user;
    if (event->type == PN_EVENT_PEER_UP) {
        say("up %s", event->label);
    } else if (event->type == PN_EVENT_PEER_DOWN) {
        say("down %s: %s", event->label, event->text);
    } else if (event->type == PN_EVENT_DIAL_FAILED) {
        say("failed %s: %s", event->label, event->text);
    } else if (event->type == PN_EVENT_NETWORK_CHANGED) {
        say("network-changed %s", event->text);
    }
}

static void on_log(void *user, const pn_log_event *event)
{
    (void)user;
    if (event->level >= PN_LOG_WARNING) {
        say("log %s: %s", pn_log_text(event->what),
            event->text == NULL ? "" : event->text);
    }
}

/* ---- handles ----------------------------------------------------------- */

static void on_echo(pn_request *req, pn_term args, void *user)
{
    (void)user;
    (void)pn_request_reply_term(req, args);
}

/* Messages are 1, 2, 3...; a call returns how many came and how many of them
 * were out of order, and starts the count anew. */
static void on_inbox(pn_request *req, pn_term args, void *user)
{
    static int64_t last;
    static int n;
    static int n_wrong;
    int64_t number = 0;

    (void)user;
    (void)pthread_mutex_lock(&lock);
    if (pn_request_is_call(req)) {
        (void)pn_request_reply(req, "{~i, ~i}", n, n_wrong);
        last = n = n_wrong = 0;
    } else {
        n++;
        n_wrong += pn_term_match(args, "~l", &number) && number == last + 1 ? 0
                                                                            : 1;
        last = number;
    }
    (void)pthread_mutex_unlock(&lock);
}

/* ---- many calls at once ------------------------------------------------ */

typedef struct batch {
    int n_flying;
    int n_right;
    int64_t last; /* answered */
    pn_err first_error;
} batch;

typedef struct one_call {
    batch *of;
    int64_t number;
} one_call;

/* Answers come in the order of the calls: one stream each way, one handler. */
static void on_answer(void *user, pn_err outcome, pn_term value)
{
    one_call *call = user;
    batch *b = call->of;
    int64_t number = 0;

    (void)pthread_mutex_lock(&lock);
    if (outcome == PN_OK && pn_term_match(value, "{is, ~l}", &number)
        && number == call->number && b->last == number - 1) {
        b->n_right++;
    } else if (b->first_error == PN_OK) {
        b->first_error = outcome == PN_OK ? PN_MISMATCH : outcome;
    }
    b->last = call->number;
    b->n_flying--;
    (void)pthread_cond_signal(&changed);
    (void)pthread_mutex_unlock(&lock);
    free(call);
}

static void nap(void)
{
    struct timespec pause = {.tv_nsec = 2000000};

    (void)nanosleep(&pause, NULL);
}

static pn_err call_one(
    pn_barrel *barrel, const char *name, batch *b, int64_t number)
{
    one_call *call = malloc(sizeof(*call));
    pn_term_writer w;
    pn_term term;
    pn_err err;

    if (call == NULL) {
        return PN_NOMEM;
    }
    *call = (one_call){b, number};
    pn_term_writer_init(&w, 0);
    pn_term_write_format(&w, "{is, ~l}", number);
    err = pn_term_writer_finish(&w, NULL, &term);
    while (err == PN_OK) {
        err = pn_gen_call_async(
            barrel, name, "echo", term, CALL_MS, on_answer, call);
        if (err != PN_BUSY) {
            break;
        }
        nap();
        err = PN_OK;
    }
    pn_term_writer_free(&w);
    if (err != PN_OK) {
        free(call);
    }
    return err;
}

static void do_calls(
    pn_barrel *barrel, const char *name, int n, int in_flight, unsigned seq)
{
    batch b = {0};
    pn_err err = PN_OK;

    (void)pthread_mutex_lock(&lock);
    for (int i = 1; i <= n && err == PN_OK && b.first_error == PN_OK; i++) {
        while (b.n_flying >= in_flight) {
            (void)pthread_cond_wait(&changed, &lock);
        }
        b.n_flying++;
        (void)pthread_mutex_unlock(&lock);
        err = call_one(barrel, name, &b, i);
        (void)pthread_mutex_lock(&lock);
    }
    b.n_flying -= err != PN_OK ? 1 : 0;
    while (b.n_flying > 0) {
        (void)pthread_cond_wait(&changed, &lock);
    }
    (void)pthread_mutex_unlock(&lock);
    err = err != PN_OK ? err : b.first_error;
    say("= %u %d right: %s", seq, b.n_right, pn_strerror(err));
}

/* ---- the other commands ------------------------------------------------ */

static void do_connect(
    pn_barrel *barrel, const char *name, int ms, unsigned seq)
{
    pn_why why = {0};
    pn_err err = pn_barrel_connect(barrel, name, (uint32_t)ms, &why);

    say("= %u %s: %s", seq, pn_strerror(err), why.text);
}

static pn_err send_one(pn_barrel *barrel, const char *name, int64_t number)
{
    pn_term_writer w;
    pn_term term;
    pn_err err;

    pn_term_writer_init(&w, 0);
    pn_term_write_int64(&w, number);
    err = pn_term_writer_finish(&w, NULL, &term);
    while (err == PN_OK) {
        err = pn_barrel_send(barrel, name, "inbox", term);
        if (err != PN_BUSY) {
            break;
        }
        nap();
        err = PN_OK;
    }
    pn_term_writer_free(&w);
    return err;
}

static void do_sends(pn_barrel *barrel, const char *name, int n, unsigned seq)
{
    pn_term nothing;
    pn_term_writer w;
    pn_reply *reply = NULL;
    int came = 0;
    int wrong = 0;
    pn_err err = PN_OK;

    for (int i = 1; i <= n && err == PN_OK; i++) {
        err = send_one(barrel, name, i);
    }
    pn_term_writer_init(&w, 0);
    pn_term_write_atom(&w, "count");
    if (err == PN_OK) {
        err = pn_term_writer_finish(&w, NULL, &nothing);
    }
    if (err == PN_OK) {
        err = pn_gen_call(barrel, name, "inbox", nothing, CALL_MS, &reply);
    }
    if (err == PN_OK
        && !pn_term_match(pn_reply_term(reply), "{~i, ~i}", &came, &wrong)) {
        err = PN_MISMATCH;
    }
    pn_reply_free(reply);
    pn_term_writer_free(&w);
    say("= %u %d came, %d wrong: %s", seq, came, wrong, pn_strerror(err));
}

static void do_big(
    pn_barrel *barrel, const char *name, size_t len, unsigned seq)
{
    uint8_t *data = malloc(len);
    pn_reply *reply = NULL;
    pn_term_writer w;
    pn_term term;
    uint32_t x = 1;
    pn_err err;

    if (data == NULL) {
        die("big", "no memory");
    }
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525u + 1013904223u;
        data[i] = (uint8_t)(x >> 24);
    }
    pn_term_writer_init(&w, len + 64);
    pn_term_write_binary(&w, data, len);
    err = pn_term_writer_finish(&w, NULL, &term);
    if (err == PN_OK) {
        err = pn_gen_call(barrel, name, "echo", term, CALL_MS, &reply);
    }
    if (err == PN_OK && !pn_term_equal(pn_reply_term(reply), term)) {
        err = PN_MISMATCH;
    }
    pn_reply_free(reply);
    pn_term_writer_free(&w);
    free(data);
    say("= %u %s", seq, pn_strerror(err));
}

static void on_dialled(void *user, pn_err outcome, pn_term value)
{
    (void)user;
    (void)outcome;
    (void)value;
}

static void do_dial(pn_barrel *barrel, const char *name, int n, unsigned seq)
{
    int n_begun = 0;

    for (int i = 1; i <= n; i++) {
        char full[300];

        (void)snprintf(full, sizeof(full), "%d%s", i, name);
        n_begun += pn_barrel_connect_async(
                       barrel, full, CALL_MS, on_dialled, NULL)
                           == PN_OK
                       ? 1
                       : 0;
    }
    say("= %u %d begun", seq, n_begun);
}

static void do_metrics(pn_barrel *barrel, unsigned seq)
{
    pn_barrel_metrics m;

    pn_barrel_get_metrics(barrel, &m);
    say("= %u out %llu ok %llu failed, in %llu ok %llu failed, up %llu, "
        "retries %llu.",
        seq, (unsigned long long)m.auth_ok_outgoing,
        (unsigned long long)m.auth_fail_outgoing,
        (unsigned long long)m.auth_ok_incoming,
        (unsigned long long)m.auth_fail_incoming,
        (unsigned long long)m.links_up, (unsigned long long)m.retries_sent);
}

static void do_nodes(pn_barrel *barrel, unsigned seq)
{
    pn_barrel_node_info *nodes = NULL;
    size_t n = 0;
    char text[1024] = "";
    size_t len = 0;

    if (pn_barrel_nodes(barrel, &nodes, &n) != PN_OK) {
        die("nodes", "no memory");
    }
    for (size_t i = 0; i < n && len < sizeof(text) - 400; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, " %s %s;",
            nodes[i].name, nodes[i].address);
    }
    free(nodes);
    say("= %u %zu:%s", seq, n, text);
}

static bool obey(pn_barrel *barrel, char *line, unsigned seq)
{
    const char *words[MAX_WORDS] = {"", "", "", ""};
    char *rest = NULL;
    char *word = strtok_r(line, " \n", &rest);

    for (int i = 0; i < MAX_WORDS && word != NULL; i++) {
        words[i] = word;
        word = strtok_r(NULL, " \n", &rest);
    }
    if (strcmp(words[0], "connect") == 0) {
        do_connect(barrel, words[1], atoi(words[2]), seq);
    } else if (strcmp(words[0], "calls") == 0) {
        do_calls(barrel, words[1], atoi(words[2]), atoi(words[3]), seq);
    } else if (strcmp(words[0], "sends") == 0) {
        do_sends(barrel, words[1], atoi(words[2]), seq);
    } else if (strcmp(words[0], "big") == 0) {
        do_big(barrel, words[1], (size_t)atoi(words[2]), seq);
    } else if (strcmp(words[0], "dial") == 0) {
        do_dial(barrel, words[1], atoi(words[2]), seq);
    } else if (strcmp(words[0], "metrics") == 0) {
        do_metrics(barrel, seq);
    } else if (strcmp(words[0], "nodes") == 0) {
        do_nodes(barrel, seq);
    } else {
        return false;
    }
    return true;
}

/* ---- the node ---------------------------------------------------------- */

typedef struct peer {
    pn_node *node;
    pn_barrel *barrel;
    pn_barrel_options opt;
    pn_barrel_address addresses[MAX_ADDRESSES];
    pn_ed25519_key grants[16];
    size_t n_grants;
} peer;

typedef struct limit {
    const char *name;
    size_t offset;
} limit;

#define LIMIT(field)                                                           \
    {                                                                          \
#field, offsetof(pn_barrel_options, field)                             \
    }

static const limit limits[] = {
    LIMIT(auth_timeout_ms),
    LIMIT(connect_timeout_ms),
    LIMIT(keep_alive_ms),
    LIMIT(dead_after_ms),
    LIMIT(retry_above),
    LIMIT(max_links),
};

static bool take_limit(peer *p, const char *name, const char *value)
{
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        if (strcmp(name, limits[i].name) == 0) {
            uint32_t number = (uint32_t)atoi(value);

            memcpy((char *)&p->opt + limits[i].offset, &number, sizeof(number));
            return true;
        }
    }
    return false;
}

/* "NAME=VALUE", cut in two. */
static void take(peer *p, char *what)
{
    char *value = strchr(what, '=');

    if (value == NULL) {
        die(what, "no '='");
    }
    *value++ = '\0';
    if (strcmp(what, "grant") == 0) {
        if (p->n_grants == 16
            || pn_ed25519_key_parse(value, &p->grants[p->n_grants++])
                   != PN_OK) {
            die(value, "no key");
        }
    } else if (strchr(what, '@') != NULL) {
        if (p->opt.n_addresses == MAX_ADDRESSES) {
            die(what, "too many addresses");
        }
        p->addresses[p->opt.n_addresses++] = (pn_barrel_address){what, value};
    } else if (!take_limit(p, what, value)) {
        die(what, "no such option");
    }
}

static void grant_all(peer *p)
{
    for (size_t i = 0; i < p->n_grants; i++) {
        pn_principal who = pn_barrel_principal(&p->grants[i]);

        if (pn_grant(p->node, "echo", &who) != PN_OK
            || pn_grant(p->node, "inbox", &who) != PN_OK) {
            die("grant", "no memory");
        }
    }
}

static void open_peer(peer *p, const char *dir)
{
    pn_why why = {0};
    char data[256];
    char keys[256];
    char quic[256];
    pn_node_options node;
    pn_expose_options closed;

    (void)snprintf(data, sizeof(data), "%s/data", dir);
    (void)snprintf(keys, sizeof(keys), "%s/keys", dir);
    (void)snprintf(quic, sizeof(quic), "%s/quic", dir);
    pn_node_options_init(&node);
    node.data_dir = data;
    node.listen_port = PN_PORT_NONE;
    node.on_event = on_event;
    node.on_log = on_log;
    if (pn_node_open(&node, &p->node, &why) != PN_OK) {
        die("node", why.text);
    }
    pn_expose_options_init(&closed);
    closed.flags = PN_EXPOSE_CLOSED;
    if (pn_expose(p->node, "echo", on_echo, NULL, &closed) != PN_OK
        || pn_expose(p->node, "inbox", on_inbox, NULL, &closed) != PN_OK) {
        die("expose", "no memory");
    }
    grant_all(p);
    p->opt.cookie = "biscuit";
    p->opt.key_dir = keys;
    p->opt.cert_dir = quic;
    p->opt.dns_port = 0;
    p->opt.addresses = p->addresses;
    if (pn_barrel_open(p->node, &p->opt, &p->barrel, &why) != PN_OK) {
        die("barrel", why.text);
    }
}

static int run(int argc, char **argv)
{
    static peer p;
    char line[512];
    unsigned seq = 0;

    pn_barrel_options_init(&p.opt);
    p.opt.name = argv[2];
    p.opt.listen_address = argv[4];
    p.opt.listen_port = atoi(argv[5]);
    for (int i = 6; i < argc; i++) {
        take(&p, argv[i]);
    }
    open_peer(&p, argv[3]);
    say("ready %u", pn_barrel_port(p.barrel));
    while (fgets(line, sizeof(line), stdin) != NULL
           && obey(p.barrel, line, ++seq)) {}
    pn_node_close(p.node);
    say("closed");
    return 0;
}

/* ---- keys -------------------------------------------------------------- */

static int keys(int argc, char **argv)
{
    char dir[256];
    char text[PN_BASE32_LEN + 1];
    pn_why why = {0};
    pn_barrel_store *store = NULL;
    pn_ed25519_key key;
    pn_err err;

    (void)snprintf(dir, sizeof(dir), "%s/keys", argv[2]);
    err = pn_barrel_store_open(dir, &store, &why, NULL);
    if (err == PN_OK && argc == 5) {
        err = pn_ed25519_key_parse(argv[4], &key);
        if (err == PN_OK) {
            err = pn_barrel_store_pin(store, argv[3], &key, &why);
        }
    } else if (err == PN_OK) {
        pn_principal who = pn_barrel_principal(pn_barrel_store_key(store));

        pn_principal_to_base32(&who, text);
        say("%s", text);
    }
    pn_barrel_store_close(store);
    if (err != PN_OK) {
        die(pn_strerror(err), why.text);
    }
    return 0;
}

int main(int argc, char **argv)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)alarm(LIFE_S);
    if (argc >= 6 && strcmp(argv[1], "run") == 0) {
        return run(argc, argv);
    }
    if ((argc == 3 && strcmp(argv[1], "key") == 0)
        || (argc == 5 && strcmp(argv[1], "pin") == 0)) {
        return keys(argc, argv);
    }
    die("usage", "barrel_peer key|pin|run ...");
}
