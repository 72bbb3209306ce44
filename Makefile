# All that a user or contributor runs. Needs Python 3.11 or newer and make; everything else goes into .venv.

VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed-dev
INSTALLED_DOCS := $(VENV)/.installed-docs
WHEEL_VENV := build/wheel-check

# Imports take three times as long without compiled modules, in every process that a test starts; so the installation
# compiles them, and they are kept,
# whatever the caller's shell says.
export PYTHONDONTWRITEBYTECODE :=

# Two processes of one thread each fill two cores; with more threads than cores torch waits on itself.
WORKERS ?= 2
THREADS ?= 1

# uv warns when its cache is on another disk and it must copy; nobody can act on that, so it is told beforehand.
LINK_MODE = $$(cache=$$($(BIN)/uv cache dir) && mkdir -p "$$cache" && touch "$$cache/.link" \
	&& ln -f "$$cache/.link" $(VENV)/.link 2>/dev/null && echo hardlink || echo copy)
UV_INSTALL = UV_LINK_MODE=$(LINK_MODE) $(BIN)/uv pip install --compile-bytecode --python $(BIN)/python
UV_COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-emit-index-url \
	--custom-compile-command "make requirements" $(COMPILE_ARGS) pyproject.toml

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo test fuzz chaos lint format wheel docs requirements clean

help:  ## List the targets
	@echo "make TARGET [PYTHON=python3.12] [VENV=.venv] [WORKERS=2] [THREADS=1]"
	@sed -n 's/^\([a-z]*\):.*  ## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{printf "%-16s%s\n", $$1, $$2}'

install: $(INSTALLED)  ## Make .venv with everything the other targets need (they call this themselves)

demo: $(INSTALLED)  ## Run the benchmark on real images, in minutes; options go into ARGS="..."
	$(BIN)/python benchmarks/run.py --preset demo $(ARGS)

test: $(INSTALLED)  ## Run all tests, doctests and the snippets of the documents, with line coverage; ARGS="..."
	OMP_NUM_THREADS=$(THREADS) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --cov $(ARGS)

# Options are SECONDS, SEED and, to run one case again, CASE.
ATTACK = OMP_NUM_THREADS=1 PYTHONPATH=.:tests $(BIN)/python -m
ATTACK_ARGS = $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) $(ARGS)

fuzz: $(INSTALLED)  ## Random cases against the public interface, for SECONDS=180 from SEED=0; CASE=n runs one again
	$(ATTACK) attacks.fuzz $(if $(CASE),--case $(CASE)) $(ATTACK_ARGS)

chaos: $(INSTALLED)  ## Kills, Ctrl-C, full disks, threads and forks around fits, for SECONDS=240 from SEED=0
	$(ATTACK) attacks.chaos $(ATTACK_ARGS)

lint: $(INSTALLED)  ## Check style, format and that imports point one way
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

format: $(INSTALLED)  ## Repair style and format where ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(INSTALLED)  ## Build sdist and wheel, install the wheel in an empty environment and use it there
	rm -rf dist $(WHEEL_VENV)
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m build --installer uv --outdir dist
	$(BIN)/uv venv --quiet --python $(BIN)/python $(WHEEL_VENV)
	@echo "==> Installing dist/*.whl and what it needs into $(WHEEL_VENV)"
	@UV_LINK_MODE=$(LINK_MODE) $(BIN)/uv pip install --quiet --python $(WHEEL_VENV)/bin/python \
		--constraints requirements/dev.txt "$$(ls dist/*.whl)[evaluation]"
	$(WHEEL_VENV)/bin/python -I .ci/check_wheel.py
	rm -rf $(WHEEL_VENV)

docs: $(INSTALLED_DOCS)  ## Build the documentation into build/docs/html, and open every page of it in a browser
	OMP_NUM_THREADS=$(THREADS) $(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --jobs $(WORKERS) \
		-b html -d build/docs/doctrees docs build/docs/html
	$(BIN)/python -m pytest -q -n 0 tests/test_docs.py

requirements: $(INSTALLED)  ## Resolve requirements/*.txt anew from pyproject.toml; COMPILE_ARGS=--upgrade for newer releases
	$(UV_COMPILE) --extra dev --output-file requirements/dev.txt
	$(UV_COMPILE) --extra bench --constraints requirements/dev.txt --output-file requirements/bench.txt
	$(UV_COMPILE) --extra docs --constraints requirements/dev.txt --output-file requirements/docs.txt

clean:  ## Remove what the other targets made, except .venv and results
	rm -rf build dist docs/gallery docs/generated docs/sg_execution_times.rst .coverage .coverage.* .pytest_cache .ruff_cache .import_linter_cache
	find gan_sampler tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp comes last: an interrupted installation is taken up again at the next call.
$(INSTALLED): requirements/bootstrap.txt requirements/dev.txt pyproject.toml
	@PYTHON="$(PYTHON)" sh .ci/make_venv $(VENV)
	@echo "==> Installing requirements/bootstrap.txt, requirements/dev.txt and this checkout into $(VENV)"
	@$(BIN)/python -m pip install --quiet --requirement requirements/bootstrap.txt
	@$(UV_INSTALL) --requirement requirements/dev.txt
	@$(UV_INSTALL) --no-deps --editable .
	@rm -f $(VENV)/.unfinished && touch $@

$(INSTALLED_DOCS): $(INSTALLED) requirements/docs.txt
	@echo "==> Installing requirements/docs.txt into $(VENV)"
	@$(UV_INSTALL) --requirement requirements/docs.txt
	@touch $@
