# Everything runs from a plain virtual environment; nothing but Python 3.11+ is needed beforehand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

HOST ?= 127.0.0.1
PORT ?= 8000
SIDECAR_PORT ?= 8787
DATA := var
export METERING_DATABASE_URL ?= sqlite:///$(DATA)/metering.db

.DEFAULT_GOAL := help
SEEDS ?= 200
FIRST ?= 0
.PHONY: help install run sample test simulate coverage mutants lint bench constraints clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

install: $(STAMP) ## Create the virtual environment

run: $(STAMP) ## Load a month of sample traffic, show what it cost, serve the API on 127.0.0.1:8000 and the sidecar on :8787
	@$(BIN)/python examples/run.py --data $(DATA) --host $(HOST) --port $(PORT) --sidecar-port $(SIDECAR_PORT)

test: $(STAMP) ## Run all tests
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

simulate: $(STAMP) ## Simulate SEEDS=200 accounts from seed FIRST=0; compare every statement with an independent oracle
	@PYTHONPATH=tests $(BIN)/python -m simulation --seeds $(SEEDS) --first $(FIRST)

coverage: $(STAMP) ## Run all tests and report branch coverage
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=term:skip-covered --cov-report=html

mutants: $(STAMP) ## Plant known bugs one at a time; the tests must notice each (ONLY=text chooses)
	@PYTHONPATH=.:tests $(BIN)/python -m mutants --only "$(ONLY)"

lint: $(STAMP) ## Check format, style, types and floors
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(STAMP) ## Measure speed and memory, compared with the bare limits and with peers
	@$(BIN)/python benchmarks/bench_rating.py
	@$(BIN)/python benchmarks/bench_ingest.py
	@$(BIN)/python benchmarks/bench_rerate.py
	@$(BIN)/python benchmarks/bench_correct.py
	@$(BIN)/python benchmarks/bench_close.py
	@$(BIN)/python benchmarks/bench_postgres.py
	@$(BIN)/python benchmarks/bench_api.py
	@$(BIN)/python benchmarks/bench_queries.py
	@$(BIN)/python benchmarks/bench_exports.py
	@$(BIN)/python benchmarks/bench_webhooks.py
	@$(BIN)/python benchmarks/bench_budgets.py
	@$(BIN)/python benchmarks/bench_reconcile.py
	@$(BIN)/python benchmarks/bench_memory.py
	@$(BIN)/python benchmarks/bench_sidecar.py

constraints: ## Pin the newest versions that pyproject.toml allows
	@rm -rf $(VENV)-fresh && $(PYTHON) -m venv $(VENV)-fresh
	@$(VENV)-fresh/bin/python -m pip install --quiet --disable-pip-version-check '.[dev]'
	@{ sed -n 1p constraints.txt; $(VENV)-fresh/bin/python -m pip freeze --exclude hf-metering; } > constraints.new
	@mv constraints.new constraints.txt && rm -rf $(VENV)-fresh

clean: ## Remove the virtual environment, caches and sample data
	@rm -rf $(VENV) $(DATA) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
