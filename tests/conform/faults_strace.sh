#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# FI-10: the conformance suite while the kernel interrupts every third socket
# call. $1 is the suite's program; its TAP is passed on.
set -u
suite=$1
strace=$(command -v strace) || {
    echo "1..0 # SKIP strace is not here"
    exit 0
}
"$strace" -o /dev/null -e trace=getpid true 2>/dev/null || {
    echo "1..0 # SKIP strace may not trace"
    exit 0
}
# A leak check wants to trace the process, too.
export ASAN_OPTIONS=detect_leaks=0
export PN_FAULTS=strace
exec "$strace" -f -o /dev/null --seccomp-bpf \
    -e trace=recvfrom,sendto,accept4,epoll_wait,epoll_pwait \
    -e inject=recvfrom,sendto,accept4:error=EINTR:when=2+3 \
    -e inject=epoll_wait,epoll_pwait:error=EINTR:when=3+5 \
    "$suite"
