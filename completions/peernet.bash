# SPDX-License-Identifier: Apache-2.0
# Completion of peernet(1) for bash, from the table that the program itself
# prints (peernet help --json). tests/e2e/cli_docs.sh runs it.

# The lines of that table: of one command, or all.
_peernet_table() {
    "${COMP_WORDS[0]/#\~/$HOME}" help --json 2>/dev/null |
        grep "\"command\":\"${1:-[a-z]*}\""
}

_peernet_commands() {
    _peernet_table | sed 's/.*"command":"\([^"]*\)".*/\1/'
}

# Options of one command; those of 'help' are those that every command has.
_peernet_options() {
    _peernet_table "${1:-help}" |
        grep -oE '\{"name":"[^"]*"(,"short":"[^"]*")?' |
        sed -E 's/^\{"name":"([^"]*)"(,"short":"(.)")?/--\1 -\3/; s/ -$//'
}

# Those that take a value, of any command.
_peernet_valued() {
    _peernet_table |
        grep -oE '\{"name":"[^"]*"(,"short":"[^"]*")?,"value"' |
        sed -E 's/^\{"name":"([^"]*)"(,"short":"(.)")?.*/--\1 -\3/; s/ -$//' |
        sort -u
}

_peernet_takes_value() {
    [[ " ${_peernet_values:=$(_peernet_valued | tr '\n' ' ')}" == *" $1 "* ]]
}

# Labels of paired peers that are one plain word.
_peernet_peers() {
    "${COMP_WORDS[0]}" ${_peernet_dir:+-d "$_peernet_dir"} --json peers \
        2>/dev/null | sed -n 's/.*"label":"\([A-Za-z0-9._-]\{1,\}\)".*/\1/p'
}

# Nodes that are pinned.
_peernet_pins() {
    "${COMP_WORDS[0]}" ${_peernet_dir:+-d "$_peernet_dir"} --json barrel pins \
        2>/dev/null | sed -n 's/.*"node":"\([A-Za-z0-9._@-]*\)".*/\1/p'
}

# The words of 'barrel' after its first; $1 is that, $2 how many there are.
_peernet_barrel_words() {
    case $1 in
    unpin)
        if [[ $2 -eq 1 ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$(_peernet_pins)" -- "$cur")
        fi
        ;;
    trust)
        if [[ $2 -eq 2 ]]; then
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        fi
        ;;
    rotate)
        if [[ $2 -eq 1 ]]; then
            mapfile -t COMPREPLY < <(compgen -W "identity cert" -- "$cur")
        fi
        ;;
    esac
}

# What the value of an option may be.
_peernet_value() {
    local cur=$2
    case $1 in
    -d | --data-dir | --discovery-dir | --key-dir | --cert-dir)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        ;;
    --cookie-file | --out | --config)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        ;;
    --trust-mode)
        mapfile -t COMPREPLY < <(compgen -W "strict tofu" -- "$cur")
        ;;
    --discovery)
        mapfile -t COMPREPLY < <(compgen -W "udp none" -- "$cur")
        ;;
    --dnssd)
        mapfile -t COMPREPLY < <(compgen -W "auto avahi embedded none" -- "$cur")
        ;;
    *) COMPREPLY=() ;;
    esac
}

_peernet() {
    local cur=${COMP_WORDS[COMP_CWORD]} command="" first="" n_words=0 i word
    local _peernet_dir="" _peernet_values=""
    COMPREPLY=()

    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if _peernet_takes_value "$word"; then
            if ((i + 1 == COMP_CWORD)); then
                _peernet_value "$word" "$cur"
                return
            fi
            case $word in
            -d | --data-dir) _peernet_dir=${COMP_WORDS[i + 1]} ;;
            esac
            i=$((i + 1))
        elif [[ $word != -* ]]; then
            if [[ -z $command ]]; then
                command=$word
            else
                first=${first:-$word}
                n_words=$((n_words + 1))
            fi
        fi
    done

    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W \
            "$(_peernet_options "$command")" -- "$cur")
    elif [[ -z $command ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_peernet_commands)" -- "$cur")
    elif [[ $command == help && $n_words -eq 0 ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_peernet_commands)" -- "$cur")
    elif [[ $command == barrel && $n_words -eq 0 ]]; then
        mapfile -t COMPREPLY < <(compgen -W \
            "id trust pins unpin rotate nodes" -- "$cur")
    elif [[ $command == config && $n_words -eq 0 ]]; then
        mapfile -t COMPREPLY < <(compgen -W "check" -- "$cur")
    elif [[ $command == config ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    elif [[ $command == barrel ]]; then
        _peernet_barrel_words "$first" "$n_words"
    elif [[ $n_words -eq 0 ]]; then
        case $command in
        monitor)
            mapfile -t COMPREPLY < <(compgen -W "$(_peernet_pins)" -- "$cur")
            ;;
        unpair | doctor | call | send | rpc | cast | chat)
            mapfile -t COMPREPLY < <(compgen -W "$(_peernet_peers)" -- "$cur")
            ;;
        esac
    fi
}

complete -F _peernet peernet
