# Pallium: make run | test | build | check | bench | clean. Everything real is meson's and tools/'s; this file names it.
BUILD ?= build
.PHONY: run test build check bench deps clean help

help: ## show this help
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

run: build ## build, then start a durable node on http://127.0.0.1:9009 with its data under ./data
	exec $(BUILD)/pallium

build: ## install what is missing, build release binaries: build/pallium, build/palliumctl
	@tools/deps.sh build
	@tools/build.sh $(BUILD)

test: ## install what is missing and run every test (PEERS=all: also against peers that must be compiled)
	@tools/deps.sh test
	@tools/build.sh $(BUILD)
	@PEERS=$(PEERS) tools/test.py

check: ## format, lint, floors and unit tests: under a minute, before each commit
	@tools/deps.sh check
	@tools/build.sh $(BUILD)
	@tools/check.sh $(BUILD)

bench: ## benchmarks beside Debian's prometheus and victoria-metrics; figures go to docs/benchmarks.md by hand
	@tools/deps.sh bench
	@tools/build.sh $(BUILD)
	@bench/run.sh

clean: ## remove build output (never ./data)
	rm -rf build build-*
