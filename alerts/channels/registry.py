"""From settings to channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import SecretStr

from alerts.channels.base import Channel, guard_logs
from alerts.config import AlertSettings, ChannelSettings
from ingest.clock import Clock


def _wecom(c: ChannelSettings, clock: Clock, timeout: float) -> Channel:
    from alerts.channels.wecom import WeComBot

    return WeComBot(c.name, c.url, clock, mobiles=c.mobiles, timeout=timeout)


def _feishu(c: ChannelSettings, clock: Clock, timeout: float) -> Channel:
    from alerts.channels.feishu import FeishuBot

    return FeishuBot(c.name, c.url, clock, secret=c.secret, keyword=c.keyword, timeout=timeout)


def _dingtalk(c: ChannelSettings, clock: Clock, timeout: float) -> Channel:
    from alerts.channels.dingtalk import DingTalkBot

    return DingTalkBot(c.name, c.url, clock, secret=c.secret, keyword=c.keyword, mobiles=c.mobiles, timeout=timeout)


def _webhook(c: ChannelSettings, clock: Clock, timeout: float) -> Channel:
    from alerts.channels.webhook import Webhook

    return Webhook(c.name, c.url, c.secret or SecretStr(""), clock, timeout=timeout)


_MAKERS: Mapping[str, Callable[[ChannelSettings, Clock, float], Channel]] = {
    "wecom": _wecom,
    "feishu": _feishu,
    "dingtalk": _dingtalk,
    "webhook": _webhook,
}


def make_channels(settings: AlertSettings, clock: Clock) -> dict[str, Channel]:
    """All configured channels and ticket systems by name. The caller closes them."""
    from alerts.channels.webhook import Webhook

    guard_logs()
    timeout = settings.delivery.timeout
    channels = {c.name: _MAKERS[c.type](c, clock, timeout) for c in settings.channels}
    for system in settings.ticket_systems:
        channels[system.name] = Webhook(system.name, system.url, system.secret, clock, timeout=timeout)
    return channels
