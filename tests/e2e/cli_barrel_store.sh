#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: the identity and the pins of a Barrel node by command line, without any
# node: what is made, and that every file and word that is not as it should be
# is refused with a sentence and changes nothing.
# Usage: cli_barrel_store.sh PEERNET
peernet=$1
suite=cli/barrel_store
limit=15 # seconds of one command: none waits for anything
# shellcheck source=tests/e2e/cli_lib.sh
. "$(dirname "$0")/cli_lib.sh"

a() { run -d "$work/a" "$@"; }
hex() { od -An -v -tx1 "$1" | tr -d ' \n'; }
keys=$work/a/barrel/keys

# row STATUS PART NAME ARG...
row() {
    local want=$1 part=$2 name=$3
    shift 3
    run -d "$work/a" "$@"
    expect "$want" "$part" "$name"
}
# is_json NAME PYTHON: what was printed is lines of JSON, `o` the first.
is_json() {
    [ -z "$err" ] && printf '%s\n' "$out" | python3 -c "import json, sys
lines = [json.loads(line) for line in sys.stdin]
o = lines[0]
assert $2, o"
    ok $? "$1"
}

# ---- id ---------------------------------------------------------------------

row 2 "found 'barrel'" no_action barrel
row 2 "found 'frob'" unknown_action barrel frob
row 2 "expected 'barrel trust NAME@HOST KEYFILE'" trust_short barrel trust b@h
row 2 "expected 'barrel id'" id_with_a_word barrel id x
row 2 "with 'barrel rotate' only" yes_of_id barrel id --yes
row 2 "with 'barrel id' only" out_of_pins barrel pins --out "$work/x"
[ ! -e "$work/a" ]
ok $? mistakes_make_nothing

a barrel id
[ "$status" -eq 0 ] && [[ $out =~ ^[0-9a-f]{64}$ ]]
ok $? id_is_hexadecimal
own=$out
a barrel id --out "$work/a.pub"
[ "$out" = "$own" ] && [ "$(hex "$work/a.pub")" = "$own" ]
ok $? id_out_is_the_key
row 4 "exists" id_out_exists barrel id --out "$work/a.pub"
row 4 "No such file" id_out_nowhere barrel id --out "$work/no/a.pub"
a --json barrel id
is_json id_json "o['ok'] and o['hex'] == '$own' and len(o['key']) == 52 \
and len(o['fingerprint']) == 16"
[ "$(stat -c %a "$keys")" = 700 ] && [ "$(stat -c %a "$keys/node.key")" = 600 ]
ok $? modes
[ ! -e "$work/a/identity.keys" ]
ok $? no_other_identity
# An upstream's directory as it is.
cp -r "$keys" "$work/upstream"
row 0 "$own" key_dir barrel id --key-dir "$work/upstream"

# ---- trust, pins, unpin ------------------------------------------------------

run -d "$work/b" barrel id --out "$work/b.pub"
b=$out
run -d "$work/c" barrel id --out "$work/c.pub"
row 0 "trusted b@h" trust barrel trust b@h "$work/b.pub"
cmp -s "$work/b.pub" "$keys/trusted/b@h.pub"
ok $? trust_is_a_file
row 0 "trusted b@h" trust_again barrel trust b@h "$work/b.pub"
row 4 "another key" trust_another_key barrel trust b@h "$work/c.pub"
cmp -s "$work/b.pub" "$keys/trusted/b@h.pub"
ok $? no_pin_is_replaced
echo "$b" >"$work/b.txt"
row 0 "trusted d@h" trust_text barrel trust d@h "$work/b.txt"
timeout 10 "$peernet" -d "$work/a" --json barrel trust e@h - <"$work/c.pub" \
    >"$work/out" 2>"$work/err"
status=$? out=$(cat "$work/out") err=$(cat "$work/err")
is_json trust_json "o['ok'] and o['node'] == 'e@h' and len(o['hex']) == 64"
row 2 "own key" trust_own_key barrel trust f@h "$work/a.pub"
row 2 "expected NAME@HOST" trust_word barrel trust h "$work/b.pub"
row 2 "expected NAME@HOST" trust_slash barrel trust ../x@h "$work/b.pub"
row 2 "expected NAME@HOST" trust_two_ats barrel trust a@b@c "$work/b.pub"
row 2 "expected NAME@HOST" trust_long \
    barrel trust "$(printf '%0254d' 0)@h" "$work/b.pub"
