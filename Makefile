# make demo      see attacks being detected, with simulated traffic
# make test      everything that needs no browser
# make help      the other targets

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup geoip dashboard build demo test bench lint clean

# On a build machine the compiled crates stay outside the clone, so that the next clone finds them.
ifeq ($(CI),true)
export CARGO_TARGET_DIR ?= $(HOME)/.cache/erne-target
endif
TARGET := $(or $(CARGO_TARGET_DIR),target)
ERNE := $(TARGET)/release/erne
STEP := scripts/step
# Found by the build script that embeds the dashboard; the same for every target, or cargo would build twice.
ifneq ($(wildcard dashboard/package.json),)
export WEB_DIST := $(CURDIR)/dashboard/dist
endif

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what building needs, by package name
	@$(STEP) "set-up" scripts/setup.sh build

geoip: ## fetch the GeoIP databases into .erne/geoip
	@$(STEP) "GeoIP databases" scripts/geoip.sh .erne/geoip

dashboard: ## build the dashboard
	@$(STEP) "dashboard" scripts/dashboard.sh build

build: setup dashboard ## build the erne binary
	@$(STEP) "erne (the first time takes minutes)" cargo build --release --locked --workspace --bins

demo: build geoip ## build everything and watch simulated attacks being detected
	@$(STEP) "demo (Ctrl-C ends it)" $(ERNE) demo

# Cheap checks first.
test: ## all tests that need no browser
	@$(STEP) "set-up" scripts/setup.sh test
	@$(STEP) "tests of the scripts" python3 scripts/test_check_deps.py
	@$(STEP) "licences and advisories" python3 scripts/check_deps.py
ifneq ($(wildcard dashboard/package.json),)
	@$(STEP) "dashboard: packages" scripts/dashboard.sh install
	@$(STEP) "dashboard: lint" npm --prefix dashboard run lint
	@$(STEP) "dashboard: unit tests" npm --prefix dashboard test
	@$(STEP) "dashboard: build" scripts/dashboard.sh build
endif
	@$(STEP) "Java agent: packages" scripts/agent_java.sh install
	@$(STEP) "Java agent: tests, samples under real HTTP" scripts/agent_java.sh test
	@$(STEP) "Rust tests (the first build takes minutes)" cargo test --release --locked --workspace
	@$(STEP) "lake: DuckDB, delta-rs and pyarrow read the same" env CARGO_TARGET_DIR=$(abspath $(TARGET)) scripts/test_lake_readers.sh
ifneq ($(wildcard agents/python),)
	@$(STEP) "Python agent: lint, types, tests" env CARGO_TARGET_DIR=$(abspath $(TARGET)) scripts/agent_python.sh test
endif
	@$(STEP) "erne" cargo build --release --locked --workspace --bins
ifneq ($(wildcard content/rules),)
	@$(STEP) "content: rules load" $(ERNE) rules check content/rules
	@$(STEP) "content: cases" $(ERNE) rules test content
endif
	@$(STEP) "web: rates did not get worse" env ERNE=$(abspath $(ERNE)) scripts/bench_web.py --check
	@for script in $(wildcard scripts/e2e*.sh); do ERNE=$(ERNE) $(STEP) "end to end: $$script" $$script || exit; done
	@printf '\nmake test: all steps passed\n'

ifneq ($(wildcard dashboard/package.json),)
.PHONY: test-browser
test-browser: build ## the dashboard in Chromium against the real server
	@$(STEP) "Chromium" scripts/setup.sh browser
	@$(STEP) "dashboard in Chromium" scripts/browser.sh $(ERNE)
	@printf '\nmake test-browser: all steps passed\n'
endif

bench: build ## ingest, latency and hunting on this machine
	@$(STEP) "ingest as fast as it goes" $(ERNE) bench ingest
	@$(STEP) "ingest at 10,000 events/s" $(ERNE) bench ingest --rate 10000
	@$(STEP) "hunt" $(ERNE) bench hunt
	@$(STEP) "start and recovery" $(ERNE) bench start
	@$(STEP) "Python packages of the peer" env CARGO_TARGET_DIR=$(abspath $(TARGET)) scripts/test_lake_readers.sh --install
	@$(STEP) "10 million rows, beside DuckDB" $(ERNE) bench lake --python $(TARGET)/lake-readers-venv/bin/python
	@$(STEP) "web: rates and speed per corpus" $(ERNE) bench web
	@$(STEP) "criterion" cargo bench --profile release --locked --workspace

.PHONY: fuzz
fuzz: setup ## hostile input against every parser, a minute each (FUZZ_SECS=…)
	@$(STEP) "fuzzing" scripts/fuzz.sh $(or $(FUZZ_SECS),60)

lint: setup ## clippy, warnings are errors
	@$(STEP) "clippy" cargo clippy --release --locked --workspace --all-targets -- -D warnings

clean: ## remove what was built, not the data in .erne
	cargo clean
	rm -rf dashboard/dist dashboard/node_modules
