# kubelab: `make up` brings a lab up on this machine, `make test` proves it. `make help` lists the rest.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/pytest
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help up down clean test test-all lint format unit chart images test-images e2e e2e-tls hosts test-hosts lifecycle bench verify lock schema wheel

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(VENV)/installed ## Bring the lab up, or do what is missing of it
	kubelab up $(UP_FLAGS)

down: $(VENV)/installed ## Remove the lab: nodes, networks, volumes, with the users' homes; the cache stays
	kubelab down --yes

clean: down ## Remove the lab, the virtual environment and the cache of parts
	kubelab clean --yes
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache dist build

test: lint unit chart up-for-tests images e2e hosts ## Everything that fits in half an hour, on the real cluster

test-all: test e2e-tls lifecycle test-hosts test-images bench ## Everything, also what takes the lab down and measures

.PHONY: up-for-tests
up-for-tests: $(VENV)/installed
	kubelab up --replace

lint: $(VENV)/installed ## ruff, mypy, yamllint, shellcheck, hadolint, helm lint, ct lint, generated files
	$(BIN)/python -m tests.lint

format: $(VENV)/installed ## Format the Python code
	ruff format python tests
	ruff check --fix python tests

unit: $(VENV)/installed ## Unit tests: no cluster, no network
	$(PYTEST) tests/unit

chart: $(VENV)/installed ## The chart's rendered objects and refusals
	$(PYTEST) tests/chart

images: $(VENV)/installed ## The built images, each started
	kubelab image build
	$(PYTEST) tests/images

test-images: $(VENV)/installed ## Every Python: built, each image tested, a cell in each on the cluster of `make up`
	kubelab image build --all-pythons
	kubelab image build notebook-latex-py3.13
	KUBELAB_TEST_ALL_PYTHONS=1 $(PYTEST) tests/images
	$(PYTEST) tests/matrix

e2e: $(VENV)/installed ## Sign-up to a cell's output, on the cluster of `make up`
	$(PYTEST) tests/e2e

e2e-tls: $(VENV)/installed ## The same with the hub by HTTPS, which is by HTTP again afterwards
	kubelab up --file tests/e2e/tls.yaml
	KUBELAB_TEST_FILE=tests/e2e/tls.yaml $(PYTEST) tests/e2e
	kubelab up

hosts: $(VENV)/installed ## kubelab-host on hosts of its own, the quick part
	$(PYTEST) tests/hosts -m "not slow"

test-hosts: $(VENV)/installed ## All on hosts: upgrade, high availability, faults at every step (an hour)
	$(BIN)/python -m tests.hosts.parts
	$(PYTEST) tests/hosts

lifecycle: $(VENV)/installed ## The lab taken down, interrupted, killed and brought back (10 minutes)
	$(PYTEST) tests/lifecycle

bench: $(VENV)/installed ## Measure; writes bench/results/
	$(BIN)/python -m tests.bench

verify: $(VENV)/installed ## What a user of the cluster may ask: is it as it should be?
	kubelab status

lock: ## Write requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --group dev --generate-hashes --python-version 3.11 --quiet --no-header --upgrade --output-file requirements.lock

schema: $(VENV)/installed ## Write the chart's generated files anew
	$(BIN)/python -m kubelab_helpers.release.schema

wheel: $(VENV)/installed ## Build the wheel
	$(BIN)/python -m build --wheel --no-isolation

# Debian has the venv module's pip in a package of its own; root may install it, others are told.
$(VENV)/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "kubelab needs Python 3.11 or newer" >&2; exit 3; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv; } || { echo "install python3-venv first" >&2; exit 3; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
