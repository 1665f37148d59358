/* SPDX-License-Identifier: Apache-2.0 */
/* backup, restore: the data directory in one encrypted file, and back. */
#include <peernet/backup.h>

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "commands.h"
#include "peer_text.h"
#include "secret_input.h"
#include "json/jsonout.h"

#define NO_FD UINT32_MAX

_Static_assert(PN_BACKUP_PASSPHRASE_MAX == CLI_SECRET_MAX,
    "every passphrase can be typed");

typedef struct backup_options {
    bool force;
    uint32_t fd; /* NO_FD: the terminal is asked */
} backup_options;

/* Fills a backup_options; of both commands. */
const cli_option cli_backup_option_table[] = {
    {"force", 'f', NULL,
        .help = "replace what is there; the old one is kept beside it",
        .kind = CLI_TRUE, .offset = offsetof(backup_options, force)},
    {"passphrase-fd", 0, "N",
        .help = "descriptor to read the passphrase from, its first line",
        .kind = CLI_U32, .offset = offsetof(backup_options, fd), .max = 65535},
    {.name = NULL},
};

/* ---- the passphrase ------------------------------------------------------ */

static cli_exit fail_secret(const cli_app *app, cli_secret_result result)
{
    return cli_fail_secret(
        app, result, "passphrase", "a terminal, or --passphrase-fd N");
}

static cli_exit check_length(const cli_app *app, const cli_secret *secret)
{
    return secret->len >= PN_BACKUP_PASSPHRASE_MIN
               ? CLI_OK
               : cli_fail(app, CLI_USAGE,
                   "the passphrase has %zu bytes, expected at least %d; "
                   "several "
                   "words are easy to remember and hard to guess",
                   secret->len, PN_BACKUP_PASSPHRASE_MIN);
}

/* A mistake in what cannot be seen would make the backup useless. */
static cli_exit ask_again(const cli_app *app, const cli_secret *secret)
{
    cli_secret again;
    cli_secret_result result = cli_secret_ask("The same again: ", &again);
    bool is_same = result == CLI_SECRET_OK && again.len == secret->len
                   && memcmp(again.text, secret->text, again.len) == 0;

    cli_secret_wipe(&again);
    if (result != CLI_SECRET_OK) {
        return fail_secret(app, result);
    }
    return is_same ? CLI_OK
                   : cli_fail(app, CLI_USAGE,
                       "the two passphrases differ; nothing was written");
}

static cli_exit get_passphrase(const cli_app *app, const backup_options *o,
    bool is_new, cli_secret *ret_secret)
{
    const bool is_asked = o->fd == NO_FD;
    cli_secret_result result =
        is_asked ? cli_secret_ask(is_new ? "Passphrase for the backup: "
                                         : "Passphrase of the backup: ",
            ret_secret)
                 : cli_secret_read((int)o->fd, ret_secret);
    cli_exit status;

    if (result != CLI_SECRET_OK) {
        return fail_secret(app, result);
    }
    status = check_length(app, ret_secret);
    if (status == CLI_OK && is_asked && is_new) {
        status = ask_again(app, ret_secret);
    }
    return status;
}

/* ---- the commands -------------------------------------------------------- */

static pn_slice slice_of(const cli_secret *secret)
{
    return (pn_slice){(const uint8_t *)secret->text, secret->len};
}

typedef struct result {
    pn_public_key key;
    uint32_t n_files;
    char *kept;
} result;

static void print_result(
    const cli_app *app, const result *r, bool is_backup, const char *file)
{
    char fingerprint[PN_FINGERPRINT_LEN + 1];
    cli_text t = {0};

    if (app->json) {
        cli_result_begin(&t, true);
        cli_json_peer(&t, &r->key);
        cli_json_string(&t, "file", file);
        cli_json_string(&t, "data_dir", app->data_dir);
        cli_json_int(&t, "files", r->n_files);
        if (r->kept != NULL) {
            cli_json_string(&t, "backup", r->kept);
        }
        cli_print_result(&t);
        return;
    }
    pn_key_fingerprint(&r->key, fingerprint);
    cli_text_printf(&t, "%s %s, %u file%s, %s ",
        is_backup ? "backed up" : "restored", fingerprint, (unsigned)r->n_files,
        r->n_files == 1 ? "" : "s", is_backup ? "to" : "from");
    cli_escape(&t, file, strlen(file), CLI_ESCAPE_FIELD);
    cli_print(&t);
    if (r->kept != NULL) {
        cli_text_puts(&t, "what was there before is kept in ");
        cli_escape(&t, r->kept, strlen(r->kept), CLI_ESCAPE_FIELD);
        cli_print(&t);
    }
}

static cli_exit fail(const cli_app *app, pn_err err, const pn_why *why)
{
    return cli_fail(app,
        err == PN_INVALID || err == PN_EXISTS ? CLI_USAGE : CLI_LOCAL, "%s%s",
        why->text, err == PN_EXISTS ? "; '--force' keeps the old one" : "");
}

static cli_exit run(const cli_app *app, bool is_backup)
{
    const char *file = app->args->positional[0];
    backup_options o = {.fd = NO_FD};
    result r = {.kept = NULL};
    cli_secret secret;
    pn_why why = {0};
    pn_err err;
    cli_exit status = cli_read_options(app, cli_backup_option_table, &o);

    if (status != CLI_OK) {
        return status;
    }
    status = get_passphrase(app, &o, is_backup, &secret);
    if (status != CLI_OK) {
        cli_secret_wipe(&secret);
        return status;
    }
    err = is_backup ? pn_backup_write(app->data_dir, file, o.force,
              slice_of(&secret), &r.key, &r.n_files, &why)
                    : pn_backup_restore(app->data_dir, file, o.force,
                        slice_of(&secret), &r.key, &r.n_files, &r.kept, &why);
    cli_secret_wipe(&secret);
    if (err != PN_OK) {
        return fail(app, err, &why);
    }
    print_result(app, &r, is_backup, file);
    cli_warn("%s",
        is_backup
            ? "this identity must speak from one machine only: stop the node "
              "here before one starts from the backup"
            : "this identity must speak from one machine only: do not run the "
              "node that it came from again");
    free(r.kept);
    return CLI_OK;
}

cli_exit cli_cmd_backup(const cli_app *app)
{
    return run(app, true);
}

cli_exit cli_cmd_restore(const cli_app *app)
{
    return run(app, false);
}
