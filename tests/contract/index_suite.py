"""What every index must do. A backend's test file subclasses :class:`IndexSuite` and says how to open one."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import count
from typing import ClassVar

import pytest

from ingest.analysis import ClassifiedMention, classified
from ingest.clock import BEIJING
from ingest.errors import UserError
from ingest.mention import Append, Author, Matched, Product
from search.base import Delivery, Index, Sort
from search.memory import Subject, matches, product_label, relevance
from search.query import Node, parse_query, positive_words
from tests.factories import CAPTURED, a_classified, an_analysis
from tests.search.random_mentions import FILTERS, random_mention, random_mentions, random_query

TOPIC = "mentions.collected"
SORTS: Sequence[Sort] = ("newest", "oldest", "likes", "severity", "relevance")
QUERIES = 300
Open = Callable[[], Index]


def q(text: str) -> Node:
    return parse_query(text, now=CAPTURED)


def deliver(mentions: Sequence[ClassifiedMention], first: int = 0, partition: int = 0) -> list[Delivery]:
    """Deliveries as the log gives them: origins in rising order."""
    return [Delivery(mention, (TOPIC, partition, first + place)) for place, mention in enumerate(mentions)]


def ids(index: Index, query: str) -> list[str]:
    return [mention.id for mention in index.scan(q(query))]


def state(index: Index) -> tuple[object, ...]:
    """Everything a reader can see of an index."""
    hits = index.search(q(""), limit=10_000).hits
    documents = sorted((hit.mention.id, hit.copies, hit.mention.to_json()) for hit in hits)
    return documents, index.counts(), index.summary(q(""), top=1_000)


def later(mention: ClassifiedMention, hours: int = 1, **fields: object) -> ClassifiedMention:
    """The same mention, read again later; ``fields`` are what changed."""
    known: dict[str, object] = {"text": mention.text, "created_at": mention.created_at, **fields}
    return a_classified(native_id=mention.id.rsplit(":", 1)[1], captured_at=CAPTURED + timedelta(hours=hours), **known)


class IndexSuite:
    """Subclasses override ``open_index``: each call opens the same store, which starts empty."""

    queries: ClassVar[int] = QUERIES
    """How many random queries are asked."""

    @pytest.fixture
    def open_index(self) -> Open:
        raise NotImplementedError

    @pytest.fixture
    def index(self, open_index: Open) -> Iterator[Index]:
        with open_index() as opened:
            yield opened

    # Words

    @pytest.mark.parametrize(
        ("text", "word", "found"),
        [
            ("安装师傅上门两次", "装师", True),
            ("安装师傅上门两次", "师上", False),
            ("型号是K20-3的", "k20", True),
            ("型号是Ｋ２０－３的", "k20-3", True),
            ("K20 3", "k20-3", False),
            ("屋里 暖和", "屋里\u3000\n暖和", True),
            ("屋里暖和", '"屋里 暖和"', False),
            ("80㎡的客厅", "80m2", True),
            ("便宜😀！", "😀", True),
            ("便宜😀！", "😁", False),
            ("𠮷野家的暖气", "𠮷野", True),
            ("真的100%好用", "100%好", True),
            ("真的100%好用", "1000", False),
            ("a_b*c", '"_b*"', True),
            ("axbc", '"_b*"', False),
            ('他说"不热"了', '"\\"不热\\""', True),
            ("it's ok", "t's", True),
            ("热", "热", True),
            ("冷", "热", False),
            ("哈哈哈", "哈哈", True),
            ("哈", "哈哈", False),
            ("结尾是水", "水", True),
            ("ΟΔΟΣ", "οδοσ", True),
            ("café", "cafe\u0301", True),
            ("坏\u200b了", "坏了", False),
            ("\x01控\x7f", '"\x01控\x7f"', True),
        ],
    )
    def test_a_word_matches_exactly_when_the_text_contains_it(
        self, index: Index, text: str, word: str, found: bool
    ) -> None:
        index.apply(deliver([a_classified(native_id=1, text=text), a_classified(native_id=2, text="别的评价")]))
        query = word if word.startswith('"') else f'"{word}"'
        assert ids(index, query) == (["jd:review:1"] if found else [])

    def test_words_do_not_match_across_fields(self, index: Index) -> None:
        appends = [Append(text="戊己"), Append(text="庚辛")]
        index.apply(deliver([a_classified(native_id=1, title="甲乙", text="丙丁", appends=appends)]))
        for inside in ("甲乙", "丙丁", "戊己", "庚辛", "乙 AND 丙 AND 辛"):
            assert ids(index, inside), inside
        for across in ("乙丙", "丁戊", "己庚", '"乙 丙"~50', '"己 庚"~50', '"丁 戊"~50', '"戊己 庚辛"~50'):
            assert not ids(index, across), across

    @pytest.mark.parametrize(
        ("text", "query", "found"),
        [
            ("暖气一直不热", '"暖气 不热"~2', True),
            ("暖气一直不热", '"暖气 不热"~1', False),
            ("不热的是暖气", '"暖气 不热"~2', True),
            ("不热的是暖气", '"暖气 不热"~1', False),
            ("暖气不热", '"暖气 不热"~0', True),
            ("暖一二热", '"暖 热"~2', True),
            ("暖一二热", '"暖 热"~1', False),
            ("暖气一热", '"暖气 热"~1', True),
            ("暖气一二热", '"暖气 热"~1', False),
            ("热一二暖气", '"暖气 热"~1', False),
            ("热一暖气", '"热 暖气"~1', True),
            ("暖气片", '"暖气 气片"~0', True),
            ("暖气", '"暖气 暖"~0', True),
            ("暖气" + "很" * 50 + "热", '"暖气 热"~50', True),
            ("暖气" + "很" * 51 + "热", '"暖气 热"~50', False),
        ],
    )
    def test_proximity_counts_the_characters_between(self, index: Index, text: str, query: str, found: bool) -> None:
        index.apply(deliver([a_classified(native_id=1, text=text)]))
        assert bool(ids(index, query)) == found

    def test_random_queries_find_what_a_plain_scan_finds(self, index: Index) -> None:
        mentions = random_mentions(seed=7, count=2_000)
        for start in range(0, len(mentions), 500):
            index.apply(deliver(mentions[start : start + 500], first=start))
        stored = [Subject(mention) for mention in mentions if mention.has_content]
        rng = random.Random(11)
        queries = [*FILTERS, *(random_query(rng, mentions) for _ in range(self.queries))]
        found_some = 0
        for text in queries:
            node = q(text)
            expected = {subject.mention.id for subject in stored if matches(node, subject)}
            assert index.search(node, limit=0).total == len(expected), text
            # Reading every document of the broad ones would take minutes and say little more than their number.
            if len(expected) <= 60 or rng.random() < 0.05:
                assert {mention.id for mention in index.scan(node)} == expected, text
            found_some += bool(expected)
        assert found_some > len(queries) // 2

    # Revisions, redeliveries, accounting

    def test_outcomes_tell_what_became_of_each_delivery(self, index: Index) -> None:
        first = a_classified(native_id=1, text="不热")
        empty = a_classified(native_id=2, text="", empty_text=True)
        edited = later(first, text="不热，已经修好")
        assert index.apply(deliver([first, empty])) == ["indexed", "empty"]
        assert index.apply(deliver([first, edited, first], first=2)) == ["duplicate", "revised", "duplicate"]
        assert index.counts() == {
            "indexed": 1, "revised": 1, "duplicate": 2, "empty": 1, "erased": 0, "documents": 1,
        }  # fmt: skip
        hit = index.get(first.id)
        assert hit is not None
        assert (hit.mention.text, hit.copies) == ("不热，已经修好", 3)

    def test_an_older_revision_never_wins(self, index: Index) -> None:
        old = a_classified(native_id=1, text="一开始不热")
        new = later(old, text="现在热了", appends=[Append(text="追加好评")])
        index.apply(deliver([new]))
        assert index.apply(deliver([old], first=1)) == ["duplicate"]
        assert ids(index, "现在热了 追加好评") == [new.id]
        assert ids(index, "一开始") == []

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    @pytest.mark.parametrize("text", ["漏水", "漏水，换过阀门"])
    def test_a_rough_time_never_replaces_a_precise_one(self, index: Index, order: tuple[int, int], text: str) -> None:
        """Tmall's old list has seconds, its new one says "2个月前"."""
        precise = a_classified(native_id=121, source="tmall", text="漏水")
        rough = later(
            precise,
            source="tmall",
            text=text,
            created_at=CAPTURED - timedelta(days=60),
            created_precision="month",
            likes=5,
        )
        for place in order:
            index.apply(deliver([(precise, rough)[place]], first=place if order == (0, 1) else 1 - place))
        hit = index.get(precise.id)
        assert hit is not None
        assert (hit.mention.text, hit.mention.likes) == (text, 5)
        assert (hit.mention.created_at, hit.mention.created_precision) == (precise.created_at, "second")
        assert hit.mention.revision == rough.revision
        day = precise.created_at.astimezone(BEIJING).date().isoformat()
        assert list(index.summary(q("")).by_day) == [day]

    def test_a_revision_takes_the_old_words_with_it(self, index: Index) -> None:
        old = a_classified(native_id=1, text="阀门漏水", likes=1, tags=("产品质量/漏水渗水",))
        new = later(old, text="已换新阀门", likes=9, tags=("客服售后/维修",))
        index.apply(deliver([old]))
        assert ids(index, "漏水 likes:1 tag:产品质量") == [old.id]
        index.apply(deliver([new], first=1))
        for gone in ("漏水", "likes:1", "tag:产品质量"):
            assert ids(index, gone) == [], gone
        assert ids(index, "新阀门 likes:9 tag:客服售后") == [old.id]
        assert index.summary(q("")).facets["tag"] == {"客服售后/维修": 1}

    def test_the_same_content_read_again_refreshes_its_counts(self, index: Index) -> None:
        first = a_classified(native_id=1, text="不热", likes=1)
        index.apply(deliver([first]))
        assert index.apply(deliver([later(first, likes=500)], first=1)) == ["duplicate"]
        assert ids(index, "不热 likes:500") == [first.id]
        assert index.counts()["revised"] == 0

    def test_a_correction_changes_the_analysis_of_whatever_is_stored_and_no_count(self, index: Index) -> None:
        first = a_classified("negative", native_id="1", text="漏水了", tags=("产品质量/漏水渗水",))
        newer = later(first, label="negative", likes=7, tags=("产品质量/漏水渗水",))
        index.apply(deliver([first, newer]))
        before = index.counts()
        right = an_analysis("positive", tags=("使用体验/采暖效果",))
        assert index.apply([Delivery(classified(first, right), correction=True)]) == ["revised"]
        hit = index.get(first.id)
        assert hit is not None
        assert hit.mention.analysis == right
        assert (hit.mention.likes, hit.mention.revision, hit.copies) == (7, newer.revision, 2)
        assert index.counts() == before
        assert ids(index, "sentiment:positive") == ids(index, "tag:使用体验/采暖效果") == [first.id]
        assert ids(index, "sentiment:negative") == ids(index, "tag:产品质量/漏水渗水") == []
        summary = index.summary(q("漏水"))
        assert summary.facets["sentiment"] == {"positive": 1}
        assert summary.facets["tag"] == {"使用体验/采暖效果": 1}
        assert [sum(labels.values()) for labels in summary.by_day.values()] == [1]
        assert index.apply([Delivery(classified(first, right), correction=True)]) == ["duplicate"]

    def test_of_corrections_the_last_holds_and_the_whole_told_again_ends_the_same(self, index: Index) -> None:
        first = a_classified("negative", native_id="1")
        twice = [classified(first, an_analysis("neutral")), classified(first, an_analysis("positive"))]
        batch = [*deliver([first]), *(Delivery(mention, correction=True) for mention in twice)]
        index.apply(batch)
        once = state(index)
        index.apply(batch)
        for delivery in batch:
            index.apply([delivery])
        assert state(index) == once
        assert ids(index, "sentiment:positive") == [first.id]

    def test_a_correction_of_other_words_or_of_nothing_changes_nothing(self, index: Index) -> None:
        first = a_classified("negative", native_id="1", text="漏水了")
        edited = later(first, text="已经修好了", label="positive")
        index.apply(deliver([first, edited]))
        right = an_analysis("neutral")
        absent = a_classified(native_id="2")
        before = state(index)
        deliveries = [Delivery(classified(one, right), correction=True) for one in (first, absent)]
        assert index.apply(deliveries) == ["duplicate", "duplicate"]
        assert state(index) == before

    def test_a_newer_revision_replaces_a_correction_with_its_own_analysis(self, index: Index) -> None:
        first = a_classified("negative", native_id="1", text="漏水了")
        index.apply(deliver([first]))
        index.apply([Delivery(classified(first, an_analysis("neutral")), correction=True)])
        index.apply(deliver([later(first, label="positive", text="修好了")], first=1))
        assert ids(index, "sentiment:positive") == [first.id]
        counts = index.counts()
        assert (counts["indexed"], counts["revised"], counts["duplicate"], counts["documents"]) == (1, 1, 0, 1)

    @pytest.mark.parametrize("seed", range(3))
    def test_redeliveries_in_any_order_change_nothing(self, index: Index, seed: int) -> None:
        rng = random.Random(seed)
        mentions = random_mentions(seed=seed, count=150)
        edited = [later(m, text=m.text + "改") for m in mentions if m.source == "jd" and m.text]
        log = [deliver(mentions), deliver([*edited, *mentions[:40]], partition=1)]
        log.append([Delivery(random_mention(rng, 5_000 + n), replay=f"index:{TOPIC}:0:{n}") for n in range(10)])
        for batch in log:
            index.apply(batch)
        before = state(index)
        again = [delivery for batch in log for delivery in batch for _ in range(rng.randrange(1, 5))]
        rng.shuffle(again)
        for start in range(0, len(again), 70):
            index.apply(again[start : start + 70])
        assert state(index) == before

    def test_counts_add_up_however_deliveries_are_cut_and_repeated(self, open_index: Open) -> None:
        rng = random.Random(3)
        mentions = [random_mention(rng, rng.randrange(60)) for _ in range(300)]
        log = deliver(mentions)
        position = 0
        while position < len(log):
            # The consumer dies now and then between the effect and the commit: it reads some records again.
            start = max(0, position - rng.choice((0, 0, 7, 30)))
            position = min(len(log), start + rng.randrange(1, 40))
            with open_index() as index:
                index.apply(log[start:position])
        with open_index() as index:
            counts = index.counts()
            assert sum(counts[name] for name in ("indexed", "revised", "duplicate", "empty")) == len(log)
            assert counts["documents"] == counts["indexed"] == len({m.id for m in mentions if m.has_content})

    def test_counts_by_source_add_up_to_the_whole(self, index: Index) -> None:
        mentions = random_mentions(seed=5, count=200)
        index.apply(deliver([*mentions, *mentions[:50]]))
        index.delete_by_author("author-3")
        whole = Counter[str]()
        for source in {mention.source for mention in mentions}:
            whole.update(index.counts(source))
        assert dict(+whole) == {name: n for name, n in index.counts().items() if n}
        assert not any(index.counts("import:nothing").values())

    def test_a_replayed_dead_letter_is_counted_once_whatever_its_origin(self, index: Index) -> None:
        index.apply(deliver([a_classified(native_id=n, text="好") for n in range(5)], first=10))
        replayed = [Delivery(a_classified(native_id=99, text="修复"), (TOPIC, 0, 3), replay="classify:7")]
        assert index.apply(replayed) == ["indexed"]
        assert index.apply(replayed * 2) == ["duplicate", "duplicate"]
        hit = index.get("jd:review:99")
        assert hit is not None
        assert hit.copies == 1
        assert index.counts()["indexed"] == 6

    def test_partitions_are_counted_apart(self, index: Index) -> None:
        one, other = a_classified(native_id=1, text="一"), a_classified(native_id=2, text="二")
        index.apply([Delivery(one, (TOPIC, 0, 9))])
        assert index.apply([Delivery(other, (TOPIC, 1, 0)), Delivery(other, ("other", 0, 0))]) == [
            "indexed",
            "duplicate",
        ]
        assert index.counts()["duplicate"] == 1

    def test_everything_is_there_after_reopening(self, open_index: Open) -> None:
        mentions = random_mentions(seed=9, count=120)
        with open_index() as index:
            index.apply(deliver(mentions))
            before = state(index)
        with open_index() as index:
            assert state(index) == before
            assert index.apply(deliver(mentions[:30])) == ["duplicate"] * 30
            assert state(index) == before

    # Reading

    @pytest.mark.parametrize("sort", SORTS)
    def test_pages_follow_the_order_and_cover_everything_once(self, index: Index, sort: Sort) -> None:
        mentions = [mention for mention in random_mentions(seed=2, count=180) if mention.has_content]
        index.apply(deliver(mentions))
        query = q("暖气 OR 不热 OR 的 OR sentiment:negative")
        words = list(positive_words(query))

        def rank(mention: ClassifiedMention) -> tuple[float, ...]:
            created = mention.created_at.timestamp()
            return {
                "newest": (created,),
                "oldest": (-created,),
                "likes": (-1 if mention.likes is None else mention.likes, created),
                "severity": (mention.analysis.severity, created),
                "relevance": (relevance(words, mention), created),
            }[sort]

        seen: list[ClassifiedMention] = []
        cursor = None
        for _ in count():
            page = index.search(query, sort=sort, limit=7, cursor=cursor)
            seen += [hit.mention for hit in page.hits]
            assert page.total == sum(matches(query, mention) for mention in mentions)
            cursor = page.cursor
            if cursor is None:
                break
        assert len(seen) == page.total == len({mention.id for mention in seen})
        assert [rank(mention) for mention in seen] == sorted(map(rank, seen), reverse=True)
        assert [mention.id for mention in index.scan(query, sort=sort)] == [mention.id for mention in seen]

    def test_paging_goes_on_where_it_was_while_mentions_come_in(self, index: Index) -> None:
        index.apply(deliver([a_classified(native_id=n, text="好") for n in range(6)]))
        first = index.search(q("好"), limit=3)
        newer = [a_classified(native_id=100 + n, text="好", created_at=CAPTURED) for n in range(3)]
        index.apply(deliver(newer, first=6))
        rest = index.search(q("好"), limit=10, cursor=first.cursor)
        assert len({hit.mention.id for hit in (*first.hits, *rest.hits)}) == 6
        assert rest.cursor is None

    # One hit a group

    @pytest.mark.parametrize("sort", SORTS)
    def test_merged_pages_show_the_first_of_every_group_once(self, index: Index, sort: Sort) -> None:
        index.apply(deliver(random_mentions(seed=12, count=400)))
        for text in ("", "暖气 OR 不热 OR 的 OR sentiment:negative", "copies:yes", "copies:no", "group:g3", "没有的词"):
            expected: dict[str, list[str]] = {}
            for mention in index.scan(q(text), sort=sort):
                expected.setdefault(mention.group or mention.id, []).append(mention.id)
            shown: list[tuple[str, int]] = []
            cursor = None
            for _ in count():
                page = index.search(q(text), sort=sort, limit=9, cursor=cursor, merge=True)
                shown += [(hit.mention.id, hit.group_size) for hit in page.hits]
                assert (page.total, page.groups) == (sum(map(len, expected.values())), len(expected))
                assert len(page.hits) == 9 or page.cursor is None
                cursor = page.cursor
                if cursor is None:
                    break
            assert shown == [(of_group[0], len(of_group)) for of_group in expected.values()], text
            assert index.search(q(text), sort=sort).groups is None

    def test_a_group_whose_founder_does_not_match_is_shown(self, index: Index) -> None:
        texts = ("漏水，漏了一地的水，没人来修", "漏水了，漏了一地的水，没人来修！", "漏了一地水，没人来修")
        mentions = [
            a_classified(native_id=n, text=text).model_copy(
                update={"group": "jd:review:0", "likeness": "near" if n else None}
            )
            for n, text in enumerate(texts)
        ]
        index.apply(deliver([*mentions, a_classified(native_id=9, text="漏水了")]))
        found = index.search(q("漏水了"), merge=True)
        assert [(hit.mention.id, hit.group_size) for hit in found.hits] == [("jd:review:9", 1), ("jd:review:1", 1)]
        assert (found.total, found.groups) == (2, 2)
        assert sorted(ids(index, "group:jd:review:0")) == ["jd:review:0", "jd:review:1", "jd:review:2"]
        assert sorted(ids(index, "相似:是")) == ["jd:review:1", "jd:review:2"]

    def test_one_large_group_is_one_hit_and_hides_nobody(self, index: Index) -> None:
        copies = [
            a_classified(native_id=n, text="套话").model_copy(
                update={"group": "jd:review:0", "likeness": "exact" if n else None}
            )
            for n in range(1_300)
        ]
        index.apply(
            deliver([*copies, a_classified(native_id=5_000, text="实话", created_at=CAPTURED - timedelta(days=9))])
        )
        found = index.search(q(""), limit=1, merge=True)
        assert [hit.group_size for hit in found.hits] == [1_300]
        assert (found.total, found.groups) == (1_301, 2)
        rest = index.search(q(""), limit=1, cursor=found.cursor, merge=True)
        assert [hit.mention.id for hit in rest.hits] == ["jd:review:5000"]
        assert rest.cursor is None
        assert index.search(q(""), limit=0, merge=True).groups == 2
        with pytest.raises(UserError):
            index.search(q(""), limit=-1, merge=True)

    def test_merged_pages_repeat_nothing_while_copies_come_in(self, index: Index) -> None:
        def copy(n: int, hours: int) -> ClassifiedMention:
            made = a_classified(native_id=n, text="好", created_at=CAPTURED - timedelta(hours=hours))
            return made.model_copy(update={"group": f"g{n % 4}", "likeness": None if n < 4 else "exact"})

        index.apply(deliver([copy(n, 40 + n) for n in range(8)]))
        first = index.search(q(""), limit=2, merge=True)
        index.apply(deliver([copy(8 + n, n) for n in range(4)], first=8))
        rest = index.search(q(""), limit=10, cursor=first.cursor, merge=True)
        groups = [hit.mention.group for hit in (*first.hits, *rest.hits)]
        assert len(groups) == len(set(groups))

    def test_a_correction_leaves_the_group_alone(self, index: Index) -> None:
        said = a_classified(native_id=1, text="好").model_copy(update={"group": "g1", "likeness": "near"})
        index.apply(deliver([said]))
        index.apply([Delivery(a_classified("negative", native_id=1, text="好"), correction=True)])
        assert ids(index, "group:g1 copies:near sentiment:negative") == ["jd:review:1"]

    @pytest.mark.parametrize("cursor", ["x", "????", "bnVsbA", "WzEsMl0", "é", "=" * 50, "WzEsIm5ld2VzdCIsImEiLDAsMF0"])
    def test_a_forged_cursor_is_a_user_error(self, index: Index, cursor: str) -> None:
        with pytest.raises(UserError, match="翻页"):
            index.search(q(""), cursor=cursor)

    def test_a_cursor_belongs_to_its_sort(self, index: Index) -> None:
        index.apply(deliver([a_classified(native_id=n, text="好") for n in range(3)]))
        cursor = index.search(q(""), limit=1).cursor
        with pytest.raises(UserError, match="翻页"):
            index.search(q(""), sort="likes", cursor=cursor)

    def test_facets_and_the_histogram_count_exactly(self, index: Index) -> None:
        mentions = [mention for mention in random_mentions(seed=4, count=400) if mention.has_content]
        index.apply(deliver(mentions))
        for text in ("", "暖气", "source:jd OR 漏水", "暖气 sentiment:negative -tag:不热", "没有这句话"):
            query = q(text)
            found = [mention for mention in mentions if matches(query, mention)]
            summary = index.summary(query, top=1_000)
            assert summary.total == len(found)
            expected = {
                "source": Counter(m.source for m in found),
                "kind": Counter(m.kind for m in found),
                "sentiment": Counter(m.analysis.sentiment.label for m in found),
                "intent": Counter(m.analysis.intent for m in found),
                "region": Counter(m.region for m in found if m.region),
                "product": Counter(label for m in found if (label := product_label(m.product))),
                "tag": Counter(opinion.tag for m in found for opinion in m.analysis.tags),
                "flag": Counter(flag for m in found for flag in m.analysis.flags),
                "about": Counter(m.matched.about for m in found),
                "matched": Counter(word for m in found for word in m.matched.all_words),
            }
            assert {name: dict(values) for name, values in summary.facets.items()} == expected
            for values in summary.facets.values():
                assert list(values.values()) == sorted(values.values(), reverse=True)
            days: dict[str, Counter[str]] = {}
            for m in found:
                day = m.created_at.astimezone(BEIJING).date().isoformat()
                days.setdefault(day, Counter())[m.analysis.sentiment.label] += 1
            assert {day: dict(counts) for day, counts in summary.by_day.items()} == days

    @pytest.mark.parametrize("step", [timedelta(hours=1), timedelta(days=1), timedelta(days=7), timedelta(minutes=7)])
    def test_matches_over_time_count_exactly_by_source(self, index: Index, step: timedelta) -> None:
        mentions = [mention for mention in random_mentions(seed=9, count=300) if mention.has_content]
        index.apply(deliver(mentions))
        instants = sorted(mention.created_at for mention in mentions)
        since = instants[60]  # a bound that is hit exactly belongs to its step
        until = min(instants[-30], since + 1_000 * step + timedelta(seconds=90))
        size = -((since - until) // step)
        for text in ("", "暖气", "source:jd OR 漏水", "没有这句话"):
            expected: dict[str, list[int]] = {}
            for mention in mentions:
                if matches(q(text), mention) and since <= mention.created_at < until:
                    row = expected.setdefault(mention.source, [0] * size)
                    row[(mention.created_at - since) // step] += 1
            found = index.histogram(q(text), since=since, until=until, step=step)
            assert {source: list(row) for source, row in found.items()} == expected

    def test_matched_words_and_whom_it_is_about_are_found_and_counted(self, index: Index) -> None:
        said = [
            Matched(words=("岚炉", "K20-3"), names=("岚炉",), products=("K20-3",), about="own"),
            Matched(words=("炽源",), competitors=("炽源",), about="rival"),
            Matched(excluded=("岚炉镇",), about="excluded"),
            Matched(),
        ]
        index.apply(deliver([a_classified(native_id=n, text="好", matched=one) for n, one in enumerate(said)]))
        asked = {
            "matched:岚炉": [0], "matched:ｋ２０-3": [0], "matched:k20": [], "matched:炽源,岚炉镇": [1, 2],
            "matched:*": [0, 1, 2], "NOT matched:*": [3], "about:own": [0], "关于:竞品": [1],
            "about:excluded,none": [2, 3],
        }  # fmt: skip
        for text, expected in asked.items():
            assert sorted(ids(index, text)) == [f"jd:review:{n}" for n in expected], text
        facets = index.summary(q("-about:none")).facets
        assert facets["about"] == {"excluded": 1, "own": 1, "rival": 1}
        assert facets["matched"] == {"K20-3": 1, "岚炉": 1, "岚炉镇": 1, "炽源": 1}
        index.apply([Delivery(later(a_classified(native_id=0, text="好"), matched=Matched(about="none")))])
        assert ids(index, "matched:岚炉 OR about:own") == []
        assert index.summary(q("")).facets["about"] == {"none": 2, "excluded": 1, "rival": 1}

    def test_a_facets_value_selects_exactly_what_it_counted(self, index: Index) -> None:
        mentions = [mention for mention in random_mentions(seed=6, count=300) if mention.has_content]
        index.apply(deliver(mentions))
        for facet, values in index.summary(q("")).facets.items():
            assert values
            for value, counted in values.items():
                exact = "=" if facet == "product" else ""
                assert index.search(q(f'{facet}:{exact}"{value}"'), limit=1).total == counted

    def test_only_the_most_frequent_values_of_a_facet_are_listed(self, index: Index) -> None:
        index.apply(deliver([a_classified(native_id=n, text="好", region=f"省{n % 7 % 4}") for n in range(70)]))
        assert index.summary(q(""), top=2).facets["region"] == {"省0": 20, "省1": 20}

    def test_a_day_ends_at_midnight_in_beijing(self, index: Index) -> None:
        before = CAPTURED.replace(hour=15, minute=59, second=59) - timedelta(days=1)
        after = before + timedelta(seconds=1)
        index.apply(
            deliver([a_classified(native_id=n, text="好", created_at=at) for n, at in enumerate((before, after))])
        )
        assert list(index.summary(q("")).by_day) == ["2026-01-04", "2026-01-05"]
        assert ids(index, "since:2026-01-05") == ["jd:review:1"]
        assert ids(index, "until:2026-01-04") == ["jd:review:0"]

    def test_highlights_point_into_the_text_as_written(self, index: Index) -> None:
        said = a_classified(
            native_id=1,
            title="８０㎡的客厅",
            text="Ｋ２０ 不热，真的不热不热！",
            appends=[Append(text="没有"), Append(text="还是　\n不热")],
        )
        index.apply(deliver([said]))
        [hit] = index.search(q('k20 不热 m2 "还是 不" NOT 别的')).hits
        fields = {"title": said.title or "", "text": said.text, "appends.1": said.appends[1].text}
        marked = {name: [fields[name][start:end] for start, end in spans] for name, spans in hit.highlights.items()}
        assert marked == {"title": ["㎡"], "text": ["Ｋ２０", "不热", "不热", "不热"], "appends.1": ["还是　\n不热"]}

    def test_excluded_words_and_filters_are_not_highlighted(self, index: Index) -> None:
        index.apply(deliver([a_classified(native_id=1, text="暖气不热")]))
        [hit] = index.search(q("source:jd NOT (冰箱 OR NOT 不热)")).hits
        assert hit.highlights == {"text": [(2, 4)]}

    def test_get_finds_by_id_alone(self, index: Index) -> None:
        said = a_classified(native_id=1, text="好", product=Product(id="1"), author=Author(key="k"))
        index.apply(deliver([said]))
        hit = index.get(said.id)
        assert hit is not None
        assert hit.mention == said
        for unknown in ("jd:review:2", "", "JD:review:1", "\ud800"):
            assert index.get(unknown) is None

    def test_an_empty_index_answers(self, index: Index) -> None:
        for text in ("", "好", "-好", "source:jd", "tag:不热", '"a b"~3', "likes:>3", "id:x OR author:y"):
            assert index.search(q(text)).total == 0
            assert list(index.scan(q(text), sort="relevance")) == []
            assert index.summary(q(text)).by_day == {}
        assert not any(index.counts().values())
        assert index.apply([]) == []

    # Erasing

    def test_an_author_is_erased_everywhere_and_stays_so_when_records_come_again(self, index: Index) -> None:
        mentions = random_mentions(seed=8, count=300)
        index.apply(deliver(mentions))
        theirs = [m for m in mentions if m.author.key == "author-1" and m.has_content]
        assert theirs
        assert index.delete_by_author("author-1") == len(theirs)
        assert index.delete_by_author("author-1") == 0
        assert index.delete_by_author("nobody") == 0
        index.apply(deliver(mentions))
        left = [m for m in mentions if m.author.key != "author-1" and m.has_content]
        assert sorted(ids(index, "")) == sorted(m.id for m in left)
        for text in ("暖气", "不热", "的", "author:author-1"):
            assert sorted(ids(index, text)) == sorted(m.id for m in left if matches(q(text), m))
        counts = index.counts()
        assert counts["erased"] == len(theirs)
        assert counts["documents"] == counts["indexed"] - counts["erased"] == index.summary(q("")).total

    def test_an_erased_mention_that_is_collected_anew_is_new(self, index: Index) -> None:
        said = a_classified(native_id=1, text="好", author=Author(key="k"))
        index.apply(deliver([said]))
        index.delete_by_author("k")
        assert index.apply(deliver([said], first=1)) == ["indexed"]
        assert index.counts() == {
            "indexed": 2, "revised": 0, "duplicate": 0, "empty": 0, "erased": 1, "documents": 1,
        }  # fmt: skip

    def test_retention_erases_one_source_up_to_an_instant(self, index: Index) -> None:
        old, new = CAPTURED - timedelta(days=40), CAPTURED - timedelta(days=30)
        mentions = [
            a_classified(native_id=f"{source}{n}", source=source, text="好", created_at=at)
            for n, at in enumerate((old, new))
            for source in ("jd", "tmall")
        ]
        index.apply(deliver(mentions))
        assert index.delete_before("jd", new) == 1
        assert sorted(ids(index, "")) == sorted(m.id for m in mentions if m.source == "tmall" or m.created_at == new)
        assert index.counts("jd")["erased"] == 1
