from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ingest.draft import Draft
from ingest.mention import Append, Kind, Matched, Product, mention_from_json
from ingest.relevance import MAX_LENGTH, MAX_WORDS, Brand, Called
from ingest.wordfinder import WordFinder, plain
from tests.factories import a_mention

BRAND = Brand(
    name="岚炉",
    aliases=("LANLU", "Lan-Heat"),
    misspellings=("兰炉", "暖气厂"),
    products=("K20-3", {"name": "小背篓", "models": ["B40", "A6"]}),
    competitors=("炽源", {"name": "新岚炉", "models": ["X9"]}),
    exclude=("岚炉镇", "茶炉"),
    ambiguous={"小背篓": (), "A6": ("暖气", "毛巾架")},
    context=("暖气", "散热器"),
)


def words(text: str, brand: Brand = BRAND) -> tuple[str, ...]:
    return brand.match_text(text).words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("岚炉的暖气不热", ("岚炉",)),
        ("岚炉暖氣廠的", ("岚炉", "暖气厂")),
        ("ＬＡＮＬＵ 不错", ("LANLU",)),
        ("lanlu2023款", ("LANLU",)),
        ("lanlux 不错", ()),
        ("用的lan heat", ("Lan-Heat",)),
        ("LanHeat暖气", ("Lan-Heat",)),
        ("岚炉，兰炉", ("岚炉", "兰炉")),
        ("K20-3漏水", ("K20-3",)),
        ("k20 3漏水", ("K20-3",)),
        ("ｋ２０３漏水", ("K20-3",)),
        ("K20 - 3", ("K20-3",)),
        ("K20—3", ("K20-3",)),
        ("K20-30", ()),
        ("XK20-3", ()),
        ("K20-3A", ()),
        ("K20", ()),
        ("K20 \n\n\n\n 3", ()),
        ("B40。", ("B40",)),
        ("B400", ()),
        ("AB40", ()),
        ("炽源比它好", ("炽源",)),
        ("x-9", ("X9",)),
        ("", ()),
    ],
)
def test_a_word_is_found_however_it_is_written_and_only_as_a_whole(text: str, found: tuple[str, ...]) -> None:
    assert words(text) == found


def test_words_come_in_the_order_of_the_settings_each_by_its_kind() -> None:
    matched = BRAND.match_text("炽源、K20-3、兰炉、岚炉，还有炽源", "暖气")
    assert matched == Matched(
        words=("岚炉", "兰炉", "K20-3", "炽源"),
        names=("岚炉", "兰炉"),
        products=("K20-3",),
        competitors=("炽源",),
        about="own",
        query="暖气",
    )
    assert BRAND.model_copy(update={"max_words": 2}).match_text("炽源K20-3岚炉").words == ("岚炉", "K20-3")


@pytest.mark.parametrize(
    ("text", "found", "about"),
    [
        ("小背篓真好看", (), "none"),
        ("小背篓这款散热器", ("小背篓",), "own"),
        ("小背篓，岚炉家的", ("岚炉", "小背篓"), "own"),
        ("小背篓和炽源比呢", ("小背篓", "炽源"), "own"),
        ("A6多少钱", (), "none"),
        ("A6 散热器", (), "none"),  # its own second words stand in place of the common ones
        ("A6 毛巾架", ("A6",), "own"),
        ("小背篓和A6", (), "none"),  # two that are not sure do not make each other so
    ],
)
def test_an_ambiguous_word_counts_with_a_second_one(text: str, found: tuple[str, ...], about: str) -> None:
    matched = BRAND.match_text(text)
    assert (matched.words, matched.about) == (found, about)


def test_a_second_word_must_not_be_a_part_of_the_ambiguous_one() -> None:
    brand = Brand(name="岚炉", aliases=("好暖气",), ambiguous={"好暖气": ()}, context=("暖气",))
    assert words("这是好暖气", brand) == ()
    assert words("这是好暖气，我说的是暖气片", brand) == ("好暖气",)


