# `make` lists the targets. Two of them set up everything: `make run` and `make test`.
.DEFAULT_GOAL := help
.PHONY: help setup run test test-unit test-integration test-e2e test-programs test-compose images chaos crash-points notifications alerts simulate mutants coverage check format bench docs clean

PYTHON ?= python3
UV_VERSION := 0.13.9
UV := .tools/uv-$(UV_VERSION)/bin/uv
READY := .venv/.ready
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
MEASURE := $(BIN)/coverage run
KILLS ?= 30
IMAGE_MB_MAX := 250
SOURCES := libs services cli tests benchmarks deploy

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, found " + sys.version.split()[0] + ". Set PYTHON=/path/to/python3.")'
	@$(PYTHON) -m venv .tools/uv-$(UV_VERSION)
	@.tools/uv-$(UV_VERSION)/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# Without byte code the first start takes 22 s in place of 9; on a busy machine it takes longer than uv would wait.
$(READY): $(UV) pyproject.toml uv.lock
	@echo "Installing into .venv, about 1.1 GB: a few minutes, once." >&2
	@UV_COMPILE_BYTECODE_TIMEOUT=0 $(UV) sync $$([ -t 2 ] || echo --quiet) --locked --extra all --compile-bytecode --python $(PYTHON)
	@touch $(READY)

setup: $(READY) ## Install everything into .venv, from the lock file

run: $(READY) ## Start the whole stack in the foreground, on the recorded market (ARGS="--for 60s")
	@$(BIN)/trader up $(ARGS)

# Integration tests wait much: three at a time fill two cores. Of the end-to-end tests the longest are begun first: the
# kills, then those that share a stack.
# SQLAlchemy runs the migrations in greenlets; knowing them makes every other hot loop a quarter slower.
test: $(READY) ## Everything that CI runs: unit, contract, integration, end to end, coverage
	@rm -f .coverage .coverage.*
	$(MEASURE) -m pytest tests/unit tests/service tests/simulation tests/architecture -m "not sweep" -n 2 --timeout 300
	PYTHONHASHSEED=0 $(PYTEST) tests/unit tests/service tests/simulation -n 2 -m sweep --timeout 300
	$(MEASURE) --concurrency=thread,greenlet -m pytest tests/contract tests/integration -n 3 --dist loadfile --timeout 180
	MEASURE_TRADER=$(CURDIR)/.coverage $(PYTEST) tests/chaos tests/e2e tests/programs -n 2 --no-loadscope-reorder --timeout 1200
	@$(MAKE) --no-print-directory coverage

test-unit: $(READY) ## The fast tests, under a minute
	$(PYTEST) tests/unit tests/service tests/simulation tests/architecture -m "not sweep" -n 2 --timeout 60 -q

test-integration: $(READY) ## Contract and integration tests on real Kafka, Postgres and Valkey
	$(PYTEST) tests/contract tests/integration -n 2 --dist loadfile --timeout 180

test-e2e: $(READY) ## The whole stack, end to end
	$(PYTEST) tests/e2e --timeout 600

test-programs: $(READY) ## Programs that nobody here wrote, on the paper exchange; fetches them once, 750 MB
	$(PYTEST) tests/programs --timeout 600

test-compose: $(READY) ## Deployments with docker compose, where a Docker engine answers: trading, restarts, faults (FAULTS=all: every one), permissions, secrets
	FAULTS=$(FAULTS) $(PYTEST) tests/compose --timeout 3600

images: ## Build the images of the deployment, and print how large they are
	@COMPOSE_PROFILES=paper,monitoring docker compose build
	@docker image ls --filter "reference=crypto-trader-pro/*"
	@base=$$(docker image inspect --format '{{.Size}}' python:3.13-slim); \
	 ours=$$(docker image inspect --format '{{.Size}}' crypto-trader-pro/trading:$${TRADER_BUILD:-local}); \
	 echo "trading: $$(((ours - base) / 1000000)) MB over its base, at most $(IMAGE_MB_MAX)"; \
	 test $$((ours - base)) -le $$(($(IMAGE_MB_MAX) * 1000000))

chaos: $(READY) ## Kill a trading stack's processes and prove its books (KILLS=30 SEED=n REPORT=FILE)
	@$(BIN)/python -m tests.chaos --kills $(KILLS) $(if $(SEED),--seed $(SEED)) $(if $(REPORT),--report $(REPORT))

crash-points: $(READY) ## Have a real executor die exactly at each crash point (SEEDS=3 POINT="CP5")
	@$(BIN)/python -m tests.chaos.crash_points --seeds $(or $(SEEDS),3) --point "$(POINT)"

notifications: $(READY) ## A thousand alerts while their sender is killed: none is lost, and how long each takes (ALERTS=1000 KILLS=30)
	@NOTIFICATIONS=$(or $(ALERTS),1000) KILLS=$(KILLS) $(PYTEST) tests/integration/notifier/test_no_notification_is_lost.py -q --timeout 3600

alerts: $(READY) ## Provoke every alert once, and measure how long it takes until the user is told (ACTS="locks machine")
	@ACTS="$(ACTS)" $(PYTEST) tests/alerts -q -s --timeout 3600

# The hash of strings decides the order of sets: with it, a seed is the same story in every process.
simulate: $(READY) ## Stories of the money path in virtual time: SEEDS=10000 many, SEED=7 one with all that happened
	@PYTHONHASHSEED=0 $(BIN)/python -m tests.simulation "$(SEEDS)" "$(SEED)"

mutants: $(READY) ## Change the order path in one place at a time, and list what no test notices (EVERY=8 a sample, FILES=...)
	@PYTHONHASHSEED=0 $(BIN)/python -m tests.support.mutants --every $(or $(EVERY),1) $(FILES)

coverage: $(READY) ## What the last `make test` measured: libs/trading 100 %, each other package 90 %, with branches; every except block
	@$(BIN)/python -m tests.support.coverage_floors

check: $(READY) ## Format, lint, types, import contracts, links, generated files
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(UV) lock --check --quiet
	@$(BIN)/python -m tests.support.supply_chain $(UV)
	$(PYTEST) tests/architecture -q --timeout 60

format: $(READY) ## Format the code
	$(BIN)/ruff check --fix --quiet $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

bench: $(READY) ## The budgets: ratios against a baseline in the same run; writes bench.json
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(READY) ## Write the generated files: docs/asyncapi.json, config/schema.json, alert rules, dashboards
	$(BIN)/python -m libs.common.contracts
	$(BIN)/python -m deploy.monitoring

clean: ## Remove what was built and downloaded here (not .data)
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.*
