# SPDX-License-Identifier: Apache-2.0
# What people type. Meson builds; each target does its own set-up, from the
# Debian packages on (tools/deps lists them).

B ?= build
MESON_FLAGS ?=
SECONDS ?= 60
TARGET ?= term

.PHONY: all help deps build demo test bench lint clang no-barrel asan tsan \
	valgrind valgrind-tables mutants fuzz fuzz-all interop interop-barrel \
	install clean

all: build

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | \
	    sed 's/:.*##/\t/' | expand -t 16

deps: ## install the Debian packages that building and testing need
	@tools/deps

$(B)/build.ninja:
	@tools/deps
	meson setup $(B) $(MESON_FLAGS)

build: $(B)/build.ninja ## build everything into build/
	ninja -C $(B)

demo: build ## two nodes find each other, talk, refuse a stranger, come back
	tools/demo $(B)

test: build ## run every test; the totals are the last line
	tools/run-tests $(B)

bench: $(B)-release/build.ninja ## measure speed and memory beside their ceilings
	ninja -C $(B)-release
	tools/bench $(B)-release

$(B)-release/build.ninja:
	@tools/deps
	meson setup $(B)-release -Dbuildtype=release -Doptimization=2

lint: build ## format, clang-tidy, shell scripts, manual pages, headers, ABI
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

valgrind: build ## the end-to-end runs under memcheck
	tools/valgrind $(B)

valgrind-tables: build ## the tables of usage and files under memcheck
	tools/valgrind $(B) memcheck-tables

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

install: build ## meson install (DESTDIR is heeded)
	meson install -C $(B)
	@# A new library is found only when the loader's cache knows of it.
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" != 0 ] || ldconfig

clean: ## remove the build folders
	rm -rf $(B) $(B)-release $(B)-clang $(B)-no-barrel $(B)-asan $(B)-tsan \
	    $(B)-mutants $(B)-fuzz
