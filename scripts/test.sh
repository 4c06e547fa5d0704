#!/bin/sh
# The whole suite in two halves side by side, for two cores: much of it waits for servers, browsers and killed processes.
# The second half's output comes when it is done. usage: test.sh VENV
set -u
python="$1/bin/python"
servers="tests/contract tests/docker tests/e2e tests/faults tests/ingest tests/alerts tests/classify"
# What else asks for Elasticsearch or Kafka: each half would start servers of its own.
servers="$servers tests/search/test_elastic.py tests/search/test_elastic_tls.py tests/shengwen/test_kafka_home.py tests/shengwen/test_reindex.py"
out=$(mktemp)
"$python" -m pytest -p no:cacheprovider $servers tests/test_zz_leaks.py >"$out" 2>&1 &
half=$!
trap 'kill "$half" 2>/dev/null; rm -f "$out"' EXIT
trap 'exit 130' INT TERM
rest=""
for part in $servers; do rest="$rest --ignore=$part"; done
# shellcheck disable=SC2086  # a list of options
"$python" -m pytest $rest
first=$?
echo "—— $servers ——"
wait "$half"
second=$?
cat "$out"
[ "$first" -eq 0 ] && [ "$second" -eq 0 ]