row 4 "No such file" trust_no_file barrel trust f@h "$work/none"
head -c 31 "$work/b.pub" >"$work/short"
row 2 "no public key" trust_short_file barrel trust f@h "$work/short"
cat "$work/b.pub" "$work/b.pub" >"$work/long"
row 2 "no public key" trust_long_file barrel trust f@h "$work/long"
row 4 "directory" trust_directory barrel trust f@h "$work"
a barrel pins
[ "$(printf '%s\n' "$out" | wc -l)" -eq 4 ] && has "$out" "b@h" && has "$out" "$b"
ok $? pins
a --json barrel pins
is_json pins_json "[p['node'] for p in lines] == ['b@h', 'd@h', 'e@h'] \
and o['hex'] == '$b'"
# A grant ends with the last pin of its key.
row 5 "is not pinned" grant_unpinned grant x@h led
row 0 "granted lamp to" grant_pinned grant d@h lamp
row 0 "granted led to" grant_other grant e@h led
row 0 "lamp, allows it" can_pinned can b@h lamp
row 0 "unpinned d@h" unpin barrel unpin d@h
row 0 "lamp" unpin_of_two_keeps_the_grant grants
row 5 "d@h is not pinned" unpin_again barrel unpin d@h
row 5 "ee@h is not pinned: did you mean 'e@h'" unpin_typo barrel unpin ee@h
row 5 '"error":"no-such-peer"' unpin_again_json --json barrel unpin d@h
row 2 "expected NAME@HOST" unpin_word barrel unpin d
[ ! -e "$keys/trusted/d@h.pub" ]
ok $? unpin_removes_the_file
a --json barrel unpin e@h
is_json unpin_json "o['ok'] and o['node'] == 'e@h'"
a grants
[ "$status" -eq 0 ] && has "$out" lamp && ! has "$out" led
ok $? unpin_drops_the_grant
row 0 "trusted b@h" unpin_then_another \
    barrel trust b@h "$work/b.pub" --key-dir "$work/upstream"
row 3 "no node runs" nodes_without_a_node barrel nodes

# ---- files that are not as they should be -------------------------------------

umask 077
echo secret >"$work/cookie"
umask 022
good=(--cookie-file "$work/cookie")
node=(run --listen 127.0.0.1:0 --discovery none --barrel-listen 127.0.0.1)

# bad NAME FILE PART COMMAND: on a copy of the key directory that COMMAND (in it)
# has changed, everything is refused with the name of FILE, and nothing is
# repaired.
bad() {
    local name=$1 before
    local where="$work/bad/$2: "
    rm -rf "$work/bad"
    cp -r "$keys" "$work/bad"
    (cd "$work/bad" && eval "$4")
    before=$(cd "$work/bad" && ls -lR --time-style=+ && cat -- *.*[by] | cksum)
    run barrel id --key-dir "$work/bad"
    expect 4 "$where" "bad/$name"
    has "$err" "$3"
    ok $? "bad/$name/why"
    run barrel rotate identity --yes --key-dir "$work/bad"
    expect 4 "$where" "bad/$name/rotate"
    run -d "$work/bads_node" "${node[@]}" "${good[@]}" --barrel n@h:0 \
        --key-dir "$work/bad"
    expect 4 "$where" "bad/$name/run"
    [ "$(printf '%s\n' "$err" | wc -l)" -eq 1 ]
    ok $? "bad/$name/run_says_one_sentence"
    [ "$before" = "$(cd "$work/bad" && ls -lR --time-style=+ &&
        cat -- *.*[by] | cksum)" ]
    ok $? "bad/$name/untouched"
}
bad no_private_key node.key "is not there" 'rm node.key'
bad no_public_key node.pub "is not there" 'rm node.pub'
bad short_key node.key "expected 32" 'truncate -s 31 node.key'
bad long_key node.key "expected 32" 'echo >>node.key'
bad another_pair node.pub "" 'cp trusted/b@h.pub node.pub'
bad open_key node.key "no other user can read" 'chmod 644 node.key'
bad linked_key node.key "directory on the way" \
    'mkdir m && chmod 777 m && mv node.key m/k && ln -s m/k node.key'
