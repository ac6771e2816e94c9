# Everything is set up in .venv from a bare checkout: python3 and make are enough.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready
DATA ?= $(KITESTRING_DATA)
COUNT ?= 200000
WORKERS ?= 2

.PHONY: help setup demo test lint validation bench fuzz test-oldest clean
help:
	@echo "make demo        simulate a delta-DOR session and process it to an orbit"
	@echo "make test        all tests"
	@echo "make lint        style, types, import contracts"
	@echo "make validation DATA=dir   compare with real data"
	@echo "make bench       speed, each against its floor or a peer"
	@echo "make fuzz        damaged recordings: COUNT (200000) of them"
	@echo "make test-oldest the suite with the lower bounds of the dependencies"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt tools/setup_venv.sh
	@PYTHON="$(PYTHON)" sh tools/setup_venv.sh .venv

demo: $(STAMP)
	$(BIN)/kitestring demo

test: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

validation: $(STAMP)
	@test -n "$(DATA)" || { echo "Say where the data lie: make validation DATA=dir"; exit 2; }
	$(BIN)/python validation/run_all.py "$(DATA)"

bench: $(STAMP)
	@for program in benchmarks/*.py; do $(BIN)/python $$program || exit 1; done

fuzz: $(STAMP)
	$(BIN)/python tests/recordings/fuzz.py --count $(COUNT) --workers $(WORKERS)

test-oldest:
	@PYTHON="$(PYTHON)" RESOLUTION=lowest-direct sh tools/setup_venv.sh .venv-oldest
	.venv-oldest/bin/python -m pytest -n $(WORKERS)

clean:
	rm -rf .venv .venv-oldest build dist
