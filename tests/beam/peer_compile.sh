#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: peer_compile.sh STAMP SOURCE... : compiles to STAMP's folder/peer_ebin
set -eu
stamp=$1
shift
out=$(dirname "$stamp")/peer_ebin
rm -rf "$out"
mkdir -p "$out"
elixirc -o "$out" "$@"
: >"$stamp"
