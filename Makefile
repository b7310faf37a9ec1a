# Two commands on a fresh machine with Python >= 3.11 and make: `make run`, `make test`.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp

.DEFAULT_GOAL := help
.PHONY: help run test chaos long-mutants long-random deploy-test conformance fuzz docs bench bench-schema bench-peers lint types imports build lock clean

help: ## show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed"; exit 1; }
	@if command -v uv >/dev/null 2>&1; then \
		UV_PYTHON_DOWNLOADS=never uv venv -q --allow-existing --python "$$(command -v $(PYTHON))" $(VENV) && \
		uv pip install -q --python $(BIN)/python --require-hashes -r requirements.lock && uv pip install -q --python $(BIN)/python --no-deps -e .; \
	else \
		$(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock && \
		$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .; \
	fi
	@touch $@

run: $(STAMP) ## pull 24,000 real records from a bundled server with real faults
	@$(BIN)/python -m worker demo

JOBS := auto
test: $(STAMP) ## all tests but the long ones, the same each time, in JOBS= processes
	$(BIN)/python -m pytest -n $(JOBS) -m "not chaos and not deploy and not mutants"

chaos: $(STAMP) ## kill the process at every step of the commit protocol
	$(BIN)/python -m pytest -m chaos -s

long-mutants: $(STAMP) ## break promises one at a time in a copy; the tests must notice each
	$(BIN)/python -m pytest -n $(JOBS) -m mutants tests/mutants

ROUNDS := 3
SEED :=
long-random: $(STAMP) ## properties with examples that no run had before, ROUNDS=3 times; SEED= repeats a round
	@for seed in $(or $(SEED),$$($(BIN)/python -c 'import secrets; print(*[secrets.randbits(32) for _ in range($(ROUNDS))])')); do \
		echo "make long-random SEED=$$seed"; \
		$(BIN)/python -m pytest -q -n $(JOBS) -m hypothesis --hypothesis-profile=random --hypothesis-seed=$$seed || exit 1; \
	done

deploy-test: $(STAMP) ## the image in podman, the unit on a booted Debian; needs root
	$(BIN)/python -m pytest -m deploy -s

conformance: $(STAMP) ## the Avro engine on cases of the specification and of public suites
	$(BIN)/python tests/schema/conformance.py

SECONDS := 60
fuzz: $(STAMP) ## coverage-guided fuzzing of the Avro engine, SECONDS=60 a target
	@test -d .fuzz || $(PYTHON) -m pip install -q --target .fuzz --only-binary :all: "atheris>=3.0"
	PYTHONPATH=.fuzz $(BIN)/python tests/schema/fuzz.py --seconds $(SECONDS)

docs: $(STAMP) ## write the generated pages of docs/
	$(BIN)/python tests/docs/reference.py
	$(BIN)/python tests/telemetry/spec.py

bench: $(STAMP) ## CPU time a record, interleaved with a careful script
	$(BIN)/python tests/benchmarks/bench.py

bench-schema: $(STAMP) ## the Avro engine alone against the usual libraries
	$(BIN)/python tests/benchmarks/schema_bench.py

bench-peers: $(STAMP) ## the same pages with dlt and Airbyte's CDK, in an environment of their own
	@test -d .venv-peers || { $(PYTHON) -m venv .venv-peers && .venv-peers/bin/python -m pip install -q "dlt[parquet]" airbyte-cdk; }
	$(BIN)/python tests/benchmarks/bench.py --records 100000 --rounds 2 --rows bare --peers .venv-peers/bin/python

lint: $(STAMP) ## style
	$(BIN)/python -m ruff check worker tests
	$(BIN)/python -m ruff format --check -q worker tests

types: $(STAMP) ## strict types
	$(BIN)/python -m mypy

imports: $(STAMP) ## the layers
	$(BIN)/lint-imports

build: $(STAMP) ## the wheel, in dist/
	$(BIN)/python -m build -q --wheel --no-isolation

lock: $(STAMP) ## write requirements.lock from pyproject.toml (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group dev pyproject.toml -o requirements.lock

clean: ## take the environment and caches away
	rm -rf $(VENV) .fuzz dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
