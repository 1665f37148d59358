#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: peer_compile.sh FOLDER/NAME.stamp SOURCE... : into FOLDER/NAME_ebin
set -eu
stamp=$1
shift
out=${stamp%.stamp}_ebin
rm -rf "$out"
mkdir -p "$out"
elixirc -pa "$(dirname "$stamp")/peer_ebin" -o "$out" "$@"
: >"$stamp"
