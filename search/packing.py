"""How a classified mention is kept: JSON without its nulls, deflated against a dictionary of what every record says.

zlib's checksum is verified on every read, so a flipped byte in a stored document never goes unnoticed.
"""

from __future__ import annotations

import zlib

from pydantic import ValidationError

from ingest.analysis import ClassifiedMention
from ingest.errors import Permanent, Poison

_LEVEL = 3
_WINDOW_BITS = 13
_MEMORY = 5

DICTIONARY = (
    '"seller_reply":"您好，感谢您对我们的支持，如有问题请联系客服"https://item.jd.comhttps://detail.tmall.com/item.htm?id='
    "https://www.douyin.com/video/https://www.zhihu.com/question/https://www.xiaohongshu.com/explore/"
    '"kind":"question""kind":"answer""kind":"post""kind":"video""kind":"article""kind":"comment""kind":"survey"'
    '"flags":["advertisement","template","off_topic","sarcasm","safety","unsure","default_review","empty"],'
    '"intent":"suggestion""intent":"question""intent":"praise""intent":"other""intent":"complaint"'
    '{"tag":"产品质量/漏水渗水","sentiment":"negative","confidence":0.9{"tag":"产品质量/不热"{"tag":"安装服务/师傅态度"'
    '{"tag":"物流问题/破损"{"tag":"客服售后/响应慢"{"tag":"运营价格/性价比"{"tag":"使用体验/采暖效果"{"tag":"表扬/表扬-产品"'
    '"source":"xiaohongshu","source":"douyin","source":"zhihu","source":"tmall","source":"import:'
    '{"id":"jd:review:1","source":"jd","kind":"review","text":"","empty_text":false,"rating":5,"rating_scale":"5",'
    '"created_at":"2026-01-05T01:00:00Z","created_precision":"second","collected_at":"2026-01-05T01:00:00Z","url":"https://'
    '","product":{"id":"","sku":"","name":"暖气片","spec":""},"author":{"key":"","is_seller":false,"is_brand":false},'
    '"region":"","likes":0,"replies":0,"shares":0,"views":0,"approximate":false,"appends":[{"text":"","created_at":"2026-'
    '"}],"media":[{"type":"image","url":"https://"}],"matched":{"words":["暖气片"],"names":["暖气片"],"products":[],"competitors":[],"excluded":[],"about":"none","query":"暖气片"},'
    '"revision":{"hash":"","number":17},"raw":{"url":"https://","captured_at":"2026-01-05T01:00:00Z","sha256":"","parser":"jd/1"},'
    '"analysis":{"sentiment":{"label":"positive","positive":0.0,"neutral":0.0,"negative":0.9},"intent":"complaint",'
    '"tags":[{"tag":"产品质量/","sentiment":"positive","confidence":0.9,"span":[0,4]}],"flags":[],"severity":0.0,'
    '"severity_reason":"","model":""}}'
).encode()
"""Written into each index file when it is made, and read from there: changing it harms no file."""


class Damage(Permanent):
    """What is read back is not what was written."""


class Packer:
    """Packs and unpacks against one dictionary. Thread-safe."""

    def __init__(self, dictionary: bytes) -> None:
        # Copying a primed state costs a third of reading the dictionary in again for each record.
        self._deflate = zlib.compressobj(
            _LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY, zlib.Z_DEFAULT_STRATEGY, dictionary
        )
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS, dictionary)

    def pack(self, mention: ClassifiedMention) -> bytes:
        """Raises Poison when the mention has no JSON form."""
        try:
            plain = mention.model_dump_json(exclude_none=True).encode()
        except (ValueError, TypeError) as error:  # lone surrogates, in a record that was never validated
            raise Poison(str(error)) from error
        deflate = self._deflate.copy()
        return deflate.compress(plain) + deflate.flush()

    def unpack(self, packed: bytes) -> ClassifiedMention:
        """Raises Damage when the bytes are not what was packed."""
        try:
            inflate = self._inflate.copy()
            plain = inflate.decompress(packed) + inflate.flush()
            if not inflate.eof:
                raise Damage("存下的文档不完整")
            return ClassifiedMention.model_validate_json(plain)
        except (zlib.error, ValidationError) as error:
            raise Damage(f"存下的文档读不出来：{type(error).__name__}") from error
