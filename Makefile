# Every target prepares what it needs: Debian packages, then .venv, then the Python packages.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo run test check bench screenshots readme clean format packages

demo: $(READY)          ## the program with six real guests of its own
	$(BIN)/qga-tui demo

run: $(READY)           ## the program on this machine's libvirt
	$(BIN)/qga-tui

test: check             ## everything: checks, unit, screen and live tests
	$(BIN)/pytest -n 2 --dist loadfile tests/live tests/tui

check: $(READY)         ## format, lint, types, import directions, unit tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest tests/unit

format: $(READY)        ## put the code into the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)         ## the tests that `make test` leaves out, then timings, as ratios against a peer in the same run
	$(BIN)/pytest -n 2 --dist loadfile -m long tests/live tests/tui
	$(BIN)/python -m tests.bench

screenshots: $(READY)   ## make the pictures of README.md anew
	$(BIN)/python -m tests.screenshots
	$(BIN)/python -m tests.screenshots_backup

readme: $(READY)        ## write the tables of README.md that are made from code
	$(BIN)/python -m tests.readme

packages:               ## the Debian packages alone
	.ci/debian-packages

$(READY): pyproject.toml .ci/debian-packages
	.ci/debian-packages
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --disable-pip-version-check --editable . --group dev
	touch $@

clean:                  ## remove what the targets above made
	rm -rf .venv dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis snapshot_report.html
	find tui tests -name __pycache__ -type d -prune -exec rm -rf {} +
