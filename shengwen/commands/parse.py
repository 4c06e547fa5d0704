"""``shengwen parse``: a payload in, one JSON line out; touches nothing."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import orjson

from shengwen.cli import pass_home
from shengwen.home import Home
from shengwen.messages import Command, shown_name

PLATFORMS = ["jd", "tmall", "xiaohongshu", "douyin", "zhihu"]
PARSE_ONLY_SECRET = b"shengwen parse: not an installation"


@click.command(
    cls=Command,
    examples=[
        "shengwen parse jd 评价.jsonp",
        "shengwen parse zhihu a.json b.html --url 'https://www.zhihu.com/api/v4/comment_v5/answers/1/root_comment'",
    ],
)
@click.argument("platform", type=click.Choice(PLATFORMS))
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--url", help="应答来自哪个地址；不写时按内容辨认")
@click.option("--status", type=click.IntRange(100, 599), default=200, show_default=True, help="应答的 HTTP 状态码")
@click.option("--header", "headers", multiple=True, metavar="名: 值", help="应答头，可多次")
@pass_home
def parse(
    home: Home, platform: str, files: tuple[Path, ...], url: str | None, status: int, headers: tuple[str, ...]
) -> None:
    """用采集器的解析代码读保存下来的应答，每个文件输出一行 JSON：{"signal", "mentions", "next", …}。

    problems 指出读不出的记录坏在哪条路径，missing 是应有却没有的路径，fill 是各字段有值的记录所占比例。
    记录和进入数据流的一样（已遮盖）。没有初始化过的话，作者键用一个固定的密钥计算；什么文件都不会写。
    """
    from crawlers.fill import fill_of
    from crawlers.parse import parse as parse_payload
    from crawlers.payload import Payload
    from ingest.errors import Poison, UserError
    from ingest.mention import Raw
    from ingest.privacy import Privacy, load_secret
    from shengwen.settings import load_settings, secret_path

    settings = load_settings(home)
    known = secret_path(home, settings)
    privacy = Privacy(load_secret(known, make=False) if known.exists() else PARSE_ONLY_SECRET)
    brand = settings.brand
    head: dict[str, str] = {}
    for one in headers:
        name, colon, value = one.partition(":")
        if not colon:
            raise UserError(f"--header 应写成“名: 值”，而不是“{one}”")
        head[name.strip().lower()] = value.strip()
    for file in files:
        captured = datetime.now(UTC)
        payload = Payload(url=url, status=status, headers=head, body=file.read_bytes(), captured_at=captured)
        page = parse_payload(platform, payload)
        fill = fill_of(page)
        mentions = []
        problems = [{"path": p.path, "reason": p.reason} for p in page.problems]
        for number, draft in enumerate(page.mentions):
            raw = Raw(url=url, captured_at=captured, sha256=payload.sha256, parser=page.endpoint)
            try:
                matched = brand.match(draft)
                mention = privacy.seal(draft, raw, matched, own=brand.owns(draft))
                mentions.append(mention.model_dump(mode="json"))
            except Poison as error:
                problems.append({"path": f"mentions[{number}].{error.field or ''}", "reason": str(error)})
        line = {
            "signal": page.signal,
            "mentions": mentions,
            "next": dict(page.next) if page.next is not None else None,
            "endpoint": page.endpoint,
            "total": page.total,
            "reason": page.reason,
            "problems": problems,
            "missing": list(page.missing),
            "counts": dict(page.counts),
            "stats": dict(page.stats),
            "tags": dict(page.tags),
            "fill": {name: round(share, 4) for name, share in fill.shares().items()} if fill else {},
            "file": shown_name(file),
        }
        sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
    sys.stdout.buffer.flush()
