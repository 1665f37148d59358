/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands; help, completion and dispatch come from it. */
#include "commands.h"

#include <string.h>

#include "barrel.h"
#include "config/config.h"
#include "control/std_output.h"
#include "json/jsonout.h"

const cli_option cli_global_options[] = {
    {"data-dir", 'd', "DIR",
        .help = "identity and trust list; default $XDG_STATE_HOME/peernet"},
    {"service", 0, NULL,
        .help = "the data directory of peernet.service, /var/lib/peernet"},
    {"json", 0, NULL, .help = "print one JSON object per line"},
    {"help", 'h', NULL, .help = "print help, of a command after its name"},
    {"version", 0, NULL, .help = "print the version and optional parts"},
    {.name = NULL},
};

static const cli_option id_options[] = {
    {"qr", 0, NULL, .help = "draw the key as a QR code"},
    {.name = NULL},
};

static const cli_option peers_options[] = {
    {"watch", 'w', NULL, .help = "go on and show what changes"},
    {.name = NULL},
};

static const cli_option pair_options[] = {
    {"label", 'l', "LABEL", .help = "a name to call the peer by"},
    {"address", 'a', "HOST:PORT", .help = "where it can be dialled"},
    {.name = NULL},
};

static const cli_option label_options[] = {
    {"none", 0, NULL, .help = "tell peers none any more"},
    {.name = NULL},
};

static const cli_option term_options[] = {
    {"at", 0, "HOST:PORT", .help = "dial the peer there"},
    {"json-term", 0, NULL, .help = "the term is JSON instead of Elixir"},
    {.name = NULL},
};

static const cli_option rpc_options[] = {
    {"handle", 0, "NAME",
        .help = "the handle that serves it; default beam_admin"},
    {.name = NULL},
};

static const cli_option barrel_options[] = {
    {"out", 0, "FILE", .help = "id: write node.pub, for others to trust"},
    {"yes", 0, NULL,
        .help = "rotate identity: do it, not only say what it means"},
    {"key-dir", 0, "DIR",
        .help = "node.key and trusted/; default DATA-DIR/barrel/keys"},
    {"cert-dir", 0, "DIR",
        .help = "the certificate; default DATA-DIR/barrel/quic"},
    {.name = NULL},
};

#define TABLES(...) ((const cli_option *const[]){__VA_ARGS__, NULL})
#define NO_TABLES ((const cli_option *const[]){NULL})
/* Of a command that asks a node, its own when none runs. */
#define CALL_TABLES                                                            \
    cli_wait_option_table, term_options, cli_node_option_table,                \
        cli_barrel_own_option_table, cli_barrel_option_table

