# Everything that is done with this repository has a target here. `make help` explains them.
#
# Environment: PYTHON chooses the interpreter that the environments are made from (default: python3, at least 3.11);
# ARGS is passed on to pytest by `test` and to the benchmarks by `bench`; pip's own variables and files (PIP_INDEX_URL,
# PIP_CERT, ...) decide where packages come from, and uv's (UV_INDEX, ...) do so for `lock`.

PYTHON ?= python3
ARGS ?=

VENV := .venv
MATHEMATICS := .venv-mathematics
LOCK := infra/requirements.txt
MATHEMATICS_LOCK := infra/requirements-mathematics.txt
INSTALLED := $(VENV)/.installed
MATHEMATICS_INSTALLED := $(MATHEMATICS)/.installed

PIP_INSTALL := -m pip install -qq --disable-pip-version-check --no-input
# A lock names every package there is, so pip resolves nothing; `pip check` proves that nothing is missing.
FROM_LOCK := $(PIP_INSTALL) --no-deps --require-hashes -r
# Once instead of at every start of a process, of which a cluster and the tests have many; instant where pip did it.
COMPILE_ALL := $(VENV)/bin/python -m compileall -qq -j 0
COMPILE := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header

# The first night of the demonstration learns from three months; each call after it is the night that follows.
FOLLOWING := --next --date 2013-03-31
N ?= 7

# LAKE=s3 has lake, staging and models in a bucket of an object store that runs for as long as the command.
LAKE ?= disk
IN_disk :=
IN_s3 := \
  GMMDASK_SOURCE__URI=s3://gmmdask/lake \
  GMMDASK_REGISTRY__URI=s3://gmmdask/registry \
  GMMDASK_WAREHOUSE__STAGING=s3://gmmdask/work \
  GMMDASK_WAREHOUSE__URI=../demo/warehouse-s3.duckdb \
  $(VENV)/bin/python -m infra.object_store demo/object-store --put s3://gmmdask/lake=demo/lake --

ifeq ($(filter disk s3,$(LAKE)),)
  $(error LAKE is disk or s3, not "$(LAKE)")
endif

.DEFAULT_GOAL := help
.PHONY: help install nightly nights year test check lint format types layers mathematics bench report-check lock clean

help:  ## Explain the targets (the default)
	@echo 'make <target> [PYTHON=python3.12] [ARGS="..."]'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo '  PYTHON   the interpreter to make environments from (python3; at least 3.11)'
	@echo '  ARGS     more arguments for pytest in test, for the benchmarks in bench: ARGS="-k weights"'
	@echo '  NIGHT    the date that nightly runs: NIGHT=2013-05-01 (the one after the last)'
	@echo '  N        how many nights the target nights runs (7)'
	@echo '  LAKE     s3 has nightly run in a bucket of an object store on this machine (disk)'
	@echo '  PIP_*    where packages come from, as pip documents it; UV_* does so for lock'

install: $(INSTALLED)  ## Create .venv with the locked packages and gmmdask itself (instant when up to date)

nightly: $(INSTALLED) demo/lake  ## Run the next night of the demonstration: fit, score, publish (NIGHT=2013-05-01, LAKE=s3)
	$(IN_$(LAKE)) $(VENV)/bin/gmmdask nightly infra/demo.toml $(if $(NIGHT),--date $(NIGHT),$(FOLLOWING))

nights: $(INSTALLED) demo/lake  ## Run the N nights that follow; the first of all learns from three months (make nights N=7)
	@for night in $$(seq $(N)); do $(IN_$(LAKE)) $(VENV)/bin/gmmdask nightly infra/demo.toml $(FOLLOWING) || exit; done

year: $(INSTALLED) demo/lake  ## Run the nights of a year into demo/year and draw their trend; goes on where it stopped
	$(VENV)/bin/python -m infra.year

# Two processes for two cores: the nights and what they stand on in one, all else in the other. With ARGS: one process.
PYTEST := $(VENV)/bin/python -m pytest --benchmark-disable
NIGHTS := tests/nightly tests/training tests/warehouse tests/flows tests/services
OTHERS := tests gmmdask $(wildcard benchmarks/test_*.py) $(NIGHTS:%=--ignore=%)

