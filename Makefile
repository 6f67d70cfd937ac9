# Everything sets itself up: `make demo` and `make test` work in a fresh clone.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= build/demo

.PHONY: help demo test check format bench train clean
help:
	@echo "make demo    convert the bundled model, run it on a replayed camera, report"
	@echo "make test    checks and tests, as CI runs them"
	@echo "make check   formatting, lint, types"
	@echo "make bench   measure on real models (needs ../shared; see tests/benchmarks)"
	@echo "make train   train the bundled model again"
	@echo "make clean   remove what these made"

# One stamp an extra: the environment is made once and follows pyproject.toml.
$(VENV)/.%: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: check
	$(BIN)/python -m pytest

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf build $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
