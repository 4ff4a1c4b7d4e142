# make demo, make test: the two commands of the README. The rest is for who works here.

PYTHON ?= python3
VENV := .venv
LEGACY := .venv-legacy
MITMPROXY := .venv-mitmproxy
PORT ?= 9000
# Two processes, as the tests wait for each other's programs half of the time.
PYTEST_ARGS ?= --numprocesses 2 --dist worksteal
BIN := $(VENV)/bin

MAKEFLAGS += --no-print-directory
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help demo test test-compiled test-pure check docs format build bench bench-quick autobahn autobahn-quick clean

# What the compiled core is made of: an edit here makes the next command build it again.
CORE_SOURCES := setup.py $(wildcard ws4py_ng/_core/*_py.py ws4py_ng/_core/*.pxd ws4py_ng/_core/*.pyx)
# The extensions are built whatever WS4PY_NG_PURE says: it chooses again when the program runs.
PIP_INSTALL := env -u WS4PY_NG_PURE $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Success when C extensions can be built: a compiler, and the headers of this very Python.
CAN_COMPILE = command -v $${CC:-cc} >/dev/null 2>&1 && $(BIN)/python -c \
	'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'

help:
	@echo 'make demo            a server on http://127.0.0.1:9000/ with a page to try it (PORT=9001 ...); Ctrl-C ends it'
	@echo 'make test            all tests, with the compiled core and without'
	@echo 'make check           ruff, mypy and the layers'
	@echo 'make docs            the documentation as a site, in .site/'
	@echo 'make format          let ruff write the code as it wants it'
	@echo 'make build           compile the core again'
	@echo 'make bench           what a message costs, here and with others, half an hour; make bench-quick: minutes'
	@echo 'make autobahn        the Autobahn Testsuite over every transport, hours; make autobahn-quick: minutes'
	@echo 'make clean           remove what was made'

# A terminal sends Ctrl-C to make as well, which would then report an interrupt. With job control
# (set -m) the demo gets it alone, and its exit status 0 is make's.
demo: $(VENV)/installed
	@if [ -t 0 ]; then set -m; $(BIN)/python -m ws4py_ng demo --port $(PORT); \
	else exec $(BIN)/python -m ws4py_ng demo --port $(PORT); fi

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo '$(PYTHON) is too old or missing: Python 3.11 or newer is needed; try make PYTHON=python3.12' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Two stamps: the package as a user has it, and with what the tests need. The second makes the
# first as well, so that `make test` installs once.
$(VENV)/tools: pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) --editable '.[test]'
	@touch $(VENV)/installed $@

$(VENV)/installed: pyproject.toml $(CORE_SOURCES) | $(BIN)/python
	$(PIP_INSTALL) --editable .
	@touch $@

# eventlet does not live with trio and aioquic (dnspython brings them together), so that what runs on
# it has an environment of its own. Nothing is compiled for it: the core that is there will do.
$(LEGACY)/tools: pyproject.toml | $(BIN)/python
	$(BIN)/python -m venv $(LEGACY)
	$(LEGACY)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade setuptools
	WS4PY_NG_PURE=1 $(LEGACY)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test-legacy]'
	@touch $@

$(VENV)/docs: pyproject.toml | $(VENV)/tools $(VENV)/installed
	$(PIP_INSTALL) --editable '.[docs]'
	@touch $@

# mitmproxy wants older versions of what is tested against. Its flows are read with the package as it lies here.
$(MITMPROXY)/tools: pyproject.toml | $(BIN)/python
	$(BIN)/python -m venv $(MITMPROXY)
	WS4PY_NG_PURE=1 $(MITMPROXY)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[mitmproxy]'
	@touch $@

build: | $(VENV)/tools
	env -u WS4PY_NG_PURE $(BIN)/python setup.py --quiet build_ext --inplace
	@touch $(VENV)/installed

# Nothing is printed after the last summary of pytest. Both builds are tested even when the
# first fails.
test: $(VENV)/tools $(VENV)/installed $(LEGACY)/tools $(MITMPROXY)/tools
	@status=0; \
	if $(CAN_COMPILE); then \
		$(MAKE) test-compiled || status=1; \
	elif [ "$$CI" = true ]; then \
		echo 'CI=true, and no C compiler (or no Python.h) to test the compiled core with' >&2; status=1; \
	else \
		echo 'No C compiler (or no Python.h): the compiled core is NOT tested, only the pure one.'; \
	fi; \
	$(MAKE) test-pure || status=1; \
	exit $$status

test-compiled: $(VENV)/tools $(VENV)/installed $(LEGACY)/tools $(MITMPROXY)/tools
	@env -u WS4PY_NG_PURE WS4PY_NG_EXPECT=compiled $(BIN)/python -m pytest $(PYTEST_ARGS)

test-pure: $(VENV)/tools $(VENV)/installed $(LEGACY)/tools $(MITMPROXY)/tools
	@WS4PY_NG_PURE=1 WS4PY_NG_EXPECT=pure $(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/tools $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict ws4py_ng
	$(BIN)/python -m pytest -q test/test_layers.py

# A page, a link or a docstring that Sphinx does not understand is an error.
docs: $(VENV)/docs
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -b html docs .site
	@cp .site/contents.html .site/index.html
	@echo 'made .site/index.html'

format: $(VENV)/tools
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The libraries that this project is compared with have an environment of their own.
BENCH_VENV := .venv-bench

$(BENCH_VENV)/installed: test/bench/requirements.txt pyproject.toml $(CORE_SOURCES) | $(BIN)/python
	$(PYTHON) -m venv $(BENCH_VENV)
	env -u WS4PY_NG_PURE $(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		--requirement test/bench/requirements.txt --editable .
	@touch $@

# make bench BENCH_ARGS="--only echo-32-many,ng/asyncio,picows"
bench: $(BENCH_VENV)/installed
	@$(BENCH_VENV)/bin/python -m test.bench $(BENCH_ARGS)

bench-quick: $(BENCH_VENV)/installed
	@$(BENCH_VENV)/bin/python -m test.bench --quick $(BENCH_ARGS)

autobahn: $(VENV)/tools $(VENV)/installed
	@$(BIN)/python -m test.autobahn.run $(AUTOBAHN_ARGS)

autobahn-quick: $(VENV)/tools $(VENV)/installed
	@$(BIN)/python -m test.autobahn.run --quick $(AUTOBAHN_ARGS)

clean:
	rm -rf $(VENV) $(LEGACY) $(MITMPROXY) .venv-bench .wstest .reports .site build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf *.egg-info ws4py_ng/_core/*.so ws4py_ng/_core/*.pyd ws4py_ng/_core/*.c
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
