# Limner. `make help` lists the targets; every one of them sets up what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := --quiet --disable-pip-version-check --no-input
LOCK := requirements.lock
NPM := --ignore-scripts --no-audit --no-fund --silent

# What the image holds: the lock without what is for development alone.
RUNTIME_EXTRAS := --extra heif --extra mcp --extra otel --extra postgres --extra provenance --extra upscale
RUNTIME_LOCK := requirements-runtime.lock

# PyTorch has a build for each kind of device and is not in a lock: pip takes the one that fits this machine.
TORCH := torch==2.13.0
DIFFUSERS_VENV := .venv-diffusers
DIFFUSERS_READY := $(DIFFUSERS_VENV)/.ready
DIFFUSERS_LOCK := requirements-diffusers.lock

# What looks at what is shipped, apart from what is shipped.
SUPPLY_VENV := .venv-supply
SUPPLY_READY := $(SUPPLY_VENV)/.ready
SUPPLY_LOCK := requirements-supply.lock

# What looks at the tests themselves: how much of the code runs in them, and which mistakes they would not see.
QUALITY_READY := $(VENV)/.quality
QUALITY_LOCK := requirements-quality.lock

# How long a soak lasts, in seconds.
SOAK_S ?= 1800

# The commit whose contract must not be broken.
AGAINST ?= HEAD

.DEFAULT_GOAL := help
.PHONY: help soak image sbom licences audit setup setup-diffusers demo run test test-diffusers fuzz crash coverage mutants new-provider check check-fast lint types imports proto proto-lint bench lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-15s %s\n", $$1, $$2 }'

setup: $(READY) ## Make the virtual environment with all that running and testing need

# The lock is whole, so pip has nothing to resolve: left to resolve it fails, before 23.3, on `package[extra]` as soon as
# a newer release of the package is out.
$(READY): $(LOCK) pyproject.toml tests/node/package-lock.json clients/typescript/package-lock.json
	@$(PYTHON) -c 'import sys; sys.exit("Limner needs Python 3.11 or newer: set PYTHON" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP) --no-deps --require-hashes --requirement $(LOCK)
	$(BIN)/python -m pip install $(PIP) --no-deps --no-build-isolation --editable .
	@if command -v npm > /dev/null; then npm ci --prefix tests/node $(NPM) && npm ci --prefix clients/typescript $(NPM); else echo "no npm: tests with Node are skipped"; fi
	@touch $@

demo: $(READY) ## Generate, edit and upscale pictures with the embedded models, over REST and gRPC
	@$(BIN)/python tools/demo.py

run: $(READY) ## Run the service until Ctrl-C, with a token and example calls
	@$(BIN)/python tools/demo.py --stay

test: $(READY) ## Run the tests
	@$(BIN)/python -m pytest --numprocesses=logical --maxprocesses=4 $(PYTEST_ARGS)

setup-diffusers: $(DIFFUSERS_READY) ## Make the environment for the tests that need PyTorch

test-diffusers: $(DIFFUSERS_READY) ## Run the tests that need PyTorch, in an environment of their own
	@$(DIFFUSERS_VENV)/bin/python -m pytest tests/diffusers $(PYTEST_ARGS)

