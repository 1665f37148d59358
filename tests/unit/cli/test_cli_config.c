/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration files: each fault with its line, what is right all the same,
 * and keys that are the options of the command line. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "commands/commands.h"
#include "commands/run_settings.h"
#include "harness.h"
#include "tempdir.h"

#define PROGRAM "/bin/cat"
#define LAMP "[handle lamp]\nprogram = " PROGRAM "\nallow = paired\n"
#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static pn_tempdir dir;
static char path[600];

static cli_settings *settings_of(const char *const *argv)
{
    static cli_args args;
    cli_app app = {.args = &args};
    cli_text error = {0};
    int argc = 0;

    while (argv[argc] != NULL) {
        argc++;
    }
    (void)snprintf(app.data_dir, sizeof(app.data_dir), "%s", dir.path);
    if (!cli_args_parse(argc, (char *const *)(uintptr_t)argv, cli_commands,
            cli_global_options, &args, &error)) {
        fail_msg("%s", cli_text_string(&error));
    }
    return cli_settings_read(&app, NULL);
}

static cli_settings *settings_of_file(const char *text, size_t len)
{
    const char *const argv[] = {"peernet", "run", "--config", path, NULL};

    pn_tempdir_put(&dir, "a.conf", text, len);
    return settings_of(argv);
}

/* ---- faults ------------------------------------------------------------- */

typedef struct fault_row {
    const char *name;
    const char *text;
    const char *faults; /* "LINE: TEXT\n" of each */
    size_t len;         /* of a text with a NUL in it */
} fault_row;

