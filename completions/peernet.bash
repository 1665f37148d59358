# SPDX-License-Identifier: Apache-2.0
# Completion of peernet(1) for bash. tests/e2e/cli_docs.sh compares it with
# the program's own table.

_peernet_commands="id pair unpair peers discover run call send rpc cast chat
metrics events help"
_peernet_global="-d --data-dir --json -h --help --version"
_peernet_node="--listen --discovery --discovery-address --discovery-port
--no-linger"

# Options of one command, beside the global ones.
_peernet_options() {
    case $1 in
    id) echo "--qr" ;;
    pair) echo "-l --label -a --address" ;;
    discover) echo "-s --seconds $_peernet_node" ;;
    run)
        echo "-e --expose --arg -A --allow --program-timeout --echo --chat
            --announce-every --no-control -v --verbose $_peernet_node"
        ;;
    call)
        echo "-t --timeout -w --wait --at --json-term $_peernet_node"
        ;;
    send) echo "-w --wait --at --json-term $_peernet_node" ;;
    rpc)
        echo "--handle -t --timeout -w --wait --at --json-term $_peernet_node"
        ;;
    cast) echo "--handle -w --wait --at --json-term $_peernet_node" ;;
    chat | metrics | events) echo "$_peernet_node" ;;
    esac
}

# Options that take a value.
_peernet_takes_value() {
    case $1 in
    -d | --data-dir | -l | --label | -a | --address | -s | --seconds | \
        -e | --expose | --arg | -A | --allow | --program-timeout | \
        --announce-every | -t | --timeout | -w | --wait | --at | --handle | \
        --listen | --discovery | --discovery-address | --discovery-port)
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

# What the value of an option may be.
_peernet_value() {
    local cur=$2
    case $1 in
    -d | --data-dir)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        ;;
    --discovery)
        mapfile -t COMPREPLY < <(compgen -W "udp none" -- "$cur")
        ;;
    *) COMPREPLY=() ;;
    esac
}

_peernet() {
    local cur=${COMP_WORDS[COMP_CWORD]} command="" n_words=0 i word
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
    elif [[ $n_words -eq 0 ]]; then
        case $command in
        unpair | call | send | rpc | cast | chat)
            mapfile -t COMPREPLY < <(compgen -W "$(_peernet_peers)" -- "$cur")
            ;;
        esac
    fi
}

complete -F _peernet peernet
