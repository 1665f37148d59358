#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: an installation is complete, and what it holds is enough to build and
# run a program against it.
#
#     install.sh BUILD_DIR SOURCE_DIR LIBRARY [BARREL_LIBRARY] [DNSSD_LIBRARY]
set -u
build=$1
source=$2
barrel=
dnssd=
for library in "${@:4}"; do
    case ${library##*/} in
    libpeernet-barrel.*) barrel=$library ;;
    libpeernet-dnssd.*) dnssd=$library ;;
    esac
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

# shellcheck source=tests/e2e/tap.sh
. "$(dirname "$0")/tap.sh"

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
n_headers=0
for h in "$source"/include/peernet/*.h; do
    [ -n "$barrel" ] || [ "${h##*/}" != barrel.h ] || continue
    [ -n "$dnssd" ] || [ "${h##*/}" != dnssd.h ] || continue
    has "header ${h##*/}" "include/peernet/${h##*/}"
    n_headers=$((n_headers + 1))
done
[ "$(find "$root" -name '*.h' | wc -l)" -eq $n_headers ]
ok $? "no other header"
has "manual libpeernet(3)" 'man/man3/libpeernet.3*'
has "manual libpeernet-pairing(3)" 'man/man3/libpeernet-pairing.3*'
has "manual peernet-protocol(7)" 'man/man7/peernet-protocol.7*'
if [ -x "$build/cli/peernet" ]; then
    has "the program" 'bin/peernet'
    has "manual peernet(1)" 'man/man1/peernet.1*'
    has "manual peernet-control(7)" 'man/man7/peernet-control.7*'
    has "manual peernet.conf(5)" 'man/man5/peernet.conf.5*'
    has "the example of a configuration" 'doc/peernet/examples/peernet.conf'
    has "completion for bash" 'bash-completion/completions/peernet'
    has "completion for fish" 'fish/vendor_completions.d/peernet.fish'
    has "completion for zsh" 'zsh/vendor-completions/_peernet'
    if "$build/cli/peernet" --version | grep -q systemd; then
        has "the service" 'system/peernet.service'
        has "its socket" 'system/peernet.socket'
        has "its control socket" 'system/peernet-control.socket'
        has "the user's service" 'user/peernet.service'
        has "sysusers" 'sysusers.d/peernet.conf'
        has "tmpfiles" 'tmpfiles.d/peernet.conf'
    fi
fi

# needs LIBRARY PATTERN: it asks for no other library.
needs()
{
    readelf -d "$1" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | grep -vE \
        "^($2|libc|libpthread|ld-linux.*|lib[a-z]+san)\.so" >"$work/needed"
    [ ! -s "$work/needed" ]
}

# exports LIBRARY NODE: the functions under that symbol node.
exports()
{
    nm -D --defined-only "$1" | sed -n "s/.* \(pn_[^@]*\)@@$2\$/\1/p" \
        | LC_ALL=C sort
}

version=$(sed -n "s/^  version: '\(.*\)',/\1/p" "$source/meson.build")
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
exports "$lib" PEERNET_0 | diff "$source/docs/abi.txt" - >&2
ok $? "the visible symbols are those of docs/abi.txt"
exports "$lib" "PEERNET_PRIVATE_$version" >"$work/private"
"$source/tools/public-functions" core | diff - "$work/private" >&2
ok $? "the private core is what is marked PN_CORE"
needs "$lib" 'libuv|libcrypto'
ok $? "it needs libuv, libcrypto and libc only"

PKG_CONFIG_PATH=$libdir/pkgconfig
PKG_CONFIG_SYSROOT_DIR=$root
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
[ "$(pkg-config --modversion libpeernet)" = "$version" ]
ok $? "pkg-config knows the version"

compile_service()
{
    # shellcheck disable=SC2046
    cc -D_GNU_SOURCE -Wall -Wextra -Werror -o "$work/service" \
        "$work/service.c" $(pkg-config --cflags --libs libpeernet-barrel) \
        -Wl,-rpath-link,"$libdir"
    ok $? "examples/service.c compiles with what pkg-config says"
    LD_LIBRARY_PATH=$libdir "$work/service" 2>"$work/usage"
    [ $? -eq 2 ] && grep -q '^usage: service' "$work/usage"
    ok $? "and runs"
}

# ---- libpeernet-barrel -------------------------------------------------------

# What it takes of libpeernet that is not public; all else it takes is.
private_of_barrel()
{
    nm -D --undefined-only "$blib" | sed -n 's/.* \(pn_.*\)/\1/p' \
        >"$work/taken"
    sed -n "s/@PEERNET_PRIVATE_$version\$//p" "$work/taken" | LC_ALL=C sort
    ! grep -v "@PEERNET_0\$" "$work/taken" \
        | grep -vq "@PEERNET_PRIVATE_$version\$"
}

