# `make demo` and `make test` do all the set-up. Needs make and Python 3.11+ with venv.
.DEFAULT_GOAL := help
.PHONY: help demo test install install-gpu install-export install-tracking lock docs wheel audit faults clean

VENV := .venv
BIN := $(VENV)/bin
# The tools of `make audit`, which have nothing in common with ours.
AUDIT := .venv-audit
UV ?= uv
# Processes that test at a time.
TESTERS ?= 2
# PyTorch's own index of CPU builds, tried second.
export TORCH_INDEX := https://download.pytorch.org/whl/cpu
# What `make install-gpu` installed is kept by the other targets.
SET := $(if $(wildcard $(VENV)/.gpu),gpu,cpu)

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 16

demo: install ## Train the tiny model that ships here, and watch it (ARGS=--headless for text)
	@$(BIN)/backprop demo $(ARGS)

test: install $(VENV)/.export $(VENV)/.tracking $(VENV)/.dev ## Lint, types, import walls and all tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 -p trainer_core
	$(BIN)/lint-imports --no-cache
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TESTERS) --dist loadfile $(ARGS)

install: $(VENV)/.$(SET) ## Install into .venv, for a machine without a GPU

install-gpu: $(VENV)/.gpu ## Install into .venv, for an NVIDIA GPU (not yet run on one)

install-export: install $(VENV)/.export ## Add what K-quants, ONNX and the checks of GGUF need (a C++ compiler)

install-tracking: install $(VENV)/.tracking ## Add TensorBoard, Weights & Biases, Trackio and MLflow

lock: ## Make the locks anew from requirements/*.in (needs uv)
	@command -v $(UV) >/dev/null || { echo "backprop: uv is needed to make the locks; install it, or name it: make UV=/path/to/uv lock" >&2; exit 2; }
	for name in cpu dev export tracking gpu llama llama-build audit; do $(UV) pip compile --quiet --no-deps --generate-hashes --no-header \
		--no-annotate --python-version 3.11 requirements/$$name.in -o requirements/$$name.txt || exit 1; done
	{ grep '^#' requirements/gpu.in; cat requirements/gpu.txt; } >requirements/gpu.new
	mv requirements/gpu.new requirements/gpu.txt

docs: install ## Make the pages anew that are made from the code
	$(BIN)/python -c "from trainer_core.config.explain import markdown; print(markdown(), end='')" >docs/configuration.md
	$(BIN)/python scripts/presets.py

wheel: install $(VENV)/.dev ## Build dist/*.whl
	$(BIN)/python -m build --wheel --no-isolation

faults: install $(VENV)/.dev ## Kill, cut, fill up and corrupt as often as promised (hours)
	BACKPROP_FAULTS=whole $(BIN)/python -m pytest tests/faults tests/tracking \
		tests/end_to_end tests/tui $(ARGS)

audit: install $(AUDIT)/.done ## bandit, secrets, our semgrep rules, and build/sbom.json (CycloneDX)
	$(AUDIT)/bin/bandit -q -ll -c pyproject.toml -r trainer_core tui scripts benchmarks audit/find_secrets.py
	$(AUDIT)/bin/python audit/find_secrets.py
	PATH=$(AUDIT)/bin:$$PATH semgrep --test --metrics off --quiet audit/semgrep
	PATH=$(AUDIT)/bin:$$PATH semgrep scan --config audit/semgrep/ours.yaml --metrics off \
		--disable-version-check --error --quiet trainer_core tui scripts
	mkdir -p build
	$(AUDIT)/bin/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --of JSON -o build/sbom.json
	@$(AUDIT)/bin/python -c "import json; found = json.load(open('build/sbom.json'))['components']; print('build/sbom.json:', len(found), 'packages')"

clean: ## Remove .venv and what was built
	rm -rf $(VENV) $(AUDIT) build dist .mypy_cache .ruff_cache .pytest_cache

$(VENV)/.cpu: requirements/cpu.txt requirements/torch-cpu.txt pyproject.toml
	@sh scripts/setup.sh cpu
	@touch $@

$(VENV)/.gpu: requirements/gpu.txt pyproject.toml
	@sh scripts/setup.sh gpu
	@touch $@

$(VENV)/.export: requirements/export.txt requirements/llama.txt requirements/llama-build.txt \
		scripts/llama.sh scripts/llama.cmake $(VENV)/.$(SET)
	@sh scripts/setup.sh export
	@touch $@

$(VENV)/.tracking: requirements/tracking.txt $(VENV)/.$(SET)
	@sh scripts/setup.sh tracking
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.$(SET)
	@sh scripts/setup.sh dev
	@touch $@

$(AUDIT)/.done: requirements/audit.txt
	@sh scripts/setup.sh audit
	@touch $@
