# make help lists what there is. Everything is made inside this checkout; nothing is installed on the machine.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:

DEPLOYMENT ?= native
PLAYBOOK ?= assess
ifeq ($(filter native compose,$(DEPLOYMENT)),)
$(error DEPLOYMENT is native or compose, not "$(DEPLOYMENT)")
endif
BIN := $(CURDIR)/.venv/bin
# ansible and its modules must find this checkout, and never a Docker Engine of the machine's.
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export PYTHONPATH := $(CURDIR)/collections:$(CURDIR)
export PYTHONDONTWRITEBYTECODE := 1
export PATH := $(BIN):$(PATH)
# pip's cache would otherwise lie in the home directory.
export PIP_CACHE_DIR ?= $(CURDIR)/.cache/pip
# In quotes: the checkout may lie in a directory with a space in its name.
RUN := "$(BIN)/python" -m

.PHONY: help
help: ## List the targets
	@echo "Targets (DEPLOYMENT=native or compose for demo, ARGS=... for pytest's arguments):"
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-20s %s\n", $$1, $$2}'

.PHONY: venv
venv: ## Set up .venv and the collections that tests need (all other targets do it when needed)
	@sh tests/tools/bootstrap.sh

.PHONY: demo
demo: venv ## Raise a sandbox shop and run the weekly maintenance on it
	@$(RUN) tests.tools.demo up --deployment $(DEPLOYMENT)

.PHONY: try
try: venv ## Run another playbook on the sandbox: PLAYBOOK=monthly ARGS="--check --diff"
	@$(RUN) tests.tools.demo try $(PLAYBOOK) -- $(ARGS)

.PHONY: demo-down
demo-down: venv ## Remove the sandbox without trace
	@$(RUN) tests.tools.demo down

.PHONY: bench
bench: venv ## Print the benchmark tables
	@$(RUN) tests.benchmarks

.PHONY: test
test: venv ## Run every check and test; says at the end what took how long
	@$(RUN) tests.tools.run_tests

.PHONY: test-long
test-long: venv ## The same, with all that needs MongoDB on every server version there is, and runs killed in every phase
	@MINIECOM_TEST_MONGOD=every MINIECOM_TEST_EXHAUSTIVE=1 $(RUN) tests.tools.run_tests

.PHONY: lint
lint: venv ## ruff, mypy, ansible-lint, yamllint
	@$(RUN) tests.tools.run_tests ruff mypy yamllint ansible-lint

.PHONY: format
format: venv ## Let ruff format and fix the Python files
	@ruff check --fix .
	@ruff format .

.PHONY: test-sanity
test-sanity: venv ## ansible-test sanity on the working tree
	@$(RUN) tests.tools.run_tests sanity

.PHONY: test-unit
test-unit: venv ## Unit tests
	@$(RUN) pytest tests/unit $(ARGS)

.PHONY: test-integration
test-integration: venv ## Integration tests against a real mongod and a real private Docker Engine
	@$(RUN) pytest tests/integration $(ARGS)

.PHONY: test-engines
test-engines: venv ## Docker tests that need Engine 26 and 28 or Podman, from Debian trixie and sid
	@MINIECOM_TEST_ENGINE_RELEASES=1 $(RUN) pytest tests/integration/test_engine_releases.py tests/integration/test_docker_prune.py tests/integration/test_docker_podman.py $(ARGS)

.PHONY: test-compat
test-compat: venv ## Real runs with each ansible-core and on each Python of a host; writes the README's table (ARGS=core-2.18)
	@$(RUN) tests.tools.compatibility $(ARGS)

.PHONY: changelog
changelog: venv ## Render CHANGELOG.rst from the fragments
	@$(RUN) tests.tools.changelog

.PHONY: test-mutations
test-mutations: venv ## Break one guard after another; prints which the tests notice (ARGS=names, --list, --jobs 2)
	@$(RUN) tests.tools.mutations $(ARGS)

.PHONY: test-molecule
test-molecule: venv ## Molecule scenarios, on Debian 12 (MINIECOM_TEST_RELEASE=trixie: on Debian 13)
	@$(RUN) tests.tools.run_tests molecule

.PHONY: requirements-dev.txt
requirements-dev.txt: ## Pin anew what requirements-dev.in asks for
	@rm -rf .cache/pin && python3 -m venv .cache/pin && .cache/pin/bin/pip install -qq --upgrade -r requirements-dev.in
	@{ echo '# Made by "make requirements-dev.txt" from requirements-dev.in; do not edit.'; \
	  .cache/pin/bin/pip freeze | sed 's/^\(kingfisher-bin==.*\)/\1; platform_machine == "x86_64"/'; } >$@
	@rm -rf .cache/pin

.PHONY: clean
clean: ## Remove caches and logs (not the sandbox: make demo-down)
	@rm -rf .cache .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
