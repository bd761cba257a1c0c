# What a person types here; `make help` tells it briefly.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test test-long libraries verify fix cluster cluster-stop bench s3-tests fuzz drill-kill drill-failover drill-catchup venv release

PYTHON ?= python3
# Where `make run` and `make cluster` keep their data.
DATA ?= data
CLUSTER ?= cluster
# How many workers the Python tests take. They wait more than they compute.
WORKERS ?= 4
# A checkout of github.com/ceph/s3-tests, and what to pick from it (pytest's words).
S3_TESTS ?=
S3_TESTS_ARGS ?=
# More words for pytest in `make test`, for example SUITE_ARGS='-k ranges'.
SUITE_ARGS ?=
# What `make fuzz` feeds, and for how long.
FUZZ ?= uri_query chunk_decoder xml_bodies post_form
FUZZ_SECONDS ?= 60

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
DEV := $(TARGET)/debug/trioxide
RELEASE := $(TARGET)/release/trioxide
VENV := .venv/bin/python

help:
	@echo 'make run            one durable S3 endpoint at 127.0.0.1:9878, data in ./$(DATA)'
	@echo 'make cluster        3 om, 3 scm, 3 datanodes, 2 gateways on the loopback, in ./$(CLUSTER)'
	@echo 'make cluster-stop   stops them; the data stays'
	@echo 'make test           everything that must pass: Rust tests, then S3 clients against real servers'
	@echo 'make test-long      the tests of many kills, large files and long listings too'
	@echo 'make libraries      pyarrow, pandas and s3fs against a server, in a .venv of their own'
	@echo 'make verify         format, lints, package edges; changes nothing'
	@echo 'make fix            formats, and mends what clippy can mend'
	@echo 'make bench          throughput, latency, CPU, syncs and memory over real HTTP'
	@echo 'make s3-tests S3_TESTS=DIR   ceph/s3-tests from a checkout, with a table by area'
	@echo 'make fuzz           the parsers that strangers reach, by cargo-fuzz with a nightly compiler'
	@echo 'make drill-kill | drill-failover | drill-catchup   the durability drills by hand'

release:
	cargo build --release --locked -p server

run: release
	$(RELEASE) server --data $(DATA)

cluster: release
	$(PYTHON) deploy/cluster/cluster.py --dir $(CLUSTER) --bin $(RELEASE) up

cluster-stop:
	$(PYTHON) deploy/cluster/cluster.py --dir $(CLUSTER) --bin $(RELEASE) down

bench:
	cargo build --release --locked -p server -p bench
	$(TARGET)/release/trioxide-bench --server $(RELEASE)

venv:
	@$(PYTHON) s3-tests/make_venv.py .venv s3-tests/requirements.txt

# The same words for building and testing, so that cargo compiles each dependency once, with one set of features.
test: venv
	cargo build --locked --workspace --bins --tests
	cargo test --locked --workspace --lib --bins --tests
	SUITE_BIN=$(DEV) $(VENV) -m pytest s3-tests/suite -n $(WORKERS) -m 'not long' $(SUITE_ARGS)
	@echo
	@echo 'make test: passed. Rust tests, and S3 clients against servers of this build.'

test-long: venv
	cargo build --locked --workspace --bins --tests
	SUITE_BIN=$(DEV) SUITE_KILLS=20 $(VENV) -m pytest s3-tests/suite -n $(WORKERS) $(SUITE_ARGS)
	@echo
	@echo 'make test-long: passed.'

libraries: release
	@$(PYTHON) s3-tests/make_venv.py .venv-libraries s3-tests/libraries/requirements.txt
	SUITE_BIN=$(RELEASE) .venv-libraries/bin/python -m pytest s3-tests/libraries

verify:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo test --locked -p tidy
	@echo 'make verify: passed.'

fix:
	cargo clippy --locked --workspace --all-targets --fix --allow-dirty --allow-staged
	cargo fmt --all

s3-tests: release
	@test -n '$(S3_TESTS)' || { echo 'make s3-tests S3_TESTS=<a checkout of github.com/ceph/s3-tests>' >&2; exit 2; }
	$(PYTHON) s3-tests/ceph/run.py --checkout '$(S3_TESTS)' --bin $(RELEASE) $(S3_TESTS_ARGS)

fuzz:
	cd gateway/core && for name in $(FUZZ); do \
		mkdir -p fuzz/corpus/$$name; \
		cargo +nightly fuzz run $$name fuzz/corpus/$$name fuzz/seeds/$$name -- -max_total_time=$(FUZZ_SECONDS) -max_len=4096; \
	done

drill-kill: venv release
	cd s3-tests && ../$(VENV) -m drills.kill_server --bin $(RELEASE) $(DRILL_ARGS)

drill-failover: venv release
	cd s3-tests && ../$(VENV) -m drills.failover --bin $(RELEASE) $(DRILL_ARGS)

drill-catchup: venv release
	cd s3-tests && ../$(VENV) -m drills.catchup --bin $(RELEASE) $(DRILL_ARGS)
