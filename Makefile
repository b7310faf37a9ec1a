# Two commands on a fresh machine with Python >= 3.11 and make: `make run`, `make test`.
# `make test PYTHON=python3.13` does it with another Python, `make test INSTALL=dist/NAME.whl` with an installed wheel instead of the tree;
# each has an environment of its own beside .venv.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
INSTALL := -e .
ifeq ($(origin PYTHON),file)
VENV := .venv
else
VENV := .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
endif
ifneq ($(INSTALL),-e .)
VENV := $(VENV)-wheel
# the working directory has a package of the same name, which must not be the one that is tested
export PYTHONSAFEPATH := 1
endif
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
TOOLS := .venv-tools/bin
TOOLS_STAMP := .venv-tools/.stamp

.DEFAULT_GOAL := help
.PHONY: help environments run test thorough coverage chaos faults soak takeover long-mutants long-random long-reading long-readers long-deploy long-fuzz long-memory conformance docs bench bench-against bench-schema bench-values bench-peers \
	lint types imports lint-workflows bandit audit build wheel-test release-test sbom changelog lock clean

help: ## show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

# (environment, requirements with hashes, what to install without its dependencies): pip does what uv does where there is no uv
define environment
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed"; exit 1; }
	@if command -v uv >/dev/null 2>&1; then \
		UV_PYTHON_DOWNLOADS=never uv venv -q --allow-existing --python "$$(command -v $(PYTHON))" $(1) && \
		install="uv pip install -q --python $(1)/bin/python"; \
	else \
		$(PYTHON) -m venv $(1) && \
		install="$(1)/bin/python -m pip install -q --disable-pip-version-check"; \
	fi && \
	$$install --require-hashes -r $(2) $(if $(3),&& $$install --no-deps $(3))
	@touch $(1)/.stamp
endef

$(STAMP): requirements.lock pyproject.toml $(filter-out -e .,$(INSTALL))
	$(call environment,$(VENV),requirements.lock,$(INSTALL))

$(TOOLS_STAMP): requirements-tools.lock
	$(call environment,.venv-tools,requirements-tools.lock)

environments: $(STAMP) $(TOOLS_STAMP) ## what the other targets need, which they make themselves

run: $(STAMP) ## pull 24,000 real records from a bundled server with real faults
	@$(BIN)/python -m worker demo

# COV=1 runs it under coverage, `make coverage` then judges
PYTEST = $(BIN)/python $(if $(COV),-m coverage run) -m pytest
JOBS := auto
comma := ,
TESTS :=
test: $(STAMP) ## all tests but the long ones, the same each time; JOBS=, PYTHON=, INSTALL=, COV=1, TESTS=
	$(if $(COV),$(if $(TESTS),,$(BIN)/python -m coverage erase))
	$(PYTEST) -n $(JOBS) -m "not thorough and not chaos and not deploy and not mutants" $(TESTS)

thorough: $(STAMP) ## the whole of what `make test` runs a part of
	$(BIN)/python -m pytest -n $(JOBS) -m thorough $(TESTS)

coverage: $(STAMP) ## join what `make test COV=1` measured; fails below the floor of pyproject.toml
	$(BIN)/python -m coverage combine -q
	$(BIN)/python -m coverage report

chaos: $(STAMP) ## kill the process at every step of the commit protocol
	$(BIN)/python -m pytest -m chaos -s $(TESTS)

faults: SECONDS := 600
faults: $(STAMP) ## inject every fault of docs/reference/faults.md, print what was observed; ROWS=7,8 SECONDS=600 of the soak
	SECONDS=$(SECONDS) JOBS=$(JOBS) $(BIN)/python tests/faults/table.py $(subst $(comma), ,$(ROWS))

soak: SECONDS := 600
soak: $(STAMP) ## random faults against two workers, SECONDS=600 of them
	SECONDS=$(SECONDS) $(BIN)/python -m pytest -q -m chaos -s tests/chaos/test_soak.py