static const fault_row faults[] = {
    {"nothing", "", "", 0},
    {"comments", "# a\n; b\n\n   # c\n\t\n", "", 0},
    {"good", "[node]\nlisten = 7100 ; a port\n" LAMP, "", 0},
    {"bom_and_crlf", "\xef\xbb\xbf[node]\r\nlabel = x\r\n", "", 0},
    {"no_newline_at_end", "[node]\nlabel = x", "", 0},
    {"no_section", "label = x\n[node]\n",
        "1: expected a section such as [node] before the first key, found "
        "'label'\n",
        0},
    {"no_key", "[node]\nfoo\nlabel = x\nbar",
        "2: expected KEY = VALUE or [SECTION], found 'foo'\n"
        "4: expected KEY = VALUE or [SECTION], found 'bar'\n",
        0},
    {"indented_line_is_no_continuation", "[node]\nlabel = x\n  y\n  echo = no",
        "3: expected KEY = VALUE or [SECTION], found 'y'\n", 0},
    {"unknown_key", "[node]\nlisen = 7100\n",
        "2: expected a key of [node], found 'lisen': did you mean 'listen'?\n",
        0},
    {"key_of_another_section", "[log]\necho = yes\n",
        "2: expected a key of [log], found 'echo', which is one of [node]\n",
        0},
    {"unknown_section", "[nodes]\nfoo = bar\n",
        "1: expected [node], [handle NAME], [export MOD.FUN/ARITY], [barrel] "
        "or [log], found '[nodes]': did you mean 'node'?\n",
        0},
    {"section_with_a_name", "[node x]\n",
        "1: expected [node], [handle NAME], [export MOD.FUN/ARITY], [barrel] "
        "or [log], found '[node x]': did you mean 'node'?\n",
        0},
    {"section_without_its_name", "[handle]\n",
        "1: expected [node], [handle NAME], [export MOD.FUN/ARITY], [barrel] "
        "or [log], found '[handle]': did you mean 'handle'?\n",
        0},
    {"section_without_its_end", "[node\nlabel = x\n",
        "1: expected ']' at the end of a section's name, found 'node'\n", 0},
    {"duplicate_key", "[node]\nlabel = x\nlabel = y\n",
        "3: expected 'label' once, it is in line 2\n", 0},
    {"duplicate_flag", "[node]\necho = no\n\necho = yes\n",
        "4: expected 'echo' once, it is in line 2\n", 0},
    {"duplicate_program", LAMP "program = /bin/ls\ntext = no\ntext = yes\n",
        "4: expected 'program' once, it is in line 2\n"
        "6: expected 'text' once, it is in line 5\n",
        0},
    {"duplicate_section", "[node]\nlabel = x\n[log]\n[node]\nlabel = y\n",
        "4: expected this section once, it is in line 1\n", 0},
    {"duplicate_handle", LAMP LAMP,
        "4: expected this section once, it is in line 1\n", 0},
    {"list", "[node]\nlisten = 7100\nlisten = 127.0.0.1:7200\n", "", 0},
    {"flag", "[node]\necho = on\nchat = \n",
        "2: expected 'yes' or 'no' for 'echo', found 'on'\n"
        "3: expected 'yes' or 'no' for 'chat', found ''\n",
        0},
    {"number", "[node]\nannounce-every = 99\n",
        "2: expected 100 to 3600000 for 'announce-every', found '99'\n", 0},
    {"choice", "[node]\ndiscovery = upd\n",
        "2: expected 'udp' or 'none' for 'discovery', found 'upd': did you "
        "mean 'udp'?\n",
        0},
    {"no_value", "[node]\nlabel =\n",
        "2: expected a value for 'label', found nothing\n", 0},
    {"long_line",
        "[node]\nlabel = " X50 X50 X50 X50 "\nlabel = y\nechoo = yes\n",
        "2: expected at most 198 bytes in a line, found 208\n"
        "4: expected a key of [node], found 'echoo': did you mean 'echo'?\n",
        0},
    {"nul", "[node]\nlabel = a\0b\nlabel = x\n",
        "2: expected text, found a NUL byte\n", 29},
    {"escaped", "[node]\n\033[31m = x\n",
        "2: expected a key of [node], found '\\x1B[31m'\n", 0},
    {"no_program", "[handle lamp]\nallow = paired\ntext = yes\n",
        "1: expected 'program = PROGRAM' in [handle lamp], found none\n", 0},
    {"empty_section", "[handle lamp]\n[node]\n",
        "1: expected 'program = PROGRAM' in [handle lamp], found none\n", 0},
    {"handle_name", "[handle A]\nprogram = " PROGRAM "\nallow = paired\n",
        "2: expected NAME of 1 to 64 characters a-z, 0-9 and _ in [handle "
        "NAME], found 'A'\n",
        0},
    {"function_name", "[export led]\nprogram = " PROGRAM "\n",
        "2: expected [export MOD.FUN/ARITY], such as MyApp.Led.on/1, found "
        "'led'\n",
        0},
    {"program", "[handle lamp]\nprogram = /no/such\nallow = paired\n",
        "2: expected a program that can be run, found '/no/such'\n", 0},
    {"allowed_by_grants", "[handle lamp]\nprogram = " PROGRAM "\n", "", 0},
    {"builtin", "[handle echo]\nallow = paired\n",
        "2: expected 'echo = yes' in [node], or 'program' in this section\n",
        0},
    {"builtin_good",
        "[node]\necho = yes\n[handle echo]\nallow = paired\n"
        "[export Logger.info/1]\nallow = paired\n",
        "", 0},
    {"publish_label", "[node]\npublish-label = yes\n",
        "2: expected 'label' beside 'publish-label', found none\n", 0},
    {"listen", "[node]\nlisten = 7100\nlisten = x:y\n",
        "3: expected ADDRESS:PORT or PORT for 'listen', found 'x:y'\n", 0},
    {"barrel_without_name", "[barrel]\nvisible = yes\n",
        "2: expected 'name = NAME@HOST' in [barrel], found none\n", 0},
};

static void test_cli_config_faults(void **state)
{
    const fault_row *row = *state;
    cli_settings *s = settings_of_file(
        row->text, row->len == 0 ? strlen(row->text) : row->len);
    cli_text t = {0};

    assert_non_null(s);
    assert_false(s->faults.is_lost);
    cli_faults_sort(&s->faults);
    for (size_t i = 0; i < s->faults.n; i++) {
        assert_string_equal(s->faults.items[i].file, path);
        assert_int_equal(s->faults.items[i].status, CLI_USAGE);
        cli_text_printf(
            &t, "%u: %s\n", s->faults.items[i].line, s->faults.items[i].text);
    }
    assert_string_equal(cli_text_string(&t), row->faults);
    cli_text_fini(&t);
    cli_settings_free(s);
}

