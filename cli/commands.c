/* SPDX-License-Identifier: Apache-2.0 */
/* One table says what there is; help, completion and dispatch come from it. */
#include "commands.h"

#include <string.h>

#include "barrel.h"
#include "jsonout.h"

const cli_option cli_global_options[] = {
    {"data-dir", 'd', "DIR",
        "identity and trust list; default $XDG_STATE_HOME/peernet"},
    {"json", 0, NULL, "print one JSON object per line"},
    {"help", 'h', NULL, "print help, of a command after its name"},
    {"version", 0, NULL, "print the version and optional parts"},
    {NULL, 0, NULL, NULL},
};

static const cli_option id_options[] = {
    {"qr", 0, NULL, "draw the key as a QR code"},
    {NULL, 0, NULL, NULL},
};

static const cli_option pair_options[] = {
    {"label", 'l', "LABEL", "a name to call the peer by"},
    {"address", 'a', "HOST:PORT", "where it can be dialled"},
    {NULL, 0, NULL, NULL},
};

static const cli_option discover_options[] = {
    {"seconds", 's', "N", "how long to listen; default 6"},
    {NULL, 0, NULL, NULL},
};

static const cli_option call_options[] = {
    {"timeout", 't', "MS", "how long to wait for the reply; default 5000"},
    {"wait", 'w', "MS", "how long to wait for a link; default 7000"},
    {"at", 0, "HOST:PORT", "dial the peer there"},
    {"json-term", 0, NULL, "the term is JSON instead of Elixir"},
    {NULL, 0, NULL, NULL},
};

static const cli_option send_options[] = {
    {"wait", 'w', "MS", "how long to wait for a link; default 7000"},
    {"at", 0, "HOST:PORT", "dial the peer there"},
    {"json-term", 0, NULL, "the term is JSON instead of Elixir"},
    {NULL, 0, NULL, NULL},
};

static const cli_option rpc_options[] = {
    {"handle", 0, "NAME", "the handle that serves it; default beam_admin"},
    {NULL, 0, NULL, NULL},
};

static const cli_option monitor_options[] = {
    {"wait", 'w', "MS", "how long to wait for a link; default 7000"},
    {NULL, 0, NULL, NULL},
};

static const cli_option barrel_options[] = {
    {"out", 0, "FILE", "id: write node.pub, for others to trust"},
    {"yes", 0, NULL, "rotate identity: do it, not only say what it means"},
    {"key-dir", 0, "DIR",
        "node.key and trusted/; default DATA-DIR/barrel/keys"},
    {"cert-dir", 0, "DIR", "the certificate; default DATA-DIR/barrel/quic"},
    {NULL, 0, NULL, NULL},
};

static const cli_option *const no_options[] = {NULL};
static const cli_option *const of_id[] = {id_options, NULL};
static const cli_option *const of_pair[] = {pair_options, NULL};
static const cli_option *const of_discover[] = {
    discover_options, cli_node_option_table, NULL};
static const cli_option *const of_run[] = {cli_run_option_table,
    cli_node_option_table, cli_barrel_run_option_table, cli_barrel_option_table,
    NULL};
static const cli_option *const of_call[] = {call_options, cli_node_option_table,
    cli_barrel_own_option_table, cli_barrel_option_table, NULL};
static const cli_option *const of_send[] = {send_options, cli_node_option_table,
    cli_barrel_own_option_table, cli_barrel_option_table, NULL};
static const cli_option *const of_rpc[] = {rpc_options, call_options,
    cli_node_option_table, cli_barrel_own_option_table, cli_barrel_option_table,
    NULL};
static const cli_option *const of_cast[] = {rpc_options, send_options,
    cli_node_option_table, cli_barrel_own_option_table, cli_barrel_option_table,
    NULL};
static const cli_option *const of_monitor[] = {monitor_options,
    cli_barrel_own_option_table, cli_barrel_option_table, NULL};
static const cli_option *const of_barrel[] = {barrel_options, NULL};
static const cli_option *const of_node[] = {cli_node_option_table, NULL};

