# Everything runs in its own virtual environment with exact versions; nothing else is needed first.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
STAMP  := $(VENV)/.installed
DEV    := $(VENV)/.installed-dev

.PHONY: help demo test check gpu bench clean setup setup-dev

help:
	@echo "make demo   fix the bug in examples/ with a real model, end to end"
	@echo "make test   run the tests"
	@echo "make check  format, lint, types and tests: what CI runs"
	@echo "make gpu    the tests and bars that need a GPU, on a machine that has one"
	@echo "make bench  measure the runtime and the sandbox on this machine"
	@echo "make clean  remove the virtual environment and caches (models stay in RNJ_HOME)"

setup: $(STAMP)
setup-dev: $(DEV)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "rnj-agent needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "python3-venv is missing: apt-get install -y python3-venv"; exit 2; }
	@echo "Installing exact versions from constraints.txt into $(VENV): a minute or two …" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(DEV): $(STAMP)
	@echo "Installing the tools for tests and checks: a minute or two …" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: setup
	@$(BIN)/python examples/demo.py

test: setup-dev
	$(PYTEST)

check: setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(PYTEST)

gpu:
	$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) benchmarks/gpu/programme.py --out benchmarks/results/gpu

bench: setup
	$(BIN)/rnj-agent bench sandbox
	$(BIN)/rnj-agent bench runtime

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis dist build
