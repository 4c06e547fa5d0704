#!/bin/sh
# Makes the virtual environment in $1 from the hashed lock file $2.
set -eu
venv=$1
lock=$2
PY=${PY:-python3}

command -v "$PY" >/dev/null 2>&1 || {
    echo "找不到 $PY。请先安装 Python 3.11 或更新的版本，例如：apt-get install python3 python3-venv" >&2
    exit 1
}
"$PY" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "需要 Python 3.11 或更新的版本，现在是 $("$PY" --version)。可用 make PY=python3.12 … 指定另一个。" >&2
    exit 1
}
if ! "$PY" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    # Debian splits the venv module off; root may simply install it.
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "安装 python3-venv…"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
    else
        echo "缺少 venv 模块。请运行：sudo apt-get install python3-venv" >&2
        exit 1
    fi
fi
# A venv that was cut off half-way has a python and no pip.
"$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$PY" -m venv --clear "$venv"
echo "安装依赖（首次约一分钟）…"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$lock"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
