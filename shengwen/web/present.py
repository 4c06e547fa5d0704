"""How values read on a page: times in Beijing, names in Chinese, hostile text made harmless. Jinja filters.

Nothing here escapes HTML (Jinja does); :func:`clean` and :func:`web_url` take out what escaping does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from urllib.parse import quote, urlsplit

import orjson

from alerts.tickets import VERIFICATIONS
from ingest.clock import BEIJING

SOURCES: Final = {"jd": "京东", "tmall": "天猫", "xiaohongshu": "小红书", "douyin": "抖音", "zhihu": "知乎"}
KINDS: Final = {
    "review": "评价", "question": "提问", "answer": "回答", "post": "笔记", "video": "视频", "article": "文章",
    "comment": "评论", "survey": "问卷", "call": "电话",
}  # fmt: skip
SENTIMENTS: Final = {"negative": "负面", "neutral": "中性", "positive": "正面"}
INTENTS: Final = {"complaint": "投诉", "suggestion": "建议", "question": "咨询", "praise": "表扬", "other": "其他"}
ABOUTS: Final = {"own": "本品牌", "rival": "竞品", "excluded": "同名的别的东西", "none": "没有提到"}
COPIES: Final = {"exact": "照抄", "near": "近似", "template": "套用", "yes": "是", "no": "否"}
FLAGS: Final = {
    "empty": "空评价", "default_review": "默认评价", "advertisement": "广告", "template": "模板", "off_topic": "无关",
    "sarcasm": "反讽", "safety": "安全", "unsure": "拿不准",
}  # fmt: skip
ALERT_KINDS: Final = {
    "spike": "负面激增", "safety": "安全", "reputation": "声誉风险", "silence": "来源失声", "stop": "采集已停",
    "drift": "数据结构变化",
    "customer": "重要客户",
}  # fmt: skip
ALERT_STATES: Final = {"firing": "进行中", "cooling": "回落中", "closed": "已结束"}
VERDICTS: Final = {"confirmed": "已确认", "dismissed": "误报"}
DELIVERY_STATES: Final = {"pending": "等待发送", "sending": "发送中", "delivered": "已送达", "failed": "失败"}
STAGES: Final = {"classify": "分析", "index": "入库", "alert": "预警", "coverage": "采集记录", "collect": "采集"}
STAGE_STATES: Final = {
    "waiting": "待命", "running": "运行中", "retrying": "重试中", "stopped": "已停止", "failed": "已停止（出错）",
}  # fmt: skip
COVERAGE_STATES: Final = {
    "complete": "完整", "partial": "不完整", "stopped": "已停止", "failed": "失败", "silent": "失声",
    "quiet": "无新内容", "ok": "正常",
}  # fmt: skip
SIGNALS: Final = {
    "ok": "正常", "empty": "没有内容", "login_required": "要求登录", "verification": "要求验证", "throttled": "被限速",
    "blocked": "被拒绝", "gone": "已不存在", "unknown": "看不懂的页面",
}  # fmt: skip
FIGURES: Final = {
    "before": "整改前", "after": "整改后", "ratio": "之后是之前的", "low": "区间下限", "high": "区间上限",
    "days": "天数",
}  # fmt: skip
CLOCKS: Final = {"first_response": "首次响应", "plan": "整改方案", "done": "整改完成"}
LEVEL_CLASSES: Final = {"一级": "l1", "二级": "l2", "三级": "l3"}

# Controls, and the bidi and invisible format characters that make a text read as something else.
_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
)


def clean(text: str | None) -> str:
    """Control, bidi and invisible characters each replaced by one U+FFFD, so that offsets stay."""
    return _HARMFUL.sub("�", text) if text else ""


def short(text: str | None, limit: int = 80) -> str:
    """Cleaned, on one line, at most ``limit`` characters."""
    line = " ".join(clean(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def web_url(url: str | None) -> str | None:
    """``url`` if a browser may be sent there: http or https with a host, nothing else."""
    if not url or _HARMFUL.search(url):
        return None
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return None
    return url.strip() if parts.scheme in ("http", "https") and parts.hostname else None


def source_name(source: str) -> str:
    """京东, 天猫, … or 导入·name."""
    kind, _, name = source.partition(":")
    return f"导入·{clean(name)}" if kind == "import" and name else SOURCES.get(source, clean(source))


def source_class(source: str) -> str:
    """The CSS class of a source's badge."""
    return f"s-{source}" if source in SOURCES else "s-import"


def exact(instant: datetime | None, precision: str = "second") -> str:
    """2026-01-05 09:00:12（北京时间）, as far as ``precision`` reaches."""
    if instant is None:
        return "—"
    forms = {"month": "%Y-%m", "day": "%Y-%m-%d", "hour": "%Y-%m-%d %H 时", "minute": "%Y-%m-%d %H:%M"}
    local = instant.astimezone(BEIJING)
    text = local.strftime(forms.get(precision, "%Y-%m-%d %H:%M:%S"))
    return text if precision in ("day", "month") else f"{text}（北京时间）"