/* A line of 198 bytes is read whole, one more is a fault. */
static void test_cli_config_line_limit(void **state)
{
    char text[256];

    (void)state;
    for (int n = CLI_CONFIG_MAX_LINE - 1; n <= CLI_CONFIG_MAX_LINE + 1; n++) {
        cli_settings *s;
        int len = snprintf(text, sizeof(text), "[node]\nlabel = %0*d\n",
            n - (int)sizeof("label = ") + 1, 1);

        s = settings_of_file(text, (size_t)len);
        assert_int_equal(s->faults.n, n > CLI_CONFIG_MAX_LINE);
        if (n <= CLI_CONFIG_MAX_LINE) {
            assert_int_equal(
                strlen(s->options.own_label), (size_t)n - strlen("label = "));
        }
        cli_settings_free(s);
    }
}

/* docs/THREATS.md, T14: whoever can write the file decides which programs run.
 */
static void test_cli_config_mode(void **state)
{
    static const struct {
        mode_t mode;
        bool good;
    } modes[] = {{0600, true}, {0644, true}, {0444, true}, {0664, false},
        {0646, false}, {0666, false}};
    const char *const argv[] = {"peernet", "run", "--config", path, NULL};

    (void)state;
    pn_tempdir_put(&dir, "a.conf", "[node]\n", 7);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        cli_settings *s;

        assert_int_equal(chmod(path, modes[i].mode), 0);
        s = settings_of(argv);
        assert_int_equal(s->faults.n, !modes[i].good);
        if (!modes[i].good) {
            assert_string_equal(s->faults.items[0].text,
                "expected a file that only its owner can write");
            assert_int_equal(s->faults.items[0].status, CLI_LOCAL);
        }
        cli_settings_free(s);
    }
    assert_int_equal(remove(path), 0);
}

/* ---- keys and options --------------------------------------------------- */

/* A good value for what a command reads itself. */
static const char *sample(const cli_option *o, char text[static 64])
{
    static const struct {
        const char *name;
        const char *value;
    } samples[] = {
        {"listen", "127.0.0.1:7100"},
        {"discovery-address", "127.255.255.255"},
        {"announce-to", "127.0.0.1"},
        {"cookie-only", "*@h"},
        {"node", "b@h=127.0.0.1:9100"},
        {"barrel", "a@h:9100"},
        {"handles-socket", "/run/handles.sock"},
        {"handles-group", "0"},
        {"handles-allow", "lamp=paired"},
        {"expose", PROGRAM},
        {"export", PROGRAM},
        {"allow", "paired"},
    };

    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        if (strcmp(samples[i].name, o->name) == 0) {
            return samples[i].value;
        }
    }
    if (o->kind == CLI_CHOICE) {
        return o->choices[1];
    }
    (void)snprintf(text, 64, "%u", o->min + 1);
    return text;
}

static const char *name_of(unsigned section)
{
    return section == CLI_IN_HANDLE   ? "lamp"
           : section == CLI_IN_EXPORT ? "MyApp.Led.on/1"
                                      : NULL;
}

static void assert_same(const cli_settings *file, const cli_settings *line)
{
    unsigned skipped = 0;

    for (unsigned i = 0; i < line->args.n_given; i++) {
        const cli_given *a = &line->args.given[i];
        const cli_given *b = &file->args.given[i];

        assert_null(a->file);
        assert_string_equal(a->option->name, b->option->name);
        assert_true(
            (a->option->value == NULL) || strcmp(a->value, b->value) == 0);
        assert_string_equal(b->file, path);
    }
    for (unsigned i = 0; i < file->args.n_given; i++) {
        skipped += file->args.given[i].file == NULL; /* --config */
    }
    assert_int_equal(file->args.n_given, line->args.n_given + skipped);
    assert_int_equal(file->n_programs, line->n_programs);
    assert_int_equal(file->n_allowances, line->n_allowances);
    assert_int_equal(file->has_barrel, line->has_barrel);
}

