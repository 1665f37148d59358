/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our side of a case. Standard input and output carry terms behind their u32
 * length, as an Erlang port with {packet, 4} does: {Operation, ...} in,
 * {ok | error, Text, Term} out. Ends with its input.
 */
#include "ctool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINE_MAX_BYTES = 64 << 20,
    TEXT_MAX = 512,
    N_TEXTS = 8,
    MAX_ADDRESSES = 16
};

static pn_node *node;
static pn_barrel *barrel;

/* ---- terms ------------------------------------------------------------- */

/* A binary of the request as a string; some at a time. */
static const char *text_of(pn_slice bytes)
{
    static char texts[N_TEXTS][TEXT_MAX];
    static unsigned next;
    char *text = texts[next++ % N_TEXTS];
    size_t n = bytes.len < TEXT_MAX - 1 ? bytes.len : TEXT_MAX - 1;

    memcpy(text, bytes.data, n);
    text[n] = '\0';
    return text;
}

static void put(const void *data, size_t len)
{
    if (fwrite(data, 1, len, stdout) != len) {
        exit(2);
    }
}

static void put_u32(size_t n)
{
    uint8_t b[4] = {
        (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};

    put(b, sizeof(b));
}

/* {ok | error, Text, Term}; by hand, since Term may carry a pid. */
static void answer_term(bool is_ok, const char *text, pn_term term)
{
    static const uint8_t nil[] = {106};
    static const uint8_t begin[] = {131, 104, 3, 119};
    const char *tag = is_ok ? "ok" : "error";
    uint8_t tag_len = (uint8_t)strlen(tag);
    uint8_t binary = 109;

    if (term.len == 0) {
        term = (pn_term){nil, sizeof(nil)};
    }
    put_u32(sizeof(begin) + 1 + tag_len + 5 + strlen(text) + term.len);
    put(begin, sizeof(begin));
    put(&tag_len, 1);
    put(tag, tag_len);
    put(&binary, 1);
    put_u32(strlen(text));
    put(text, strlen(text));
    put(term.data, term.len);
    fflush(stdout);
}

static void answer(pn_err err, const char *text, pn_term term)
{
    answer_term(err == PN_OK, err == PN_OK ? text : pn_err_name(err), term);
}

static void answer_format(const char *format, va_list args)
{
    pn_term_writer w;
    pn_term term = {0};

    pn_term_writer_init(&w, LINE_MAX_BYTES);
    pn_term_write_vformat(&w, format, args);
    if (pn_term_writer_finish(&w, NULL, &term) == PN_OK) {
        answer_term(true, "", term);
    } else {
        answer_term(false, "unwritable", term);
    }
    pn_term_writer_free(&w);
}

static void answer_ok(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    answer_format(format, args);
    va_end(args);
}

static void answer_reply(pn_err err, pn_reply *reply)
{
    answer(err, "", pn_reply_term(reply));
    pn_reply_free(reply);
}

/* ---- operations -------------------------------------------------------- */

static void on_event(void *user, const pn_event *event)
{
    (void)user;
    fprintf(stderr, "event %d %s %s %s\n", (int)event->type,
        event->label == NULL ? "" : event->label, pn_reason_text(event->reason),
        event->text == NULL ? "" : event->text);
}

static void on_log(void *user, const pn_log_event *event)
{
    (void)user;
    fprintf(stderr, "log %s: %s\n", pn_log_text(event->what), event->text);
}

static bool open_node(const char *dir)
{
    static char data_dir[TEXT_MAX];
    pn_node_options o;

    pn_node_options_init(&o);
    (void)snprintf(data_dir, sizeof(data_dir), "%s/peernet", dir);
    o.data_dir = data_dir;
    o.listen_port = -1;
    o.linger_ms = 0;
    o.on_event = on_event;
    o.on_log = on_log;
    return pn_node_open(&o, &node, NULL) == PN_OK && ctool_serve(node);
}

/* Of a list [{Name, Address}, ...]. */
static size_t read_addresses(pn_term list, pn_barrel_address *to)
{
    pn_term_reader r;
    size_t n = 0;

    pn_term_reader_init(&r, list);
    for (uint32_t left = pn_term_read_list(&r); left > 0 && n < MAX_ADDRESSES;
         left--) {
        pn_slice name;
        pn_slice address;

        if (!pn_term_match(pn_term_read_any(&r), "{~b, ~b}", &name, &address)) {
            break;
        }
        to[n].name = strndup((const char *)name.data, name.len);
        to[n++].address = strndup((const char *)address.data, address.len);
    }
    return n;
}

/* {open, Dir, Name, Cookie, tofu | strict, Address, Port, [{Name, Address}],
 * IsVisible, DiscoveryDir, Dials}; <<>>: none */
static bool op_open(pn_term request)
{
    pn_why why = {0};
    pn_slice dir, name, cookie, trust, address, discovery;
    pn_term addresses;
    pn_barrel_address found[MAX_ADDRESSES];
    pn_barrel_options o;
    char keys[TEXT_MAX * 2], quic[TEXT_MAX * 2];
    int port;
    bool visible;
    bool dials;
    pn_err err = PN_INVALID;

    if (!pn_term_match(request,
            "{open, ~b, ~b, ~b, ~a, ~b, ~i, ~t, ~o, ~b, ~o}", &dir, &name,
            &cookie, &trust, &address, &port, &addresses, &visible, &discovery,
            &dials)) {
        return false;
    }
    pn_barrel_options_init(&o);
    (void)snprintf(keys, sizeof(keys), "%s/keys", text_of(dir));
    (void)snprintf(quic, sizeof(quic), "%s/quic", text_of(dir));
    o.key_dir = keys;
    o.cert_dir = quic;
    o.name = text_of(name);
    o.cookie = text_of(cookie);
    o.listen_address = text_of(address);
    o.listen_port = port;
    o.trust = trust.len == 4 ? PN_BARREL_TOFU : PN_BARREL_STRICT;
    o.dns_port = 0;
    o.new_pin_ms = 1;
    o.visible = visible;
    o.dial_pinned = dials;
    o.discovery_dir = discovery.len == 0 ? NULL : text_of(discovery);
    o.addresses = found;
    o.n_addresses = read_addresses(addresses, found);
    if (open_node(text_of(dir))) {
        err = pn_barrel_open(node, &o, &barrel, &why);
    }
    if (err != PN_OK) {
        answer_term(false, why.text, (pn_term){0});
    } else {
        pn_ed25519_key key;

        pn_barrel_key(barrel, &key);
        answer_ok("{~i, ~k}", (int)pn_barrel_port(barrel), &key);
    }
    return true;
}

/* {grant, Key} */
static bool op_grant(pn_term request)
{
    pn_ed25519_key key;

    if (!pn_term_match(request, "{grant, ~k}", &key)) {
        return false;
    }
    answer(ctool_grant(node, &key), "", (pn_term){0});
    return true;
}

/* {connect, Name, Ms} */
static bool op_connect(pn_term request)
{
    pn_why why = {0};
    pn_slice name;
    int ms;
    pn_err err;

    if (!pn_term_match(request, "{connect, ~b, ~i}", &name, &ms)) {
        return false;
    }
    err = pn_barrel_connect(barrel, text_of(name), (uint32_t)ms, &why);
    answer_term(err == PN_OK, err == PN_OK ? "" : why.text, (pn_term){0});
    return true;
}

/* {disconnect, Name} */
static bool op_disconnect(pn_term request)
{
    pn_slice name;

    if (!pn_term_match(request, "{disconnect, ~b}", &name)) {
        return false;
    }
    answer(pn_barrel_disconnect(barrel, text_of(name)), "", (pn_term){0});
    return true;
}

/* {rpc, Name, Module, Function, Args, Ms} */
static bool op_rpc(pn_term request)
{
    pn_slice name, module, function;
    pn_term args;
    pn_reply *reply = NULL;
    int ms;
    pn_err err;

    if (!pn_term_match(request, "{rpc, ~b, ~b, ~b, ~t, ~i}", &name, &module,
            &function, &args, &ms)) {
        return false;
    }
    err = pn_rpc(barrel, text_of(name), text_of(module), text_of(function),
        args, (uint32_t)ms, &reply);
    answer_reply(err, reply);
    return true;
}

/* {call, Name, Process, Request, Ms} */
static bool op_call(pn_term request)
{
    pn_slice name, process;
    pn_term what;
    pn_reply *reply = NULL;
    int ms;
    pn_err err;

    if (!pn_term_match(
            request, "{call, ~b, ~b, ~t, ~i}", &name, &process, &what, &ms)) {
        return false;
    }
    err = pn_gen_call(
        barrel, text_of(name), text_of(process), what, (uint32_t)ms, &reply);
    answer_reply(err, reply);
    return true;
}

/* {load, IsAtOnce, N, Name, Module, Function, Args, Want, Ms} */
static bool op_load(pn_term request)
{
    pn_slice name, module, function;
    ctool_load load = {.barrel = barrel};
    bool at_once;
    int n, ms;

    if (!pn_term_match(request, "{load, ~o, ~i, ~b, ~b, ~b, ~t, ~t, ~i}",
            &at_once, &n, &name, &module, &function, &load.args, &load.want,
            &ms)) {
        return false;
    }
    load.name = text_of(name);
    load.module = text_of(module);
    load.function = text_of(function);
    load.ms = (uint32_t)ms;
    answer_ok("~i", (int)(at_once ? ctool_at_once(&load, (unsigned)n)
                                  : ctool_in_turn(&load, (unsigned)n)));
    return true;
}

/* {send, Name, Process, Message} */
static bool op_send(pn_term request)
{
    pn_slice name, process;
    pn_term message;

    if (!pn_term_match(
            request, "{send, ~b, ~b, ~t}", &name, &process, &message)) {
        return false;
    }
    answer(pn_barrel_send(barrel, text_of(name), text_of(process), message), "",
        (pn_term){0});
    return true;
}

/* {monitor, Name, Process}; Process <<>>: the node */
static bool op_monitor(pn_term request)
{
    pn_slice name, process;
    uint64_t id = 0;
    pn_err err;

    if (!pn_term_match(request, "{monitor, ~b, ~b}", &name, &process)) {
        return false;
    }
    err = pn_barrel_monitor(barrel, text_of(name),
        process.len == 0 ? NULL : text_of(process), ctool_on_down, NULL, &id);
    if (err == PN_OK) {
        answer_ok("~u", id);
    } else {
        answer(err, "", (pn_term){0});
    }
    return true;
}

/* {wait_down, Monitor, Ms} */
static bool op_wait_down(pn_term request)
{
    pn_term reason = {0};
    uint64_t id;
    int ms;

    if (!pn_term_match(request, "{wait_down, ~u, ~i}", &id, &ms)) {
        return false;
    }
    answer(ctool_wait_down(id, (uint32_t)ms, &reason) ? PN_OK : PN_TIMEOUT, "",
        reason);
    free((void *)(uintptr_t)reason.data);
    return true;
}

/* {sunk}: the newest message; the text is how many there were */
static bool op_sunk(pn_term request)
{
    char text[32];
    pn_term last = {0};

    if (!pn_term_match(request, "{sunk}")) {
        return false;
    }
    (void)snprintf(text, sizeof(text), "%u", ctool_sunk(&last));
    answer(PN_OK, text, last);
    free((void *)(uintptr_t)last.data);
    return true;
}

/* {pinned, Name} */
static bool op_pinned(pn_term request)
{
    pn_ed25519_key key;
    pn_slice name;
    pn_err err;

    if (!pn_term_match(request, "{pinned, ~b}", &name)) {
        return false;
    }
    err = pn_barrel_pinned(barrel, text_of(name), &key);
    if (err == PN_OK) {
        answer_ok("~k", &key);
    } else {
        answer(err, "", (pn_term){0});
    }
    return true;
}

/* {nodes}: how many; the text is their names */
static bool op_nodes(pn_term request)
{
    pn_barrel_node_info *nodes;
    char text[TEXT_MAX] = "";
    size_t n;

    if (!pn_term_match(request, "{nodes}")) {
        return false;
    }
    if (pn_barrel_nodes(barrel, &nodes, &n) != PN_OK) {
        answer(PN_NOMEM, "", (pn_term){0});
        return true;
    }
    for (size_t i = 0; i < n; i++) {
        size_t used = strlen(text);

        (void)snprintf(text + used, sizeof(text) - used, "%s%s",
            i > 0 ? " " : "", nodes[i].name);
    }
    free(nodes);
    answer(PN_OK, text, (pn_term){0});
    return true;
}

static bool (*const operations[])(pn_term request) = {op_open, op_grant,
    op_connect, op_disconnect, op_rpc, op_call, op_load, op_send, op_monitor,
    op_wait_down, op_sunk, op_pinned, op_nodes};

static void serve(pn_term request)
{
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        if (operations[i](request)) {
            return;
        }
    }
    answer(PN_INVALID, "", (pn_term){0});
}

static bool read_request(uint8_t **buf, size_t *cap, size_t *len)
{
    uint8_t head[4];

    if (fread(head, 1, sizeof(head), stdin) != sizeof(head)) {
        return false;
    }
    *len = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8
           | head[3];
    if (*len > LINE_MAX_BYTES) {
        return false;
    }
    if (*len > *cap) {
        free(*buf);
        *cap = *len;
        *buf = malloc(*cap);
    }
    return *buf != NULL && fread(*buf, 1, *len, stdin) == *len;
}

int main(void)
{
    pn_term_limits limits;
    uint8_t *buf = NULL;
    size_t cap = 0;
    size_t len;

    pn_term_limits_init(&limits);
    limits.max_bytes = LINE_MAX_BYTES;
    while (read_request(&buf, &cap, &len)) {
        pn_term request;

        if (pn_term_parse(buf, len, &limits, &request, NULL) != PN_OK) {
            answer(PN_MALFORMED, "", (pn_term){0});
        } else {
            serve(request);
        }
    }
    free(buf);
    pn_node_close(node);
    return 0;
}
