# SPDX-License-Identifier: Apache-2.0
# The front door: every target sets up what it needs. The build itself is meson.build.
BUILD := build
MESON_FLAGS := $(if $(DUCKDB_DIR),-Dduckdb=$(DUCKDB_DIR))

.PHONY: build demo run test test-servers bench lint fuzz install clean

build:
	@scripts/install_deps.sh
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) $(MESON_FLAGS) >/dev/null
	@scripts/quietly.sh ninja -C $(BUILD)

demo: build
	@node demo/demo.mjs $(BUILD)/milkrun

run: build
	@node demo/demo.mjs $(BUILD)/milkrun --stay

test:
	@scripts/test.sh

test-servers:
	@scripts/test_servers.sh

bench: build
	@scripts/bench.sh

lint:
	@scripts/lint.sh

fuzz:
	@scripts/fuzz.sh

install: build
	@meson install -C $(BUILD) --quiet

clean:
	@rm -rf build build-*
