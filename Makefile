# SPDX-License-Identifier: Apache-2.0
# What people type. Meson builds; each target does its own set-up.

B ?= build
MESON_FLAGS ?=

.PHONY: all deps build demo test interop clean

all: build

deps: ## install the Debian packages that building and testing need
	@tools/deps

$(B)/build.ninja:
	@tools/deps
	meson setup $(B) $(MESON_FLAGS)

build: $(B)/build.ninja ## build everything
	ninja -C $(B)

test: build ## run every test
	tools/run-tests $(B)

interop: build ## the link cases against a real PeerNet: UPSTREAM=its ebin
	tools/interop/run "$(UPSTREAM)" $(B)

clean: ## remove the build folder
	rm -rf $(B)

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/ -/'
