# SPDX-License-Identifier: Apache-2.0
# Completion of peernet(1) for bash. tests/e2e/cli_docs.sh compares it with
# the program's own table.

_peernet_commands="id pair unpair peers discover run call send rpc cast
monitor barrel chat metrics events help"
_peernet_global="-d --data-dir --json -h --help --version"
_peernet_node="--listen --discovery --discovery-address --discovery-port
--no-linger"
_peernet_barrel="--cookie-file --trust-mode --auth-timeout --auth-window
--cookie-only --node --discovery-dir --dns-port --barrel-listen --key-dir
--cert-dir"
_peernet_own="--as $_peernet_barrel"

# Options of one command, beside the global ones.
_peernet_options() {
    case $1 in
    id) echo "--qr" ;;
    pair) echo "-l --label -a --address" ;;
    discover) echo "-s --seconds $_peernet_node" ;;
    run)
        echo "-e --expose --export --arg -A --allow --program-timeout --echo
            --chat --announce-every --no-control -v --verbose --barrel
            --no-publish --visible $_peernet_node $_peernet_barrel"
        ;;
    call)
        echo "-t --timeout -w --wait --at --json-term $_peernet_node
            $_peernet_own"
        ;;
    send) echo "-w --wait --at --json-term $_peernet_node $_peernet_own" ;;
    rpc)
        echo "--handle -t --timeout -w --wait --at --json-term $_peernet_node
            $_peernet_own"
        ;;
    cast)
        echo "--handle -w --wait --at --json-term $_peernet_node $_peernet_own"
        ;;
    monitor) echo "-w --wait $_peernet_own" ;;
    barrel) echo "--out --yes --key-dir --cert-dir" ;;
    chat | metrics | events) echo "$_peernet_node" ;;
    esac
}

# Options that take a value.
_peernet_takes_value() {
    case $1 in
    -d | --data-dir | -l | --label | -a | --address | -s | --seconds | \
        -e | --expose | --export | --arg | -A | --allow | --program-timeout | \
        --announce-every | -t | --timeout | -w | --wait | --at | --handle | \
        --listen | --discovery | --discovery-address | --discovery-port | \
        --barrel | --as | --cookie-file | --trust-mode | --auth-timeout | \
        --auth-window | --cookie-only | --node | --discovery-dir | \
        --dns-port | --barrel-listen | --key-dir | --cert-dir | --out)
        return 0
        ;;
    esac
    return 1
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
    --cookie-file | --out)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        ;;
    --trust-mode)
        mapfile -t COMPREPLY < <(compgen -W "strict tofu" -- "$cur")
        ;;
    --discovery)
        mapfile -t COMPREPLY < <(compgen -W "udp none" -- "$cur")
        ;;
    *) COMPREPLY=() ;;
    esac
}

_peernet() {
    local cur=${COMP_WORDS[COMP_CWORD]} command="" first="" n_words=0 i word
    local _peernet_dir=""
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
            "$(_peernet_options "$command") $_peernet_global" -- "$cur")
    elif [[ -z $command ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$_peernet_commands" -- "$cur")
    elif [[ $command == help && $n_words -eq 0 ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$_peernet_commands" -- "$cur")
    elif [[ $command == barrel && $n_words -eq 0 ]]; then
        mapfile -t COMPREPLY < <(compgen -W \
            "id trust pins unpin rotate nodes" -- "$cur")
    elif [[ $command == barrel ]]; then
        _peernet_barrel_words "$first" "$n_words"
    elif [[ $n_words -eq 0 ]]; then
        case $command in
        monitor)
            mapfile -t COMPREPLY < <(compgen -W "$(_peernet_pins)" -- "$cur")
            ;;
        unpair | call | send | rpc | cast | chat)
            mapfile -t COMPREPLY < <(compgen -W "$(_peernet_peers)" -- "$cur")
            ;;
        esac
    fi
}

complete -F _peernet peernet
