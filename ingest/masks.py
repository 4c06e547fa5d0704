"""Masks: personal data in a text becomes a word in brackets. Idempotent, and linear in hostile text.

What is masked are phone, ID, card, order and plate numbers, mail and chat accounts, addresses down to a house, and
``@names``, also where people write them in full-width, Chinese or circled digits to get past filters. What a product
is called, measures, costs or when it came is not; between the two, a doubtful number in a personal form is masked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_MAX_PASSES = 8
"""A mask may uncover another ("@name@name"); nothing that people write needs more than three passes."""

# Same length, so that positions stay.
_FULL_WIDTH = {0xFF01 + i: 0x21 + i for i in range(94) if chr(0x21 + i) not in "!,;?"} | {0x3000: 0x20}
_SPOKEN = str.maketrans(
    "零〇一二三四五六七八九幺壹贰叁肆伍陆柒捌玖①②③④⑤⑥⑦⑧⑨", "00" + "123456789" + "1" + "123456789" * 2
)
# "一" alone is a word: spoken digits count as digits only where eleven of them make a phone number.
_DIGITS = _FULL_WIDTH | _SPOKEN
_SPOKEN_RUN = re.compile(
    "[零〇一二三四五六七八九幺壹贰叁肆伍陆柒捌玖①-⑨](?:[- .]?[0-9零〇一二三四五六七八九幺壹贰叁肆伍陆柒捌玖①-⑨]){2}"
)

_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_NO_NAME = "的了是在到住送给往从去来走说叫让我你您他她它们这那条两个和与或为于离靠没不都也就还"


def _name_ranges() -> Iterator[str]:
    low = "一"
    for stop in sorted(_NO_NAME):
        if low < stop:
            yield f"{low}-{chr(ord(stop) - 1)}"
        low = chr(ord(stop) + 1)
    yield f"{low}-龥"


_N = f"[{''.join(_name_ranges())}A-Za-z0-9]"
"""A character of a place's name: no particle, pronoun or verb that stands before one."""
_NUM = r"(?:\d{1,5}|[零〇一二三四五六七八九十百]{1,5})"
_PART = rf"[ ,，]?[A-Za-z]?{_NUM}(?:-\d{{1,5}})?(?:号楼|号院|号|栋|幢|座|弄|单元|室|层|楼|户)"
_DOOR = rf"(?:{_PART})*(?:[ \-]?\d{{3,4}}(?!\d))?"
_REGION = rf"(?:(?>{_N}{{1,7}}?(?:省|市|区|县|镇|乡|街道))){{0,4}}"

