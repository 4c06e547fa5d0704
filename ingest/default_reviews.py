"""What platforms write when a buyer wrote nothing: no text, whatever the stars say (PLATFORMS §1.4, §2.5)."""

from __future__ import annotations

import re

_PUNCTUATION = re.compile(r"[\W_]+")
_DEFAULTS = frozenset(
    {
        "此用户未填写评价内容",
        "此用户没有填写评论",
        "此用户没有填写评价",
        "此用户没有填写评价内容",
        "此用户未及时填写评价内容",
        "用户未填写评价内容",
        "该用户未填写评价内容",
        "您没有填写内容默认好评",
        "系统默认好评",
        "系统默认评论",
        "系统默认评价",
        "评价方未及时做出评价系统默认好评",
        "用户未及时作出评价哦",
        "用户未及时做出评价哦",
        "默认好评",
    }
)


def is_default_review(text: str) -> bool:
    """True for a platform's own filler text, compared without white space and punctuation."""
    return len(text) < 60 and _PUNCTUATION.sub("", text) in _DEFAULTS