bad writable_public_key node.pub "other user" 'chmod 666 node.pub'
bad short_pin trusted/b@h.pub "expected 32" 'truncate -s 31 trusted/b@h.pub'
bad linked_pin trusted/b@h.pub "symbolic link" \
    'rm trusted/b@h.pub && ln -s ../node.pub trusted/b@h.pub'
bad writable_pin trusted/b@h.pub "other user" 'chmod 666 trusted/b@h.pub'
bad directory_for_a_pin trusted/d@h.pub "regular file" 'mkdir trusted/d@h.pub'
# Root would read them all the same.
printf '#!/bin/sh\nexec %s "%s" "$@"\n' "$([ "$(id -u)" -ne 0 ] ||
    echo setpriv --bounding-set=-dac_override,-dac_read_search)" \
    "$(realpath "$peernet")" >"$work/obedient"
chmod +x "$work/obedient"
program=$peernet peernet=$work/obedient
bad unreadable_key node.key "denied" 'chmod 0 node.key'
bad unreadable_pin trusted/b@h.pub "denied" 'chmod 0 trusted/b@h.pub'
peernet=$program
# That of a directory is its own.
rm -rf "$work/bad"
cp -r "$keys" "$work/bad"
chmod 777 "$work/bad"
row 4 "$work/bad: " bad/writable_directory barrel id --key-dir "$work/bad"
row 4 "$work/bad: " bad/writable_directory/run "${node[@]}" "${good[@]}" \
    --barrel n@h:0 --key-dir "$work/bad"

# ---- rotate ------------------------------------------------------------------

before=$(cksum "$keys/node.key" "$keys/node.pub")
a barrel rotate identity
[ "$status" -eq 2 ] && has "$out" "  b@h" && has "$err" "nothing was changed" &&
    [ "$before" = "$(cksum "$keys/node.key" "$keys/node.pub")" ] &&
    [ ! -e "$keys/backups" ]
ok $? rotate_says_who_will_refuse_us
a --json barrel rotate identity
[ "$status" -eq 2 ]
ok $? rotate_plan_status
is_json rotate_plan_json \
    "not o['ok'] and [p['node'] for p in o['refused_by']] == ['b@h']"
cp "$keys/node.key" "$work/old.key"
a --json barrel rotate identity --yes
is_json rotate_json "o['ok'] and o['hex'] != '$own' \
and [p['node'] for p in o['refused_by']] == ['b@h'] \
and o['backup'].startswith('$keys/backups/')"
backup=$(printf '%s' "$out" | sed 's/.*"backup":"\([^"]*\)".*/\1/')
[ "$(stat -c %a "$backup")" = 700 ] &&
    [ "$(stat -c %a "$backup/node.key")" = 600 ] &&
    cmp -s "$work/old.key" "$backup/node.key" &&
    ! cmp -s "$work/old.key" "$keys/node.key"
ok $? rotate_keeps_the_old_pair
new=$(hex "$keys/node.pub")
has "$out" "$new"
ok $? rotate_says_the_new_key
row 0 "$new" rotated_id barrel id
row 0 "b@h" rotated_pins_stay barrel pins
row 2 "found 'all'" rotate_word barrel rotate all
row 4 "node" rotate_cert_without_one barrel rotate cert

# ---- options -----------------------------------------------------------------

# No node is at this address, and DNS is not asked: a check that is left out ends with
# another status or sentence.
rpc=(rpc n@h M f '[]' --as s@h --dns-port 0 --barrel-listen 127.0.0.1)
row 3 "n@h is not known" options_good "${rpc[@]}" "${good[@]}"
row 2 "--cookie-file" cookie_not_given "${rpc[@]}"
row 2 "cannot be switched off" trust_mode_none "${rpc[@]}" "${good[@]}" \
    --trust-mode none
row 2 "cannot be switched off" trust_mode_off "${rpc[@]}" "${good[@]}" \
    --trust-mode off
row 2 "found ''" trust_mode_empty "${rpc[@]}" "${good[@]}" --trust-mode ''
for never in 0 00 infinity; do
    row 2 "always has a deadline" "auth_timeout_$never" "${rpc[@]}" \
        "${good[@]}" --auth-timeout $never
done
row 2 "1 to 120000" auth_timeout_over "${rpc[@]}" "${good[@]}" \
    --auth-timeout 120001
row 2 "1 to 120000" auth_timeout_word "${rpc[@]}" "${good[@]}" \
    --auth-timeout soon
