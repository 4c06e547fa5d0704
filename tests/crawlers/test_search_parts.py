"""Which parts of a search are read, and what is told to stay cut off; the spiders are in test_split_search.py."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawlers.douyin.spider import AXES as DOUYIN
from crawlers.search_parts import WHOLE, Axis, Option, Part, Result, Tree, cut_off
from crawlers.trip import ListPass
from crawlers.xiaohongshu.spider import AXES as XIAOHONGSHU

WINDOWS = {"一天内": 1, "一周内": 7, "半年内": 183}


@dataclass(frozen=True)
class Post:
    number: int
    kind: str
    age: int
    likes: int
    text: str = ""


@dataclass
class Platform:
    """A search that shows ``cap`` posts of any list."""

    posts: list[Post]
    cap: int

    def all_of(self, part: Part) -> list[Post]:
        found = [post for post in self.posts if part.word in post.text]
        for option in part.options:
            if option.words in WINDOWS:
                found = [post for post in found if post.age <= WINDOWS[option.words]]
            elif option.title in ("笔记类型", "视频时长", "内容形式"):
                found = [post for post in found if post.kind == option.words]
        liked = any("点赞" in option.words for option in part.options)
        return sorted(found, key=lambda post: -post.likes if liked else post.age)

    def read(self, part: Part) -> tuple[set[Post], Result]:
        found = self.all_of(part)
        return set(found[: self.cap]), "cut" if len(found) >= self.cap else "fits"


def walked(tree: Tree, platform: Platform) -> tuple[list[Part], set[Post], dict[str, Result]]:
    found = set(platform.all_of(WHOLE)[: platform.cap])
    results: dict[str, Result] = {}
    parts: list[Part] = []
    while (part := tree.next(results, set())) is not None:
        parts.append(part)
        seen, results[part.name] = platform.read(part)
        found |= seen
    return parts, found, results


KINDS = {"xhs": ["图文", "视频"], "douyin": ["1分钟以下", "1-5分钟", "5分钟以上", "图文"]}


@pytest.mark.parametrize(("axes", "kinds"), [(XIAOHONGSHU, KINDS["xhs"]), (DOUYIN, KINDS["douyin"])], ids=KINDS)
@settings(max_examples=150, deadline=None)
@given(data=st.data(), cap=st.integers(1, 12))
def test_what_is_not_told_to_be_cut_off_was_seen_whole(
    axes: tuple[Axis, ...], kinds: list[str], data: st.DataObject, cap: int
) -> None:
    one = st.builds(
        Post,
        number=st.integers(0, 10**6),
        kind=st.sampled_from(kinds),
        age=st.integers(0, 400),
        likes=st.integers(0, 50),
        text=st.sampled_from(["", "阀门", "水管 阀门"]),
    )
    platform = Platform(data.draw(st.lists(one, max_size=60, unique_by=lambda post: post.number)), cap)
    tree = Tree(axes, ("阀门",))
    parts, found, results = walked(tree, platform)
    left = tree.left(results)
    assert len({part.name for part in parts}) == len(parts)
    for kind in kinds:
        mine = [post for post in platform.posts if post.kind == kind]
        told = [name for name in left if name.partition("（")[0] == kind]
        if not told:
            assert found.issuperset(mine)
        for window, days in WINDOWS.items():
            if f"（{window}的看全了）" in "".join(told):
                assert found.issuperset(post for post in mine if post.age <= days)
    assert bool(left) == any(len([post for post in platform.posts if post.kind == kind]) >= cap for kind in kinds)
    assert any(part.word for part in parts) == bool(left)


def names(tree: Tree, results: dict[str, Result]) -> list[str]:
    """What is read when these parts come out so, and all others fit."""
    asked: list[str] = []
    known: dict[str, Result] = {}
    while (part := tree.next(known, set())) is not None:
        asked.append(part.name)
        known[part.name] = results.get(part.name, "fits")
    return asked


def test_parts_are_read_from_the_widest_on_and_only_as_far_as_needed() -> None:
    tree = Tree(XIAOHONGSHU, ("阀门",))
    assert names(tree, {}) == ["图文", "视频"]
    assert names(tree, {"视频": "cut"}) == [
        *("图文", "视频", "视频+半年内"),
        *("视频+最新", "视频+最多点赞", "视频+最多评论", "视频+最多收藏"),
        "阀门：全部",
    ]
    cut: dict[str, Result] = {"视频": "cut", "视频+半年内": "cut", "阀门：全部": "cut"}
    asked = names(tree, cut)
    assert asked[2:7] == [
        "视频+半年内",
        "视频+半年内+最多点赞",
        "视频+半年内+最多评论",
        "视频+半年内+最多收藏",
        "视频+一周内",
    ]
    assert asked[-3:] == ["阀门：全部", "阀门：图文", "阀门：视频"]
    assert "视频+半年内+最新" not in asked  # the newest of half a year are the newest of all


def test_a_page_without_one_kind_of_filters_is_split_by_the_others() -> None:
    nothing: dict[str, Result] = {"图文": "none", "视频": "none"}
    asked = names(Tree(XIAOHONGSHU, ()), nothing)
    assert asked == ["图文", "视频", "半年内", "最新", "最多点赞", "最多评论", "最多收藏"]
    assert Tree(XIAOHONGSHU, ()).left(nothing | {"半年内": "fits"}) == ("全部（半年内的看全了）",)


def test_a_part_that_could_not_be_read_does_not_hold_up_the_others() -> None:
    tree = Tree(XIAOHONGSHU, ())
    part = tree.next({}, {"图文"})
    assert part is not None
    assert part.name == "视频"
    assert tree.left({"视频": "fits"}) == ("图文",)
    assert tree.left({}) == ("全部",)


def test_without_filters_a_search_is_split_by_word_alone() -> None:
    tree = Tree((), ("阀门", "水管"))
    assert names(tree, {"阀门：全部": "cut"}) == ["阀门：全部", "水管：全部"]
    assert tree.left({"阀门：全部": "cut", "水管：全部": "fits"}) == ("全部",)


@pytest.mark.parametrize(
    ("ended", "pages", "cut"),
    [("end", 10, False), ("end", 11, True), ("cap", 3, True), ("repeat", 3, True), ("settled", 11, False)],
)
def test_where_a_list_ended_tells_whether_it_was_cut_off(ended: str, pages: int, cut: bool) -> None:
    lane = ListPass(key="keyword=暖气片", cap=100, pages=pages)
    lane.ended = ended  # type: ignore[assignment]
    assert cut_off(lane, 11) is cut
    assert cut_off(lane, None) is (cut and ended != "end")


def test_every_option_is_chosen_once() -> None:
    for axes in (XIAOHONGSHU, DOUYIN):
        options: list[Option] = [option for axis in axes for option in axis.options]
        assert len({(option.field, option.value) for option in options}) == len(options)
        assert len({option.words for option in options}) == len(options)
