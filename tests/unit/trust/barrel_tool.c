/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Barrel key directory from the command line, for the fault-injection
 * scripts:
 *
 *     barrel-tool DIR keys | rotate SECONDS | list
 *                   | pin NAME N | add NAME N | unpin NAME
 *
 * keys prints the public key, rotate the new one, list one "NAME N" per pin. N
 * is the first byte of a made-up key. Exit status: 0, or 1 with a sentence.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keys/barrel_keys.h"
#include "keys/pins.h"

static pn_why error;

static int report(pn_err err)
{
    if (err == PN_OK) {
        return 0;
    }
    fprintf(stderr, "%s: %s\n", pn_err_name(err), error.text);
    return 1;
}

static int use_keys(const char *dir, const char *seconds)
{
    char text[PN_BASE32_LEN + 1];
    pn_barrel_keys *keys;
    pn_principal who;
    char *backup = NULL;
    pn_err err = pn_barrel_keys_open(dir, &keys, &error, NULL);

    if (err != PN_OK) {
        return report(err);
    }
    if (seconds != NULL) {
        err = pn_barrel_keys_rotate(
            keys, strtoll(seconds, NULL, 10) * 1000000, &backup, &error);
    }
    who = pn_barrel_principal(&pn_barrel_keys_pair(keys)->public_key);
    pn_principal_to_base32(&who, text);
    pn_barrel_keys_close(keys);
    free(backup);
    if (err == PN_OK) {
        printf("%s\n", text);
    }
    return report(err);
}

static pn_err edit(pn_pins *pins, const char *verb, const char *name, int n)
{
    pn_ed25519_key key = {.bytes = {(uint8_t)n, 0x40}};

    if (strcmp(verb, "pin") == 0) {
        return pn_pins_pin(pins, name, &key, &error);
    }
    if (strcmp(verb, "add") == 0) {
        const pn_slice slice = {(const uint8_t *)name, strlen(name)};

        return pn_pins_add(pins, slice, &key, 0, &error);
    }
    return pn_pins_unpin(pins, name, &error);
}

static void print_list(const pn_pins *pins)
{
    size_t n;
    const pn_pin *all = pn_pins_all(pins, &n);

    for (size_t i = 0; i < n; i++) {
        printf("%s %d\n", all[i].name, all[i].key.bytes[0]);
    }
}

static int use_pins(int n_args, char **args)
{
    pn_pins *pins;
    pn_err err = pn_pins_open(args[1], NULL, &pins, &error, NULL);

    if (err != PN_OK) {
        return report(err);
    }
    if (n_args > 3) {
        err = edit(pins, args[2], args[3], n_args > 4 ? atoi(args[4]) : 0);
    } else {
        print_list(pins);
    }
    pn_pins_close(pins);
    return report(err);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "barrel-tool DIR VERB [ARGUMENTS]\n");
        return 2;
    }
    if (strcmp(argv[2], "keys") == 0 || strcmp(argv[2], "rotate") == 0) {
        return use_keys(argv[1], argc > 3 ? argv[3] : NULL);
    }
    return use_pins(argc, argv);
}
