"""Where somebody is, as far as it is kept: the province, nothing finer."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_PROVINCES: Final = re.compile(
    "北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|"
    "贵州|云南|陕西|甘肃|青海|台湾|内蒙古|广西|西藏|宁夏|新疆|香港|澳门"
)
_PLACE_LABEL: Final = re.compile(r"^(?:IP\s*(?:属地|归属地)?|来自|发布于)\s*:?\s*|^中国(?=.)", re.IGNORECASE)


def province(value: object) -> str | None:
    """The province of "广东", "IP 属地广东", "广东省深圳市", "中国香港"; None for a foreign or unknown place."""
    if not isinstance(value, str):
        return None
    text = unicodedata.normalize("NFKC", value[:40]).strip()
    text = _PLACE_LABEL.sub("", _PLACE_LABEL.sub("", text))
    found = _PROVINCES.match(text)
    return found[0] if found else None
