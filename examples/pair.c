/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pairs two devices by comparing digits: the owners run it on both at once.
 *
 *     pair DIR [DISCOVERY-ADDRESS PORT]
 *
 * Dials the first device it finds, shows six digits and reads y or n.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <peernet/pairing.h>

typedef struct device {
    pn_pairing *pairing;
    int is_over;
    int status;
} device;

static void on_candidate(void *user, const pn_pairing_candidate *candidate)
{
    device *d = user;

    printf("found %s%s\n", candidate->address,
        candidate->is_paired ? ", paired already" : "");
    (void)!pn_pairing_choose(d->pairing, &candidate->key);
}

/* A program with a screen of its own returns here, and answers later. */
static void on_digits(void *user, const pn_public_key *key, const char *digits)
{
    device *d = user;
    char line[16] = "";

    (void)key;
    printf("digits %s, %u seconds left: the same there? y or n\n", digits,
        (unsigned)pn_pairing_left_ms(d->pairing) / 1000);
    (void)fflush(stdout);
    (void)!fgets(line, sizeof(line), stdin);
    (void)!pn_pairing_answer(d->pairing, line[0] == 'y');
}

static void on_failed(void *user, unsigned n_failed, const char *why)
{
    (void)user;
    printf("try %u of 3 failed: %s\n", n_failed, why);
}

static void on_end(void *user, const pn_pairing_result *result)
{
    static const char *const words[] = {
        [PN_PAIRING_PAIRED] = "paired",
        [PN_PAIRING_NOT_CONFIRMED] = "not confirmed yet",
        [PN_PAIRING_REFUSED] = "refused",
        [PN_PAIRING_TRIES] = "three tries failed",
        [PN_PAIRING_TIME] = "the time is over",
        [PN_PAIRING_FAILED] = "failed",
    };
    device *d = user;

    printf("%s %s\n", words[result->outcome], result->why);
    d->is_over = 1;
    d->status = result->outcome == PN_PAIRING_PAIRED ? 0 : 1;
}

int main(int argc, char **argv)
{
    const pn_pairing_callbacks callbacks = {
        .on_candidate = on_candidate,
        .on_digits = on_digits,
        .on_failed = on_failed,
        .on_end = on_end,
    };
    device d = {0};
    pn_pairing_options options;
    pn_why why = {0};

    if (argc != 2 && argc != 4) {
        fprintf(stderr, "usage: pair DIR [DISCOVERY-ADDRESS PORT]\n");
        return 2;
    }
    pn_pairing_options_init(&options);
    if (argc == 4) {
        options.discovery_address = argv[2];
        options.discovery_port = (uint16_t)atoi(argv[3]);
    }
    if (pn_pairing_open(argv[1], &options, &callbacks, &d, &d.pairing, &why)
        != PN_OK) {
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    printf("open on port %u\n", (unsigned)pn_pairing_port(d.pairing));
    while (!d.is_over) {
        struct pollfd fd = {.fd = pn_pairing_fd(d.pairing), .events = POLLIN};

        (void)fflush(stdout);
        (void)poll(&fd, 1, pn_pairing_timeout_ms(d.pairing));
        pn_pairing_run(d.pairing);
    }
    pn_pairing_close(d.pairing);
    return d.status;
}
