# Everything works from a clean clone with Python 3.10 or newer and make.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# the kernels that the browser tests run on, which treat a click during a cell in different ways
KERNELS := 7.3 7.4
# several processes share the tests, a file of them at a time: most of what they do is to wait
SHARED := --dist loadfile
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help demo lab test test-slow lint bench clean

help:  ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 18

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "Python 3.10 or newer is needed: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "Python's venv module is missing: on Debian, apt-get install python3-venv"; exit 1; }

$(VENV)/.user: $(VENV)/bin/python pyproject.toml
	@echo "installing autopod_nb into $(VENV) (once; about a minute)"
	@$(PIP) -e '.[local]'
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml Makefile
	@echo "installing autopod_nb and what its tests want into $(VENV) (once; about two minutes)"
	@$(PIP) -e '.[dev]'
	@for version in $(KERNELS); do \
	  $(PIP) --no-deps --upgrade --target $(VENV)/ipykernel-$$version "ipykernel==$$version.*" || exit 1; done
	@$(PIP) --no-deps --upgrade --target $(VENV)/ipywidgets-7.7 "ipywidgets==7.7.*" ipython_genutils
	@touch $@ $(VENV)/.user

demo: $(VENV)/.user  ## run the quickstart notebook: a photograph becomes a video
	@$(BIN)/python notebooks/run_demo.py

lab: $(VENV)/.user  ## open JupyterLab on the notebooks
	@$(BIN)/jupyter lab --notebook-dir=. notebooks/01-quickstart.ipynb

test: $(VENV)/.dev  ## run the tests, but for the slow ones
	@$(BIN)/python -m pytest -m "not slow" -n 3 $(SHARED) $(ARGS)

test-slow: $(VENV)/.dev  ## run the slow tests
	@$(BIN)/python -m pytest -m slow --timeout 900 -n 2 $(SHARED) $(ARGS)

lint: $(VENV)/.dev  ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(VENV)/.dev  ## measure what the project promises
	@$(BIN)/python tests/bench/run.py $(ARGS)

clean:  ## remove what was made here
	rm -rf $(VENV) demo-output build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