const cli_command cli_commands[] = {
    {"id", cli_cmd_id, "", 0, 0, "print this node's public key",
        "The key is what others pair. It is made on first use.",
        TABLES(id_options)},
    {"pair", cli_cmd_pair, "[KEY]", 0, 1, "trust a peer",
        "Without KEY: opens a window of two minutes, in which two devices "
        "that\n"
        "both run it show the same six digits; each owner compares them and\n"
        "says y. KEY is 52 characters of Base32 or 64 hexadecimal digits, and\n"
        "both ends pair each other. A label may be used wherever PEER is "
        "asked\n"
        "for.",
        TABLES(pair_options, cli_pair_option_table)},
    {"invite", cli_cmd_invite, "", 0, 0, "pair whoever brings a text back",
        "Prints a text with a one-time secret, on a terminal a QR code, too.\n"
        "Whoever uses it with 'peernet join' is paired without a question "
        "here.\n"
        "It listens until the invitation is used or its time is over; Ctrl-C\n"
        "cancels it.",
        TABLES(cli_invite_option_table)},
    {"join", cli_cmd_join, "", 0, 1, "use an invitation of another device",
        "The text is typed when asked, or comes on standard input, from a "
        "file\n"
        "or a picture of the code. It is a password, so never an argument.",
        TABLES(cli_join_option_table)},
    {"unpair", cli_cmd_unpair, "PEER", 1, 1, "stop trusting a peer",
        "Its link ends at once.", NO_TABLES},
    {"peers", cli_cmd_peers, "", 0, 0, "list paired peers",
        "With live state, address and round-trip time while a node runs.",
        TABLES(peers_options)},
    {"grant", cli_cmd_grant, "PEER NAME ...", 2, CLI_MAX_POSITIONAL,
        "let a peer use a handle, a function or a role",
        "NAME is a handle, a function such as MyApp.Led.set/1, or role:ROLE;\n"
        "PEER may be 'paired', which is every paired peer. The grant is a "
        "line\n"
        "of the file 'grants' in the data directory, and ends with its peer. "
        "A\n"
        "running node has it at once.",
        TABLES(cli_grant_option_table)},
    {"ungrant", cli_cmd_ungrant, "PEER [NAME ...]", 1, CLI_MAX_POSITIONAL,
        "take grants back", "Calls that wait are refused at once.",
        TABLES(cli_ungrant_option_table)},
    {"grants", cli_cmd_grants, "[PEER]", 0, 1,
        "list the file of grants, and what is wrong with it",
        "With PEER, its own and those of every paired peer. Grants of the\n"
        "program itself and of 'run --allow' are in 'status'.",
        NO_TABLES},
    {"role", cli_cmd_role, "[ROLE [NAME ...]]", 0, CLI_MAX_POSITIONAL,
        "show or set what a role may use",
        "NAMEs are handles and functions, in place of those it had.",
        TABLES(cli_role_option_table)},
    {"can", cli_cmd_can, "PEER NAME", 2, 2,
        "say whether a peer may use a handle or function, and why",
        "Ends with 0 if it may, and with 5 if not.",
        TABLES(cli_can_option_table)},
    {"status", cli_cmd_status, "", 0, 0, "show what the running node does",
        "Where it listens, how it finds peers, what it refused and what it\n"
        "exposes. Ends with 0 if a node runs, with 3 if none does and with 4\n"
        "if one does and cannot be reached.",
        NO_TABLES},
    {"announce", cli_cmd_announce, "", 0, 0, "announce the running node again",
        "At once, and from then on: it ends the silence of a node that runs\n"
        "with --quiet-on-new-networks, until the network changes again.",
        NO_TABLES},
    {"label", cli_cmd_label, "[LABEL]", 0, 1,
        "show or change what the running node calls itself",
        "Linked peers that run peernet are told. Until the node ends; 'run\n"
        "--own-label' has the label at the start.",
        TABLES(label_options)},
    {"discover", cli_cmd_discover, "", 0, 0, "show who announces itself",
        "Listens and says nothing. Keys that are not paired are shown too. An\n"
        "announce proves nothing: only the handshake does.",
        TABLES(cli_discover_option_table, cli_node_option_table)},
    {"doctor", cli_cmd_doctor, "[PEER]", 0, 1,
        "say why a peer is not reached, and what to do",
        "Walks from this device to PEER, one line a step: data, clock, node,\n"
        "pairing, interfaces, sources, announces, address, connection,\n"
        "protocol, key, pairing there, a message there and back, and a "
        "handle.\n"
        "The first that is wrong is said in full.",
        TABLES(cli_doctor_option_table, cli_node_option_table,
            cli_barrel_own_option_table, cli_barrel_option_table)},
    {"run", cli_cmd_run, "", 0, 0, "run the node in the foreground",
        "Nothing is exposed unless told. A program gets the argument as JSON\n"
        "on standard input; its standard output, JSON too, is the reply.\n"
        "While it runs, every other command on the same data directory goes\n"
        "through its links. With --barrel it is a node of an Erlang cluster,\n"
        "too; --allow NAME=NODE@HOST lets a pinned node of it use a handle.",
        TABLES(cli_run_option_table, cli_node_option_table,
            cli_barrel_run_option_table, cli_barrel_option_table)},
    {"config", cli_cmd_config, "ACTION [FILE]", 1, 2,
        "check the configuration of 'run'",
        "ACTION is\n"
        "  check [FILE]             name each mistake with its line\n"
        "Without FILE it is the one that 'run' would read, of DATA-DIR or of\n"
        "/etc/peernet; see peernet.conf(5).",
        NO_TABLES},
    {"reload", cli_cmd_reload, "", 0, 0,
        "let the running node read its configuration again",
        "All or nothing: of a file with faults nothing is taken. Links and\n"
        "handles that are as before stay; what needs a start is named.",
        NO_TABLES},
    {"call", cli_cmd_call, "PEER HANDLE [TERM]", 2, 3,
        "call a handle and print the reply",
        "TERM is in Elixir syntax, such as '%{unit: \"C\"}' or '\"hello\"';\n"
        "'-' reads it from standard input; without one it is nil.\n"
        "NODE@HOST as PEER is a node of an Erlang cluster:\n"
        "gen_server:call({HANDLE, NODE@HOST}, TERM).",
        TABLES(cli_timeout_option_table, CALL_TABLES)},
    {"send", cli_cmd_call, "PEER HANDLE [TERM]", 2, 3,
        "send to a handle; no reply",
        "TERM is as for 'call'. NODE@HOST as PEER is a node of an Erlang\n"
        "cluster: {HANDLE, NODE@HOST} ! TERM, and HANDLE may be a pid as\n"
        "--json prints it.",
        TABLES(CALL_TABLES)},
    {"rpc", cli_cmd_rpc, "PEER MOD FUN ARGS", 4, 4,
        "call a function of a module and print what it returns",
        "MOD is written as in Elixir: MyApp.Led, or :led for an Erlang\n"
        "module. ARGS is a list, such as '[1, \"on\"]'. NODE@HOST as PEER is\n"
        "a node of an Erlang cluster: rpc:call(NODE@HOST, MOD, FUN, ARGS).",
        TABLES(rpc_options, cli_timeout_option_table, CALL_TABLES)},
    {"cast", cli_cmd_rpc, "PEER MOD FUN ARGS", 4, 4,
        "call a function of a module; no reply", "As 'rpc'.",
        TABLES(rpc_options, CALL_TABLES)},
    {"monitor", cli_cmd_monitor, "NODE [PROCESS]", 1, 2,
        "wait for the end of a node of an Erlang cluster, or of its process",
        "PROCESS is a registered name, or a pid as --json prints it. One line\n"
        "says why it ended.",
        TABLES(cli_wait_option_table, cli_barrel_own_option_table,
            cli_barrel_option_table)},
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
        TABLES(barrel_options)},
    {"backup", cli_cmd_backup, "FILE", 1, 1,
        "write the data directory into an encrypted file",
        "Identity, trust list and what belongs to them, also while a node\n"
        "runs. The passphrase is asked for twice. Without it the backup is of\n"
        "no use to anybody.",
        TABLES(cli_backup_option_table)},
    {"restore", cli_cmd_restore, "FILE", 1, 1,
        "make the data directory from a backup",
        "All of it or nothing, into an empty or missing data directory. No\n"
        "node may run there, and none with this identity elsewhere.",
        TABLES(cli_backup_option_table)},
    {"serve", cli_cmd_serve, "HANDLE PROGRAM [ARG]...", 2, CLI_MAX_POSITIONAL,
        "let a program that goes on running answer to a handle",
        "Through the running node. PROGRAM gets each argument as a line of\n"
        "JSON on standard input and answers with a line, in order. When it\n"
        "ends it is started again. '--' before PROGRAM ends options.",
        TABLES(cli_allow_option_table, cli_serve_option_table)},
    {"listen", cli_cmd_listen, "HANDLE", 1, 1,
        "print each message to a handle as a line",
        "Through the running node. Calls are answered with --reply.",
        TABLES(cli_allow_option_table, cli_listen_option_table)},
    {"chat", cli_cmd_chat, "PEER", 1, 1, "talk with a peer, line by line",
        "Each line is sent to the peer's handle 'chat', as %{text: LINE}.\n"
        "On a terminal an empty line or Control-D leaves.",
        TABLES(cli_node_option_table)},
    {"metrics", cli_cmd_metrics, "", 0, 0, "print the node's counters",
        "Prometheus text. With no node running, those of one that has just\n"
        "begun: its files, its limits, and zeros.",
        TABLES(cli_node_option_table)},
    {"events", cli_cmd_events, "", 0, 0, "print what happens, line by line",
        "Until interrupted.", TABLES(cli_node_option_table)},
    {"help", cli_cmd_help, "[COMMAND]", 0, 1, "print help",
        "With --json, the whole table, one command per line.", NO_TABLES},
    {"version", cli_cmd_version, "", 0, 0,
        "print the version and optional parts", "As '--version'.", NO_TABLES},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL},
};

