#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: an installation is complete, and what it holds is enough to build and
# run a program against it.
#
#     install.sh BUILD_DIR SOURCE_DIR LIBRARY
set -u
build=$1
source=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

n=0
failed=0
ok()
{
    local status=$1
    shift
    n=$((n + 1))
    if [ "$status" -eq 0 ]; then
        echo "ok $n - $*"
    else
        echo "not ok $n - $*"
        failed=1
    fi
}

# Installs what is built; never builds, since a build may be what runs us.
meson install -C "$build" --no-rebuild --destdir "$root" >"$work/log" 2>&1
status=$?
[ $status -eq 0 ] || sed 's/^/# /' "$work/log"
ok $status "meson install into an empty directory"

# has NAME PATTERN: exactly one installed file has that end.
has()
{
    [ "$(find "$root" -path "*/$2" ! -type d | wc -l)" -eq 1 ]
    ok $? "$1"
}
for h in "$source"/include/peernet/*.h; do
    has "header ${h##*/}" "include/peernet/${h##*/}"
done
[ "$(find "$root" -name '*.h' | wc -l)" -eq \
    "$(find "$source/include" -name '*.h' | wc -l)" ]
ok $? "no other header"
has "manual libpeernet(3)" 'man/man3/libpeernet.3*'
has "manual peernet-protocol(7)" 'man/man7/peernet-protocol.7*'
if [ -x "$build/cli/peernet" ]; then
    has "the program" 'bin/peernet'
    has "manual peernet(1)" 'man/man1/peernet.1*'
    has "completion" 'bash-completion/completions/peernet'
fi

lib=$(find "$root" -name libpeernet.so)
libdir=${lib%/*}
readelf -d "$lib" | grep -q 'SONAME.*\[libpeernet\.so\.0\]'
ok $? "SONAME is libpeernet.so.0"
[ -e "$libdir/libpeernet.so.0" ]
ok $? "the SONAME is there"
nm -D --defined-only "$lib" | awk '{print $3}' \
    | grep -vE '^(pn_|PEERNET_)' >"$work/other"
[ ! -s "$work/other" ]
ok $? "every visible symbol begins with pn_"
nm -D --defined-only "$lib" | sed -n 's/.* \(pn_[^@]*\)@@PEERNET_0$/\1/p' \
    | LC_ALL=C sort | diff "$source/docs/abi.txt" - >&2
ok $? "the visible symbols are those of docs/abi.txt"
readelf -d "$lib" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' \
    | grep -vE '^(libuv|libcrypto|libc|libpthread|ld-linux.*|lib[a-z]+san)\.so' \
        >"$work/needed"
[ ! -s "$work/needed" ]
ok $? "it needs libuv, libcrypto and libc only"

PKG_CONFIG_PATH=$libdir/pkgconfig
PKG_CONFIG_SYSROOT_DIR=$root
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
[ "$(pkg-config --modversion libpeernet)" = \
    "$(sed -n "s/^  version: '\(.*\)',/\1/p" "$source/meson.build")" ]
ok $? "pkg-config knows the version"
# A sanitized library needs its runtime in the program as well.
extra=$(nm -D "$lib" | grep -qE '__asan_|__tsan_' && echo sanitized)
cp "$source/examples/greet.c" "$source/examples/common.h" "$work"
if [ -n "$extra" ]; then
    for what in "greet.c compiles" "and runs" "a hidden function"; do
        n=$((n + 1))
        echo "ok $n - $what # SKIP the library is a sanitizer's"
    done
else
    # shellcheck disable=SC2046
    cc -Wall -Wextra -Werror -o "$work/greet" "$work/greet.c" \
        $(pkg-config --cflags --libs libpeernet)
    ok $? "examples/greet.c compiles with what pkg-config says"
    LD_LIBRARY_PATH=$libdir "$work/greet" 2>"$work/usage"
    [ $? -eq 2 ] && grep -q '^usage: greet' "$work/usage"
    ok $? "and runs"
    echo 'int pn_node_lock(void *); int main(void) {
        return pn_node_lock(0); }' >"$work/hidden.c"
    # shellcheck disable=SC2046
    ! cc -o "$work/hidden" "$work/hidden.c" \
        $(pkg-config --libs libpeernet) 2>"$work/hidden.err" \
        && grep -q 'undefined reference to .pn_node_lock' "$work/hidden.err"
    ok $? "a function that is not public cannot be linked"
fi
echo "1..$n"
exit $failed