const cli_command cli_commands[] = {
    {"id", cli_cmd_id, "", 0, 0, "print this node's public key",
        "The key is what others pair. It is made on first use.", of_id},
    {"pair", cli_cmd_pair, "KEY", 1, 1, "trust a peer",
        "KEY is 52 characters of Base32 or 64 hexadecimal digits. Both ends\n"
        "pair each other. A label may be used wherever PEER is asked for.",
        of_pair},
    {"unpair", cli_cmd_unpair, "PEER", 1, 1, "stop trusting a peer",
        "Its link ends at once.", no_options},
    {"peers", cli_cmd_peers, "", 0, 0, "list paired peers",
        "With live state, address and round-trip time while a node runs.",
        no_options},
    {"discover", cli_cmd_discover, "", 0, 0, "show who announces itself",
        "Listens and says nothing. Keys that are not paired are shown too.",
        of_discover},
    {"run", cli_cmd_run, "", 0, 0, "run the node in the foreground",
        "Nothing is exposed unless told. A program gets the argument as JSON\n"
        "on standard input; its standard output, JSON too, is the reply.\n"
        "While it runs, every other command on the same data directory goes\n"
        "through its links. With --barrel it is a node of an Erlang cluster,\n"
        "too; --allow NAME=NODE@HOST lets a pinned node of it use a handle.",
        of_run},
    {"call", cli_cmd_call, "PEER HANDLE TERM", 3, 3,
        "call a handle and print the reply",
        "TERM is in Elixir syntax, such as '%{unit: \"C\"}'; '-' reads it\n"
        "from standard input. NODE@HOST as PEER is a node of an Erlang\n"
        "cluster: gen_server:call({HANDLE, NODE@HOST}, TERM).",
        of_call},
    {"send", cli_cmd_send, "PEER HANDLE TERM", 3, 3,
        "send to a handle; no reply",
        "TERM is as for 'call'. NODE@HOST as PEER is a node of an Erlang\n"
        "cluster: {HANDLE, NODE@HOST} ! TERM, and HANDLE may be a pid as\n"
        "--json prints it.",
        of_send},
    {"rpc", cli_cmd_rpc, "PEER MOD FUN ARGS", 4, 4,
        "call a function of a module and print what it returns",
        "MOD is written as in Elixir: MyApp.Led, or :led for an Erlang\n"
        "module. ARGS is a list, such as '[1, \"on\"]'. NODE@HOST as PEER is\n"
        "a node of an Erlang cluster: rpc:call(NODE@HOST, MOD, FUN, ARGS).",
        of_rpc},
    {"cast", cli_cmd_cast, "PEER MOD FUN ARGS", 4, 4,
        "call a function of a module; no reply", "As 'rpc'.", of_cast},
    {"monitor", cli_cmd_monitor, "NODE [PROCESS]", 1, 2,
        "wait for the end of a node of an Erlang cluster, or of its process",
        "PROCESS is a registered name, or a pid as --json prints it. One line\n"
        "says why it ended.",
        of_monitor},
    {"barrel", cli_cmd_barrel, "ACTION ...", 1, 3,
        "who we are in an Erlang cluster, and whom we have pinned",
        "ACTION is one of\n"
        "  id                       print our key, 64 hexadecimal digits\n"
        "  trust NAME@HOST KEYFILE  pin a node: its node.pub, or its key as "
        "text\n"
        "  pins                     list pinned nodes\n"
        "  unpin NAME@HOST          take a pin back; its link ends at once\n"
        "  rotate identity|cert     make a new key, or certificate\n"
        "  nodes                    list connected nodes of the running node",
        of_barrel},
    {"chat", cli_cmd_chat, "PEER", 1, 1, "talk with a peer, line by line",
        "Each line is sent to the peer's handle 'chat', as %{text: LINE}.\n"
        "On a terminal an empty line or Control-D leaves.",
        of_node},
    {"metrics", cli_cmd_metrics, "", 0, 0, "print the node's counters",
        "Prometheus text. With no node running, those of one that has just\n"
        "begun: its files, its limits, and zeros.",
        of_node},
    {"events", cli_cmd_events, "", 0, 0, "print what happens, line by line",
        "Until interrupted.", of_node},
    {"help", cli_cmd_help, "[COMMAND]", 0, 1, "print help",
        "With --json, the whole table, one command per line.", no_options},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL},
};

/* ---- help --------------------------------------------------------------- */

static void print_option_table(const cli_option *table)
{
    cli_text name = {0};

    for (; table->name != NULL; table++) {
        cli_text_clear(&name);
        if (table->short_name != 0) {
            cli_text_printf(&name, "-%c, ", table->short_name);
        }
        cli_text_printf(&name, "--%s%s%s", table->name,
            table->value == NULL ? "" : " ",
            table->value == NULL ? "" : table->value);
        printf("  %-30s %s\n", cli_text_string(&name), table->help);
    }
    cli_text_fini(&name);
}

static void print_overview(void)
{
    printf("usage: peernet [-d DIR] [--json] COMMAND ...\n\n"
           "Authenticated messages between devices, without servers.\n\n");
    for (const cli_command *c = cli_commands; c->name != NULL; c++) {
        char words[64];

        (void)snprintf(words, sizeof(words), "%s %s", c->name, c->positional);
        printf("  %-24s %s\n", words, c->summary);
    }
    printf("\nPEER is a label, a key in Base32 or hexadecimal, or the first 4 "
           "or more\ndigits of a fingerprint, if no other begins with them; "
           "NODE@HOST "
           "is a\nnode of an Erlang cluster.\n\n");
    print_option_table(cli_global_options);
    printf("\nEach command explains itself with --help; all of it is in "
           "peernet(1).\n");
}