/* ---- help --------------------------------------------------------------- */

static void add_option_table(cli_text *t, const cli_option *table)
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
        cli_text_printf(t, "  %-30s %s\n", cli_text_string(&name), table->help);
    }
    cli_text_fini(&name);
}

static void print_overview(void)
{
    cli_text t = {0};

    cli_text_puts(&t,
        "usage: peernet [-d DIR] [--json] COMMAND ...\n\n"
        "Authenticated messages between devices, without servers.\n\n");
    for (const cli_command *c = cli_commands; c->name != NULL; c++) {
        char words[64];

        (void)snprintf(words, sizeof(words), "%s %s", c->name, c->positional);
        cli_text_printf(&t, "  %-24s %s\n", words, c->summary);
    }
    cli_text_puts(&t,
        "\nPEER is a label, a key in Base32 or hexadecimal, or the first 4 "
        "or more\ndigits of a fingerprint, if no other begins with them; "
        "NODE@HOST "
        "is a\nnode of an Erlang cluster.\n\n");
    add_option_table(&t, cli_global_options);
    cli_text_puts(&t,
        "\nEach command explains itself with --help; all of it is in "
        "peernet(1).\n");
    cli_print_text(&t);
}

/* The order of options in the help of a command: its own first, those for nodes
 * of an Erlang cluster last. */