takeover: SECONDS := 120
takeover: $(STAMP) ## eight owners take a pipeline from each other, SECONDS=120
	SECONDS=$(SECONDS) $(BIN)/python -m pytest -q -m chaos -s tests/chaos/test_takeover.py

SEED :=
MUTANTS = PYTHONPATH=tests $(TOOLS)/python -u -m mutants.cosmic $(BIN)/python
long-mutants: $(STAMP) $(TOOLS_STAMP) ## break promises, then a sample of operators, one at a time in a copy; the tests must notice; SEED= SHARE= ONLY=paging/
	$(if $(ONLY),,$(BIN)/python -m pytest -n $(JOBS) -m mutants tests/mutants)
	$(MUTANTS) $(if $(SEED),--seed $(SEED)) $(if $(SHARE),--share $(SHARE)) $(if $(ONLY),--only $(ONLY))

long-random: $(STAMP) ## properties with examples that no run had before, ROUNDS=3 of them; SEED= repeats one
	@for seed in $(or $(SEED),$$($(BIN)/python -c 'import secrets; print(*[secrets.randbits(32) for _ in range($(or $(ROUNDS),3))])')); do \
		echo "make long-random SEED=$$seed"; \
		$(BIN)/python -m pytest -q -n $(JOBS) -m hypothesis --hypothesis-profile=random --hypothesis-seed=$$seed || exit 1; \
	done

long-reading: $(STAMP) ## read servers that live, RUNS=20000 of them; what is lost or comes twice must be admitted
	RUNS=$(or $(RUNS),20000) $(BIN)/python -m pytest -q -n $(JOBS) tests/reading/test_live.py

JARS := .java
$(JARS)/.stamp: tests/schema/java/pom.xml tests/schema/java/jars.sha256
	rm -rf $(JARS)
	mvn -q -B -f tests/schema/java/pom.xml dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/$(JARS)
	cd $(JARS) && sha256sum --quiet --strict -c ../tests/schema/java/jars.sha256
	@touch $@

long-readers: $(STAMP) $(if $(shell command -v java),$(JARS)/.stamp) ## what is written, read back by Apache Avro for Java too; fetches its jars by Maven
	JAVA_JARS=$(CURDIR)/$(JARS) $(BIN)/python -m pytest -q -n $(JOBS) --hypothesis-profile=random tests/schema/test_readers.py

long-memory: $(STAMP) ## pages of 20 MB, sent in three ways, in a cgroup of 128 MiB for ten minutes each; needs root
	CONTAINER_SECONDS=600 $(BIN)/python -m pytest -q tests/chaos/test_container.py -m chaos

conformance: $(STAMP) ## the Avro engine on cases of the specification and of public suites
	$(BIN)/python tests/schema/conformance.py

long-deploy: $(STAMP) ## the image in podman, the unit on a booted Debian; needs root
	$(BIN)/python -m pytest -m deploy -s

SECONDS := 60
long-fuzz: $(STAMP) ## coverage-guided fuzzing of the Avro engine, SECONDS=60 a target
	@test -d .fuzz || $(PYTHON) -m pip install -q --target .fuzz --only-binary :all: "atheris>=3.0"
	PYTHONPATH=.fuzz $(BIN)/python tests/schema/fuzz.py --seconds $(SECONDS)

docs: $(STAMP) ## write the generated pages of docs/
	PYTHONPATH=tests $(BIN)/python -m docs.reference
	$(BIN)/python tests/telemetry/spec.py
	PYTHONPATH=tests $(BIN)/python -m reading.page

BENCH = PYTHONPATH=tests $(BIN)/python -m benchmarks
bench: $(STAMP) ## what users do, beside a careful script; ROWS=bare,idle ROUNDS=3
	$(BENCH).bench $(if $(ROWS),--rows $(ROWS)) $(if $(ROUNDS),--rounds $(ROUNDS))

bench-against: $(STAMP) ## the same rows against another commit, REV=...; ROWS= ROUNDS=7
	@test -n "$(REV)" || { echo "name a commit: make bench-against REV=..."; exit 1; }
	$(BENCH).against $(REV) $(if $(ROWS),--rows $(ROWS)) $(if $(ROUNDS),--rounds $(ROUNDS))