@pytest.mark.parametrize(
    ("text", "found", "excluded", "about"),
    [
        ("岚炉镇的风景", (), ("岚炉镇",), "excluded"),
        ("岚炉镇上，岚炉到处都是", (), ("岚炉镇",), "excluded"),
        ("岚炉镇上买的岚炉暖气", ("岚炉",), ("岚炉镇",), "own"),
        ("岚炉镇上买的K20-3", ("K20-3",), ("岚炉镇",), "own"),
        ("烧水的茶炉", (), ("茶炉",), "excluded"),
        ("茶炉和炽源", ("炽源",), ("茶炉",), "rival"),
        ("新岚炉也漏水", ("新岚炉",), (), "rival"),
        ("新岚炉不如岚炉", ("岚炉", "新岚炉"), (), "own"),
        ("天气真好", (), (), "none"),
    ],
)
def test_a_namesake_or_a_rival_is_not_the_brand(
    text: str, found: tuple[str, ...], excluded: tuple[str, ...], about: str
) -> None:
    matched = BRAND.match_text(text)
    assert (matched.words, matched.excluded, matched.about) == (found, excluded, about)
    assert matched.elsewhere == (about in ("rival", "excluded"))


def test_of_two_models_the_longer_one_is_meant() -> None:
    brand = Brand(products=("K20", "K20-3", "Pro"))
    assert words("K20-3漏水", brand) == ("K20-3",)
    assert words("K20-5漏水", brand) == ("K20",)
    assert words("K20和K20-3", brand) == ("K20", "K20-3")
    assert words("k20", brand) == ("K20",)


def draft(text: str, kind: Kind = "review", product: str | None = None, **fields: Any) -> Draft:
    named = Product(name=product) if product else None
    created = datetime(2026, 1, 5, tzinfo=UTC)
    return Draft(source="jd", kind=kind, native_id="1", created_at=created, text=text, product=named, **fields)


@pytest.mark.parametrize(
    ("said", "about"),
    [
        (draft("早知道买炽源了", product="岚炉 K20-3 暖气片"), "own"),
        (draft("早知道买炽源了", product="炽源暖气片"), "rival"),
        (draft("质量不错", product="炽源暖气片"), "rival"),
        (draft("比岚炉差远了", product="炽源暖气片"), "own"),
        (draft("早知道买炽源了"), "none"),  # a review is on topic by its place, which nobody named
        (draft("茶炉一样的声音", kind="survey"), "none"),
        (draft("早知道买炽源了", kind="post"), "rival"),
        (draft("好看", kind="question", product="岚炉 K20-3 暖气片"), "own"),
        (draft("好", title="岚炉"), "own"),
        (draft("好", appends=[Append(text="岚炉售后上门了")]), "own"),
    ],
)
def test_where_a_text_stands_may_tell_whom_it_is_about(said: Draft, about: str) -> None:
    assert BRAND.match(said, "q").about == about


@pytest.mark.parametrize(
    ("text", "query", "about"),
    [
        ("这价格不如买炽源", "岚炉", "none"),
        ("这价格不如买炽源", "keyword=岚炉 炽源", "none"),
        ("这价格不如买炽源", None, "none"),
        ("炽源又漏水了", "keyword=炽源", "rival"),
        ("还是岚炉好", "炽源", "own"),
        ("岚炉镇欢迎你", "岚炉", "excluded"),
        ("漏水了", "炽源", "none"),
    ],
)
def test_a_reply_compares_unless_the_search_was_for_the_rival(text: str, query: str | None, about: str) -> None:
    assert BRAND.match(draft(text, kind="comment", parent_native="post:1"), query).about == about


def test_the_product_it_stands_under_is_a_second_word_and_no_match() -> None:
    matched = BRAND.match(draft("小背篓很实用", product="岚炉 卫浴暖气片"))
    assert (matched.words, matched.about) == (("小背篓",), "own")


# Settings


def test_settings_from_before_still_say_what_they_said() -> None:
    brand = Brand.model_validate({"name": "岚炉", "words": ["LANLU"], "aliases": ["兰炉"], "products": ["K20-3"]})
    assert brand.names == ("岚炉", "LANLU", "兰炉")
    assert brand.all_words == ("岚炉", "LANLU", "兰炉", "K20-3")
    assert brand == Brand.model_validate_json(brand.model_dump_json())
    with pytest.raises(ValidationError, match="aliases"):
        Brand.model_validate({"words": "LANLU"})


