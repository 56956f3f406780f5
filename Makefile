# Every target sets up what it needs; nothing but Python 3.11+ (with venv) and make has to be there.
.PHONY: help setup run test test-slow engines coverage bench check fmt ui lock dictionary dbt-export
.DEFAULT_GOAL := help
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PORT ?= 3000
# a worker per core (one more takes a fifth more CPU, and no less time); the tests of a file stay
# together, for worlds that they share, and in order: files of few and long tests would come last,
# and keep one worker busy
WORKERS := -n logical --dist loadfile --no-loadscope-reorder
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# compiled imports are kept even where the environment says otherwise: seconds for every command
unexport PYTHONDONTWRITEBYTECODE

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: .venv/.ready  ## make .venv/ from requirements.lock; every other target does so first

.venv/.ready: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "meterhouse needs Python 3.11 or newer with the venv module" \
		"(Debian and Ubuntu: apt-get install python3-venv)"; exit 2; }
	$(PYTHON) -m venv --clear .venv
	awk '/^[^ ]/ {uv = /^uv==/} uv' requirements.lock > .venv/uv.lock
	$(PIP) --no-deps --require-hashes -r .venv/uv.lock
	@# pip knows mirrors and certificates that uv may not: slower, and always there
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip sync --quiet --system-certs --require-hashes \
		requirements.lock || $(PIP) --no-deps --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --offline --python $(BIN)/python --no-deps \
		--no-build-isolation -e .
	@touch $@

run: setup  ## load what is due, build, print what was used; with no vendor set up, on the sandbox
	@$(BIN)/meterhouse sandbox --unless-configured -- $(BIN)/meterhouse run

test: setup  ## the tests that decide whether a change lands
	$(BIN)/python -m pytest -q $(WORKERS) -m "not slow"

test-slow: setup  ## all tests, the long proofs too
	$(BIN)/python -m pytest -q $(WORKERS)

engines: setup  ## every model on a Spark cluster of its own, too: needs Java 17 and 5 GB of memory
	$(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python --no-build-isolation -e '.[spark]'
	$(BIN)/python -m pytest -q -m slow tests/engines

coverage: setup  ## the same tests, and how much of the product they run; fails below the floor
	$(BIN)/python -m pytest -q $(WORKERS) -m "not slow" --cov

bench: setup  ## measure what is claimed of cost, and write docs/benchmarks.md
	$(BIN)/python -m tests.benchmarks

check: setup  ## ruff and mypy over the whole tree; changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fmt: setup  ## mend what ruff can mend, and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

ui: setup  ## Dagster on http://127.0.0.1:3000 (PORT=...), its history kept in .dagster/; as for run
	@mkdir -p .dagster && cp dagster.yaml .dagster/dagster.yaml
	@DAGSTER_DISABLE_TELEMETRY=1 DAGSTER_HOME=$(CURDIR)/.dagster $(BIN)/meterhouse sandbox --unless-configured -- \
		$(BIN)/meterhouse ui --port $(PORT)

lock: setup  ## refresh requirements.lock from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --quiet -o requirements.lock

dictionary: setup  ## write docs/dictionary.md anew, from the models
	$(BIN)/python -m dbt_like_sql.dictionary > docs/dictionary.md

dbt-export: setup  ## write the models as a dbt project into dbt/
	$(BIN)/python -m dbt_like_sql.export_to_dbt dbt
