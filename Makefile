# One command each; `make help` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SOURCE_ONLY := antlr4-python3-runtime
export PATH := $(CURDIR)/$(BIN):$(PATH)
export UV_COMPILE_BYTECODE := 1
ifneq ($(wildcard /etc/ssl/certs/* /etc/pki/tls/certs/*),) # a company's own authority is among them
export UV_SYSTEM_CERTS ?= 1
endif
export DVC_NO_ANALYTICS := 1
unexport PYTHONDONTWRITEBYTECODE
unexport VIRTUAL_ENV

.PHONY: help setup docs demo test test-image test-prometheus test-compute quick lint format trust ledger mutants bench coverage-study erosion-study power-study seed-study scale-study study locks clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | awk -F ':.*?## ' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: $(READY) ## make .venv with everything that the other commands use

$(READY): requirements/dev.txt requirements/uv.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 4) and "mlgitops needs Python 3.11.4 or newer; set PYTHON=...")'
	@echo "Setting up $(VENV) (a minute or two the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -I -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/uv.txt
	@$(BIN)/uv --no-config pip sync --quiet --python $(BIN)/python --require-hashes --only-binary :all: --no-binary $(SOURCE_ONLY) requirements/dev.txt
	@$(BIN)/uv --no-config pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## the whole loop on this machine: pull requests, release, promotion, a rollback, the audit
	@$(BIN)/mlgitops demo

test: $(READY) ## everything: linters, types, and every test
	@$(MAKE) --no-print-directory lint
	@rm -f build/tested-*.xml
	tree=$$($(BIN)/python scripts/trust.py --tree) && \
	  $(BIN)/python -m pytest --numprocesses 2 --dist worksteal --junit-xml=build/tests.xml && \
	  mv build/tests.xml build/tested-$$tree.xml # `make trust` counts it, as long as nothing changes
	@echo "Left out: the image of a generated project, which needs buildah and mmdebstrap: make test-image"
	@echo "Left out: its rules and dashboard in a real Prometheus, which the distribution has: make test-prometheus"
	@echo "Left out: a Ray cluster, whose package is large: make test-compute"

test-image: $(READY) ## build the image of a generated project and run it (about 5 minutes; needs root, buildah, mmdebstrap)
	$(BIN)/python -m pytest tests/image

test-prometheus: $(READY) ## its rules and dashboard, in a real Prometheus beside a real server (needs prometheus)
	@command -v promtool >/dev/null && command -v prometheus >/dev/null || { echo "promtool and prometheus are not on PATH" >&2; exit 2; }
	$(BIN)/python -m pytest tests/prometheus

test-compute: $(READY) ## a generated project on a Ray cluster of two nodes, one of which is killed (about 3 minutes)
	$(BIN)/python -m pytest tests/compute

quick: $(READY) ## the tests that take seconds
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m "not slow"

lint: $(READY) ## ruff, mypy, the rule of imports, and the figures of the code
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python scripts/code_figures.py

format: $(READY) ## let ruff format and fix
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

trust: $(READY) ## the figures behind docs/explanation/security.md, from the seeded tests (about 5 minutes; none after `make test`)
	$(BIN)/python scripts/trust.py

ledger: $(READY) ## simulate deliveries that are killed, and show that weakened rules are noticed
	$(BIN)/python scripts/ledger.py

mutants: $(READY) ## weaken one deciding line at a time; a test must notice (ONLY=judge: one area)
	$(BIN)/python scripts/mutants.py $(ONLY)

bench: $(READY) ## side by side with what users would pick instead, as ratios; switches under load (over half an hour)
	$(BIN)/python -m benchmarks

coverage-study: $(READY) ## simulate how often the intervals hold the truth (a few minutes); writes the docs' table
	$(BIN)/python -m benchmarks.coverage_study --output docs/reference/coverage.md

power-study: $(READY) ## simulate changes of the loss that a comment states (about 20 minutes); writes the docs' table
	$(BIN)/python -m benchmarks.power_study --output docs/reference/power.md

seed-study: $(READY) ## train with many seeds and count what is called a change (some minutes); writes the docs' table
	nice $(BIN)/python -m benchmarks.seed_study --output docs/reference/seeds.md

erosion-study: $(READY) ## simulate fifty changes that each lose half a margin (minutes); writes the docs' table
	$(BIN)/python -m benchmarks.erosion_study --output docs/reference/erosion.md

scale-study: $(READY) ## count what our programs ask of GitHub, simulate a day of 1,000 repositories; writes the docs' table
	$(BIN)/python -m benchmarks.scale_study --output docs/reference/scale.md

study: $(READY) ## simulate years of monitoring without change, and with one (minutes); writes the docs' tables
	nice $(BIN)/python -m benchmarks.monitoring_study --output docs/reference/monitoring.md
	$(BIN)/python -m benchmarks.year_study --output docs/reference/year.md

docs: $(READY) ## write the reference pages that are made from the code
	$(BIN)/python scripts/make_reference.py

locks: ## pin every requirement again (reads requirements/*.in, writes *.txt)
	for name in helper tune uv dev peers cluster mlflow; do \
	  (cd requirements && $(CURDIR)/$(BIN)/uv --no-config pip compile --quiet --universal --python-version 3.11 \
	    --generate-hashes --no-header --output-file $$name.txt $$name.in); \
	done

clean: ## remove everything that was made here
	rm -rf $(VENV) .demo .mypy_cache .ruff_cache .pytest_cache dist build
