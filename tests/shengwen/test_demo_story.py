"""The story: the same seed tells the same story, it reads like people, and it turns when told to."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from ingest.clock import BEIJING
from shengwen.demo.cast import PLATFORMS, TARGETS
from shengwen.demo.items import Item
from shengwen.demo.story import Story
from shengwen.demo.turn import LENGTH

START = datetime(2026, 11, 22, 6, tzinfo=UTC)
SEEDS = (1, 7, 2026)


@pytest.fixture(params=SEEDS)
def story(request: pytest.FixtureRequest) -> Story:
    return Story(request.param, START)


def test_same_seed_start_and_turn_tell_the_same_story() -> None:
    turn = START + timedelta(minutes=3, microseconds=17)
    late = Story(7, START)
    late.begin_turn(turn)
    end = START + timedelta(days=20)
    assert Story(7, START, turn).visible(end) == late.visible(end)


def test_another_seed_tells_another_story() -> None:
    ids = [{item.native_id for item in Story(seed, START).visible(START)} for seed in (1, 2)]
    assert len(ids[0] & ids[1]) < 20  # questions and articles have fixed numbers


def test_a_few_hundred_mentions_on_all_platforms_in_eight_weeks(story: Story) -> None:
    told = story.visible(START)
    assert 450 <= len(told) <= 600
    by_platform = Counter(item.platform for item in told)
    assert set(by_platform) == set(PLATFORMS)
    assert min(by_platform.values()) >= 50
    assert all(START - timedelta(weeks=8) <= item.created_at <= START for item in told)


def test_neighbours_differ_and_words_rarely_repeat(story: Story) -> None:
    told = story.visible(START)
    assert all(a.text != b.text for a, b in pairwise(told))
    texts = Counter(item.text for item in told if item.mood != "default" and item.text)
    assert sum(number - 1 for number in texts.values()) <= 0.03 * len(told)
    assert len(texts) > 400


def test_ids_are_unique_and_threads_hang_together(story: Story) -> None:
    told = story.visible(START + timedelta(days=14))
    by_id = {(item.platform, item.kind, item.native_id): item for item in told}
    assert len(by_id) == len(told)
    for item in told:
        if item.parent_id and item.parent_kind:
            assert by_id[item.platform, item.parent_kind, item.parent_id].created_at < item.created_at
        if item.root_id:
            root = by_id[item.platform, "comment", item.root_id]
            assert root.parent_id == item.parent_id
            assert root.created_at < item.created_at


def test_xiaohongshu_ids_hold_their_time(story: Story) -> None:
    notes = [item for item in story.visible(START) if item.platform == "xiaohongshu"]
    assert all(int(item.native_id[:8], 16) == int(item.created_at.timestamp()) for item in notes)


def test_people_write_by_day_and_more_in_the_heating_season(story: Story) -> None:
    told = story.visible(START)
    hours = Counter(item.created_at.astimezone(BEIJING).hour for item in told)
    assert sum(hours[h] for h in range(1, 6)) < 0.06 * len(told)
    recent = sum(item.created_at > START - timedelta(weeks=4) for item in told if item.kind == "review")
    assert recent > 0.5 * sum(item.kind == "review" for item in told)


def test_posts_name_a_keyword_so_that_search_can_find_them(story: Story) -> None:
    posts = [item for item in story.visible(START + timedelta(days=14)) if item.kind in ("post", "video")]
    assert posts
    assert all(any(word in item.title + item.text for word in TARGETS.keywords) for item in posts)


def test_real_safety_events_are_at_least_two_weeks_old(story: Story) -> None:
    meant = [item for item in story.visible(START) if item.safety]
    assert len(meant) == 2
    assert all(item.created_at < START - timedelta(days=14) for item in meant)


def test_later_additions_are_not_seen_earlier(story: Story) -> None:
    item = next(item for item in story.visible(START) if item.append)
    assert item.append is not None
    before = _find(story, item, item.append.at - timedelta(seconds=1))
    assert before.append is None
    assert _find(story, item, item.append.at).append == item.append


def _find(story: Story, wanted: Item, now: datetime) -> Item:
    return next(item for item in story.visible(now) if item.native_id == wanted.native_id)


def test_nothing_leaks_before_the_turn() -> None:
    assert not any(item.turn for item in Story(7, START).visible(START + timedelta(days=14)))


def test_the_turn_comes_on_three_platforms_within_a_minute_from_distinct_people(story: Story) -> None:
    turn = START + timedelta(minutes=2)
    story.begin_turn(turn)
    reports = [item for item in story.visible(turn + LENGTH + timedelta(seconds=5)) if item.turn]
    blame = [item for item in reports if item.mood == "blame"]
    assert {item.platform for item in blame} == {"jd", "xiaohongshu", "douyin"}
    assert min(Counter(item.platform for item in blame).values()) >= 10
    assert len({item.author.uid for item in reports}) == len(reports)
    assert len({item.text for item in reports}) == len(reports)
    assert all(any(mark in item.title + item.text for mark in "漏渗滴呲") for item in blame)
    halves = [sum(item.created_at < turn + LENGTH / 2 for item in blame), len(blame)]
    assert 0.3 < halves[0] / halves[1] < 0.7


def test_a_second_turn_changes_nothing() -> None:
    story = Story(7, START, START + timedelta(minutes=1))
    before = story.visible(START + timedelta(hours=1))
    story.begin_turn(START + timedelta(minutes=30))
    assert story.visible(START + timedelta(hours=1)) == before


def test_naive_instants_are_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Story(7, datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match="time zone"):
        Story(7, START).begin_turn(datetime(2026, 1, 1))  # noqa: DTZ001
