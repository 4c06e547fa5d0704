# Two commands do everything on a fresh machine: `make run` and `make test`.
PY ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help run setup setup-dev test check bench lock clean

help:
	@echo "make run    装好一切并启动演示 (set up and start the demo)"
	@echo "make test   全部测试 (the whole suite)"
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
	@$(BIN)/python -m pytest

check: setup-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_arrows.py

bench: setup-dev
	@$(BIN)/python -m tests.bench

# Hashes, no addresses: any index or mirror will do.
UVFLAGS := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header
lock:
	uv pip compile $(UVFLAGS) pyproject.toml --extra setup --extra dev --extra train -o requirements-dev.lock
	uv pip compile $(UVFLAGS) pyproject.toml --extra setup -c requirements-dev.lock -o requirements.lock
	npm install --package-lock-only --no-audit --no-fund --omit-lockfile-registry-resolved

clean:
	rm -rf $(VENV) node_modules shengwen/web/static/vendor
