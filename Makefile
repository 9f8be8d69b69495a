# Everything a developer or a first visitor runs. Needs make and python3 >= 3.11, nothing else.
.DEFAULT_GOAL := help
.PHONY: help venv install demo figures check lint format test conformance bench lock clean
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INSTALL := $(PIP) install --constraint requirements/lock.txt
RECIPE := pyproject.toml requirements/lock.txt meshsim/__init__.py
DEMO := online-boutique-primary-outage
# Processes for the tests; PYTEST_ARGS takes anything else, as in: make test PYTEST_ARGS="-k histogram"
JOBS ?= auto
PYTEST_ARGS ?=
# With byte code kept, whatever the shell says: else every process compiles every test and module again.
PYTEST = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest
LINT = $(BIN)/lint-imports && $(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
# Options of `make bench`, as in: make bench BENCH_ARGS="--quick"; and another Python that may have what pip cannot build
BENCH_ARGS ?=
OTHERS := $(addprefix --python ,$(wildcard /usr/bin/python3))
# Which cases `make conformance` runs, as in: make conformance CASES="panic retry_hosts"; all when empty
CASES ?=

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1@\2/p' Makefile | awk -F@ '{ printf "%-15s %s\n", $$1, $$2 }'

venv: .venv/.lint .venv/.test  ## create .venv with everything a developer needs

install: .venv/.run  ## create .venv with what meshsim itself needs

demo: .venv/.run  ## compare three deployments of Online Boutique while a control plane is down
	@$(BIN)/meshsim compare scenarios/$(DEMO).yaml --out results/
	@echo "Pictures and tables are in $$(ls -td results/$(DEMO)/*/ | head -n 1)"

figures: .venv/.run  ## rebuild the report that is kept in results/ (some minutes)
	@$(BIN)/meshsim compare scenarios/$(DEMO).yaml --out results/
	@$(BIN)/meshsim sensitivity scenarios/$(DEMO).yaml --deployments multi-primary,hybrid -n 3 --out results/ \
		--vary load.scale=0.5..1.5 --vary 'timeline[1].rate=1/min..6/min' --metric 'success_rate in during'
	@$(BIN)/meshsim report results/$(DEMO) --out results/$(DEMO)-report
	@rm -f results/$(DEMO)-report/*.svg results/$(DEMO)-report/metrics.csv

check: .venv/.lint .venv/.test  ## lint, types, import contracts and the fast tests
	@{ $(LINT); } >.venv/lint.log 2>&1 & lint=$$!; \
	$(PYTEST) -q -n $(JOBS) --dist loadfile -m "not slow" $(PYTEST_ARGS); tests=$$?; \
	wait $$lint; linted=$$?; cat .venv/lint.log; exit $$((tests | linted))

lint: .venv/.lint  ## import contracts, ruff and mypy
	@$(LINT)

format: .venv/.lint  ## let ruff write the code as it wants to read it
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

test: .venv/.test  ## import contracts and every test
	@$(BIN)/lint-imports
	@$(PYTEST) -n $(JOBS) --dist worksteal $(PYTEST_ARGS)

conformance: .venv/.test  ## run the conformance cases on a real Envoy and write down what it did (an hour)
	@$(INSTALL) -e '.[conformance]'
	@$(BIN)/python -m tests.conformance.record $(CASES)

bench: .venv/.bench  ## requests per second beside other simulators, as a table and a plot (a few minutes)
	@mkdir -p results
	@.venv/bench/bin/python tests/benchmarks/run.py $(OTHERS) --json results/bench.json --plot results/bench $(BENCH_ARGS)
	@echo "Figures and pictures are in results/bench.json, .png and .svg"

lock:  ## resolve the newest versions into requirements/lock.txt
	@rm -rf .venv/lock && $(call python) -m venv .venv/lock
	@.venv/lock/bin/python -m pip --disable-pip-version-check --quiet install -e '.[test,lint,conformance,sweep,dask,ray,notebooks]'
	@{ sed '/^#/!d' requirements/lock.txt; \
	   .venv/lock/bin/python -m pip freeze --exclude meshsim --exclude-editable; } > .venv/lock.txt
	@mv .venv/lock.txt requirements/lock.txt && rm -rf .venv/lock

clean:  ## remove .venv and caches; results stay
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find meshsim tests -name __pycache__ -type d -prune -exec rm -rf {} +

# --- stamps: a step is repeated when the recipe for it changed -------------------------------------------------

# The first Python that is new enough and can make environments; PYTHON=... overrides the choice.
python = $(call first,$(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python)
newest = $(call first,$(PYTHON) python3.13 python3.12 python3.11 python3 python)
first = $$(for candidate in $(1); do \
	"$$candidate" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { command -v "$$candidate"; break; }; done)

.venv/.created:
	@chosen=$(python); \
	if [ -z "$$chosen" ]; then \
		echo "meshsim needs Python 3.11 or newer with its venv module, and found none. What is here:" >&2; \
		for candidate in $(PYTHON) python3 python; do \
			"$$candidate" -c 'import sys; print("  " + sys.executable + " is " + sys.version.split()[0])' 2>/dev/null >&2; \
		done; \
		echo "Install Python 3.11 or newer (on Debian and Ubuntu also python3-venv), or say: make PYTHON=/path/to/python" >&2; \
		exit 1; \
	fi; \
	echo "Creating .venv with $$chosen"; \
	"$$chosen" -m venv --clear .venv
	@touch $@

.venv/.run: .venv/.created $(RECIPE)
	@echo "Installing meshsim"
	@$(INSTALL) -e .
	@touch $@

.venv/.test: .venv/.created $(RECIPE)
	@echo "Installing what the tests need"
	@$(INSTALL) -e '.[test]'
	@touch $@ .venv/.run

# An environment of its own: some simulators need a newer Python, and none is needed for anything else.
.venv/.bench: $(RECIPE) requirements/bench.txt
	@mkdir -p .venv; chosen=$(call newest); \
	echo "Creating .venv/bench with $$chosen" && "$$chosen" -m venv --clear .venv/bench
	@echo "Installing meshsim and other simulators"
	@.venv/bench/bin/python -m pip --disable-pip-version-check --quiet install --constraint requirements/lock.txt -e . \
		--requirement requirements/bench.txt
	@touch $@

.venv/.lint: .venv/.created $(RECIPE)
	@echo "Installing what lint needs"
	@$(INSTALL) -e '.[lint]'
	@touch $@ .venv/.run
