"""``shengwen reindex``: new physical indices, with the current mapping and number of shards, from the old ones.

Writes go on meanwhile. The old index is copied by point in time with its documents' versions, then what was written
since (by sequence number, shard by shard), again and again until little is left. Only then writes to the old index are
blocked, for as long as the last few take (writers wait and try again), the sums of both are compared, and the aliases
are moved in one step that also deletes the old index. Whoever had read from the old one and writes to the new one is
checked by the version, see :mod:`search.elastic.writer`.

Killed at any point it leaves the old index in place; ``restart`` removes what it left and begins again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import orjson
from elasticsearch import Elasticsearch

from ingest.errors import ConfigError, Permanent, Retryable, UserError
from search.elastic import counting
from search.elastic.client import Elastic, NotThere, chunks, mapped
from search.elastic.document import body, state_from
from search.elastic.indices import Indices
from search.elastic.mapping import MAPPING_VERSION, Names

_BATCH: Final = 500
_KEEP_ALIVE: Final = "10m"
_FEW: Final = 200
"""So few left to copy are copied while writes wait."""
_MAX_PASSES: Final = 20

Told = Callable[[str, int, int], None]
"""``told(source, copied, total)``: how far it is; ``copied`` may end above ``total``, as writes go on."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What was done for one source."""

    source: str
    index: str
    documents: int


def reindex(elastic: Elastic, names: Names, indices: Indices, *, told: Told, restart: bool = False) -> Sequence[Copied]:
    """Copy every source's index. Raises UserError when an earlier run left something and ``restart`` is not set,
    ConfigError for indices of a newer program, Permanent when the copy is not equal to the original."""
    indices.check_server()
    indices.put_template()
    found = indices.mappings()
    done = []
    for alias, old in sorted(indices.aliases().items()):
        meta = found[old].get("_meta") or {}
        if meta.get("mapping_version", 0) > MAPPING_VERSION:
            raise ConfigError(f"检索库 {old} 是更新的程序建的。请升级程序")
        number = int(old.rpartition("-")[2]) + 1
        done.append(_Copy(elastic, names, indices, meta["source"], alias, old, number).run(told, restart))
    return done


