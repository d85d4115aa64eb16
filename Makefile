# stellar-lake. `make` alone lists what there is.
SHELL := /bin/bash
CARGO ?= cargo
export CARGO_TARGET_DIR ?= $(CURDIR)/target
BIN := $(CARGO_TARGET_DIR)/release
FAIL_POINTS := $(CARGO_TARGET_DIR)/fail-points
# The shared ledgers that the suites on real data read; they say so loudly when it is missing.
export LAKE_SHARED ?= $(CURDIR)/../shared
# How much the slow suites do; .ci/run lowers them.
KILLS ?= 200
READER_SECONDS ?= 60
LOCK_SECONDS ?= 30
CLOCK_SECONDS ?= 70
# The quick ones too; --ignored: only those that `make test` leaves out.
FAULT_TESTS ?= --include-ignored
CALLS ?= 1000
RESTARTS ?= 20
LAG_LEDGERS ?= 1000
FILES ?= 10000
BENCH_RUNS ?= 5
FUZZ_SECONDS ?= 1800
LEDGERS ?= 200000
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help deps build demo run test goldens fail-points crash-test fault-test systemd-test reader-test lag-test startup-test headline chain-test long-test fuzz instructions bench capacity bench-workers lint fmt doc deny ci clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

deps: ## fetch DuckDB's library and extensions, by exact version and checksum
	@packaging/fetch-duckdb.sh

build: deps ## build the release binaries into target/release
	$(CARGO) build --release --workspace --bins

demo: build ## two simulated networks, live, queried, killed and restarted; under a minute
	@tests/demo.sh $(BIN)

run: build ## leave the demo's daemon running to play with
	@tests/run.sh $(BIN)

test: build ## all tests but the slow suites
	$(CARGO) test --release --workspace

goldens: deps ## every row of the real ledgers against an independent implementation, with counts per table
	$(CARGO) test --release -p lake-core --test goldens -- --nocapture --test-threads 1

headline: build ## two networks of 500 ledgers each through one queue, as one small table
	$(CARGO) test --release -p stellar-lake --test headline -- --nocapture

chain-test: build ## the 10,046 real testnet ledgers in one run, then again
	$(CARGO) test --release -p stellar-lake --test chain -- --nocapture

# In a folder of their own: nothing else may run a program that can be told to kill itself. All of the workspace is built,
# so that the features of the dependencies stay as they are; the last build puts the plain program back.
fail-points: deps
	$(CARGO) build --release --workspace --bins --features stellar-lake/fail-points
	install -D -t $(FAIL_POINTS) $(addprefix $(BIN)/,stellar-lake stellar-lake-keeper lakectl)
	$(CARGO) build --release --workspace --bins

# SIGKILL leaves the page cache alone: on a disk the same would only take longer.
IN_MEMORY := $(shell [ -w /dev/shm ] && [ $$(df --output=avail /dev/shm | tail -1) -gt 2000000 ] && echo TMPDIR=/dev/shm)

crash-test: fail-points ## KILLS=200 SIGKILLs at random moments and at named points: nothing lost, doubled, torn or left over
	KILLS=$(KILLS) $(IN_MEMORY) STELLAR_LAKE_BIN_DIR=$(FAIL_POINTS) $(CARGO) test --release -p stellar-lake --test crash --test crash_jobs \
	  -- --nocapture --ignored

fault-test: build ## broken, hanging and slow sources, full disks, a catalog locked for LOCK_SECONDS=30, clock jumps
	LOCK_SECONDS=$(LOCK_SECONDS) CLOCK_SECONDS=$(CLOCK_SECONDS) \
	  $(CARGO) test --release -p stellar-lake --test faults -- --nocapture $(FAULT_TESTS)

# Root and namespaces are needed; without them it says so and is skipped.
systemd-test: fail-points ## the service in a real systemd: start, rights, reload, doctor, kill, hangs, drain, journal, CALLS=1000 across RESTARTS=20
	CALLS=$(CALLS) RESTARTS=$(RESTARTS) tests/systemd/test.py $(FAIL_POINTS)

reader-test: build ## readers in other processes while the daemon writes flat out, READER_SECONDS=60
	READER_SECONDS=$(READER_SECONDS) $(CARGO) test --release -p stellar-lake --test reader -- --nocapture --ignored

lag-test: build ## seconds until live ledgers are visible, alone and beside a backfill, LAG_LEDGERS=1000 LAG_RATE=0.5
	LAG_LEDGERS=$(LAG_LEDGERS) $(CARGO) test --release -p stellar-lake --test lag -- --nocapture --ignored

# FILES=10000 need 3 GB and half an hour, most of it to make the lake; STARTUP_LAKE= keeps it for more runs.
startup-test: build ## seconds from start to READY on a lake of FILES=10000 files in each of twenty tables; at most 2 s
	FILES=$(FILES) $(IN_MEMORY) $(CARGO) test --release -p stellar-lake --test startup -- --nocapture --ignored

long-test: build ## LEDGERS=200000 simulated ledgers from 60,000,000 on by WORKERS=2, counted against the network's books
	LEDGERS=$(LEDGERS) WORKERS=$(WORKERS) $(CARGO) test --release -p stellar-lake --test long -- --nocapture --ignored

fuzz: ## throw damaged and invented ledgers at decoding and extraction, FUZZ_SECONDS=1800
	@tests/fuzz/run.sh $(FUZZ_SECONDS)

instructions: deps ## instructions per ledger of each stage, counted by valgrind, against tests/instructions.tsv; UPDATE=1 sets it
	$(CARGO) build --release -p stellar-lake --example stages
	@tests/instructions.sh $(BIN) $(UPDATE)

bench: build ## ledgers/s, rows/s, CPU by stage and table, memory, bytes against a bare decode, BENCH_RUNS=5
	$(CARGO) build --release -p lake-core --example tables
	@tests/bench.sh $(BIN) $(BENCH_RUNS)

capacity: ## put the figures of the last `make bench` into the page on capacity
	@python3 tests/capacity.py $(BIN)/bench.json packaging/doc/capacity.md

bench-workers: build ## how many workers and how large commits a backfill wants, from a slow source, BENCH_WORKERS="1 10" BENCH_SIZE=10
	$(CARGO) build --release -p stellar-lake --example repeat
	@python3 tests/bench-workers.py $(BIN) "$(LAKE_SHARED)"

lint: deps ## formatting and lints, warnings as errors
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path tests/fuzz/Cargo.toml --check
	$(CARGO) clippy --workspace --all-targets --release -- -D warnings
	$(CARGO) clippy --workspace --bins --release --features stellar-lake/fail-points -- -D warnings

fmt: ## format the code
	$(CARGO) fmt --all
	$(CARGO) fmt --manifest-path tests/fuzz/Cargo.toml

doc: deps ## build the documentation of the crates
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --workspace --no-deps

deny: ## check licences, duplicate versions and sources of the dependencies
	$(CARGO) deny check bans licenses sources

ci: ## what .ci/run runs
	.ci/run

clean: ## remove what was built
	$(CARGO) clean
