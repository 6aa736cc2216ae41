# Everything that a person or a machine runs here. `make help` lists it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO ?= cargo
VENV := target/venv
CASE ?=

.PHONY: help build demo test tools lint format docs bench clean-demo

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

build: ## Build the program: bin/drumlin
	$(CARGO) build --locked --package drumlin-cli
	mkdir -p bin
	ln -sf ../target/debug/drumlin bin/drumlin

demo: build ## The main job, embedded: raw files to a served feature
	bash demo/run.sh

tools: $(VENV)/.ready ## Install what the tests need (Python packages, in target/venv)

$(VENV)/.ready: tools/requirements.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --requirement tools/requirements.txt
	touch $@

test: build tools ## Every test
	$(CARGO) test --locked
	$(CARGO) test --locked --package drumlin-chunks --package drumlin-objects

lint: ## Formatting, lints, licenses
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --all-targets -- --deny warnings
	$(CARGO) clippy --locked --package drumlin-chunks --package drumlin-objects --all-targets -- --deny warnings
	tools/deny.sh

format: ## Format the code
	$(CARGO) fmt --all

bench: build ## Compare with peers (make bench CASE=name for one)
	bench/run.sh $(CASE)

clean-demo: ## Remove what the demo left
	rm -rf target/demo
