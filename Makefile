# The environment is .venv in this checkout. Each stamp in it stands for a set of packages, so that
# a target installs only what it needs, once, and again when pyproject.toml or constraints.txt change.
# PYTHON is the interpreter that makes the environment; ARGS goes to the groundup command.

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt
OLD_PYTHON := groundup needs Python 3.11 or newer, and '$(PYTHON)' is not: run make PYTHON=python3.11 (or newer).

.PHONY: help quickstart test check bench docs

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' Makefile

quickstart: $(VENV)/.base ## train, align and measure a small model on Python's standard library
	$(BIN)/groundup quickstart $(ARGS)

test: $(VENV)/.dev ## run the default test suite, on all processors
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(VENV)/.dev ## lint, formatting, types, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: $(VENV)/.base ## measure the training throughput of this machine
	$(BIN)/groundup bench train $(ARGS)

docs: $(VENV)/.docs ## build the documentation into site/; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(VENV)/.base: pyproject.toml constraints.txt setup.py $(wildcard src/native/*)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "$(OLD_PYTHON)" >&2; exit 2; }
	@echo "Setting up $(VENV): PyTorch and a few small packages; some minutes the first time."
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) torch
	@$(INSTALL) -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	@echo "Adding the packages for development to $(VENV)."
	@$(INSTALL) -e '.[dev]'
	@touch $@

$(VENV)/.docs: $(VENV)/.base
	@echo "Adding the packages for the documentation to $(VENV)."
	@$(INSTALL) -e '.[docs]'
	@touch $@
