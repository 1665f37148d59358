/* SPDX-License-Identifier: Apache-2.0 */
/* A QR code in the terminal: two rows of modules in a line of characters. */
#include "commands.h"

#ifdef PN_CLI_QR

#include <qrencode.h>
#include <unistd.h>

#define QUIET_ZONE 4 /* modules of light around the code, ISO 18004 */

static bool is_dark(const QRcode *code, int x, int y)
{
    return x >= 0 && y >= 0 && x < code->width && y < code->width
           && (code->data[y * code->width + x] & 1) != 0;
}

/* The light modules are drawn, because most terminals are dark; on a terminal
 * colours are set as well. */
static void draw_rows(cli_text *t, const QRcode *code, int y, bool colours)
{
    cli_text_puts(t, colours ? "\033[40;97m" : "");
    for (int x = -QUIET_ZONE; x < code->width + QUIET_ZONE; x++) {
        bool upper = !is_dark(code, x, y);
        bool lower = !is_dark(code, x, y + 1);

        cli_text_puts(t, upper && lower ? "\u2588"
                         : upper        ? "\u2580"
                         : lower        ? "\u2584"
                                        : " ");
    }
    cli_text_puts(t, colours ? "\033[0m" : "");
}

bool cli_can_draw_qr(void)
{
    return true;
}

cli_exit cli_draw_qr(const cli_app *app, const char *key)
{
    QRcode *code;
    cli_text t = {0};

    if (app->json) {
        return cli_fail(app, CLI_USAGE, "expected one of --qr and --json");
    }
    code = QRcode_encodeString(key, 0, QR_ECLEVEL_M, QR_MODE_8, 1);
    if (code == NULL) {
        return cli_fail(app, CLI_LOCAL, "no QR code: out of memory");
    }
    for (int y = -QUIET_ZONE; y < code->width + QUIET_ZONE; y += 2) {
        draw_rows(&t, code, y, isatty(STDOUT_FILENO) == 1);
        cli_print(&t);
    }
    QRcode_free(code);
    return CLI_OK;
}

#else

bool cli_can_draw_qr(void)
{
    return false;
}

cli_exit cli_draw_qr(const cli_app *app, const char *key)
{
    (void)key;
    return cli_fail(app, CLI_LOCAL, "this peernet was built without QR codes");
}

#endif