check_barrel()
{
    has "manual libpeernet-barrel(3)" 'man/man3/libpeernet-barrel.3*'
    blib=$(find "$root" -name libpeernet-barrel.so)
    readelf -d "$blib" | grep -q 'SONAME.*\[libpeernet-barrel\.so\.0\]'
    ok $? "SONAME is libpeernet-barrel.so.0"
    [ -e "${blib%/*}/libpeernet-barrel.so.0" ]
    ok $? "libpeernet-barrel: the SONAME is there"
    nm -D --defined-only "$blib" | awk '{print $3}' \
        | grep -vxF -e PEERNET_BARREL_0 >"$work/other"
    sed 's/$/@@PEERNET_BARREL_0/' "$source/docs/abi-barrel.txt" \
        | diff - <(LC_ALL=C sort "$work/other") >&2
    ok $? "libpeernet-barrel: visible is docs/abi-barrel.txt and nothing else"
    needs "$blib" \
        'libpeernet|libngtcp2|libngtcp2_crypto_gnutls|libgnutls|libuv|libcrypto'
    ok $? "libpeernet-barrel: it needs libpeernet, QUIC and TLS only"
    private_of_barrel >"$work/core"
    ok $? "libpeernet-barrel: it takes what is public, or of its own version"
    diff "$work/private" "$work/core" >&2
    ok $? "libpeernet-barrel: it takes all of the private core"
    [ "$(pkg-config --modversion libpeernet-barrel)" = "$version" ] &&
        pkg-config --print-requires libpeernet-barrel | grep -qx libpeernet
    ok $? "pkg-config: libpeernet-barrel requires libpeernet"
}

if [ -n "$barrel" ]; then
    check_barrel
else
    [ -z "$(find "$root" -name '*barrel*')" ]
    ok $? "nothing of the Barrel link is installed"
    ! pkg-config --exists libpeernet-barrel
    ok $? "pkg-config knows no libpeernet-barrel"
fi

# ---- libpeernet-dnssd --------------------------------------------------------

check_dnssd()
{
    has "manual libpeernet-dnssd(3)" 'man/man3/libpeernet-dnssd.3*'
    local dlib
    dlib=$(find "$root" -name libpeernet-dnssd.so)
    readelf -d "$dlib" | grep -q 'SONAME.*\[libpeernet-dnssd\.so\.0\]'
    ok $? "SONAME is libpeernet-dnssd.so.0"
    nm -D --defined-only "$dlib" | awk '{print $3}' \
        | grep -vxF -e PEERNET_DNSSD_0 >"$work/other"
    sed 's/$/@@PEERNET_DNSSD_0/' "$source/docs/abi-dnssd.txt" \
        | diff - <(LC_ALL=C sort "$work/other") >&2
    ok $? "libpeernet-dnssd: visible is docs/abi-dnssd.txt and nothing else"
    needs "$dlib" 'libpeernet|libavahi-client|libavahi-common'
    ok $? "libpeernet-dnssd: it needs libpeernet and Avahi only"
    nm -D --undefined-only "$dlib" | sed -n 's/.* \(pn_.*\)/\1/p' \
        >"$work/taken"
    [ -s "$work/taken" ] && ! grep -qv '@PEERNET_0$' "$work/taken"
    ok $? "libpeernet-dnssd: it takes what is public"
    ! [ -e "$build/dnssd/peernet-mdns" ] ||
        has "the helper" 'libexec/peernet/peernet-mdns'
    readelf -d "$dlib" | grep -q NODELETE
    ok $? "libpeernet-dnssd: it stays loaded"
    [ "$(pkg-config --modversion libpeernet-dnssd)" = "$version" ] &&
        pkg-config --print-requires libpeernet-dnssd | grep -qx libpeernet
    ok $? "pkg-config: libpeernet-dnssd requires libpeernet"
}

if [ -n "$dnssd" ]; then
    check_dnssd
else
    [ -z "$(find "$root" -name '*dnssd*')" ]
    ok $? "nothing of DNS-SD is installed"
fi

# ---- libpeernet-pairing ------------------------------------------------------

plib=$(find "$root" -name libpeernet-pairing.so)
readelf -d "$plib" | grep -q 'SONAME.*\[libpeernet-pairing\.so\.0\]'
ok $? "SONAME is libpeernet-pairing.so.0"
nm -D --defined-only "$plib" | awk '{print $3}' \
    | grep -vxF -e PEERNET_PAIRING_0 >"$work/other"
sed 's/$/@@PEERNET_PAIRING_0/' "$source/docs/abi-pairing.txt" \
    | diff - <(LC_ALL=C sort "$work/other") >&2
ok $? "libpeernet-pairing: visible is docs/abi-pairing.txt and nothing else"
needs "$plib" 'libuv|libcrypto'
ok $? "libpeernet-pairing: it needs libuv and libcrypto only"
[ "$(pkg-config --modversion libpeernet-pairing)" = "$version" ]
ok $? "pkg-config knows libpeernet-pairing"

# A sanitized library needs its runtime in the program as well.
extra=$(nm -D "$lib" | grep -qE '__asan_|__tsan_' && echo sanitized)
cp "$source"/examples/*.[ch] "$work"
if [ -n "$extra" ]; then
    for what in "greet.c compiles" "and runs" "a hidden function" \
        ${barrel:+"service.c compiles" "and runs"}; do
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
    [ -z "$barrel" ] || compile_service
fi
done_testing
