# `make demo` and `make test` do all the set-up. Needs make and Python 3.11+ with venv.
.DEFAULT_GOAL := help
.PHONY: help demo test check install install-gpu lock wheel clean

VENV := .venv
BIN := $(VENV)/bin
# PyTorch's own index of CPU builds, tried second.
export TORCH_INDEX := https://download.pytorch.org/whl/cpu

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 14

demo: install ## Train the tiny model that ships here, and watch it (ARGS=--headless for text)
	@$(BIN)/backprop demo $(ARGS)

test: install $(VENV)/.dev ## Lint, types, import walls and all tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 -p trainer_core
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest $(ARGS)

install: $(VENV)/.cpu ## Install into .venv, for a machine without a GPU

install-gpu: ## Install into .venv, for a machine with an NVIDIA GPU
	@sh scripts/setup.sh gpu

lock: ## Make the locks anew from requirements/*.in (needs uv)
	for name in cpu dev; do uv pip compile --quiet --no-deps --generate-hashes --no-header \
		--no-annotate requirements/$$name.in -o requirements/$$name.txt || exit 1; done

wheel: install $(VENV)/.dev ## Build dist/*.whl
	$(BIN)/python -m build --wheel --no-isolation

clean: ## Remove .venv and what was built
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache

$(VENV)/.cpu: requirements/cpu.txt requirements/torch-cpu.txt pyproject.toml
	@sh scripts/setup.sh cpu
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.cpu
	@sh scripts/setup.sh dev
	@touch $@