bench-schema: $(STAMP) ## the Avro engine alone against the usual libraries
	$(BENCH).schema_bench

bench-values: $(STAMP) ## what fields cost that are written in the words of the source; ROWS=offset,Go
	$(BENCH).values_bench $(if $(ROWS),--rows "$(ROWS)")

bench-peers: $(STAMP) ## the same pages with dlt and Airbyte's CDK, in an environment of their own
	@test -d .venv-peers || { $(PYTHON) -m venv .venv-peers && .venv-peers/bin/python -m pip install -q "dlt[parquet]" airbyte-cdk; }
	$(BENCH).bench --rounds 2 --rows bare --peers $(CURDIR)/.venv-peers/bin/python

lint: $(STAMP) ## style
	$(BIN)/python -m ruff check worker tests .ci
	$(BIN)/python -m ruff format --check -q worker tests .ci

types: $(STAMP) ## strict types
	$(BIN)/python -m mypy

imports: $(STAMP) ## the layers
	$(BIN)/lint-imports

lint-workflows: $(TOOLS_STAMP) ## the workflows: their schema, and what is unsafe in them
	$(TOOLS)/check-jsonschema -q --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(TOOLS)/check-jsonschema -q --builtin-schema vendor.dependabot .github/dependabot.yml
	$(TOOLS)/check-jsonschema -q --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml
	$(TOOLS)/check-jsonschema -q --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(TOOLS)/zizmor -q --offline --no-progress --persona=pedantic .github

bandit: $(TOOLS_STAMP) ## what is unsafe in the code
	$(TOOLS)/bandit -q -ll -c pyproject.toml -r worker

audit: $(TOOLS_STAMP) ## known vulnerabilities of what is shipped; MAYBE=1 where their service may be out of reach
	$(TOOLS)/python .ci/audit.py deploy/container/requirements.txt $(if $(MAYBE),--may-be-unreachable)

build: $(STAMP) ## the sdist, and the wheel from it, in dist/
	rm -rf dist
	$(BIN)/python -m build -q --no-isolation

SHIPPED := .venv-shipped
wheel-test: ## install the wheel of dist/ with only what it ships with, and use it
	@ls dist/*.whl >/dev/null
	rm -rf $(SHIPPED)
	$(call environment,$(SHIPPED),deploy/container/requirements.txt,dist/*.whl)
	@scratch=$$(mktemp -d) && worker=$(CURDIR)/$(SHIPPED)/bin/worker && cd $$scratch && \
		$$worker --version && $$worker --help >/dev/null && $$worker demo >/dev/null && rm -r $$scratch

release-test: $(TOOLS_STAMP) ## upload dist/ to an index on loopback, install from there with hashes, run the demo; INDEX= one that has it
	$(TOOLS)/python .ci/release_test.py dist $(INDEX)

sbom: $(TOOLS_STAMP) wheel-test ## everything that the wheel of dist/ ships with, as CycloneDX, in dist/
	$(TOOLS)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible -o dist/worker.cdx.json $(SHIPPED)/bin/python

changelog: $(TOOLS_STAMP) ## what the fragments in changelog.d say of the next release
	$(TOOLS)/towncrier build --draft --version NEXT

LOCK = uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
lock: ## write the locks from pyproject.toml (needs uv); UPGRADE=1 takes newer versions
	$(LOCK) $(if $(UPGRADE),--upgrade) --group dev pyproject.toml -o requirements.lock
	$(LOCK) --no-annotate -c requirements.lock --extra aws --extra brotli --extra gcp --extra jwt --extra snappy --extra vault pyproject.toml -o deploy/container/requirements.txt
	$(LOCK) --no-annotate -c requirements.lock --group pyproject.toml:tools $(if $(UPGRADE),--upgrade) -o requirements-tools.lock

clean: ## take the environments and caches away
	rm -rf .venv .venv-* .fuzz .java dist .coverage* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