test: $(INSTALLED)  ## Run the whole test suite, doctests and small benchmarks included
ifeq ($(ARGS),)
	@mkdir -p build; $(PYTEST) $(NIGHTS) >build/tests-nights.log 2>&1 & nights=$$!; \
	$(PYTEST) $(OTHERS); status=$$?; \
	wait $$nights || status=$$?; cat build/tests-nights.log; exit $$status
else
	$(PYTEST) tests gmmdask $(wildcard benchmarks/test_*.py) $(ARGS)
endif

check: lint format types layers mathematics  ## Run every check below; with --keep-going all of them, whatever fails

lint: $(INSTALLED)  ## Check the style (ruff)
	$(VENV)/bin/ruff check .

format: $(INSTALLED)  ## Check the format (ruff); changes nothing
	$(VENV)/bin/ruff format --check .

types: $(INSTALLED)  ## Check the annotations (mypy, strict)
	$(VENV)/bin/mypy gmmdask $(wildcard flows/*.py)

layers: $(INSTALLED)  ## Check who imports whom (import-linter)
	$(VENV)/bin/lint-imports --no-logo --no-cache

mathematics: $(MATHEMATICS_INSTALLED)  ## Test gmmdask/mixture where only NumPy, SciPy and Numba are installed
	$(MATHEMATICS)/bin/python -m pytest --durations=0 tests/mixture gmmdask/mixture

report-check: $(INSTALLED)  ## Draw reports in headless Chromium; pages and pictures are left in build/
	$(VENV)/bin/python -m tests.report.check

bench: $(INSTALLED)  ## Run the benchmarks and print their figures (ARGS=--record keeps them)
	$(VENV)/bin/python -m benchmarks $(ARGS)

lock: $(INSTALLED)  ## Choose the newest allowed versions and write the lock files anew
	$(COMPILE) --upgrade --group dev pyproject.toml -o $(LOCK)
	$(COMPILE) --upgrade --group pyproject.toml:mathematics -c $(LOCK) -o $(MATHEMATICS_LOCK)
	$(COMPILE) --upgrade infra/requirements-object-store.in -o infra/requirements-object-store.txt
	$(COMPILE) --upgrade infra/requirements-onedal.in -o infra/requirements-onedal.txt

clean:  ## Remove everything that was generated: environments, caches, the demonstration
	rm -rf $(VENV) $(MATHEMATICS) .venv-object-store .venv-onedal demo build dist
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .benchmarks
	find . -type d -name __pycache__ -prune -exec rm -rf {} +

$(INSTALLED): $(LOCK) pyproject.toml | $(VENV)/bin/python
	@echo 'Installing the locked packages into $(VENV) (a few minutes the first time) ...'
	@$(VENV)/bin/python $(FROM_LOCK) $(LOCK)
	@$(VENV)/bin/python $(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@$(VENV)/bin/python -m pip check
	@$(COMPILE_ALL) $(VENV)/lib || true  # some packages ship files of other Pythons
	@touch $@

$(MATHEMATICS_INSTALLED): $(MATHEMATICS_LOCK) | $(MATHEMATICS)/bin/python
	@echo 'Installing the locked packages into $(MATHEMATICS) ...'
	@$(MATHEMATICS)/bin/python $(FROM_LOCK) $(MATHEMATICS_LOCK)
	@$(MATHEMATICS)/bin/python -m pip check
	@touch $@

$(VENV)/bin/python $(MATHEMATICS)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo 'gmmdask needs Python 3.11 or newer, but "$(PYTHON)" is' \
	    "$$($(PYTHON) --version 2>/dev/null || echo 'no Python that can be run')."; \
	  echo 'Name another interpreter: make <target> PYTHON=python3.12'; exit 1; } >&2
	@$(PYTHON) -m venv $(@:/bin/python=) || { \
	  rm -rf $(@:/bin/python=); \
	  echo '"$(PYTHON)" cannot make an environment: install its venv module (Debian: python3-venv).'; exit 1; } >&2

demo/lake: | $(INSTALLED)
	$(VENV)/bin/python -m infra.demonstration $@
