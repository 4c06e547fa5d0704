#!/bin/sh
# The whole suite in four parts side by side: much of it waits for servers, browsers and killed processes.
# The first part's output is shown as it comes, the others' when they are done. usage: test.sh VENV
set -u
python="$1/bin/python"
crawlers="tests/crawlers"
# These two ask for real servers: each starts its own Kafka, Elasticsearch and PostgreSQL, once.
breaking="tests/e2e tests/faults tests/docker"
servers="tests/contract tests/ingest tests/alerts tests/classify tests/search/test_elastic.py"
servers="$servers tests/search/test_elastic_tls.py tests/shengwen/test_kafka_home.py tests/shengwen/test_reindex.py"
rest=""
for part in $crawlers $breaking $servers; do rest="$rest --ignore=$part"; done

out=$(mktemp -d)
jobs=""
trap 'kill $jobs 2>/dev/null; rm -rf "$out"' EXIT
trap 'exit 130' INT TERM
aside() {  # NAME PATHS: in the background; each part ends with the look for what it left behind
    name=$1
    shift
    "$python" -m pytest -p no:cacheprovider "$@" tests/test_zz_leaks.py >"$out/$name" 2>&1 &
    jobs="$jobs $!"
}
# shellcheck disable=SC2086  # lists of paths and options
{
    aside breaking $breaking
    aside servers $servers
    aside crawlers $crawlers
    "$python" -m pytest $rest
}
failed=$?
for job in $jobs; do wait "$job" || failed=1; done
for name in crawlers servers breaking; do
    echo "—— $name ——"
    cat "$out/$name"
done
exit $failed
