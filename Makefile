# Each target sets itself up: a virtual environment in .venv, made with the newest Python from 3.11 on (or PYTHON=…), filled from
# the locks in requirements/. Safe in any order, again and again. Only Python, make and git are assumed.

VENV ?= .venv
export VENV PYTHON

RUN = $(VENV)/bin/python
SETUP = @MAKECMDGOALS="$@" ./requirements/install.sh

.PHONY: help test test-arq demo examples run lint types docs bench lock clean
.NOTPARALLEL:
.DEFAULT_GOAL = help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

test: ## the test suite, in parallel; ARGS="-k drain" chooses, ARGS="--slow only" has those that take minutes
	$(SETUP) test
	@$(RUN) -m compileall -q -j 0 twelvefactor # once, for the many processes of the tests: some machines let none of them keep it
	$(RUN) -m pytest -n auto --dist loadfile $(ARGS)

test-arq: ## the tests of arq, in .venvs/arq: it wants an older redis-py than the rest
	@MAKECMDGOALS="$@" VENV=.venvs/arq ./requirements/install.sh arq
	.venvs/arq/bin/python -m pytest $(ARGS) tests/integrations/queues/test_arq.py

demo: ## a real service on real engines, from start to SIGTERM, and its scorecard
	$(SETUP) demo
	@$(RUN) -m examples.orders.demo

examples: ## every example lives a whole life on real engines and has the score that it promises
	$(SETUP) test
	$(RUN) -m examples.graded $(ARGS)

run: ## the same service, kept up in the foreground
	$(SETUP) demo
	@exec $(RUN) -m examples.orders.demo --keep

lint: ## ruff, formatting, and the arrows between the rooms
	$(SETUP) lint
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(VENV)/bin/lint-imports

types: ## mypy in strict mode, and what two type checkers make of the public names
	$(SETUP) lint
	$(RUN) -m mypy
	$(RUN) -m mypy tests/typing
	$(RUN) -m basedpyright --pythonpath $(RUN) --project tests/typing

docs: ## the site with warnings as errors, and every Python snippet in it and in the README, run
	$(SETUP) docs
	$(RUN) -m sphinx -E -W --keep-going -n -q -b html docs docs/_build/html
	$(RUN) -m pytest -q --full-trace -o addopts= -p docs.snippets README.md docs

bench: ## each benchmark, as ratios beside its peers
	$(SETUP) bench
	@for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(RUN) $$script || exit 1; done

lock: ## the locks anew, from pyproject.toml
	$(SETUP) lock
	$(RUN) requirements/lock.py

clean: ## everything that the other targets made
	rm -rf .venv .venvs build dist docs/_build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .demo
