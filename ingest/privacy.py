"""Privacy: names become keyed hashes, personal data in texts is masked, before anything is stored or streamed.

《个人信息保护法》: nicknames and platform ids never leave the process; phone, ID, order and card numbers, addresses,
plates, mail and chat ids in texts are replaced by a word in brackets. Masking is idempotent.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.draft import Draft
from ingest.errors import ConfigError, Poison
from ingest.mention import MAX_TEXT, Append, Author, Matched, Mention, Raw, make_mention

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

SECRET_BYTES = 32

# Same length, so that positions stay: people write numbers in full-width or Chinese digits to get past filters.
_PLAIN = str.maketrans(
    "０１２３４５６７８９ＡＢＣＤＥＦＧＨＪＫＬＭＮＰＱＲＳＴＵＶＷＸＹＺｘ－　＠．：零〇一二三四五六七八九幺①②③④⑤⑥⑦⑧⑨",
    "0123456789ABCDEFGHJKLMNPQRSTUVWXYZx- @.:001234567891123456789",
)
# Only digits that stand in a run of eleven are numbers; "一" alone is a word.
_FULL_WIDTH_ONLY = str.maketrans(
    "０１２３４５６７８９ＡＢＣＤＥＦＧＨＪＫＬＭＮＰＱＲＳＴＵＶＷＸＹＺｘ－　＠．：",
    "0123456789ABCDEFGHJKLMNPQRSTUVWXYZx- @.:",
)

_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_PLACE = r"[一-龥A-Za-z0-9]"
_UNIT = r"(?:号楼|号院|号|栋|幢|座|弄|单元|室|层|楼|户)"

_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("[邮箱]", re.compile(r"[A-Za-z0-9._%+\-]{1,64}@[A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{2,24}){1,3}")),
    ("[证件号]", re.compile(r"(?<!\d)[1-9]\d{5}(?:18|19|20)\d{2}(?:0\d|1[0-2])(?:[0-2]\d|3[01])\d{3}[\dXx](?!\d)")),
    ("[电话]", re.compile(r"(?<!\d)(?:\+?86[- ]?)?1[3-9]\d(?:[- .]?\d{4}){2}(?!\d)")),
    ("[电话]", re.compile(r"(?<!\d)1[3-9]\d[- .]?\d{3}[- .]?\d{3}[- .]?\d{2}(?!\d)")),
    ("[电话]", re.compile(r"(?<!\d)0\d{2,3}[- ]?[2-9]\d{6,7}(?!\d)")),
    ("[账号]", re.compile(r"(?i)(?:微信号?|vx|wx|v信|威信|扣扣|QQ号?)\s*(?:号|是|[:：])*\s*[A-Za-z0-9][\w\-]{4,19}")),
    ("[订单号]", re.compile(r"(?:订单(?:编)?号?|单号|运单号?|快递单号?)\s*(?:是|为|[:：#])*\s*[A-Za-z]{0,4}\d{6,24}")),
    ("[号码]", re.compile(r"(?<![\dA-Za-z.])\d{12,24}(?!\d)")),
    (
        "[车牌]",
        re.compile(rf"[{_PROVINCES}][A-HJ-NP-Z][· .]?(?=[A-HJ-NP-Z0-9]*\d)[A-HJ-NP-Z0-9]{{5,6}}(?![A-Za-z0-9])"),
    ),
    (
        "[地址]",
        re.compile(
            # Atomic groups: hostile text ("市市市…") must not make the search backtrack.
            rf"(?:(?>[一-龥]{{2,7}}?(?:省|市|区|县|镇|乡|街道))){{0,4}}{_PLACE}{{1,5}}"
            rf"(?:路|大街|街|大道|巷|胡同|小区|花园|家园|公寓|新村|苑|村|广场|大厦)"
            rf"[ ,，]?(?:[A-Za-z]?\d{{1,5}}[-—]?(?:\d{{1,5}})?{_UNIT}[ ,，]?)+(?:\d{{1,5}}(?:室|户)?)?"
        ),
    ),
    ("[地址]", re.compile(rf"\d{{1,4}}(?:号楼|栋|幢|座){_PLACE}{{0,2}}\d{{1,2}}单元(?:\d{{1,5}}(?:室|户|号)?)?")),
    ("[地址]", re.compile(r"(?:收货|家庭|安装|我家)地址\s*(?:是|为|[:：])\s*[^\s，。；,;!！\n]{6,60}")),
)
_CHINESE_PHONE = re.compile(r"(?<![0-9])1[3-9][0-9]{9}(?![0-9])")
_AT_NAME = re.compile(r"(?<![A-Za-z0-9])[@＠][^\s@＠，。,!！?？:：;；、()（）【】\[\]]{1,30}")
_HAS_SUSPECT = re.compile(r"[0-9０-９@＠零〇一二三四五六七八九幺①-⑨]|地址|微信|vx|VX|扣扣|QQ")


def mask(text: str) -> str:
    """The text with personal data replaced: ``[电话] [证件号] [订单号] [号码] [地址] [车牌] [邮箱] [账号] @[用户]``."""
    if not _HAS_SUSPECT.search(text):
        return text
    text = _replace(text, _CHINESE_PHONE, "[电话]", lambda t: t.translate(_PLAIN))
    for word, pattern in _PATTERNS:
        text = _replace(text, pattern, word, lambda t: t.translate(_FULL_WIDTH_ONLY))
    return _AT_NAME.sub(lambda m: m[0] if m[0][1:] == "[用户]" else "@[用户]", text)


def _replace(text: str, pattern: re.Pattern[str], word: str, plain: Callable[[str], str]) -> str:
    """Find in the plain form, replace in the text as written (both have the same length)."""
    parts, at = [], 0
    for match in pattern.finditer(plain(text)):
        parts += [text[at : match.start()], word]
        at = match.end()
    return "".join([*parts, text[at:]]) if parts else text


class Privacy:
    """Seals drafts with the installation's secret. Thread-safe.

    Losing the secret makes author keys start anew and sealed dead letters unreadable; it lives in the home folder.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < SECRET_BYTES:
            raise ConfigError(f"密钥太短：至少需要 {SECRET_BYTES} 字节")
        self._secret = secret

    def __repr__(self) -> str:
        return "Privacy(secret=…)"

    def author_key(self, source: str, author_id: str) -> str:
        """24 hex digits; the same person on the same source always gets the same key."""
        text = f"author\x00{source}\x00{author_id}".encode("utf-8", "surrogatepass")
        return hmac.new(self._secret, text, sha256).hexdigest()[:24]

    def seal(self, draft: Draft, raw: Raw, matched: Matched | None = None) -> Mention:
        """Mask, hash and validate. Raises Poison naming the field.

        Where the platform shows no time, ``created_at`` is the capture, precise to the day.
        """
        for name in ("text", "title", "seller_reply"):
            value = getattr(draft, name)
            if value is not None and not isinstance(value, str):
                raise Poison("not a text", field=name)
            if value and len(value) > MAX_TEXT:
                raise Poison(f"longer than {MAX_TEXT} characters", field=name)
        dated = draft.created_at is not None
        return make_mention(
            native_id=draft.native_id,
            source=draft.source,
            kind=draft.kind,
            raw=raw,
            parent_id=f"{draft.source}:{draft.parent_native}" if draft.parent_native else None,
            title=mask(draft.title) if draft.title else None,
            text=mask(draft.text),
            empty_text=draft.empty_text,
            rating=draft.rating,
            rating_scale=draft.rating_scale,
            created_at=draft.created_at if dated else raw.captured_at,
            created_precision=draft.created_precision if dated else "day",
            url=draft.url,
            product=draft.product,
            author=Author(
                key=self.author_key(draft.source, draft.author_id) if draft.author_id else None,
                is_seller=draft.is_seller,
                is_brand=draft.is_brand,
            ),
            region=draft.region,
            likes=draft.likes,
            replies=draft.replies,
            shares=draft.shares,
            views=draft.views,
            approximate=draft.approximate,
            appends=tuple(Append(text=mask(a.text), created_at=a.created_at) for a in draft.appends),
            seller_reply=mask(draft.seller_reply) if draft.seller_reply else None,
            media=tuple(draft.media),
            matched=matched or Matched(),
        )

    @cached_property
    def _box(self) -> Fernet:
        from cryptography.fernet import Fernet

        return Fernet(urlsafe_b64encode(hmac.new(self._secret, b"dead letters", sha256).digest()))

    def lock(self, payload: bytes) -> bytes:
        """Encrypt a payload that was not masked yet, so that it can be parked and replayed without lying open."""
        return self._box.encrypt(payload)

    def unlock(self, token: bytes) -> bytes:
        """Undo :meth:`lock`. Raises Poison when the secret is another one or the bytes were changed."""
        from cryptography.fernet import InvalidToken

        try:
            return self._box.decrypt(token)
        except InvalidToken as error:
            raise Poison("sealed with another secret, or damaged", field="payload") from error


def load_secret(path: Path) -> bytes:
    """Read the installation's secret; made once, readable by its owner only. Raises ConfigError when unreadable."""
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f"{path.name}.{os.getpid()}.new")
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(secrets.token_bytes(SECRET_BYTES))
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, path)  # the first of two starting processes wins
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        secret = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"无法读取密钥文件 {path.name}：{error.strerror}") from error
    if len(secret) < SECRET_BYTES:
        raise ConfigError(f"密钥文件 {path.name} 不完整；请从备份恢复它")
    return secret