class _Copy:
    def __init__(
        self, elastic: Elastic, names: Names, indices: Indices, source: str, alias: str, old: str, number: int
    ) -> None:
        self._elastic = elastic
        self._names = names
        self._indices = indices
        self._source = source
        self._alias = alias
        self._old = old
        self._new = names.index(source, number)
        self._bulk_bytes = indices.settings.bulk_bytes
        self._copied = 0
        self._total = 0

    def run(self, told: Told, restart: bool) -> Copied:
        if self._elastic.call(lambda client: client.indices.exists(index=self._new)):
            if not restart:
                raise UserError(
                    f"上一次重建没有做完，或者正在别处进行（{self._new}）。"
                    "确认没有别的重建在运行后，加 --restart 从头再来"
                )
            self._elastic.call(lambda client: client.indices.delete(index=self._new))
        self._block(False)
        self._indices.create(self._new, self._source, {}, read=False)
        self._total = self._elastic.call(lambda client: client.count(index=self._old))["count"]
        checkpoints: dict[int, int] = {}
        for _ in range(_MAX_PASSES):
            copied, checkpoints = self._pass(checkpoints, told)
            if copied <= _FEW:
                break
        try:
            self._block(True)
            self._pass(checkpoints, told)
            self._verify()
            self._swap()
        except BaseException:
            with suppress(NotThere, Retryable):
                self._block(False)
            raise
        return Copied(self._source, self._new, self._total)

    def _block(self, on: bool) -> None:
        # With the block in place every write that was under way is done: the server waits for them.
        if on:
            self._elastic.call(lambda client: client.indices.add_block(index=self._old, block="write"))
        else:
            free = {"index.blocks.write": None}
            self._elastic.call(lambda client: client.indices.put_settings(index=self._old, settings=free))

    def _pass(self, since: Mapping[int, int], told: Told) -> tuple[int, dict[int, int]]:
        """Copy what was written after ``since`` (shard -> sequence number); how many, and where the next begins."""
        reached = self._checkpoints()
        self._elastic.call(lambda client: client.indices.refresh(index=self._old))
        copied = 0
        for shard in reached:
            for hits in self._read(shard, since.get(shard, -1)):
                self._write(hits)
                copied += len(hits)
                self._copied += len(hits)
                told(self._source, self._copied, self._total)
        self._elastic.call(lambda client: client.indices.refresh(index=self._new))
        return copied, reached

    def _checkpoints(self) -> dict[int, int]:
        """By shard, a sequence number up to which every write is done."""
        answer = self._elastic.call(
            lambda client: client.indices.stats(
                index=self._old, level="shards", filter_path="indices.*.shards.*.seq_no,indices.*.shards.*.routing"
            )
        )
        shards: dict[int, int] = {}
        for number, copies in answer.body["indices"][self._old]["shards"].items():
            for copy in copies:
                if copy["routing"]["primary"]:
                    shards[int(number)] = copy["seq_no"]["local_checkpoint"]
        return shards

    def _read(self, shard: int, since: int) -> Iterator[list[Any]]:
        point = self._open(shard)
        after: list[Any] | None = None
        while True:
            try:
                answer = self._elastic.call(
                    lambda client, point=point, after=after: client.search(  # type: ignore[misc]
                        pit={"id": point, "keep_alive": _KEEP_ALIVE},
                        query={"range": {"_seq_no": {"gt": since}}},
                        sort=[{"_shard_doc": "asc"}],
                        size=_BATCH,
                        version=True,
                        track_total_hits=False,
                        allow_partial_search_results=False,
                        search_after=after,
                    )
                )
            except NotThere:  # expired: from the beginning, as places in it mean nothing any more
                point, after = self._open(shard), None
                continue
            hits = answer["hits"]["hits"]
            point = answer.get("pit_id") or point
            if not hits:
                self._close(point)
                return
            yield hits
            after = hits[-1]["sort"]

    def _open(self, shard: int) -> str:
        return str(
            self._elastic.call(
                lambda client: client.open_point_in_time(
                    index=self._old, keep_alive=_KEEP_ALIVE, preference=f"_shards:{shard}"
                )
            )["id"]
        )

    def _close(self, point: str) -> None:
        with suppress(NotThere, Retryable):  # it expires by itself
            self._elastic.once(lambda client: client.close_point_in_time(id=point))

    def _write(self, hits: Sequence[Any]) -> None:
        pairs = [
            (
                orjson.dumps({"index": {"_id": h["_id"], "version": h["_version"], "version_type": "external"}}),
                body(state_from(h["_source"], h["_version"])),
            )
            for h in hits
        ]
        for some in chunks(pairs, lambda pair: len(pair[1]), self._bulk_bytes, _BATCH):
            self._put(some)

    def _put(self, waiting: Sequence[tuple[bytes, bytes]]) -> None:
        backoff = self._elastic.backoff()
        while waiting:
            later: list[tuple[bytes, bytes]] = []
            why: Retryable | None = None
            try:
                items = self._elastic.once(lambda client, lines=waiting: _bulk(client, self._new, lines))  # type: ignore[misc]
            except Retryable as error:
                later, why, items = list(waiting), error, []
            for pair, item in zip(waiting if items else [], items, strict=True):
                status = item["index"]["status"]
                if status < 300 or status == 409:  # 409: a later state of it was copied before
                    continue
                problem = mapped(status, item["index"].get("error") or {})
                if not isinstance(problem, Retryable):
                    raise problem
                later.append(pair)
                why = problem
            if why is not None:
                backoff.wait(why)
            waiting = later

    def _verify(self) -> None:
        both = [self._sums(index) for index in (self._old, self._new)]
        if both[0] != both[1]:
            raise Permanent(
                f"{self._new} 与 {self._old} 的数目不一致（{both[1]}，应为 {both[0]}），没有切换。请再试一次"
            )

    def _sums(self, index: str) -> dict[str, int]:
        def ask(**request: Any) -> Mapping[str, Any]:
            answer = self._elastic.call(
                lambda client: client.search(index=index, allow_partial_search_results=False, **request)
            )
            found: Mapping[str, Any] = answer.body
            return found

        count = self._elastic.call(lambda client: client.count(index=index))["count"]
        return counting.tallies(ask, None) | {"all": count}

    def _swap(self) -> None:
        everything = self._names.everything
        actions: list[dict[str, Any]] = [
            {"add": {"index": self._new, "alias": self._alias, "is_write_index": True}},
            {"add": {"index": self._new, "alias": everything}},
            {"remove_index": {"index": self._old}},
        ]
        try:
            self._elastic.call(lambda client: client.indices.update_aliases(actions=actions))
        except NotThere:  # asked twice, as the answer to the first time was lost: then the old one is gone
            if self._indices.aliases().get(self._alias) != self._new:
                raise


def _bulk(client: Elasticsearch, index: str, pairs: Sequence[tuple[bytes, bytes]]) -> list[Any]:
    lines: list[Any] = [line for pair in pairs for line in pair]
    answer = client.bulk(index=index, operations=lines, filter_path="items.*.status,items.*.error")
    items: list[Any] = answer.body.get("items") or []
    if len(items) != len(pairs):
        raise Retryable(f"Elasticsearch 只答了 {len(pairs)} 条里的 {len(items)} 条，会自动再试")
    return items