typedef enum option_group {
    GROUP_OWN,
    GROUP_NODE,
    GROUP_GLOBAL,
    GROUP_CLUSTER,
    N_GROUPS
} option_group;

static option_group group_of(const cli_option *table)
{
    if (table == cli_node_option_table) {
        return GROUP_NODE;
    }
    if (table == cli_barrel_option_table || table == cli_barrel_run_option_table
        || table == cli_barrel_own_option_table) {
        return GROUP_CLUSTER;
    }
    return GROUP_OWN;
}

static const char *group_title(const cli_command *c, option_group group)
{
    bool is_run = c->run == cli_cmd_run;
    const char *const titles[N_GROUPS] = {
        [GROUP_OWN] = "Options of this command:",
        [GROUP_NODE] = is_run ? "How the node is found, and finds others:"
                              : "Of the node that is opened when none runs:",
        [GROUP_GLOBAL] = "Options of every command:",
        [GROUP_CLUSTER] = "\nFor nodes of an Erlang cluster:",
    };

    return titles[group];
}

/* Its tables in the order of the command's list, below one title. */
static void add_group(cli_text *t, const cli_command *c, option_group group)
{
    bool is_first = true;

    if (group == GROUP_GLOBAL) {
        cli_text_printf(t, "%s\n", group_title(c, group));
        add_option_table(t, cli_global_options);
        return;
    }
    for (size_t i = 0; c->options[i] != NULL; i++) {
        if (group_of(c->options[i]) == group) {
            if (is_first) {
                cli_text_printf(t, "%s\n", group_title(c, group));
            }
            add_option_table(t, c->options[i]);
            is_first = false;
        }
    }
    if (!is_first && group != GROUP_CLUSTER) {
        cli_text_putc(t, '\n');
    }
}

