# A fresh machine with Python 3.11 or newer and make needs nothing else.
#   make demo      four captions drawn by the shipped model, on one strip
#   make test      the fast tests
#   make slow      the others
#   make check     ruff, mypy, the import contract
#   make help      docs/help.md from the commands
#   make install   .venv with the pinned libraries (the others do it first)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
EXTRAS := train,eval,openvino,onnx,search,serve,dev
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Each test process keeps to one thread: two of them then share two cores without fighting.
TESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS)

.PHONY: install demo test slow check help

install: $(VENV)/installed

# torch goes first and alone: as somebody's dependency it may come as another build, gigabytes larger.
$(VENV)/installed: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "limner: $(PYTHON) cannot make $(VENV); on Debian: apt-get install python3-venv" >&2; rm -rf $(VENV); exit 1; }
	$(PIP) install "$$(grep '^torch==' constraints.txt)"
	$(PIP) install -c constraints.txt hatchling editables
	$(PIP) install -c constraints.txt --no-build-isolation -e '.[$(EXTRAS)]'
	@touch $@

demo: install
	$(BIN)/python examples/strip.py demo/strip.png

test: install
	@command -v chromium chromedriver > /dev/null || echo "limner: no chromium and chromedriver: the page's tests are left out"
	$(TESTS)

slow: install
	$(TESTS) -m slow

check: install
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_house.py

help: install
	$(BIN)/python docs/make_help.py > docs/help.md
