/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pairs two devices by an invitation, without a question:
 *
 *     invite DIR [ADDRESS]      prints one, and waits for who brings it back
 *     invite DIR -              uses the one on standard input
 *
 * The text is a password, so it is never an argument.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <peernet/pairing.h>

static void on_joined(void *user, const pn_public_key *key, const char *label,
    const char *proposed)
{
    char fingerprint[PN_FINGERPRINT_LEN + 1];

    (void)user;
    (void)label;
    pn_key_fingerprint(key, fingerprint);
    printf("joined %s, which calls itself \"%s\"\n", fingerprint, proposed);
}

static void on_refused(void *user, const char *from, const char *why)
{
    (void)user;
    printf("refused %s: %s\n", from, why);
}

/* Every invitation that is open, this one too. */
static void list(const char *dir)
{
    pn_invitation_row *rows;
    size_t n;

    if (pn_inviting_list(dir, &rows, &n, NULL) != PN_OK) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        printf("%s %s, %u uses left\n", rows[i].id, rows[i].state,
            (unsigned)rows[i].uses);
    }
    free(rows);
}

static int invite(const char *dir, const char *address)
{
    const pn_inviting_callbacks callbacks = {
        .on_joined = on_joined, .on_refused = on_refused};
    char text[PN_INVITATION_CAP];
    char id[PN_INVITATION_ID_CAP];
    pn_inviting_options options;
    pn_inviting *inviting;
    pn_why why;

    pn_inviting_options_init(&options);
    options.own_label = "inviter";
    options.ttl_s = 60;
    options.listen_address = address;
    if (pn_inviting_open(
            dir, &options, &callbacks, NULL, text, id, &inviting, &why)
        != PN_OK) {
        (void)fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    printf("%s\n", text);
    list(dir);
    (void)fflush(stdout);
    while (pn_inviting_is_live(inviting)) {
        struct pollfd fd = {.fd = pn_inviting_fd(inviting), .events = POLLIN};
        int wait_ms = pn_inviting_timeout_ms(inviting);

        (void)poll(&fd, 1, wait_ms < 0 || wait_ms > 1000 ? 1000 : wait_ms);
        pn_inviting_run(inviting);
    }
    pn_inviting_close(inviting);
    /* Nobody listens any more; it was used, or its time is over. */
    (void)!pn_inviting_cancel(dir, id, NULL);
    return 0;
}

static int join(const char *dir)
{
    char text[PN_INVITATION_CAP + 1] = "";
    pn_join_options options;
    pn_join_result result;
    pn_why why;

    if (fgets(text, sizeof(text), stdin) == NULL) {
        return 1;
    }
    pn_join_options_init(&options);
    options.own_label = "joiner";
    if (pn_join(dir, text, strcspn(text, "\n"), &options, &result, &why)
        != PN_OK) {
        (void)fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    printf("paired with \"%s\"%s\n", result.proposed_label,
        result.was_paired ? ", again" : "");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3) {
        (void)fprintf(stderr, "usage: invite DIR [ADDRESS | -]\n");
        return 2;
    }
    return argc == 3 && strcmp(argv[2], "-") == 0
               ? join(argv[1])
               : invite(argv[1], argc == 3 ? argv[2] : NULL);
}