static void print_help(const cli_command *c)
{
    cli_text t = {0};

    cli_text_printf(&t, "usage: peernet %s%s%s [OPTION]...\n\n%c%s.\n\n%s\n\n",
        c->name, c->positional[0] == '\0' ? "" : " ", c->positional,
        c->summary[0] - 'a' + 'A', c->summary + 1, c->help);
    for (option_group group = GROUP_OWN; group < N_GROUPS; group++) {
        add_group(&t, c, group);
    }
    cli_print_text(&t);
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
            bool repeats = cli_option_repeats(table);

            cli_json_bytes(t, "value", table->value,
                strlen(table->value) - (repeats ? 3 : 0));
            cli_json_bool(t, "repeats", repeats);
        }
        cli_json_string(t, "help", table->help);
        if (table->key != NULL) {
            cli_json_string(t, "key", table->key);
            cli_json_string(t, "section", cli_config_section(table));
        }
        cli_json_close(t, '}');
    }
}

static void print_json_help(const cli_command *c)
{
    cli_text t = {0};

    cli_json_begin(&t);
    cli_json_string(&t, "command", c->name);
    cli_json_string(&t, "arguments", c->positional);
    cli_json_string(&t, "summary", c->summary);
    cli_json_open(&t, "options", '[');
    for (size_t i = 0; c->options[i] != NULL; i++) {
        json_options(&t, c->options[i]);
    }
    json_options(&t, cli_global_options);
    cli_json_close(&t, ']');
    cli_print_result(&t);
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

cli_exit cli_cmd_help(const cli_app *app)
{
    const cli_command *command = NULL;
    cli_nearest nearest;

    if (app->args->n_positional > 0) {
        command = cli_command_find(
            cli_commands, app->args->positional[0], &nearest);
        if (command == NULL) {
            return cli_fail_word(app, "the name of a command after 'help'",
                app->args->positional[0], &nearest);
        }
    }
    show_help(app->json, command);
    return CLI_OK;
}

/* ---- dispatch ----------------------------------------------------------- */

cli_exit cli_cmd_version(const cli_app *app)
{
    cli_text t = {0};

    if (app->json) {
        cli_json_begin(&t);
        cli_json_string(&t, "version", PN_VERSION);
        cli_json_string(&t, "library", pn_version());
        cli_json_string(&t, "parts", PN_CLI_PARTS);
        cli_print_result(&t);
    } else {
        cli_text_printf(&t, "peernet %s (libpeernet %s; optional parts: %s)",
            PN_VERSION, pn_version(),
            PN_CLI_PARTS[0] == '\0' ? "none" : PN_CLI_PARTS);
        cli_print(&t);
    }
    return CLI_OK;
}

/* True when a command line that could not be parsed has --json. */
static bool asks_for_json(int argc, char *const *argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            return true;
        }
    }
    return false;
}

static cli_exit run_command(cli_app *app)
{
    const cli_command *command = app->args->command;
    cli_exit status = CLI_OK;

    app->json = cli_args_flag(app->args, "json");
    cli_output_as_json(app->json);
    if (cli_args_flag(app->args, "version")) {
        return cli_cmd_version(app);
    }
    if (cli_args_flag(app->args, "help")) {
        show_help(app->json, command);
        return CLI_OK;
    }
    if (command == NULL && app->json) {
        return cli_fail(app, CLI_USAGE,
            "expected a command (see 'peernet help'), found nothing");
    }
    if (command == NULL) {
        print_overview();
        return CLI_USAGE;
    }
    if (command->run != cli_cmd_help && command->run != cli_cmd_version) {
        status = cli_app_find_data(app);
    }
    return status == CLI_OK ? command->run(app) : status;
}

cli_exit cli_main(int argc, char *const *argv)
{
    static cli_args args;
    static cli_app app = {.args = &args};
    cli_text error = {0};
    cli_exit status;

    if (cli_args_parse(
            argc, argv, cli_commands, cli_global_options, &args, &error)) {
        status = run_command(&app);
    } else {
        app.json = asks_for_json(argc, argv);
        status = cli_fail_text(&app, CLI_USAGE, &error);
    }
    return cli_finish_output(status);
}