static void print_help(const cli_command *c)
{
    printf("usage: peernet %s%s%s [OPTION]...\n\n%c%s.\n\n%s\n\n", c->name,
        c->positional[0] == '\0' ? "" : " ", c->positional,
        c->summary[0] - 'a' + 'A', c->summary + 1, c->help);
    for (size_t i = 0; c->options[i] != NULL; i++) {
        print_option_table(c->options[i]);
    }
    print_option_table(cli_global_options);
}

static void json_options(cli_text *t, const cli_option *table)
{
    for (; table->name != NULL; table++) {
        cli_json_open(t, NULL, '{');
        cli_json_string(t, "name", table->name);
        if (table->short_name != 0) {
            cli_json_bytes(t, "short", &table->short_name, 1);
        }
        if (table->value != NULL) {
            cli_json_string(t, "value", table->value);
        }
        cli_json_string(t, "help", table->help);
        cli_json_close(t, '}');
    }
}

static void print_json_help(const cli_command *c)
{
    cli_text t = {0};

    cli_json_open(&t, NULL, '{');
    cli_json_string(&t, "command", c->name);
    cli_json_string(&t, "arguments", c->positional);
    cli_json_string(&t, "summary", c->summary);
    cli_json_open(&t, "options", '[');
    for (size_t i = 0; c->options[i] != NULL; i++) {
        json_options(&t, c->options[i]);
    }
    json_options(&t, cli_global_options);
    cli_json_close(&t, ']');
    cli_json_close(&t, '}');
    cli_print(&t);
    cli_text_fini(&t);
}

/* command NULL: of all. */
static void show_help(bool json, const cli_command *command)
{
    if (json) {
        for (const cli_command *c = cli_commands; c->name != NULL; c++) {
            if (command == NULL || c == command) {
                print_json_help(c);
            }
        }
    } else if (command == NULL) {
        print_overview();
    } else {
        print_help(command);
    }
}

static const cli_command *find_command(const char *name)
{
    const cli_command *c = cli_commands;

    while (c->name != NULL && strcmp(c->name, name) != 0) {
        c++;
    }
    return c->name == NULL ? NULL : c;
}

cli_exit cli_cmd_help(const cli_args *args)
{
    cli_app app = {.args = args, .json = cli_args_flag(args, "json")};
    const cli_command *command = NULL;

    if (args->n_positional > 0) {
        command = find_command(args->positional[0]);
        if (command == NULL) {
            return cli_fail(
                &app, CLI_USAGE, "expected the name of a command after 'help'");
        }
    }
    show_help(app.json, command);
    return CLI_OK;
}

/* ---- dispatch ----------------------------------------------------------- */

static cli_exit print_version(const cli_args *args)
{
    cli_text t = {0};

    if (cli_args_flag(args, "json")) {
        cli_json_open(&t, NULL, '{');
        cli_json_string(&t, "version", PN_VERSION);
        cli_json_string(&t, "library", pn_version());
        cli_json_string(&t, "parts", PN_CLI_PARTS);
        cli_json_close(&t, '}');
    } else {
        cli_text_printf(&t, "peernet %s (libpeernet %s; optional parts: %s)",
            PN_VERSION, pn_version(),
            PN_CLI_PARTS[0] == '\0' ? "none" : PN_CLI_PARTS);
    }
    cli_print(&t);
    cli_text_fini(&t);
    return CLI_OK;
}

/* A line that was not understood may have asked for JSON all the same. */
static bool asks_for_json(int argc, char *const *argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            return true;
        }
    }
    return false;
}

static cli_exit fail_line(int argc, char *const *argv, const char *why)
{
    cli_app app = {.json = asks_for_json(argc, argv)};

    return cli_fail(&app, CLI_USAGE, "%s", why);
}

static cli_exit run_command(const cli_args *args)
{
    bool json = cli_args_flag(args, "json");

    if (cli_args_flag(args, "version")) {
        return print_version(args);
    }
    if (cli_args_flag(args, "help")) {
        show_help(json, args->command);
        return CLI_OK;
    }
    if (args->command == NULL) {
        cli_app app = {.json = true};

        if (json) {
            return cli_fail(&app, CLI_USAGE,
                "expected a command (see 'peernet help'), found nothing");
        }
        print_overview();
        return CLI_USAGE;
    }
    return args->command->run(args);
}

cli_exit cli_main(int argc, char *const *argv)
{
    static cli_args args;
    cli_text error = {0};
    cli_exit status;

    if (cli_args_parse(
            argc, argv, cli_commands, cli_global_options, &args, &error)) {
        status = run_command(&args);
    } else {
        status = fail_line(argc, argv, cli_text_string(&error));
    }
    cli_text_fini(&error);
    return cli_finish_output(status);
}