/* Options that some others need beside them, to both. Returns n of argv. */
static int add_companions(
    const cli_option *o, cli_text *t, const char **argv, int n)
{
    static const struct {
        const char *of; /* a prefix */
        const char *key;
        const char *option;
        const char *value;
    } companions[] = {
        {"publish-label", "label", "--own-label", "x"},
        {"handles-", "handles-socket", "--handles-socket", "/run/other.sock"},
        {"handles-", "handles-group", "--handles-group", "0"},
        {"handles-", "handles-allow", "--handles-allow", "led=paired"},
    };

    for (size_t i = 0; i < sizeof(companions) / sizeof(companions[0]); i++) {
        if (strncmp(o->key, companions[i].of, strlen(companions[i].of)) == 0
            && strcmp(o->key, companions[i].key) != 0) {
            cli_text_printf(
                t, "%s = %s\n", companions[i].key, companions[i].value);
            argv[n++] = companions[i].option;
            argv[n++] = companions[i].value;
        }
    }
    return n;
}

static void check_key(const cli_option *o, unsigned section)
{
    const char *name = name_of(section);
    const char *argv[16] = {"peernet", "run"};
    bool is_flag = o->value == NULL || strcmp(o->key, "text") == 0;
    char room[64];
    char words[4][128];
    char option[64];
    const char *value = sample(o, room);
    cli_text t = {0};
    cli_settings *file;
    cli_settings *line;
    int n = 2;

    cli_text_printf(&t, "[%s%s%s]\n",
        section == CLI_IN_HANDLE   ? "handle"
        : section == CLI_IN_EXPORT ? "export"
                                   : cli_config_section(o),
        name == NULL ? "" : " ", name == NULL ? "" : name);
    if (section == CLI_IN_BARREL && strcmp(o->key, "name") != 0) {
        cli_text_puts(&t, "name = a@h\n");
        argv[n++] = "--barrel";
        argv[n++] = "a@h";
    }
    if (name != NULL && strcmp(o->key, "program") != 0) {
        (void)snprintf(words[0], sizeof(words[0]), "%s=" PROGRAM, name);
        cli_text_puts(&t, "program = " PROGRAM "\n");
        argv[n++] = section == CLI_IN_HANDLE ? "--expose" : "--export";
        argv[n++] = words[0];
    }
    if (name != NULL && strcmp(o->key, "allow") != 0) {
        (void)snprintf(words[1], sizeof(words[1]), "%s=paired", name);
        cli_text_puts(&t, "allow = paired\n");
        argv[n++] = "--allow";
        argv[n++] = words[1];
    }
    n = add_companions(o, &t, argv, n);
    (void)snprintf(option, sizeof(option), "--%s", o->name);
    argv[n++] = option;
    cli_text_printf(&t, "%s = %s\n", o->key,
        !is_flag                    ? value
        : cli_option_is_negative(o) ? "no"
                                    : "yes");
    if (o->value != NULL) {
        (void)snprintf(words[2], sizeof(words[2]), "%s%s%s",
            name == NULL ? "" : name, name == NULL || is_flag ? "" : "=",
            is_flag ? "" : value);
        argv[n++] = words[2];
    }
    line = settings_of(argv);
    assert_int_equal(line->faults.n, 0);
    file = settings_of_file(cli_text_string(&t), t.len);
    assert_int_equal(file->faults.n, 0);
    assert_same(file, line);
    cli_settings_free(file);
    cli_settings_free(line);
    cli_text_fini(&t);
    assert_int_equal(remove(path), 0);
}

