#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# T24: the loop's tests where the clocks have other values than the kernel's
# own, as after a long suspend: CLOCK_BOOTTIME ten days ahead of
# CLOCK_MONOTONIC. $1 is the tests' program; its TAP is passed on.
set -u
for how in "unshare -T -f" "unshare -r -T -f"; do
    how="$how --boottime 864000 --monotonic 100"
    if $how true 2>/dev/null; then
        exec $how "$1"
    fi
done
echo "1..0 # SKIP no right to make time namespaces"