row 3 "not known" auth_timeout_most "${rpc[@]}" "${good[@]}" \
    --auth-timeout 120000
row 2 "1 to 600000" auth_window_0 "${rpc[@]}" "${good[@]}" --auth-window 0
row 2 "1 to 600000" auth_window_over "${rpc[@]}" "${good[@]}" \
    --auth-window 600001
row 2 "0 to 65535" dns_port rpc n@h M f '[]' --as s@h \
    --barrel-listen 127.0.0.1 "${good[@]}" --dns-port 65536
row 2 "NAME@HOST=HOST:PORT" node_no_address "${rpc[@]}" "${good[@]}" --node n@h
row 2 "expected NAME@HOST" node_name "${rpc[@]}" "${good[@]}" --node n=h:1
row 2 "HOST:PORT" node_address "${rpc[@]}" "${good[@]}" --node n@h=h:x
row 2 "admits" cookie_only_word "${rpc[@]}" "${good[@]}" --cookie-only everybody
row 2 "numeric" barrel_listen rpc n@h M f '[]' --as s@h --dns-port 0 \
    "${good[@]}" --barrel-listen here
row 2 "the same" one_directory "${rpc[@]}" "${good[@]}" \
    --key-dir "$work/k" --cert-dir "$work/k"
row 2 "expected NAME@HOST" as_word rpc n@h M f '[]' --dns-port 0 \
    --barrel-listen 127.0.0.1 "${good[@]}" --as shell
row 2 "expected NAME@HOST" peer_word rpc n@ M f '[]' "${good[@]}"
row 2 "another node" own_name rpc s@h M f '[]' --as s@h --dns-port 0 \
    --barrel-listen 127.0.0.1 "${good[@]}"
row 2 "'--node NAME@HOST=HOST:PORT'" at "${rpc[@]}" "${good[@]}" --at h:1
row 2 "no '--handle'" handle "${rpc[@]}" "${good[@]}" --handle x
row 2 "NODE@HOST as PEER" options_for_a_peer call bob echo 1 "${good[@]}"
row 2 "list of arguments" args_no_list rpc n@h M f 1 --as s@h --dns-port 0 \
    --barrel-listen 127.0.0.1 "${good[@]}"
# shellcheck disable=SC2016 # a key of JSON
row 2 "registered name" call_of_a_pid call n@h '{"$opaque":"AA=="}' 1 \
    --as s@h --dns-port 0 --barrel-listen 127.0.0.1 "${good[@]}"
row 2 "expected NAME@HOST" monitor_word monitor n "${good[@]}"
row 3 "n@h is not known" monitor_unknown monitor n@h --as s@h --dns-port 0 \
    --barrel-listen 127.0.0.1 "${good[@]}"
row 3 '"error":"not-connected"' unknown_json --json "${rpc[@]}" "${good[@]}"

# cookie STATUS PART NAME: with $work/jar as the cookie file.
cookie() {
    row "$1" "$2" "cookie/$3" "${rpc[@]}" --cookie-file "$work/jar"
    ! has "$out$err" secret
    ok $? "cookie/$3/not_said"
    rm -rf "$work/jar"
}
make() { # MODE, content on standard input
    (umask 077 && cat >"$work/jar")
    chmod "$1" "$work/jar"
}
make 400 < <(printf secret)
cookie 3 "not known" no_newline
make 600 < <(printf 'secret\r\n')
cookie 3 "not known" crlf
make 600 < <(printf 'secret%0249d\n' 0)
cookie 3 "not known" of_255
make 600 < <(printf 'secret%0250d\n' 0)
cookie 4 "one line of 1 to 255" of_256
make 600 < <(printf 'secret%01000d\n' 0)
cookie 4 "one line of 1 to 255" long
make 600 < <(printf 'secret\nsecret\n')
cookie 4 "one line" two_lines
make 600 < <(printf 'sec\tret\n')
cookie 4 "printable" control_character
make 600 </dev/null
cookie 4 "one line" empty
make 440 < <(echo secret)
cookie 3 "not known" group_reads
make 620 < <(echo secret)
cookie 4 "no other user" group_writes
make 604 < <(echo secret)
cookie 4 "no other user" others_read
make 602 < <(echo secret)
cookie 4 "no other user" others_write
ln -s cookie "$work/jar"
cookie 3 "not known" symbolic_link
# As Kubernetes mounts one: two links, a directory with the sticky bit.
mkdir -m 1777 "$work/mount"
mkdir -m 755 "$work/mount/..2026"
echo secret >"$work/mount/..2026/cookie"
chmod 440 "$work/mount/..2026/cookie"
ln -s ..2026 "$work/mount/..data"
ln -s ..data/cookie "$work/mount/cookie"
ln -s "$work/mount/cookie" "$work/jar"
cookie 3 "not known" mounted_secret
chmod 777 "$work/mount/..2026"
ln -s "$work/mount/cookie" "$work/jar"
cookie 4 "can be written by other users" directory_of_all
chmod 775 "$work/mount/..2026"
ln -s "$work/mount/cookie" "$work/jar"
cookie 4 "can be written by other users" directory_of_a_group
chmod 755 "$work/mount/..2026"
ln -s jar "$work/jar"
cookie 4 "Too many levels" link_to_itself
row 3 "not known" cookie/descriptor "${rpc[@]}" --cookie-file /dev/fd/8 \
    8<"$work/cookie"
