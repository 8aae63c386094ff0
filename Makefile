# The two commands: `make serve` starts a server, `make test` passes every check.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= data

.PHONY: serve test test-slow chaos clean lock

serve: $(VENV)/.serve
	$(BIN)/roskva serve --data-dir $(DATA) $(ARGS)

test: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -n 3 --ignore=tests/slow

# Each of the three has the machine to itself: the matrix; what measures or looks at a clock, one by one; and two that
# mostly wait, side by side, so that a cluster which replaces who is silent for a second isn't starved.
MATRIX := tests/slow/test_saboteurs.py
WAITING := tests/slow/test_chaos.py tests/slow/test_agent_soak.py
test-slow: $(VENV)/.test
	$(BIN)/python -m pytest $(MATRIX) -n 2 --timeout 600
	$(BIN)/python -m pytest tests/slow $(addprefix --ignore=,$(MATRIX) $(WAITING)) --timeout 600
	$(BIN)/python -m pytest $(WAITING) -n 2 --dist loadfile --timeout 600

# Breaks a cluster under load, five times in each way, and prints the table for docs/scale.md; takes twenty-five minutes.
chaos: $(VENV)/.test
	$(BIN)/python -m bench.chaos $(ARGS)

# Writes the lock file anew; commit it.
lock: $(VENV)/.test
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --extra server --group test pyproject.toml --no-annotate \
		--no-emit-index-url --no-emit-find-links --output-file requirements-test.txt

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.serve: $(VENV)/bin/python pyproject.toml requirements-test.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements-test.txt --editable '.[server]'
	touch $@

$(VENV)/.test: $(VENV)/.serve requirements-test.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-test.txt
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