_PHONES = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?<!\d)(?:\+?86[- ]?)?1[3-9]\d(?:[- .]?\d{4}){2}(?!\d)",
        r"(?<!\d)1[3-9]\d[- .]?\d{3}[- .]?\d{3}[- .]?\d{2}(?!\d)",
        r"(?<!\d)(?<!\d[- .])1([- .])[3-9](?:\1\d){9}(?!\1?\d)",
    )
)
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("[邮箱]", re.compile(r"[A-Za-z0-9._%+\-]{1,64}@[A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{2,24}){1,3}")),
    (
        "[证件号]",
        re.compile(
            r"(?<!\d)[1-9]\d{5}[ -]?(?:18|19|20)\d{2}(?:0\d|1[0-2])(?:[0-2]\d|3[01])[ -]?\d{3}[\dXx](?![\dA-Za-z])"
        ),
    ),
    ("[号码]", re.compile(r"(?<!\d)(?:62|4\d|5[1-5])\d{2}([ -])\d{4}\1\d{4}\1\d{4}(?:\1?\d{1,3})?(?!\d)")),
    *(("[电话]", pattern) for pattern in _PHONES),
    ("[电话]", re.compile(r"(?<!\d)(?:\(0\d{2,3}\)|0\d{2,3})[- ]?[2-9]\d{2,3}[- ]?\d{4}(?!\d)")),
    (
        "[账号]",
        re.compile(
            r"(?i)(?:(?<![A-Z])(?:vx|wx|v信|QQ)|(?<![A-Z0-9])v(?=\s?:)|加v|微信|威信|扣扣)"
            r"[\s号码群是为:]{0,6}(?:[A-Z][\w\-]{5,}|\d{5,})",
            re.ASCII,
        ),
    ),
    (
        "[订单号]",
        re.compile(r"(?:订单(?:编)?号?码?|快递单号?|运单号?|单号)[\s是为:#]{0,6}[A-Za-z]{0,4}\d{6,}"),
    ),
    ("[号码]", re.compile(r"(?<![\dA-Za-z.])\d{12,}(?!\d)")),
    (
        "[车牌]",
        re.compile(
            rf"(?<![全最崭])[{_PROVINCES}][A-HJ-NP-Za-hj-np-z][· .]?"
            r"(?=[A-HJ-NP-Za-hj-np-z]*\d)[A-HJ-NP-Za-hj-np-z0-9]{5,6}(?![A-Za-z0-9])"
        ),
    ),
    (
        "[地址]",
        re.compile(
            r"(?:收货|送货|家庭|安装|我家)地址\s{0,3}(?::\s{0,3}|[是为]\s{0,3}(?=[^\s，。；;！\n]{0,30}?[省市区县镇乡村路街号栋楼苑园]))"
            r"[^\s，。；,;!！\n]{6,60}"
        ),
    ),
    # Atomic groups in the region: hostile text ("市市市…") must not make the search backtrack.
    ("[地址]", re.compile(rf"{_REGION}{_N}{{1,6}}?(?:路|大街|街|大道|巷|胡同)[ ]?{_NUM}(?:-\d{{1,5}})?[号弄]{_DOOR}")),
    (
        "[地址]",
        re.compile(
            rf"{_REGION}{_N}{{1,6}}?(?:小区|花园|家园|公寓|新村|苑|村|广场|大厦)(?:[A-Za-z]?\d{{1,3}}区)?{_PART}{_DOOR}"
        ),
    ),
    (
        "[地址]",
        re.compile(rf"{_NUM}(?:号楼|栋|幢|座)[ ,，]?(?:{_NUM}单元(?:{_NUM}(?:室|户|号)?)?|\d{{3,4}}(?:室|户))"),
    ),
)
_AT_NAMES = re.compile(r"(?<![A-Za-z0-9])(?:[@＠][^\s@＠，。,!！?？:：;；、()（）【】\[\]]{1,30})+")
_SUSPECT = re.compile(
    r"(?i)[\d@＠零〇一二三四五六七八九幺①-⑨壹贰叁肆伍陆柒捌玖]|地址|微信|威信|扣扣|[vw]x|v信|qq|v\s?:|加v"
)


def mask(text: str) -> str:
    """The text with personal data replaced: ``[电话] [证件号] [订单号] [号码] [地址] [车牌] [邮箱] [账号] @[用户]``."""
    for _ in range(_MAX_PASSES):
        masked = _once(text)
        if masked == text:
            break
        text = masked
    return text


def _once(text: str) -> str:
    plain = text.translate(_FULL_WIDTH)
    if not _SUSPECT.search(plain):
        return text
    if _SPOKEN_RUN.search(plain):
        for pattern in _PHONES:
            text, _ = _replace(text, text.translate(_DIGITS), pattern, "[电话]")
        plain = text.translate(_FULL_WIDTH)
    for word, pattern in _PATTERNS:
        text, plain = _replace(text, plain, pattern, word)
    return _AT_NAMES.sub(lambda match: "@[用户]" * len(re.findall("[@＠]", match[0])), text)


def _replace(text: str, plain: str, pattern: re.Pattern[str], word: str) -> tuple[str, str]:
    """Find in the plain form, replace in it and in the text as written (both have the same length)."""
    spans = [match.span() for match in pattern.finditer(plain)]
    return (_cut(text, spans, word), _cut(plain, spans, word)) if spans else (text, plain)


def _cut(text: str, spans: list[tuple[int, int]], word: str) -> str:
    parts, at = [], 0
    for start, end in spans:
        parts += [text[at:start], word]
        at = end
    return "".join([*parts, text[at:]])


__all__ = ["mask"]
