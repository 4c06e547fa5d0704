"""What the gateways of JD and Taobao share: a form with a method's name, a login, Beijing's clock and a signature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from crawlers.official.client import Call, Client
from crawlers.official.signing import SignMethod, sign
from ingest.clock import BEIJING, Clock

CLOCK: Final = "%Y-%m-%d %H:%M:%S"
"""How both write an instant, in Beijing time."""


def signed_form(
    client: Client,
    clock: Clock,
    *,
    url: str,
    real: str,
    method: str,
    asked: Mapping[str, str],
    login: Mapping[str, str],
    secret: str,
    how: SignMethod = "md5",
    share: float = 1.0,
) -> Call:
    """``asked`` is the method's own part; ``login``: the keys that say who asks. Signed anew for each try."""

    def form() -> dict[str, str]:
        params = {
            "method": method,
            **login,
            "timestamp": clock.now().astimezone(BEIJING).strftime(CLOCK),
            "v": "2.0",
            "format": "json",
            "sign_method": how,
            **asked,
        }
        return params | {"sign": sign(params, secret, how)}

    return Call(
        send=lambda: client.http.build_request("POST", url, data=form()),
        real=real,
        posted=urlencode({"method": method, **asked}).encode(),
        share=share,
    )