$(DIFFUSERS_READY): $(LOCK) $(DIFFUSERS_LOCK) pyproject.toml
	$(PYTHON) -m venv $(DIFFUSERS_VENV)
	$(DIFFUSERS_VENV)/bin/python -m pip install $(PIP) $(TORCH)
	$(DIFFUSERS_VENV)/bin/python -m pip install $(PIP) --no-deps --require-hashes \
	  --requirement $(LOCK) --requirement $(DIFFUSERS_LOCK)
	$(DIFFUSERS_VENV)/bin/python -m pip install $(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

fuzz: $(READY) ## Ask the service whatever comes to mind, other things in each run
	@LIMNER_FUZZ=long $(BIN)/python -m pytest --numprocesses=logical --maxprocesses=4 --timeout=1200 tests/rest/test_fuzz.py tests/rpc/test_fuzz.py $(PYTEST_ARGS)

crash: $(READY) ## Kill the service at 200 random times under load, and try all orders of events
	@LIMNER_CRASH_KILLS=200 LIMNER_EXPLORE_ALL=1 $(BIN)/python -m pytest --numprocesses=logical --maxprocesses=4 tests/purchase

soak: $(READY) ## Load two replicas for SOAK_S seconds with kills and faults, and replace replicas under 20,000 calls
	@LIMNER_SOAK_S=$(SOAK_S) LIMNER_RESTART_CALLS=20000 $(BIN)/python -m pytest --numprocesses=0 tests/replicas $(PYTEST_ARGS)

check: lint types imports proto-lint test ## Run all linters and the tests

FAST := tests/unit tests/architecture tests/sketch \
  --ignore=tests/unit/models/test_realesrgan.py --ignore=tests/unit/persistence

check-fast: lint types imports ## Check style, types and imports, and run the quick tests, in less than a minute
	@$(BIN)/python -m pytest --numprocesses=logical --maxprocesses=4 --quiet $(FAST) $(PYTEST_ARGS)

new-provider: $(READY) ## Write the skeleton of an adapter, with a fake and a table test: NAME=acme
	@$(BIN)/python -m tools.new_provider "$(NAME)"

lint: $(READY) ## Check style
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(READY) ## Check types
	@$(BIN)/mypy

imports: $(READY) ## Check which room may import which
	@$(BIN)/lint-imports

proto: $(READY) ## Generate the stubs, the descriptor set and the OpenAPI description from proto/
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tools.generate

proto-lint: $(READY) ## Check the contract: its style, and that it breaks no client of the last commit's
	@$(BIN)/buf lint
	@$(BIN)/buf format --diff --exit-code proto
	@git show $(AGAINST):generated/imageservice.binpb > $(VENV)/against.binpb
	@$(BIN)/buf breaking proto --against $(VENV)/against.binpb

bench: $(READY) ## Measure, side by side in one run
	@$(BIN)/python -m benchmarks

image: ## Build the image with Docker
	docker build --file deploy/Dockerfile --tag limner:local .

$(SUPPLY_READY): $(SUPPLY_LOCK)
	$(PYTHON) -m venv $(SUPPLY_VENV)
	$(SUPPLY_VENV)/bin/python -m pip install $(PIP) --no-deps --require-hashes --requirement $(SUPPLY_LOCK)
	@touch $@

sbom: $(SUPPLY_READY) ## Write what the image holds as a CycloneDX document, to out/sbom.json
	@mkdir -p out
	@$(SUPPLY_VENV)/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
	  --output-file out/sbom.json $(RUNTIME_LOCK)
	@echo "out/sbom.json"

licences: $(READY) $(SUPPLY_READY) ## List the licences of what the image holds, to out/licences.md
	@mkdir -p out
	@$(SUPPLY_VENV)/bin/python tools/licences.py $(RUNTIME_LOCK) $(BIN)/python > out/licences.md
	@echo "out/licences.md"

audit: $(SUPPLY_READY) ## Look up known vulnerabilities of what the image holds
	@$(SUPPLY_VENV)/bin/python tools/audit.py $(RUNTIME_LOCK)

$(QUALITY_READY): $(READY) $(QUALITY_LOCK)
	$(BIN)/python -m pip install $(PIP) --no-deps --require-hashes --requirement $(QUALITY_LOCK)
	@touch $@

coverage: $(QUALITY_READY) ## Run the tests, and print how much of each room they run
	@rm -rf .coverage && mkdir .coverage
	@$(BIN)/coverage run -m pytest --numprocesses=logical --maxprocesses=4 $(PYTEST_ARGS); tests=$$?; \
	  $(BIN)/coverage combine --quiet && $(BIN)/coverage json --quiet -o .coverage/report.json && \
	  $(BIN)/python tools/coverage_by_room.py .coverage/report.json; exit $$tests

mutants: $(QUALITY_READY) ## Change the state machine and the outcome rules, and list the changes that no test sees
	@$(BIN)/mutmut run || true
	@$(BIN)/mutmut results

UV_LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

lock: ## Write the lock files anew
	$(UV_LOCK) $(RUNTIME_EXTRAS) --group dev --output-file $(LOCK) pyproject.toml
	$(UV_LOCK) $(RUNTIME_EXTRAS) --group image --constraint $(LOCK) --output-file $(RUNTIME_LOCK) pyproject.toml
	$(UV_LOCK) --extra diffusers --constraint $(LOCK) --output-file $(DIFFUSERS_LOCK) pyproject.toml
	$(UV_LOCK) --group supply --output-file $(SUPPLY_LOCK)
	$(UV_LOCK) --group quality --constraint $(LOCK) --output-file $(QUALITY_LOCK)

clean: ## Remove what the targets made
	rm -rf $(VENV) $(DIFFUSERS_VENV) $(SUPPLY_VENV) .bench .coverage mutants out .limner .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
