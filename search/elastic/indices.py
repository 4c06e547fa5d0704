"""The indices themselves: made when a source first speaks, checked when they are first used, refreshed, dropped."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final

from ingest.errors import ConfigError, Permanent, Retryable
from search.elastic.client import SERVERS, Elastic, NotThere
from search.elastic.config import ElasticSettings
from search.elastic.mapping import MAPPING_VERSION, Names, check_version, index_settings, mappings, template

OLDEST_SERVER: Final = (8, 19)
START_PATIENCE: Final = 10.0
"""Seconds for which whoever first asks waits for a server: a person waits no longer, and a stage asks again anyway."""
_AT_ONCE: Final = 4


class Indices:
    """Thread-safe; any number of processes may do the same at once."""

    def __init__(self, elastic: Elastic, names: Names, settings: ElasticSettings) -> None:
        self._elastic = elastic
        self._names = names
        self.settings = settings
        self._lock = threading.Lock()
        self._ready = False
        self._there: set[str] = set()

    def ready(self) -> None:
        """Look at the server once, at first use. Raises ConfigError for another mapping version or an old server."""
        if self._ready:
            return
        with self._lock:
            if self._ready:
                return
            self.check_server()
            for name, found in self.mappings().items():
                check_version(found, name)
            self.put_template()
            self._ready = True

    def check_server(self) -> None:
        """Raises ConfigError for a server that is too old."""
        version = self._elastic.version(START_PATIENCE)
        if version < OLDEST_SERVER:
            found = ".".join(map(str, version))
            raise ConfigError(f"Elasticsearch 的版本是 {found}，要 {SERVERS}")

    def mappings(self) -> dict[str, Mapping[str, Any]]:
        """Physical index -> its mapping, of all indices that are read."""
        answer = self._elastic.call(
            lambda client: client.indices.get_mapping(index=self._names.everything, ignore_unavailable=True)
        )
        return {name: said["mappings"] for name, said in answer.body.items()}

    def put_template(self) -> None:
        """Put the template if there is none or an older one. Raises ConfigError when there is a newer program's."""
        name = self._names.template
        with suppress(NotThere):
            answer = self._elastic.call(lambda client: client.indices.get_index_template(name=name))
            there = int(answer["index_templates"][0]["index_template"].get("version", 0))
            if there > MAPPING_VERSION:
                raise ConfigError(f"Elasticsearch 上的索引模板 {name} 是更新的版本 {there} 建的。请升级程序")
            if there == MAPPING_VERSION:
                return
        wanted = template(self._names, self.settings)
        self._elastic.call(
            lambda client: client.indices.put_index_template(
                name=name,
                index_patterns=wanted["index_patterns"],
                template=wanted["template"],
                priority=wanted["priority"],
                version=wanted["version"],
                meta=wanted["_meta"],
            )
        )

    def ensure(self, sources: Collection[str]) -> None:
        """Make the index of each source that has none yet."""
        if all(source in self._there for source in sources):
            return
        there = self.aliases()
        missing = sorted(source for source in sources if self._names.alias(source) not in there)
        if missing:
            with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="elastic-create") as pool:
                list(pool.map(self._make, missing))
            there = self.aliases()
        for source in sources:
            if self._names.alias(source) not in there:
                raise Retryable(f"{source} 的检索库正由另一个进程建立，稍后再试")
            self._there.add(source)

    def aliases(self) -> dict[str, str]:
        """Write alias -> physical index, of all sources."""
        try:
            answer = self._elastic.call(lambda client: client.indices.get_alias(index=self._names.everything))
        except NotThere:
            return {}
        return {
            alias: name
            for name, said in answer.body.items()
            for alias, what in said["aliases"].items()
            if what.get("is_write_index")
        }

    def _make(self, source: str) -> None:
        self.create(self._names.index(source), source, {self._names.alias(source): {"is_write_index": True}})

    def forget(self, sources: Collection[str]) -> None:
        """Look anew whether these are there."""
        self._there.difference_update(sources)

    def create(self, name: str, source: str, aliases: Mapping[str, Any], *, read: bool = True) -> None:
        """Make a physical index; nothing happens when another process was faster."""
        body_settings = index_settings(self.settings) | {"index.number_of_shards": self.settings.shards.get(source, 1)}
        wanted = dict(aliases) | ({self._names.everything: {}} if read else {})
        try:
            self._elastic.call(
                lambda client: client.indices.create(
                    index=name, settings=body_settings, mappings=mappings(source), aliases=wanted
                )
            )
        except Permanent as error:
            if "resource_already_exists_exception" not in str(error):
                raise

    def refresh(self, sources: Collection[str]) -> None:
        """Make what was written searchable."""
        if sources:
            names = sorted(self._names.alias(source) for source in sources)
            self._elastic.call(lambda client: client.indices.refresh(index=names, ignore_unavailable=True))

    def expunge(self) -> None:
        """Let the text of erased mentions leave the disk, without waiting for it."""
        self._elastic.call(
            lambda client: client.indices.forcemerge(
                index=self._names.everything, only_expunge_deletes=True, wait_for_completion=False
            )
        )

    def drop(self) -> int:
        """Delete every index of this installation; how many."""
        found = list(
            self._elastic.call(
                lambda client: client.indices.get(index=self._names.physical, filter_path="*.aliases")
            ).body
        )
        for name in found:
            with suppress(NotThere):
                self._elastic.call(lambda client, name=name: client.indices.delete(index=name))  # type: ignore[misc]
        self._there.clear()
        return len(found)
