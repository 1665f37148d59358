#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: every program under examples/ does what its first comment says.
#
#     PEERNET=PROGRAM BARREL=yes examples.sh EXAMPLES_DIR SOURCE_DIR
#
# BARREL: those that link libpeernet-barrel were built.
set -u
examples=$1
source=$2
work=$(mktemp -d)
pids=()
cleanup()
{
    [ ${#pids[@]} -gt 0 ] && kill "${pids[@]}" 2>/dev/null
    wait 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT

# shellcheck source=tests/e2e/tap.sh
. "$(dirname "$0")/tap.sh"

# shows NAME LINE: waits until it has been printed.
shows()
{
    for _ in $(seq 100); do
        grep -q "$2" "$work/$1.out" && return
        sleep 0.1
    done
}

# start NAME PROGRAM ARG...: in the background; sets key and at.
start()
{
    local name=$1
    shift
    "$@" >"$work/$name.out" 2>"$work/$name.err" </dev/null &
    pids+=($!)
    shows "$name" '^port'
    key=$(sed -n 's/^key //p' "$work/$name.out")
    at=127.0.0.1:$(sed -n 's/^port //p' "$work/$name.out")
}

# key_of DIR: the key a directory has, made on first use.
key_of()
{
    timeout 20 "$examples/example-greet" "$1" >"$work/key.out" &
    local pid=$!
    shows key '^port'
    kill $pid
    wait $pid 2>/dev/null
    sed -n 's/^key //p' "$work/key.out"
}

count=40
[ -z "${BARREL-}" ] || count=$((count + 12))
[ ! -x "$examples/example-nearby" ] || count=$((count + 1))
echo "1..$count"

client=$(key_of "$work/client")
"$examples/example-greet" "$work/server" --pair "$client"
start greet "$examples/example-greet" "$work/server"
greet_key=$key
greet_at=$at
out=$(timeout 20 "$examples/example-greet" "$work/client" "$key" "$at" world)
[ "$out" = "hello world" ]
ok $? "greet: a call is answered"

"$examples/example-greet" "$work/sensor" --pair "$client"
start sensor "$examples/example-sensor" "$work/sensor"
out=$(timeout 20 "$examples/example-own_loop" "$work/client" "$key" "$at" \
    temperature)
[[ $out == "{:ok, 21."* ]]
ok $? "sensor and own_loop: a call from a loop of one's own"

alice=$(key_of "$work/alice")
mkfifo "$work/typed"
"$examples/example-chat" "$work/bob" "$alice" <"$work/typed" \
    >"$work/bob.out" 2>&1 &
pids+=($!)
exec 3<>"$work/typed" # both ways: opening never waits
shows bob '^port'
bob=$(sed -n 's/^key //p' "$work/bob.out")
bob_at=127.0.0.1:$(sed -n 's/^port //p' "$work/bob.out")
: >"$work/alice.out"
(shows bob '^\* peer-up'; echo 'hi bob'; shows alice '^peer> hi alice$') |
    timeout 30 "$examples/example-chat" "$work/alice" "$bob" "$bob_at" \
        >"$work/alice.out" 2>&1 &
shows bob '^peer> hi bob$'
echo 'hi alice' >&3
wait $!
exec 3>&-
grep -q '^peer> hi bob$' "$work/bob.out"
ok $? "chat: a line reaches the other side"
grep -q '^peer> hi alice$' "$work/alice.out"
ok $? "chat: and comes back"

# Two nodes of the program; the first serves what a program offers.
if [ -n "${PEERNET-}" ]; then
    export XDG_RUNTIME_DIR=$work
    chmod 700 "$work"
    phone=$("$PEERNET" -d "$work/phone" id)
    "$PEERNET" -d "$work/station" pair "$phone" --label phone >/dev/null
    "$PEERNET" -d "$work/station" run --listen 127.0.0.1:0 --discovery none \
        >"$work/station.out" 2>&1 </dev/null &
    pids+=($!)
    shows station '^ready'
    "$PEERNET" -d "$work/phone" pair "$("$PEERNET" -d "$work/station" id)" \
        --label station --address \
        "127.0.0.1:$(sed -n 's/^ready .* port //p' "$work/station.out")" >/dev/null
    # serves NAME COMMAND...: a program that offers temperature to phone.
    serves()
    {
        local name=$1
        shift
        "$@" >"$work/$name.out" 2>&1 </dev/null &
        pids+=($!)
        shows "$name" '^serving'
        out=$("$PEERNET" -d "$work/phone" call station temperature '%{unit: "F"}')
        [ "$out" = '{:ok, 70.7}' ]
        ok $? "$name: a call through the running node is answered"
        kill $!
        wait $! 2>/dev/null
    }
    serves thermometer.py "$source/examples/python/thermometer.py" \
        "$work/station" phone
    serves thermometer.c "$examples/example-thermometer" "$work/station" phone
    "$PEERNET" -d "$work/station" serve temperature --allow phone -- \
        "$source/examples/shell/thermometer.sh" &
    pids+=($!)
    for _ in $(seq 100); do
        out=$("$PEERNET" -d "$work/phone" call station temperature \
            '%{unit: "F"}' 2>/dev/null) && break
        sleep 0.1
    done
    [ "$out" = '{:ok, 70.7}' ]
    ok $? "thermometer.sh: as a program of serve"
else
    ok 0 "thermometer.py: PEERNET is not set # SKIP"
    ok 0 "thermometer.c: PEERNET is not set # SKIP"
    ok 0 "thermometer.sh: PEERNET is not set # SKIP"
fi

start led "$examples/example-led" "$work/led" "$client"
if [ -n "${PEERNET-}" ]; then
    "$PEERNET" -d "$work/client" pair "$key" --label led --address "$at" \
        >/dev/null
    out=$("$PEERNET" -d "$work/client" rpc led MyApp.Led set '[true]')
    [ "$out" = ":ok" ] && grep -q '^led on$' "$work/led.out"
    ok $? "led: a granted function runs"
    "$PEERNET" -d "$work/client" rpc led MyApp.Led blink '[]' \
        >"$work/out" 2>&1
    [ $? -ne 0 ] && grep -q 'undef' "$work/out"
    ok $? "led: a function that is not exported is refused by name"
else
    ok 1 "led: PEERNET is not set"
    ok 1 "led: PEERNET is not set"
fi

timeout 20 "$examples/example-remote" "$work/client" "$key" "$at" \
    >"$work/remote.out" 2>&1
cat >"$work/want" <<'END'
set: OK :ok
get: OK true
lock: OK
set: REMOTE {:forbidden, {MyApp.Led, :set, 1}}
reboot: REMOTE :no_such_handle
END
diff "$work/want" "$work/remote.out" >&2
ok $? "remote: calls and casts by BeamDist, a grant taken back, a refusal"

# Paired while it runs: the server sees the file change.
"$examples/example-greet" "$work/server" --pair "$(key_of "$work/finder")"
echo "$greet_key $greet_at" >"$work/hosts"
timeout 30 "$examples/example-discovery" "$work/finder" "$work/hosts" \
    "$greet_key" >"$work/discovery.out" 2>&1
ok $? "discovery: runs to its end"
for line in 'announce: our port' 'discovered: by hosts' 'peer-up' \
    'reply: found you' 'hosts: runs' 'lo is loopback' 'heard by hosts' 'network-changed' \
    'leaves at once' 'announce: no longer'; do
    grep -qxF "$line" "$work/discovery.out"
    ok $? "discovery: $line"
done

# Without a bus, so that nothing is published on this machine's network; with a
# daemon the library is tested by netns_dnssd.sh.
if [ -x "$examples/example-nearby" ]; then
    out=$(DBUS_SYSTEM_BUS_ADDRESS=unix:path=$work/nowhere timeout 30 \
        "$examples/example-nearby" "$work/nearby" 1 den 2>&1)
    [ "$out" = "D-Bus cannot be reached" ] || {
        echo "# $out"
        false
    }
    ok $? "nearby: says that it has no daemon"
fi

"$examples/example-invite" "$work/host" 127.0.0.1 >"$work/invited.out" 2>&1 &
pids+=($!)
inviter=$!
shows invited '^peernet:'
out=$(grep '^peernet:' "$work/invited.out" |
    timeout 20 "$examples/example-invite" "$work/guest" -)
[ "$out" = 'paired with "inviter"' ] && wait "$inviter" &&
    grep -q 'calls itself "joiner"' "$work/invited.out"
ok $? "invite: whoever brings the text back is paired"

# An owner who looks at both screens: the answer comes after the digits.
compare() # NAME
{
    mkfifo "$work/$1.in"
    timeout 60 "$examples/example-pair" "$work/$1" 127.255.255.255 \
        $((20000 + $$ % 12000)) <"$work/$1.in" >"$work/$1.out" 2>&1 &
}
compare left
left=$!
exec 8>"$work/left.in"
compare right
right=$!
exec 9>"$work/right.in"
shows left '^digits'
shows right '^digits'
[ "$(sed -n 's/^digits \([0-9]*\),.*/\1/p' "$work/left.out")" = \
    "$(sed -n 's/^digits \([0-9]*\),.*/\1/p' "$work/right.out")" ]
ok $? "pair: both show the same digits"
echo y >&8
echo y >&9
exec 8>&- 9>&-
wait $left && wait $right && grep -q '^paired' "$work/left.out" &&
    grep -q '^paired' "$work/right.out"
ok $? "pair: and both have stored the other"

timeout 30 "$examples/example-door" "$work" >"$work/door.out" 2>&1
cat >"$work/want" <<'END'
closed: REMOTE :forbidden
door: the guest
mirror: nobody
door: a note
at home: OK {:ok, "come in"}
door: a note
away: REMOTE {:handler_crash, {:exit, :normal}}
door: a note
taken back meanwhile: REMOTE :forbidden
not wanted any more
taken back: REMOTE :forbidden
for all who are paired: OK {:knock, 3}
revoked: REMOTE :no_such_handle
calls in all: 7
the guest: up
the guest: NOT_FOUND
unpaired: down
END
diff "$work/want" "$work/door.out" >&2
ok $? "door: grants, answers that come later, counters"
timeout 30 "$examples/example-door" "$work" >"$work/door.out" 2>&1 &&
    diff "$work/want" "$work/door.out" >&2
ok $? "door: once more with the same folders"

receiver=$(key_of "$work/receiver")
head -c 5000001 /dev/urandom >"$work/file"
start bulk "$examples/example-bulk" "$work/receiver" "$client" "$work/copy"
receiving=$!
out=$(timeout 60 "$examples/example-bulk" "$work/client" "$receiver" "$at" \
    "$work/file" 2>"$work/bulk.again")
[ "$out" = "sent 5000001 bytes" ] || {
    sed 's/^/# /' "$work/bulk.again"
    kill "$receiving" # it waits for an end that does not come
    false
}
ok $? "bulk: a file is sent"
wait "$receiving" && cmp "$work/file" "$work/copy"
ok $? "bulk: and is the same there"
[ "$(cat "$work/bulk.again")" = "0 chunks were sent again" ]
ok $? "bulk: a window within the limits is never refused"

trust=$examples/example-trust
"$trust" "$work/owner" add "$client" "the client"
ok $? "trust: a key is added"
out=$("$trust" "$work/owner")
[[ $out == *"key "*" the client" ]]
ok $? "trust: and listed"
"$trust" "$work/owner" add nonsense x 2>"$work/trust.err"
[ $? -eq 1 ] && [ -s "$work/trust.err" ]
ok $? "trust: what is no key is refused"
"$trust" "$work/owner" remove "the client" &&
    [[ $("$trust" "$work/owner") != *client* ]]
ok $? "trust: and taken out by its label"

backup=$examples/example-backup
"$backup" "$work/owner" save "$work/owner.pn" <<<"correct horse" >"$work/backup.out" &&
    grep -q '^saved .* files$' "$work/backup.out"
ok $? "backup: is saved"
"$backup" "$work/again" load "$work/owner.pn" <<<"correct horse" >/dev/null &&
    [ "$("$trust" "$work/again")" = "$("$trust" "$work/owner")" ]
ok $? "backup: and loaded"
"$backup" "$work/third" load "$work/owner.pn" <<<"wrong horse" 2>"$work/backup.err"
[ $? -eq 1 ] && grep -q '^AUTH' "$work/backup.err" && [ ! -e "$work/third" ]
ok $? "backup: a wrong passphrase makes nothing"

out=$(timeout 20 "$examples/example-grants" "$work/lamps" "$client" 2>&1)
[ "$out" = "at first: no
granted: yes, by line 2, lamp
by a role: yes, by line 3, role:lights
3 entries
taken back: no
by the program: yes
in the files: yes, by line 3, lamp
0 entries are left" ]
ok $? "grants: given and taken back, in a node and in its files"

"$examples/example-terms" >"$work/terms.out" 2>&1
cat >"$work/want" <<'END'
scalars: [-1, 18446744073709551615, -18446744073709551616, 1.5, :ok, :error, true, <<0, 1>>, "hi", <<1, 5::size(3)>>]
containers: {%{a: 1}, [1 | 2]}
format: {:reading, %{unit: "C", value: 21.5}}
vformat: {:ok, [7, {:reading, %{unit: "C", value: 21.5}}]}
term in a term: {{:reading, %{unit: "C", value: 21.5}}}
match: 21.5 C
vmatch: 1
no match: as it should be
numbers: -1, 18446744073709551615, negative of 9 bytes, 1.5
true: 1
list: 10 elements, atom ok, binary of 2, 2 bytes with 3 bits in the last: success
tuple of 2, map of 1, key a (1)
next is a list: 1
left over: the term has another shape
parsed: [1, 2]
a list: 1, the same value: 1
refused at byte 3
text: %{text: "hi", at: {:ok, 255}}
END
diff "$work/want" "$work/terms.out" >&2
ok $? "terms: every step prints what it says"
[ "$("$examples/example-terms" '[a: <<1, 2::3>>]')" = \
    'text: [a: <<1, 2::size(3)>>]' ]
ok $? "terms: text is read and printed"
out=$("$examples/example-terms" '{:ok, ')
[ $? -eq 1 ] && [ "$out" = 'at byte 6: expected a value' ]
ok $? "terms: text that is no term is refused with its place"

[ -n "${BARREL-}" ] || exit $failed

# ---- the Barrel link: service and reader on 127.0.0.1 -----------------------
thermo=thermo@127.0.0.1
reader=reader@127.0.0.1
mkdir "$work/thermo" "$work/reader"
echo 'a cookie' | tee "$work/thermo/cookie" >"$work/reader/cookie"
[ "$("$examples/example-service" "$work/thermo")" = \
    "key $work/thermo/keys/node.pub" ] &&
    [ "$(stat -c %s "$work/thermo/keys/node.pub")" -eq 32 ]
ok $? "service: makes its keys"
"$examples/example-reader" "$work/reader" >/dev/null
ok $? "reader: makes its keys"

# read_there ARG...: the reader, asking the thermometer.
read_there()
{
    timeout 30 "$examples/example-reader" "$work/reader" "$reader" \
        "$work/discovery" "$thermo" "$@" >"$work/reader.out" 2>&1
}
serve_there()
{
    rm -f "$work/thermo.out"
    start thermo "$examples/example-service" "$work/thermo" "$thermo" \
        "$work/discovery" "$@"
    service=$!
}
stop_there()
{
    kill "$service"
    wait "$service" 2>/dev/null
}

serve_there
grep -qx "node $thermo" "$work/thermo.out"
ok $? "service: says who it is"
read_there
[ $? -eq 1 ] && grep -q "^$thermo: " "$work/reader.out"
ok $? "reader: expects to know the thermometer's key"
cp "$work/thermo/keys/node.pub" "$work/reader/keys/trusted/$thermo.pub"
read_there
[ $? -eq 1 ] && grep -q ': our key is not pinned there; let' "$work/reader.out"
ok $? "service: refuses a node whose key it does not know"
stop_there
[ ! -e "$work/discovery/$thermo.endpoint" ]
ok $? "service: takes its endpoint file with it"

cp "$work/reader/keys/node.pub" "$work/thermo/keys/trusted/$reader.pub"
serve_there
read_there 30
cat >"$work/want" <<'END'
gen_server:call: OK {:celsius, 21.5}
rpc:call: OK {:celsius, 21.5}
set: REMOTE {:EXIT, {:forbidden, [{:thermometer, :set, [30.0], []}]}}
pushed: OK {:reading, 21.5}
pushed: OK {:reading, 21.5}
left
END
diff "$work/want" "$work/reader.out" >&2
ok $? "service: answers and pushes; setting needs a grant of its own"
stop_there
serve_there "$reader"
read_there 30
cat >"$work/want" <<'END'
gen_server:call: OK {:celsius, 21.5}
rpc:call: OK {:celsius, 21.5}
set: OK :ok
pushed: OK {:reading, 30.0}
pushed: OK {:reading, 30.0}
left
END
diff "$work/want" "$work/reader.out" >&2
ok $? "service: its owner may set"
grep -qx "set to 30.0 by $reader" "$work/thermo.out"
ok $? "service: and knows who did"
stop_there

mkdir "$work/cluster"
timeout 60 "$examples/example-cluster" "$work/cluster" \
    >"$work/cluster.out" 2>&1
cat >"$work/want" <<'END'
a new key: yes, the old one is kept: yes
a new key: yes, the old one is kept: yes
pinned: shed@127.0.0.1
our key: yes, the same from its text: yes, 16 digits to look at
connected: OK
node shed@127.0.0.1, with the key that is pinned: yes
pins that count: 1
rpc:call: OK {:lent, :saw}
not granted: REMOTE {:EXIT, {:forbidden, [{:shed, :sell, [:saw], []}]}}
gen_server:call: OK [:hammer, :saw]
no such process: REMOTE :noproc
rpc:call, later: OK {:lent, :saw}
the shed got a note from office@127.0.0.1
gen_server:call, later: OK [:hammer, :saw]
everything has arrived: OK
DOWN of garage: OK :noproc
DOWN of a pid: OK :noproc
DOWN of the node: OK :noconnection
shed@127.0.0.1: 5 calls, 1 authenticated
as text for Prometheus: yes
NOT_CONNECTED: authentication with shed@127.0.0.1 failed: our key is not pinned there; let its owner pin it
NOT_CONNECTED: not-paired-there?
a new certificate, for the next start
END
diff "$work/want" "$work/cluster.out" >&2
ok $? "cluster: keys, calls, messages, monitors, trust taken back"
sleep 1.1 # copies of old keys are called by the second
timeout 60 "$examples/example-cluster" "$work/cluster" \
    >"$work/cluster.out" 2>&1
diff "$work/want" "$work/cluster.out" >&2
ok $? "cluster: once more with the same folders"
if command -v erlc >"$work/erlc"; then
    erlc -Werror -o "$work" "$source/examples/erlang/thermometer.erl" >&2
    ok $? "thermometer.erl: compiles"
else
    ok 0 "thermometer.erl: compiles # SKIP there is no erlc"
fi
exit $failed
