# Everything is done in .venv, which each target makes by itself, once. PYTHON names the interpreter to make it with.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
RUN := OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=2

.PHONY: help setup demo test lint types check proofs oneway soak netem fuzz identity identity-torch page page-test page-fuzz page-browser wheel clean

help:
	@echo "make demo    a photo arrives over three thin links; writes timeline.png"
	@echo "make test    the tests"
	@echo "make check   what continuous integration runs: lint, types, tests"
	@echo "make oneway  a thousand runs of each one-way case; minutes"
	@echo "make soak    graceful degradation: PICTURES (a folder) over every link, 10,000 random links; an hour, resumes"
	@echo "make netem   the link model beside the kernel's netem, in user-mode Linux; a minute"
	@echo "make fuzz    200,000 hostile inputs over all parsers; many minutes"
	@echo "make identity  1,000 streams of PICTURES (a folder) by every runtime; make identity-torch: by TORCH (2.12.1), too"
	@echo "make proofs  the long proofs, oneway and fuzz among them; many minutes"
	@echo "make page    the decoder in JavaScript (needs node and npm); make page-test: it shows what Python's does"
	@echo "make page-browser  it shows the same in Chromium"
	@echo "make page-fuzz  200,000 hostile inputs to it; many minutes"
	@echo "make lint    ruff; make types: mypy; make wheel: dist/*.whl"
	@echo "make setup   .venv alone; make clean: remove .venv and all that was made"

setup: $(READY)

# The stamp is newer than what it was made from, so a good .venv is used again; one whose Python is gone is made anew.
$(READY): pyproject.toml constraints.txt
	@$(BIN)/python -c "import pip" 2>/dev/null || { echo "Making $(VENV), once; about two minutes ..."; \
		$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "needs Python 3.11; make PYTHON=python3.11")' \
		&& $(PYTHON) -m venv --clear $(VENV); }
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[bench,dev]'
	@touch $@

demo: $(READY)
	@$(BIN)/layercast demo $(ARGS)

test: $(READY)
	@$(RUN) $(BIN)/python -m pytest $(ARGS)

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(READY)
	@$(BIN)/mypy

check: lint types test

# What takes minutes: every proof that the documents quote beyond the tests.
proofs: oneway fuzz
	@$(RUN) LAYERCAST_KILLS=50 $(BIN)/python -m pytest tests/net/test_commands.py -k killed

oneway: $(READY)
	@$(RUN) $(BIN)/layercast bench oneway --strict $(ARGS)

# Each picture of the folder PICTURES over every link at many losses, then random links. Ctrl-C keeps what is done.
soak: $(READY)
	@$(RUN) $(BIN)/layercast bench soak $(PICTURES) --strict $(ARGS)

# Needs Debian's user-mode-linux, kmod and iproute2; no root.
netem: $(READY)
	@$(RUN) $(BIN)/python -m pytest -m netem tests/net/test_netem.py $(ARGS)

fuzz: $(READY)
	@$(RUN) $(BIN)/python -m tests.fuzz.long $(ARGS)

# Each picture of the folder PICTURES in pieces: the same symbols and pixels by every way of computing there is.
PICTURES ?= kodak
identity: $(READY)
	@$(BIN)/layercast bench identity $(PICTURES) --strict $(ARGS)

# The same with a second torch in a .venv of its own; several gigabytes where that version's wheel is a CUDA build.
TORCH ?= 2.12.1
identity-torch: $(READY)
	@$(PYTHON) -m venv $(VENV)-torch
	@$(VENV)-torch/bin/python -m pip install -qq --disable-pip-version-check "torch==$(TORCH)" \
		$$(grep -E '^(click|constriction|numpy|safetensors|tqdm)==' constraints.txt)
	@$(BIN)/layercast bench identity $(PICTURES) --strict --python $(VENV)-torch/bin/python $(ARGS)

# The decoder in JavaScript. Its bundle is kept in the repository, so only who changes it needs node (20 or later) and npm.
PAGE := player/page
PAGE_READY := $(PAGE)/node_modules/.package-lock.json

$(PAGE_READY): $(PAGE)/package-lock.json
	@cd $(PAGE) && npm ci --silent --no-audit --no-fund
	@touch $@

page: $(PAGE_READY)
	@cd $(PAGE) && node build.mjs $(ARGS)

# Golden vectors, hostile input, and streams that lose, reorder and damage chunks: the same pixels as Python's.
STREAMS := $(PAGE)/build/streams

$(STREAMS): $(READY) $(wildcard tests/page/*.py codec/weights/SHA256SUMS)
	@$(RUN) $(BIN)/python -m tests.page.streams $@
	@touch $@

page-test: page $(STREAMS)
	@node tests/page/vectors.mjs
	@node tests/page/replay.mjs $(STREAMS)
	@node tests/page/hostile.mjs $(STREAMS) --inputs 2000
	@node tests/page/transport.mjs vectors
	@node tests/page/transport.mjs hostile 20000
	@node tests/page/session.mjs
	@LAYERCAST_PAGE=1 $(RUN) $(BIN)/python -m pytest tests/page/test_transport.py

page-fuzz: page $(STREAMS)
	@node tests/page/hostile.mjs $(STREAMS) $(ARGS)
	@node tests/page/transport.mjs hostile 20000
	@node tests/page/session.mjs0

# The same pixels in Chromium, by the element <layer-cast>; streams from `layercast serve`, over broken and thin links.
page-browser: $(READY) $(PAGE_READY)
	@LAYERCAST_STREAMS=20 $(RUN) $(BIN)/python -m pytest tests/browser/test_page.py tests/browser/test_play.py $(ARGS)
	@node tests/page/browser.mjs
	@node tests/page/visit.mjs
	@$(BIN)/python -m tests.page.thin

wheel: $(READY)
	@$(BIN)/python -m build --wheel --no-isolation

clean:
	rm -rf $(VENV) $(VENV)-torch dist build $(PAGE)/build $(PAGE)/types $(PAGE)/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
