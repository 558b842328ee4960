# Names for the parts of .ci/run and of a day's work. `make` alone lists them.

PYTHON ?= python3
TORCH ?= torch==2.13.0
# Plain Linux package indexes give torch with CUDA, several gigabytes. Set TORCH_INDEX to an index of CPU builds.
TORCH_INDEX ?=
WORKERS ?= 2
PYTEST_ARGS ?=
# The name of the container image, and what is said to uv when the versions in it are locked anew.
IMAGE ?= ckpt2hf
LOCK_ARGS ?=

VENV := .venv
VENV_5X := .venv-5x
NODE := tests/node/node_modules
# llama-cpp-python is compiled, once for each version: pip keeps what it has made.
LLAMA_CPP := -DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF
INSTALL_TORCH = -m pip install $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) '$(TORCH)'

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup setup-5x browser node llama-cpp demo test lint docs ci bench bench-batch image image-cuda image-test lock

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(VENV)/.made $(VENV)/llama.cpp/.made ## Make .venv, with ckpt2hf and everything its development needs

setup-5x: $(VENV_5X)/.made ## Make .venv-5x, where transformers 5.x reads what ckpt2hf wrote

browser: ## Install Chromium for the tests of the pages, with apt
	@if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -qq --yes --no-install-recommends chromium chromium-driver fonts-dejavu-core; \
	fi

# Digests in the lock file say what is installed; the scripts of packages do not run.
node: ## Install Node.js, with apt, and Transformers.js for the tests of ONNX files
	@if ! command -v node >/dev/null || ! command -v npm >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -qq --yes --no-install-recommends nodejs npm; \
	fi
	@node -e 'process.exit(Number(parseInt(process.versions.node) < 18))' || { \
	  echo "Transformers.js needs Node.js 18 or newer, and this is $$(node --version): install a newer one" >&2; exit 1; }
	@$(MAKE) --no-print-directory $(NODE)/.made

llama-cpp: $(VENV)/llama.cpp/bin/.made ## Compile llama.cpp's programs for the tests of GGUF files, which takes minutes

demo: setup ## Convert the trained example, compare its losses before and after, and prove it
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" bash scripts/demo.sh

# One thread per test process: several processes with a thread pool each would fight over the cores. The tests of the
# container image are apart: they need an engine (image-test).
test: setup setup-5x ## Run all tests
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n $(WORKERS) -m 'not image' $(PYTEST_ARGS)

lint: setup ## Check style, formatting, types and the direction of imports
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/mypy scripts examples/az-mini/model.py
	$(VENV)/bin/lint-imports --no-cache

docs: setup ## Write the generated parts of README.md and docs/
	$(VENV)/bin/python scripts/make_docs.py

ci: ## Do what continuous integration does, from nothing
	bash .ci/run

bench: setup ## Measure time and memory against hand-written ways
	$(VENV)/bin/python scripts/bench.py

bench-batch: setup ## Measure a batch against a hand-written script, and its coordinator
	$(VENV)/bin/python scripts/bench_batch.py
	$(VENV)/bin/python scripts/simulate_batch.py

image: ## Build the container image ckpt2hf:cpu and say how large it is
	IMAGE='$(IMAGE)' TORCH='$(TORCH)' TORCH_INDEX='$(TORCH_INDEX)' bash scripts/image.sh cpu

image-cuda: ## Build the container image ckpt2hf:cuda, several gigabytes
	IMAGE='$(IMAGE)' bash scripts/image.sh cuda

# In one process: each test has containers of its own at work.
image-test: setup image ## Run the tests of the container image, with a Docker engine
	engine=$$(bash scripts/docker-engine.sh up) && eval "$$engine" && \
	  CKPT2HF_IMAGE='$(IMAGE):cpu' $(VENV)/bin/python -m pytest -m image --durations=8 $(PYTEST_ARGS)

lock: ## Write the versions and hashes of what is in the image anew
	PYTHON='$(PYTHON)' TORCH='$(TORCH)' LOCK_ARGS='$(LOCK_ARGS)' bash scripts/lock.sh

# A half-made environment would look finished to the next run, so it is removed.
$(VENV)/bin/python $(VENV_5X)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "ckpt2hf needs Python 3.11 or newer, and '$(PYTHON)' is not: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; \
	  exit 1; }
	$(PYTHON) -m venv $(patsubst %/bin/python,%,$@) || { rm -rf $(patsubst %/bin/python,%,$@); exit 1; }

# torch goes first and by version, so that nothing after it chooses another build.
$(VENV)/.made: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python $(INSTALL_TORCH)
	CMAKE_ARGS='$(LLAMA_CPP)' $(VENV)/bin/python -m pip install --editable '.[dev]'
	@touch $@

$(VENV)/llama.cpp/.made: $(VENV)/.made scripts/llama_cpp.sh
	bash scripts/llama_cpp.sh converter
	@touch $@

$(VENV)/llama.cpp/bin/.made: $(VENV)/llama.cpp/.made
	bash scripts/llama_cpp.sh programs
	@touch $@

$(VENV_5X)/.made: Makefile | $(VENV_5X)/bin/python
	$(VENV_5X)/bin/python $(INSTALL_TORCH)
	$(VENV_5X)/bin/python -m pip install 'transformers>=5,<6' safetensors numpy
	@touch $@

$(NODE)/.made: tests/node/package-lock.json tests/node/.npmrc
	cd tests/node && npm ci
	@touch $@