def test_a_word_written_in_two_ways_is_one() -> None:
    brand = Brand(name="LANLU", aliases=("lanlu", "ＬＡＮＬＵ", "岚炉"), products=("K20-3", "K203"))
    assert brand.all_words == ("LANLU", "岚炉", "K20-3")
    assert brand.products == (Called(name="K20-3"), Called(name="K203"))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"aliases": [""]}, "没有文字"),
        ({"aliases": ["——"]}, "没有文字"),
        ({"products": [{"name": " "}]}, "没有文字"),
        ({"exclude": ["炉" * (MAX_LENGTH + 1)]}, "太长"),
        ({"aliases": [f"词{n}" for n in range(MAX_WORDS + 1)]}, "最多"),
        ({"aliases": ["LANLU"], "competitors": ["lanlu"]}, "只能算一种"),
        ({"name": "暖气厂", "exclude": ["暖氣廠"]}, "只能算一种"),
        ({"ambiguous": ["小背篓"]}, "不是品牌"),
        ({"name": "岚炉", "ambiguous": ["岚炉"]}, "第二个词"),
        ({"products": [{"name": "K20", "model": ["x"]}]}, "Extra"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(fields: Mapping[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Brand.model_validate(fields)


@pytest.mark.parametrize(
    ("verified", "own"),
    [
        ("岚炉散热器官方账号", True),
        ("LANLU", True),
        ("华北晚报", False),
        ("新岚炉官方旗舰店", False),  # a rival whose name begins with ours
        ("岚炉镇人民政府", False),
        ("K20-3维修中心", False),  # a product's name is anybody's to repair
        ("", False),
    ],
)
def test_an_account_is_the_brands_own_by_what_it_is_verified_as(verified: str, own: bool) -> None:
    draft = Draft(source="douyin", kind="video", native_id="1", created_at=None, text="岚炉", verified=verified)
    assert BRAND.owns(draft) == own
    assert not Brand().owns(draft)


def test_an_empty_brand_matches_nothing() -> None:
    assert Brand().match_text("岚炉 K20-3 ") == Matched()


# The record


def test_records_from_before_are_read_and_are_about_nobody() -> None:
    old = a_mention().model_dump(mode="json")
    old["matched"] = {"words": ["岚炉"], "query": "暖气"}
    read = mention_from_json(orjson.dumps(old))
    assert read.matched == Matched(words=("岚炉",), query="暖气")
    assert (read.matched.about, read.matched.elsewhere, read.matched.all_words) == ("none", False, ("岚炉",))
    assert mention_from_json(read.to_json()) == read


# Any text


@given(st.text(), st.lists(st.sampled_from(["岚炉", "K20-3", "A6", "lanlu", " ", "-", "0", "茶炉", "暖氣"])))
def test_any_text_is_answered_alike_each_time(noise: str, parts: list[str]) -> None:
    text = noise + "".join(parts) + noise
    matched = BRAND.match_text(text)
    assert matched == BRAND.match_text(text)
    assert set(matched.words) <= set(BRAND.all_words)
    assert (matched.about == "own") == bool(matched.names or matched.products)


ALPHABET = st.text(alphabet="k2-3 0炉a", min_size=1, max_size=6).filter(lambda w: any(c.isalnum() for c in plain(w)))


@given(st.lists(ALPHABET, min_size=1, max_size=8), st.text(alphabet="k2-3 0炉a", max_size=30))
def test_what_is_found_is_what_trying_each_word_at_each_place_finds(vocabulary: list[str], text: str) -> None:
    together = set(WordFinder(vocabulary).find(text))
    apart = {
        hit._replace(word=number) for number, word in enumerate(vocabulary) for hit in WordFinder([word]).find(text)
    }
    assert together == apart
    for hit in together:
        piece = text[hit.start : hit.end]
        assert plain(piece) == plain(vocabulary[hit.word])
