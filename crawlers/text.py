"""Platform text → plain text: what a person would read, with line breaks, and nothing that steers a terminal or a page.

Two kinds come in: *plain* text that may hold entities and stray tags (JD, Tmall, Xiaohongshu, Douyin), where ``a<b`` is
what somebody typed, and *HTML* (Zhihu), where every tag is markup. Both leave as lines joined by ``\\n``, without
leading, trailing or doubled white space. All patterns run in linear time on hostile input.
"""

from __future__ import annotations

import html
import re
from typing import Final

from ingest.default_reviews import is_default_review

_TAG_NAMES: Final = (
    "a|abbr|article|b|big|blockquote|body|br|code|dd|del|div|dl|dt|em|figcaption|figure|font|form|h[1-6]|head|hr|html|i|"
    "iframe|img|input|ins|li|link|mark|meta|noscript|ol|p|pre|script|section|small|span|strong|style|sub|sup|table|"
    "tbody|td|th|thead|tr|u|ul|video"
)
_ATTRIBUTES: Final = r"""(?:\s++[A-Za-z_:][\w:.-]*+(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s"'<>]++))?)*+\s*+/?>"""
_KNOWN_TAG: Final = re.compile(rf"<(/?)({_TAG_NAMES}){_ATTRIBUTES}", re.IGNORECASE)
_ANY_TAG: Final = re.compile(r"""<(/?)([A-Za-z][\w:-]*+)(?:"[^"<]*+"|'[^'<]*+'|[^<>"']++|["'])*+>""")
_COMMENT: Final = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_UNSEEN: Final = re.compile(r"<(script|style|noscript|template)\b.*?(?:</\1\s*+>|\Z)", re.DOTALL | re.IGNORECASE)
_COMMENT_IMAGE: Final = re.compile(
    r'<a\s[^<>]{0,500}?class="[^"<>]{0,100}comment_(?:img|gif|sticker)[^<>]{0,2000}>[^<>]*+</a>'
)
_BREAKING: Final = frozenset(
    [
        "article",
        "blockquote",
        "br",
        "dd",
        "div",
        "dl",
        "dt",
        "figcaption",
        "figure",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "li",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "tr",
        "ul",
    ]
)

_LINE_ENDS: Final = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_ODD_SPACE: Final = "[\t\x1f\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]"
_SPACES: Final = re.compile(_ODD_SPACE.replace("[", "[ ") + "+")
_DROPPED: Final = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
    # A zero-width joiner holds an emoji sequence together; anywhere else it only hides words from a search.
    "|(?<![\u2190-\u2bff\ufe0f\U0001f000-\U0001faff])\u200d"
)
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_BLANK_LINES: Final = re.compile(r" ?\n[ \n]*")
_UNTIDY: Final = re.compile(
    "|".join([*(p.pattern for p in (_LONE_SURROGATE, _LINE_ENDS, _DROPPED)), _ODD_SPACE, "\n|  "])
)

_XHS_TOPIC: Final = re.compile(r"#([^#\[\]\n]{1,80})\[[^\[\]#\n]{1,6}\]#")
_XHS_EMOJI: Final = re.compile(r"\[([^\[\]\s]{0,11}[\u4e00-\u9fff][^\[\]\s]{0,3}?)R\]")
_APPEND_PREFIX: Final = re.compile(
    r"^\s*(?:\[?(?:用户|买家)?(?:确认)?(?:收货|购买|评价)?后?\s*(?:\d{1,4}|[一二两三四五六七八九十半]{1,3})\s*(?:天|小时|个?月)之?后?\s*"
    r"追(?:加评论|加|评)\]?|\[?追评\]?)\s*[:：]?\s*"
)


def clean(text: str) -> str:
    """Plain text of a platform: entities resolved, known tags taken off, invisible characters dropped."""
    if "<" in text:
        text = _KNOWN_TAG.sub(_tag_break, text)
    return _tidy(html.unescape(text))


def clean_html(text: str) -> str:
    """HTML as a reader sees it, without pictures, scripts and styles."""
    if "<" in text:
        text = _COMMENT.sub("", text)
        text = _UNSEEN.sub("", text)
        text = _COMMENT_IMAGE.sub("", text)
        text = _ANY_TAG.sub(_tag_break, text)
    return _tidy(html.unescape(text))


def clean_note(text: str) -> str:
    """Xiaohongshu text: as :func:`clean`; ``#x[话题]#`` becomes ``#x``, the emoji ``[偷笑R]`` becomes ``[偷笑]``."""
    text = _XHS_TOPIC.sub(r"#\1 ", text)
    return clean(_XHS_EMOJI.sub(r"[\1]", text))


def review_text(text: str) -> tuple[str, bool]:
    """The cleaned text of a review and whether nothing was written (blank or a default review: then the text is "")."""
    cleaned = clean(text)
    return ("", True) if not cleaned or is_default_review(cleaned) else (cleaned, False)


def append_text(text: str) -> str:
    """The cleaned text of a 追评 without a leading "N天后追评"; "" when nothing was written."""
    cleaned = clean(text)
    cleaned = _APPEND_PREFIX.sub("", cleaned, count=1) or cleaned
    return "" if is_default_review(cleaned) else cleaned


def _tag_break(match: re.Match[str]) -> str:
    return "\n" if match[2].lower() in _BREAKING else ""


def _tidy(text: str) -> str:
    if _UNTIDY.search(text) is None:  # most texts
        return text.strip()
    text = _LONE_SURROGATE.sub("\ufffd", text)
    text = _LINE_ENDS.sub("\n", text)
    text = _SPACES.sub(" ", _DROPPED.sub("", text))
    return _BLANK_LINES.sub("\n", text).strip()
