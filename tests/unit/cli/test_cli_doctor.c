/* SPDX-License-Identifier: Apache-2.0 */
/* The table of doctor's verdicts, and its TCP connection. */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "commands/doctor.h"
#include "commands/doctor_probe.h"
#include "harness.h"

static bool is_in(const doctor_step *steps, const char *name)
{
    for (; steps->name != NULL; steps++) {
        if (strcmp(steps->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_word(const char *const *words, const char *name)
{
    for (; *words != NULL; words++) {
        if (strcmp(*words, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_step(const char *name)
{
    static const char *const within[] = {
        "protocol", "key", "paired-there", "ping", NULL};

    return is_word(within, name) || is_in(doctor_files, name)
           || is_in(doctor_here, name) || is_in(doctor_there, name);
}

/* Of the one link to a node of an Erlang cluster. */
static bool is_step_of_node(const char *name)
{
    static const char *const stages[] = {"address", "udp", "protocol", "pin",
        "clock", "pin-there", "cookie", "distribution", "ping", NULL};

    return is_word(stages, name) || is_in(doctor_node, name);
}

static void check_verdict(const cli_verdict *v, bool is_node)
{
    assert_ptr_equal(cli_verdict_find(v->name, is_node), v);
    assert_int_equal(strspn(v->name, "abcdefghijklmnopqrstuvwxyz0123456789-?"),
        strlen(v->name));
    assert_true(is_node ? is_step_of_node(v->step) : is_step(v->step));
    assert_true(v->status != CLI_OK);
    assert_true(strlen(v->usually) > 10 && strlen(v->next) > 10);
}

/* Names are words, each is there once in a table, of a step that is walked, and
 * does not end the command as a success. */
static void test_cli_doctor_table(void **state)
{
    (void)state;
    for (const cli_verdict *v = cli_verdicts; v->name != NULL; v++) {
        check_verdict(v, false);
    }
    for (const cli_verdict *v = cli_node_verdicts; v->name != NULL; v++) {
        check_verdict(v, true);
    }
    assert_null(cli_verdict_find("nothing-like-it", false));
    assert_null(cli_verdict_find("nothing-like-it", true));
    assert_null(cli_verdict_find("cookie-differs?", false));
    assert_ptr_equal(cli_verdict_find("clock-wrong", true),
        cli_verdict_find("clock-wrong", false));
}

/* What to do towards a node of a cluster speaks of no peers. */
static void test_cli_doctor_families(void **state)
{
    static const char *const of_peers[] = {
        "peernet pair", "peernet id", "peernet peers", "7100", "4040", "TCP"};

    (void)state;
    for (const cli_verdict *v = cli_node_verdicts; v->name != NULL; v++) {
        for (size_t i = 0; i < sizeof(of_peers) / sizeof(of_peers[0]); i++) {
            assert_null(strstr(v->next, of_peers[i]));
            assert_null(strstr(v->usually, of_peers[i]));
        }
    }
}

/* Why a dial fails for good, or a call is refused, is a verdict of the same
 * name. */
static void test_cli_doctor_reasons(void **state)
{
    static const pn_reason of_peers[] = {PN_REASON_NO_SUCH_HANDLE,
        PN_REASON_FORBIDDEN, PN_REASON_HANDLER_TIMEOUT,
        PN_REASON_HANDLER_FAILED, PN_REASON_NOT_PAIRED_THERE,
        PN_REASON_KEY_MISMATCH, PN_REASON_OWN_KEY, PN_REASON_BAD_HANDSHAKE,
        PN_REASON_HANDSHAKE_TIMEOUT, PN_REASON_PING_TIMEOUT,
        PN_REASON_CONNECTION_REFUSED, PN_REASON_PEER_LISTENS_ON_LOOPBACK,
        PN_REASON_UNREACHABLE, PN_REASON_CONNECT_TIMEOUT,
        PN_REASON_CONNECTION_RESET, PN_REASON_TOO_MANY};
    static const pn_reason of_nodes[] = {PN_REASON_UNREACHABLE,
        PN_REASON_CONNECTION_REFUSED, PN_REASON_CONNECT_TIMEOUT,
        PN_REASON_BAD_HANDSHAKE, PN_REASON_CONNECTION_RESET,
        PN_REASON_UNTRUSTED_PEER, PN_REASON_KEY_MISMATCH, PN_REASON_OWN_KEY,
        PN_REASON_CLOCK_DIFFERS, PN_REASON_NOT_PAIRED_THERE,
        PN_REASON_PEER_CLOSED, PN_REASON_COOKIE_DIFFERS,
        PN_REASON_HANDSHAKE_TIMEOUT, PN_REASON_PING_TIMEOUT};

    (void)state;
    for (size_t i = 0; i < sizeof(of_peers) / sizeof(of_peers[0]); i++) {
        assert_non_null(cli_verdict_find(pn_reason_text(of_peers[i]), false));
    }
    for (size_t i = 0; i < sizeof(of_nodes) / sizeof(of_nodes[0]); i++) {
        const char *name = pn_reason_text(of_nodes[i]);

        assert_non_null(cli_verdict_find(name, true));
        assert_ptr_not_equal(
            cli_verdict_find(name, true), cli_verdict_find(name, false));
    }
}

/* A listener on loopback that greets each connection, or does not. */
static int listen_at(char address[static 32])
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    (void)snprintf(address, 32, "127.0.0.1:%u", ntohs(at.sin_port));
    return fd;
}

/* A connection to that listener, which does not wait. */
static int dial_at(int listener)
{
    struct sockaddr_in at;
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    (void)connect(fd, (struct sockaddr *)&at, len);
    return fd;
}

typedef struct probed {
    cli_session session;
    char greeting[8];
    size_t len;
} probed;

static void probed_init(probed *p)
{
    memset(p, 0, sizeof(*p));
    assert_int_equal(uv_loop_init(&p->session.loop), 0);
    assert_int_equal(uv_timer_init(&p->session.loop, &p->session.timer), 0);
    assert_int_equal(uv_timer_init(&p->session.loop, &p->session.slow), 0);
    p->session.timer.data = &p->session;
    p->session.slow.data = &p->session;
}

static void probed_fini(probed *p)
{
    uv_close((uv_handle_t *)&p->session.timer, NULL);
    uv_close((uv_handle_t *)&p->session.slow, NULL);
    (void)uv_run(&p->session.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&p->session.loop), 0);
}

static int probe(probed *p, const char *address, uint64_t max_ms)
{
    return cli_probe_tcp(&p->session, address, max_ms, CLI_PROBE_GREETING_MS,
        p->greeting, sizeof(p->greeting), &p->len);
}

static void test_cli_doctor_probe(void **state)
{
    char address[32];
    int fd = listen_at(address);
    probed p;

    (void)state;
    probed_init(&p);
    p.len = 9;
    p.greeting[0] = 'x';
    assert_int_equal(probe(&p, address, 5000), 0);
    assert_int_equal(p.len, 0);
    assert_string_equal(p.greeting, "");
    (void)close(fd);
    assert_int_equal(probe(&p, address, 5000), ECONNREFUSED);
    assert_int_equal(probe(&p, "nowhere:1", 5000), EINVAL);
    assert_int_equal(probe(&p, "127.0.0.1", 5000), EINVAL);
    assert_int_equal(probe(&p, "[::1:7", 5000), EINVAL);
    probed_fini(&p);
}

/* A backlog that is full answers no SYN: the probe ends when its time is over,
 * and at once when a signal came. */
static void test_cli_doctor_probe_unanswered(void **state)
{
    char address[32];
    int fd = listen_at(address);
    int fill[4];
    probed p;

    (void)state;
    assert_int_equal(listen(fd, 0), 0);
    for (size_t i = 0; i < 4; i++) {
        fill[i] = dial_at(fd);
    }
    probed_init(&p);
    assert_int_equal(probe(&p, address, 50), ETIMEDOUT);
    p.session.signal = SIGINT;
    assert_int_equal(probe(&p, address, 600000), EINTR);
    probed_fini(&p);
    for (size_t i = 0; i < 4; i++) {
        (void)close(fill[i]);
    }
    (void)close(fd);
}

int main(void)
{
    pn_test_add("cli/doctor/table", test_cli_doctor_table, NULL);
    pn_test_add("cli/doctor/families", test_cli_doctor_families, NULL);
    pn_test_add("cli/doctor/reasons", test_cli_doctor_reasons, NULL);
    pn_test_add("cli/doctor/probe", test_cli_doctor_probe, NULL);
    pn_test_add(
        "cli/doctor/probe/unanswered", test_cli_doctor_probe_unanswered, NULL);
    return pn_test_run("cli/doctor");
}
