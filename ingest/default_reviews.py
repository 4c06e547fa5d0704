"""What platforms write when a buyer wrote nothing: no text, whatever the stars say (PLATFORMS §1.4, §2.5)."""

from __future__ import annotations

import unicodedata
from typing import Final

LONGEST: Final = 60
_DEFAULTS: Final = frozenset(
    {
        "此用户未填写评价",
        "此用户未填写评价内容",
        "此用户未填写文字评价",
        "此用户没有填写评论",
        "此用户没有填写评价",
        "此用户没有填写评价内容",
        "此用户未及时填写评价内容",
        "用户未填写评价内容",
        "该用户未填写评价",
        "该用户未填写评价内容",
        "您没有填写内容默认好评",
        "默认好评",
        "系统默认好评",
        "系统默认评论",
        "系统默认评价",
        "评价方未及时做出评价系统默认好评",
        "评价方未及时作出评价系统默认好评",
        "用户未及时作出评价哦",
        "用户未及时做出评价哦",
    }
)


def is_default_review(text: str) -> bool:
    """Whether the platform filled the text in; white space, punctuation and full-width forms make no difference."""
    return len(text) <= LONGEST and _skeleton(text) in _DEFAULTS


def _skeleton(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", text) if c.isalnum())
