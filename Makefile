# What a person or CI runs. `make demo` and `make test` work on a Debian with Rust, git and make.

CARGO ?= cargo
REDIS := $(shell command -v redis-server 2>/dev/null)
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: demo test lint test-live test-cuts test-crash doc setup

demo: setup
	$(CARGO) run --locked --quiet -p df2redis-cli -- demo

test: setup
	$(CARGO) test --locked --workspace

# Formatting, lints and documentation, all without warnings.
lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --all-features --quiet

# Against a real Dragonfly: make test-live DF2REDIS_DRAGONFLY=/path/to/dragonfly
test-live: setup
	@test -n "$$DF2REDIS_DRAGONFLY" || { echo "set DF2REDIS_DRAGONFLY to the path of a Dragonfly binary"; exit 1; }
	$(CARGO) test --locked -p dfly-replica --test live

# A recorded flow cut at every byte (49,000 runs, some twenty minutes); CUT_STEP=7 cuts at every seventh.
test-cuts: setup
	CUT_STEP=$${CUT_STEP:-1} $(CARGO) test --locked -p dfly-replica --test masters a_recorded_flow

# The tool, the target and connections killed at random under load: make test-crash CRASHES=1000
test-crash: setup
	CRASHES=$${CRASHES:-300} $(CARGO) test --locked --release -p df2redis-cli --test cli crash

doc:
	$(CARGO) doc --locked --workspace --no-deps --all-features --open

# Only a missing redis-server is installed; it is not started as a service.
setup:
ifeq ($(REDIS),)
	$(SUDO) apt-get update
	RUNLEVEL=1 $(SUDO) -E apt-get install -y --no-install-recommends redis-server
endif
