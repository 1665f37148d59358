# SPDX-License-Identifier: Apache-2.0
# Completion of peernet(1) for fish, from the table that the program itself
# prints (peernet help --json).

# FIELD of an object of that table.
function __peernet_field
    string match -rg "\"$argv[1]\":\"((?:[^\"\\\\]|\\\\.)*)\"" -- $argv[2] | string replace -a '\\"' '"' | head -n 1
end

# The command among the words before the cursor.
function __peernet_command
    set -l words (commandline -opc)
    set -l is_value 0
    for word in $words[2..-1]
        if test $is_value = 1
            set is_value 0
        else if contains -- $word $__peernet_valued
            set is_value 1
        else if not string match -q -- '-*' $word
            echo $word
            return 0
        end
    end
    return 1
end

function __peernet_needs_command
    not __peernet_command >/dev/null
end

function __peernet_is
    contains -- (__peernet_command) $argv
end

# Labels of paired peers.
function __peernet_peers
    set -l words (commandline -opc)
    set -l dir
    if set -l i (contains -i -- -d $words; or contains -i -- --data-dir $words)
        set dir -d $words[(math $i + 1)]
    end
    for line in (command peernet $dir --json peers 2>/dev/null)
        __peernet_field label $line
    end
end

# What the value of an option may be: words for complete.
function __peernet_value
    switch $argv[1]
        case discovery
            printf '%s\n' -x -a 'udp none'
        case dnssd
            printf '%s\n' -x -a 'auto avahi embedded none'
        case trust-mode
            printf '%s\n' -x -a 'strict tofu'
        case '*'
            switch $argv[2]
                case DIR
                    printf '%s\n' -x -a '(__fish_complete_directories)'
                case FILE
                    printf '%s\n' -r -F
                case '*'
                    echo -x
            end
    end
end

set -g __peernet_valued
complete -c peernet -f
for __peernet_line in (command peernet help --json 2>/dev/null)
    set -l command (__peernet_field command $__peernet_line)
    complete -c peernet -n __peernet_needs_command -a $command \
        -d (__peernet_field summary $__peernet_line)
    complete -c peernet -n '__peernet_is help' -a $command
    for option in (string match -ra '\{"name":"[^"]*"(?:,"[a-z]+":(?:"[^"]*"|true|false))*,"help":"(?:[^"\\\\]|\\\\.)*"' -- $__peernet_line)
        set -l name (__peernet_field name $option)
        set -l short (__peernet_field short $option)
        set -l value (__peernet_field value $option)
        set -l more
        if test -n "$short"
            set more -s $short
        end
        if test -n "$value"
            set -a more (__peernet_value $name $value)
            contains -- --$name $__peernet_valued
            or set -a __peernet_valued --$name -$short
        end
        # Those of 'help' are those that every command has.
        set -l where "__peernet_is $command"
        if test $command = help
            set where '__peernet_needs_command; or __peernet_is help'
        end
        complete -c peernet -n $where -l $name $more \
            -d (__peernet_field help $option)
    end
end
set -e __peernet_line
complete -c peernet -n '__peernet_is unpair doctor call send rpc cast chat' \
    -a '(__peernet_peers)'
complete -c peernet -n '__peernet_is barrel' \
    -a 'id trust pins unpin rotate nodes'
complete -c peernet -n '__peernet_is config' -a 'check' -F
