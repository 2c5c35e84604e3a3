# `make demo` and `make test` are all a newcomer needs: they install what is
# missing, start private servers, build, run, and stop what they started.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo chaos bench test check fuzz backlog up down linker

with_servers := deploy/local/services.sh with

help:
	@sed -n 's/^## //p' Makefile

## make demo    run every program against the eTIMS simulator: a storm, faults, replay, audit
demo: linker
	@$(with_servers) deploy/local/demo.sh

## make chaos   run the fault programme of kills, freezes and cut links (SECONDS=120, RATE=60, PROFILE=dev; SEED= repeats one)
chaos: profile = $(or $(PROFILE),dev)
chaos: linker
	cargo build --locked --workspace --bins --profile $(profile)
	@$${CARGO_TARGET_DIR:-target}/$(if $(filter dev,$(profile)),debug,$(profile))/risiti-chaos run \
	    --seconds $(or $(SECONDS),120) --rate $(or $(RATE),60) $(if $(SEED),--seed $(SEED))

## make bench   measure everything against yardsticks of the same run (ONLY=name,name; FULL=1 takes hours; PEERS=1)
bench: export RISITI_POSTGRES_MEMORY ?= 256MB
bench: linker
	cargo build --locked --release --workspace --bins
	@$${CARGO_TARGET_DIR:-target}/release/risiti-bench run \
	    $(if $(ONLY),--only $(ONLY)) $(if $(FULL),--full) $(if $(PEERS),--peers)

## make test    run every test, on real servers
test: linker
	cargo build --locked --workspace --all-targets
	@if cargo nextest --version >/dev/null 2>&1; then \
	    $(with_servers) cargo nextest run --locked --workspace; \
	else \
	    $(with_servers) cargo test --locked --workspace --lib --bins --tests; \
	fi

## make check   check formatting, lints, docs and dependency policy
check: linker
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps
	@deploy/checks/crate-dependencies.sh
	@deploy/checks/cargo-deny.sh

## make fuzz    feed every parser with bad input at scale (CASES=, default 1000000)
CASES ?= 1000000
fuzz: export FUZZ_CASES = $(CASES)
fuzz: linker
	cargo test --locked --profile fuzz -p risiti-providers --test hostile -- --nocapture
	cargo test --locked --profile fuzz -p risiti-etims --lib hostile -- --nocapture
	cargo build --locked -p risiti-ingress -p risiti-ledger-worker
	$(with_servers) cargo test --locked -p risiti-ingress --test webhooks framing -- --nocapture
	$(with_servers) cargo test --locked -p risiti-ledger-worker --test worker hostile -- --nocapture

## make backlog measure the memory that a large backlog costs (MESSAGES=, default 1000000)
backlog: export BACKLOG_MESSAGES = $(or $(MESSAGES),1000000)
backlog: linker
	cargo build --locked --workspace --bins
	@$(with_servers) cargo test --locked -p system-tests --test pipeline backlog -- --nocapture

## make up      start the demo's stack and leave it running
up: linker
	@deploy/local/stack.sh up

## make down    stop it
down:
	@deploy/local/stack.sh down

# Rust links with the C compiler, which a fresh Debian does not have.
linker:
	@command -v cc >/dev/null || deploy/local/install-packages.sh gcc libc6-dev