def ago(instant: datetime | None, now: datetime, precision: str = "second") -> str:
    """How long ago in words, or the date where that says more. What lies ahead is written as a date."""
    if instant is None:
        return "—"
    local, today = instant.astimezone(BEIJING), now.astimezone(BEIJING)
    if precision == "month":
        return local.strftime("%Y-%m")
    days = (today.date() - local.date()).days
    if precision == "day":
        return {0: "今天", 1: "昨天", 2: "前天"}.get(days) or _date(local, today)
    passed = now - instant
    if timedelta() <= passed < timedelta(hours=12):
        minutes = int(passed.total_seconds() // 60)
        if minutes < 1:
            return "刚刚"
        return f"{minutes} 分钟前" if minutes < 60 else f"{minutes // 60} 小时前"
    clock = local.strftime("%H:%M")
    if days in (-1, 0, 1, 2):
        return {-1: "明天", 0: "今天", 1: "昨天", 2: "前天"}[days] + f" {clock}"
    return f"{_date(local, today)} {clock}"


def _date(local: datetime, today: datetime) -> str:
    return f"{local.month} 月 {local.day} 日" if local.year == today.year else local.strftime("%Y-%m-%d")


def duration(span: timedelta) -> str:
    """1 天 3 小时, 2 小时 5 分, 12 分: the two largest units of a length of time."""
    minutes = int(abs(span).total_seconds() // 60)
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} 天 {hours} 小时" if hours else f"{days} 天"
    if hours:
        return f"{hours} 小时 {rest} 分" if rest else f"{hours} 小时"
    return f"{rest} 分" if rest else "不到 1 分"


def count(number: int | float | None, approximate: bool = False) -> str:
    """1,234 or 1.5万; rounded ones carry a 约."""
    if number is None:
        return "—"
    text = f"{number / 10_000:.1f}".removesuffix(".0") + "万" if number >= 10_000 else f"{number:,.0f}"
    return f"约 {text}" if approximate else text


def decimal(number: float | None, places: int = 1) -> str:
    """A number with at most ``places`` decimals, without idle zeros."""
    if number is None:
        return "—"
    text = f"{number:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def rate(number: float) -> str:
    """An expected count, with a space before a figure: 0 expected is never quite 0."""
    return "不到 0.1" if number < 0.1 else f" {decimal(number)}"


def percent(share: float | None, places: int = 0) -> str:
    """0.123 as 12%."""
    return "—" if share is None else f"{share * 100:.{places}f}%"


def p_value(p: float) -> str:
    """p = 0.003, or p < 0.0001 below that."""
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}" if p < 0.01 else f"p = {p:.2f}"


def verification(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(what, value) of how an improvement worked: the verdict first, then its figures."""
    lines = [("结论", VERIFICATIONS.get(str(result.get("verdict")), clean(str(result.get("verdict")))))]
    for name, value in result.items():
        if name != "verdict" and value is not None:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            lines.append((FIGURES.get(name, clean(name)), decimal(value, 2) if number else short(str(value), 200)))
    return lines


def tag_name(tag: str) -> str:
    """The part of 组/标签 that people say."""
    return clean(tag.rpartition("/")[2])


def tag_group(tag: str) -> str:
    """The group of 组/标签."""
    return clean(tag.partition("/")[0])


def _named(names: Mapping[str, str]) -> Callable[[str], str]:
    return lambda value: names.get(value, clean(value))


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "clean": clean,
    "short": short,
    "web_url": web_url,
    "source_name": source_name,
    "source_class": source_class,
    "exact": exact,
    "duration": duration,
    "count_text": count,
    "decimal": decimal,
    "percent": percent,
    "rate": rate,
    "p_value": p_value,
    "verification": verification,
    "tag_name": tag_name,
    "tag_group": tag_group,
    "kind_name": _named(KINDS),
    "sentiment_name": _named(SENTIMENTS),
    "intent_name": _named(INTENTS),
    "flag_name": _named(FLAGS),
    "about_name": _named(ABOUTS),
    "likeness_name": _named(COPIES),
    "alert_kind": _named(ALERT_KINDS),
    "alert_state": _named(ALERT_STATES),
    "verdict_name": _named(VERDICTS),
    "delivery_state": _named(DELIVERY_STATES),
    "stage_name": _named(STAGES),
    "stage_state": _named(STAGE_STATES),
    "coverage_state": _named(COVERAGE_STATES),
    "signal_name": _named(SIGNALS),
    "clock_name": _named(CLOCKS),
    "quoted": partial(quote, safe=""),
    "tojson_text": lambda value: orjson.dumps(value).decode(),
    "level_class": lambda level: LEVEL_CLASSES.get(level, "l3"),
}
"""What templates call. ``ago`` needs the time now and is bound to it when a page is rendered."""
