"""How Douyin says stop. A verification in search looks like success without results (``status_code`` 0, no data)."""

from __future__ import annotations

import json
import re
from typing import Final

from crawlers.decode import Decoded
from crawlers.endpoint import Stop, destinations
from crawlers.payload import Payload
from crawlers.reading import Reader

VERIFICATION: Final = Stop("verification", "抖音要求验证")
BLOCKED: Final = Stop("blocked", "抖音拒绝了：答复为空或被拦截")

_CHALLENGE: Final = re.compile(r"__ac_nonce|_\$jsvmprt|<title>[^<]{0,40}验证码中间页")
_CHALLENGE_TITLE: Final = re.compile(r"<title>[^<]{0,40}验证码")
_LOGIN_WORDS: Final = re.compile(r"access_?token|登录|授权|scope|auth", re.IGNORECASE)
_LIMIT_WORDS: Final = re.compile(r"频|次数|上限|限流|quota|limit|frequen", re.IGNORECASE)


def outside(payload: Payload) -> Stop | None:
    if "x-vc-bdturing-parameters" in payload.headers:
        return VERIFICATION
    if "x-tt-verify-passport-decision" in payload.headers:
        return Stop("verification", "抖音要求验证账号")
    for address in destinations(payload):
        host, _, path = address.partition("/")
        if host in ("sso.douyin.com", "passport.douyin.com") or path.startswith(("login", "passport/")):
            return Stop("login_required", "抖音转到了登录页")
        if host.startswith("verify.") or "captcha" in path:
            return VERIFICATION
    return None


def inside(decoded: Decoded, root: Reader) -> Stop | None:
    if decoded.form == "html":
        found = (_CHALLENGE_TITLE if decoded.state else _CHALLENGE).search(decoded.text)
        return VERIFICATION if found else None
    if decoded.form == "text" or isinstance(root.value, str):
        words = decoded.text.strip().strip('"').lower()[:200]
        if words.startswith(("blocked", "uifid not found")):
            return Stop("blocked", f"抖音答复“{words[:20]}”")
        return None
    if not isinstance(root.value, dict):
        return None
    if _nil_is_verification(root):
        return VERIFICATION
    code = root.text("status_code")
    if code in ("8", "2483"):
        return Stop("login_required", f"抖音要求登录（status_code {code}）")
    if code not in ("", "0"):
        return Stop("unknown", f"status_code {code[:20]}")
    error = root.text("data.error_code", "extra.error_code")
    return _open_error(root, error) if error not in ("", "0") else None


def _nil_is_verification(root: Reader) -> bool:
    nil = root["search_nil_info"]
    if nil.text("search_nil_type") == "verify_check" or nil.text("result_status") == "5":
        return True
    if nil.text("verify_type", "search_nil_item.verify_type") not in ("", "0"):
        return True
    context = root.at("log_pb.stab_extra.NilInfoContext").value
    written = context if isinstance(context, str) else json.dumps(context) if isinstance(context, dict | list) else ""
    return "verify_check" in written[:10_000]


def _open_error(root: Reader, code: str) -> Stop:
    words = root.text("data.description", "extra.description")[:300]
    reason = f"开放平台拒绝了（error_code {code[:20]}）"
    if _LIMIT_WORDS.search(words):
        return Stop("throttled", reason)
    return Stop("login_required" if _LOGIN_WORDS.search(words) else "unknown", reason)