/* An option of run that no key has, or that its key gives otherwise, fails. */
static void test_cli_config_option(void **state)
{
    const cli_option *o = *state;

    assert_non_null(o->key);
    assert_int_not_equal(o->sections, 0);
    for (unsigned section = 1; section <= CLI_IN_LOG; section <<= 1) {
        if ((o->sections & section) != 0) {
            check_key(o, section);
        }
    }
}

/* ---- who wins ----------------------------------------------------------- */

static void test_cli_config_command_line_wins(void **state)
{
    static const char text[] =
        "[node]\nlabel = file\nlisten = 7100\nlisten = 7101\n"
        "announce-every = 1000\n"
        "[handle lamp]\nprogram = " PROGRAM "\narg = -u\nallow = paired\n"
        "[handle fan]\nprogram = " PROGRAM "\narg = -u\nallow = paired\n";
    const char *const argv[] = {"peernet", "run", "--config", path,
        "--own-label", "line", "--listen", "7200", "--expose", "lamp=/bin/echo",
        "--allow", "lamp=paired", "--arg", "fan=-n", NULL};
    cli_settings *s;

    (void)state;
    pn_tempdir_put(&dir, "a.conf", text, sizeof(text) - 1);
    s = settings_of(argv);
    assert_int_equal(s->faults.n, 0);
    assert_string_equal(s->options.own_label, "line");
    assert_int_equal(s->options.announce_ms, 1000);
    assert_string_equal(s->hub.node.listen_address, "[::]:7200");
    assert_int_equal(s->n_programs, 2);
    for (size_t i = 0; i < 2; i++) {
        const run_program *p = s->programs[i];

        if (strcmp(p->name, "lamp") == 0) {
            assert_string_equal(p->argv[0], "/bin/echo");
            assert_int_equal(p->n_args, 0);
        } else {
            assert_string_equal(p->argv[0], PROGRAM);
            assert_int_equal(p->n_args, 1);
            assert_string_equal(p->argv[1], "-n");
        }
    }
    cli_settings_free(s);
    assert_int_equal(remove(path), 0);
}

/* DATA-DIR/peernet.conf is read without being asked for; --config must be
 * there. */
static void test_cli_config_places(void **state)
{
    const char *const plain[] = {"peernet", "run", NULL};
    const char *const other[] = {"peernet", "run", "--config", path, NULL};
    cli_settings *s;

    (void)state;
    pn_tempdir_put(&dir, "peernet.conf", "[node]\nlabel = a\n", 17);
    s = settings_of(plain);
    assert_int_equal(s->faults.n, 0);
    assert_string_equal(s->options.own_label, "a");
    cli_settings_free(s);
    s = settings_of(other);
    assert_int_equal(s->faults.n, 1);
    assert_null(s->options.own_label);
    assert_int_equal(s->faults.items[0].status, CLI_LOCAL);
    assert_int_equal(s->faults.items[0].line, 0);
    cli_settings_free(s);
    assert_int_equal(remove(pn_tempdir_path(&dir, "peernet.conf")), 0);
}

int main(void)
{
    int status;

    pn_tempdir_init(&dir);
    (void)snprintf(path, sizeof(path), "%s/a.conf", dir.path);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        pn_test_addf(test_cli_config_faults, (void *)(uintptr_t)&faults[i],
            "cli/config/faults/%s", faults[i].name);
    }
    for (size_t i = 0; cli_run_tables[i] != NULL; i++) {
        for (const cli_option *o = cli_run_tables[i]; o->name != NULL; o++) {
            if (strcmp(o->name, "config") != 0) {
                pn_test_addf(test_cli_config_option, (void *)(uintptr_t)o,
                    "cli/config/option/%s", o->name);
            }
        }
    }
    pn_test_add("cli/config/line_limit", test_cli_config_line_limit, NULL);
    pn_test_add("cli/config/mode", test_cli_config_mode, NULL);
    pn_test_add("cli/config/command_line_wins",
        test_cli_config_command_line_wins, NULL);
    pn_test_add("cli/config/places", test_cli_config_places, NULL);
    status = pn_test_run("cli/config");
    pn_tempdir_fini(&dir);
    return status;
}
