# SPDX-License-Identifier: Apache-2.0
# What people type. Meson builds; each target does its own set-up, from the
# Debian packages on (tools/deps lists them).

B ?= build
MESON_FLAGS ?=
SECONDS ?= 60
SEEDS ?= 1000
ROUNDS ?= 4
RUNS ?= 20
TARGET ?= term

.PHONY: all help deps build demo test roam household sim-contact bonjour bench load lint clang no-barrel asan tsan \
	valgrind valgrind-tables trixie i386 mutants fuzz fuzz-all interop \
	interop-barrel install uninstall check-install deb deb-check deb-again clean

all: build

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | \
	    sed 's/:.*##/\t/' | expand -t 16

deps: ## install the Debian packages that any target needs
	@tools/deps all

$(B)/build.ninja:
	@tools/deps
	meson setup $(B) $(MESON_FLAGS)

build: $(B)/build.ninja ## build everything into build/
	ninja -C $(B)

demo: build ## two nodes find each other, talk, refuse a stranger, come back
	tools/demo $(B)

test: build ## run every test; the totals are the last line
	tools/run-tests $(B)

roam: build ## hosts that move, ROUNDS=4 of each kind: back within 2 s, by DNS-SD 4 s
	tests/e2e/netns_roam.sh $(B)/cli/peernet $(ROUNDS) 2000 4000 5

household: build ## first calls, power cuts and idle time between hosts, RUNS=20
	tests/e2e/household.sh $(B)/cli/peernet $(B)/dnssd/peernet-mdns $(RUNS)

sim-contact: build ## first contact beside forged announces, SEEDS=1000 a row
	PN_SIM_SEEDS=$(SEEDS) $(B)/tests/sim/test-sim-contact

bench: $(B)-release/build.ninja ## measure speed and memory beside their ceilings
	ninja -C $(B)-release
	tools/bench $(B)-release

load: $(B)-release/build.ninja ## flood a node with strangers: figures beside bars
	ninja -C $(B)-release
	tools/load $(B)-release

$(B)-release/build.ninja:
	@tools/deps
	meson setup $(B)-release -Dbuildtype=release -Doptimization=2

lint: deps build ## format, clang-tidy, shell scripts, manual pages, headers, ABI
	tools/lint $(B)

clang: ## build with clang, warnings are errors (asan runs the tests with it)
	tools/variant $(B)-clang clang conform -Dwerror=true

no-barrel: ## build without the Barrel link
	tools/variant $(B)-no-barrel gcc conform -Dwerror=true \
	    -Dbarrel=disabled

asan: ## the tests under the address and undefined-behaviour sanitizers
	tools/variant $(B)-asan clang 'unit conform sim fuzz e2e beam' \
	    -Db_sanitize=address,undefined -Db_lundef=false

tsan: ## the threaded API under the thread sanitizer
	tools/variant $(B)-tsan clang threads -Db_sanitize=thread \
	    -Db_lundef=false

valgrind: deps build ## the end-to-end runs under memcheck
	tools/valgrind $(B)

valgrind-tables: deps build ## the tables of usage and files under memcheck
	tools/valgrind $(B) memcheck-tables

trixie: ## `make demo` and `make test` on Debian 13, in a chroot made for it
	tools/chroot trixie amd64 make demo test MESON_FLAGS=-Dwerror=true

i386: ## build and `make test` on 32 bits, in a chroot made for it
	tools/chroot bookworm i386 make test

mutants: ## leave out one security check at a time: a test must fail
	tools/mutants $(B)-mutants

fuzz: ## make fuzz TARGET=term SECONDS=60
	tools/fuzz $(B)-fuzz $(SECONDS) $(TARGET)

fuzz-all: ## every fuzz target for SECONDS each
	tools/fuzz $(B)-fuzz $(SECONDS)

interop: build ## the link cases against a real PeerNet: UPSTREAM=its ebin
	tools/interop/run "$(UPSTREAM)" $(B)

interop-barrel: build ## the Barrel link against a real one: UPSTREAM=its lib
	tools/interop-barrel/run "$(UPSTREAM)" $(B)

bonjour: build ## DNS-SD with npm's bonjour-service: NODE_MODULES=its folder
	@test -n "$(NODE_MODULES)" || { \
	    echo "expected NODE_MODULES=folder of npm's bonjour-service"; exit 2; }
	NODE_MODULES="$(NODE_MODULES)" tools/run-tests $(B) netns_dnssd_clients

install: build ## make install [PREFIX=/usr/local] [STRIP=no] [DESTDIR=...]
	@DESTDIR="$(DESTDIR)" STRIP="$(STRIP)" tools/install $(B) "$(PREFIX)"

uninstall: ## take away what was installed from build/
	@tools/uninstall $(B)

deb: ## build the Debian packages into build-deb/, judged by lintian
	tools/deb $(B)-deb

deb-check: deb ## install, use, upgrade and purge them in a booted container
	tools/deb-check $(B)-deb

deb-again: deb ## build them again elsewhere: every byte is the same
	tools/deb-again $(B)-deb

check-install: ## install below another prefix, run, uninstall
	tools/check-install $(B)-install $(B)-deb

clean: ## remove the build folders
	rm -rf $(B) $(B)-release $(B)-clang $(B)-no-barrel $(B)-asan $(B)-tsan \
	    $(B)-mutants $(B)-fuzz $(B)-install $(B)-deb
