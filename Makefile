# Every target sets up what it needs: a virtual environment in .venv, made once and remade when the pins change.
PYTHON ?= python3
BIN := .venv/bin
THREADS := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
READY := .venv/ready
WORKERS ?= 2
DATA_DIR ?= data

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow bench bench-attacks bench-corruptions docs check lint types format clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

$(READY): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

setup: $(READY)  ## make the environment (.venv)

demo: $(READY)  ## train five methods on real digits, attack them, print the table (about a minute)
	$(BIN)/vicinal reproduce alps/demo --scale smoke --seeds 3 --jobs 2 --device cpu --out runs/demo

test: $(READY)  ## run the tests
	$(THREADS) $(BIN)/python -m pytest -q -n $(WORKERS) -m 'not slow and not gpu'

test-slow: $(READY)  ## run the slow checks: the real data sets in DATA_DIR (skipped where missing)
	$(THREADS) VICINAL_DATA_DIR=$(DATA_DIR) $(BIN)/python -m pytest -q tests/data -m 'not gpu'

bench: $(READY)  ## measure what the library costs, about 45 minutes on 4 quiet cores (BENCH='--only steps')
	$(BIN)/python -m benchmarks $(BENCH)

bench-attacks: $(READY)  ## our attacks beside other packages', hours on one core, resumable (BENCH='--only pgd-10 --peers DIR')
	$(THREADS) $(BIN)/python -m benchmarks.attacks --data-dir $(DATA_DIR) $(BENCH)

bench-corruptions: $(READY)  ## our corruptions beside imagecorruptions', minutes on one core (BENCH='--peer PYTHON')
	$(THREADS) $(BIN)/python -m benchmarks.corruptions $(BENCH)

docs: $(READY)  ## copy the result tables into the documents, then check every document
	$(BIN)/python tests/documents.py
	$(THREADS) $(BIN)/python -m pytest -q tests/test_docs.py

check: lint types  ## lint, formatting and strict types

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

format: $(READY)  ## let ruff format and fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the environment and the caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache build dist
