"""Copies found in the stream: how many, how surely, and what it costs.

    python -m tests.bench.bench_copies [--mentions 100000]

The corpus is invented: originals of 20 to 90 characters, and copies of some of them that are whole, have other numbers,
or have one to four places edited. A text that is like none of its original's any more (share of common bigrams under
the threshold) is no copy. The rival compares every text with every founder by bigrams, which is what "alike" means
here. Process time, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ingest.clock import ManualClock
from ingest.copies import Copies
from ingest.likeness import THRESHOLD, letters
from ingest.mention import Mention
from ingest.state import make_engine
from shengwen.database import migrate
from tests.factories import a_mention

BATCH = 500
PAIRWISE = 2_000
CHARACTERS = [chr(code) for code in range(0x4E00, 0x4E00 + 1_500)]
PHRASES = tuple(
    """
    暖气片 漏水 渗水 师傅 上门 安装 客服 不回复 地板 退款 很慢 暖和 满意 破损 推荐 客厅 卧室 阀门 接口 异响 性价比 物流
    包装 送货 热得快 老人 喜欢 质量 外观 价格 保修 换货 打压 试水 物业 供暖 温度 费用 太贵 态度
    """.split()  # noqa: SIM905
)


def corpus(count: int, rng: random.Random) -> list[tuple[str, int]]:
    """(text, number of the original); half of all are copies."""
    originals: list[str] = []
    made: list[tuple[str, int]] = []
    for _ in range(count):
        if originals and rng.random() < 0.5:
            which = rng.randrange(len(originals))
            made.append((edited(originals[which], rng), which))
        else:
            length = rng.randrange(20, 90)
            text = ""
            while len(text) < length:
                text += rng.choice(PHRASES) if rng.random() < 0.3 else rng.choice(CHARACTERS)
            originals.append(text)
            made.append((text, len(originals) - 1))
    return made


def edited(text: str, rng: random.Random) -> str:
    kind = rng.randrange(6)
    if kind == 0:
        return text + "！" * rng.randrange(4)
    if kind == 1:
        return f"{text}{rng.randrange(10_000)}"
    for _ in range(kind - 1):
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice((*CHARACTERS[:200], *PHRASES, "")) + text[at + rng.randrange(3) :]
    return text


def grams(text: str) -> frozenset[str]:
    plain = letters(text)
    return frozenset(plain[at : at + 2] for at in range(len(plain) - 1))


def by_bigrams(texts: Sequence[str]) -> list[int]:
    """The first founder that is alike enough, of all."""
    founders: list[tuple[int, frozenset[str]]] = []
    groups = []
    for place, text in enumerate(texts):
        own = grams(text)
        best, share = place, THRESHOLD
        for number, other in founders:
            common = len(own & other)
            if common and (found := common / len(own | other)) >= share and (found > share or best == place):
                best, share = number, found
        if best == place:
            founders.append((place, own))
        groups.append(best)
    return groups


def in_the_stream(texts: Sequence[str], timed: list[float] | None = None) -> list[int]:
    """The store itself, on SQLite, in the batches of the stage."""
    mentions: list[Mention] = [a_mention(native_id=number, text=text) for number, text in enumerate(texts)]
    with tempfile.TemporaryDirectory() as folder:
        engine = make_engine(f"sqlite:///{Path(folder) / 'state.db'}")
        migrate(engine)
        copies = Copies(engine, ManualClock())
        groups = []
        for start in range(0, len(mentions), BATCH):
            began = time.process_time()
            told = copies.tell(mentions[start : start + BATCH])
            if timed is not None:
                timed.append(time.process_time() - began)
            groups += [int(one.group.rpartition(":")[2].partition("#")[0]) if one else -1 for one in told]
        engine.dispose()
    return groups


def quality(made: Sequence[tuple[str, int]], groups: Sequence[int]) -> tuple[float, float]:
    """Recall and precision of "is a copy of that original", over the copies that are still alike."""
    first: dict[int, int] = {}
    found = wanted = right = told = 0
    for place, ((text, which), group) in enumerate(zip(made, groups, strict=True)):
        if which not in first:
            first[which] = place
            told += group != place
            continue
        own, other = grams(text), grams(made[first[which]][0])
        same = group >= 0 and made[group][1] == which
        told += group != place
        right += group != place and same
        if len(own & other) / len(own | other) >= THRESHOLD:
            wanted += 1
            found += group != place and same
    return found / wanted, right / max(told, 1)


def compare(console: Console, made: Sequence[tuple[str, int]]) -> None:
    table = Table(title=f"{len(made):,} texts, half of them copies")
    for heading in ("", "recall", "precision", "s", "µs a text"):
        table.add_column(heading, justify="right")
    ways: dict[str, Callable[[Sequence[str]], list[int]]] = {
        "every pair, bigrams": by_bigrams,
        "in the stream (MinHash, bands)": in_the_stream,
    }
    texts = [text for text, _ in made]
    for name, way in ways.items():
        began = time.process_time()
        groups = way(texts)
        took = time.process_time() - began
        recall, precision = quality(made, groups)
        table.add_row(name, f"{recall:.4f}", f"{precision:.4f}", f"{took:.2f}", f"{took / len(made) * 1e6:.0f}")
    console.print(table)


def cost(console: Console, made: Sequence[tuple[str, int]]) -> None:
    table = Table(title="in the stream, as it grows (the store alone)")
    for heading in ("texts known", "µs a text", "recall", "precision"):
        table.add_column(heading, justify="right")
    timed: list[float] = []
    groups = in_the_stream([text for text, _ in made], timed)
    for known in (10_000, 30_000, 100_000):
        if known > len(made):
            break
        last = timed[max(0, known // BATCH - 10) : known // BATCH]
        recall, precision = quality(made[:known], groups[:known])
        spent = sum(last) / (len(last) * BATCH) * 1e6
        table.add_row(f"{known:,}", f"{spent:.0f}", f"{recall:.4f}", f"{precision:.4f}")
    table.caption = f"{sum(timed[:20]):.1f} s for the first 10,000, {sum(timed):.1f} s for all {len(made):,}"
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mentions", type=int, default=100_000)
    chosen = parser.parse_args()
    console = Console(width=110)
    in_the_stream([text for text, _ in corpus(BATCH, random.Random(2))])  # imports, caches
    compare(console, corpus(PAIRWISE, random.Random(1)))
    cost(console, corpus(chosen.mentions, random.Random(1)))


if __name__ == "__main__":
    main()