row 3 "not known" cookie/descriptor_of_a_pipe "${rpc[@]}" \
    --cookie-file /dev/fd/8 8< <(echo secret)
row 4 "descriptor that we inherited" cookie/no_descriptor "${rpc[@]}" \
    --cookie-file /dev/fd/99
mkfifo -m 600 "$work/jar"
cookie 4 "regular file" fifo
mkdir -m 700 "$work/jar"
cookie 4 "regular file" directory
row 4 "No such file" cookie/missing "${rpc[@]}" --cookie-file "$work/jar"
if [ "$(id -u)" -eq 0 ]; then
    make 600 < <(echo secret)
    chown 1 "$work/jar"
    cookie 4 "another user" of_another
    mkdir -m 755 "$work/theirs"
    cp -p "$work/cookie" "$work/theirs/cookie"
    chown 1 "$work/theirs"
    ln -s theirs/cookie "$work/jar"
    cookie 4 "another user" in_a_directory_of_another
    chown 0 "$work/theirs"
    ln -s theirs/cookie "$work/jar"
    chown -h 1 "$work/jar"
    cookie 4 "symbolic link on the way" link_of_another
else
    n=$((n + 1))
    echo "ok $n - $suite/cookie/of_another # SKIP only root can make one"
fi

# `run` says the same, before it opens anything.
row 2 "--cookie-file" run_no_cookie "${node[@]}" --barrel n@h:0
row 2 "'--barrel NAME@HOST'" run_no_barrel "${node[@]}"
row 2 "'--barrel NAME@HOST'" run_trust_mode_without_barrel run \
    --discovery none --listen 127.0.0.1:0 --trust-mode tofu
row 2 "expected NAME@HOST" run_name "${node[@]}" "${good[@]}" --barrel n
for port in 65536 x '' -1 1:2; do
    row 2 "NAME@HOST:PORT after '--barrel'" "run_port/$port" "${node[@]}" \
        "${good[@]}" --barrel "n@h:$port"
done
row 2 "always has a deadline" run_no_deadline "${node[@]}" "${good[@]}" \
    --barrel n@h:0 --auth-timeout infinity
row 2 "cannot be switched off" run_no_authentication "${node[@]}" \
    "${good[@]}" --barrel n@h:0 --trust-mode off
row 2 "--barrel NAME@HOST" allow_a_node_without_barrel run --discovery none \
    --listen 127.0.0.1:0 --echo --allow echo=b@h
row 5 "peernet barrel trust x@h KEYFILE" allow_a_node_without_a_pin \
    "${node[@]}" "${good[@]}" --barrel n@h:0 --echo --allow echo=x@h
row 2 "MOD.FUN/ARITY=PROGRAM" export_no_arity "${node[@]}" "${good[@]}" \
    --barrel n@h:0 --export Led.on=/bin/true
row 2 "MOD.FUN/ARITY=PROGRAM" export_arity "${node[@]}" "${good[@]}" \
    --barrel n@h:0 --export Led.on/256=/bin/true
row 2 "--allow Led.on/1=PEER" export_without_allow "${node[@]}" "${good[@]}" \
    --barrel n@h:0 --export Led.on/1=/bin/true

done_testing
