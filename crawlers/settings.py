"""Scrapy's settings, made from ours."""

from __future__ import annotations

from typing import Any

from crawlers.audited import PLACE
from crawlers.config import CrawlSettings, Platform
from crawlers.memory import memory_settings

ROBOTS_NAME = "Shengwen"
"""The name that robots.txt is read for, in the browser too."""


def scrapy_settings(settings: CrawlSettings, platform: Platform) -> dict[str, Any]:
    """Scrapy's settings for one run of one platform, without the browser's (see :mod:`crawlers.browser`).

    One request at a time, a pause before each, and only broken connections are tried again: an answer that says stop
    is never asked a second time.
    """
    from scrapy.downloadermiddlewares import cookies
    from tldextract import TLDExtract

    # Which names are domains of many owners, Scrapy would fetch from the network: the list that comes along will do.
    cookies._split_domain = TLDExtract(include_psl_private_domains=True, suffix_list_urls=())
    here = settings.of(platform)
    low, high = here.pause
    mean = (low + high) / 2
    return {
        "BOT_NAME": "shengwen",
        "USER_AGENT": settings.user_agent,
        "DEFAULT_REQUEST_HEADERS": {"Accept": "*/*", "Accept-Language": "zh-CN,zh;q=0.9"},
        "ROBOTSTXT_OBEY": here.obey_robots,
        "ROBOTSTXT_USER_AGENT": ROBOTS_NAME,
        "CONCURRENT_REQUESTS": 1,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 1,
        "DOWNLOAD_DELAY": mean,
        "DOWNLOAD_DELAY_JITTER": (high - mean) / mean if mean else 0,
        "DOWNLOAD_TIMEOUT": here.timeout,
        "DOWNLOAD_MAXSIZE": here.max_bytes,
        "DOWNLOAD_WARNSIZE": 0,
        "DOWNLOAD_FAIL_ON_DATALOSS": True,
        "RETRY_ENABLED": True,
        "RETRY_TIMES": 2,
        "RETRY_HTTP_CODES": [],
        "DOWNLOADER_MIDDLEWARES": {"crawlers.audited.AuditMiddleware": PLACE},
        "METAREFRESH_ENABLED": False,
        "HTTPPROXY_ENABLED": True,
        "COOKIES_ENABLED": True,
        "TELNETCONSOLE_ENABLED": False,
        "LOG_ENABLED": False,
        "LOG_INSTALL_ROOT_HANDLER": False,
        "REMOTE_CONTROL_ENABLED": False,
        # Named one by one: newer versions of Scrapy bring consoles that run code for whoever can reach their port.
        "EXTENSIONS_BASE": {"scrapy.extensions.corestats.CoreStats": 0, "crawlers.memory.FamilyMemory": 0},
        "EXTENSIONS": {},
        "TWISTED_REACTOR": "twisted.internet.asyncioreactor.AsyncioSelectorReactor",
    } | memory_settings(settings.memory_mb)
