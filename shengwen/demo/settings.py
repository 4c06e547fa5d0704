"""Where the replica answers for each real host.

The five platforms share one loopback port. Below each base the paths equal the real host's paths exactly, so a spider
builds ``platform_bases(url)["jd"]["club.jd.com"] + "/comment/productPageComments.action?productId=…"``.

    jd
        item.jd.com             /jd/item         /{sku}.html (the page; its script loads everything below)
        club.jd.com             /jd/club         /comment/productPageComments.action (JSONP, GBK; Referer needed),
                                                 skuProductPageComments, getProductPageFoldComments,
                                                 productCommentSummaries
        api.m.jd.com            /jd/api          /?functionId=getLegoWareDetailComment, /client.action (page-signed)
        question.jd.com         /jd/question     /question/getQuestionAnswerList.action, getAnswerListById.action
        passport.jd.com         /jd/passport     /new/login.aspx
        www.jd.com              /jd/www          where a product that is gone leads
        cfe.m.jd.com            /jd/cfe          where a verification leads
    tmall
        detail.tmall.com        /tmall/detail    /item.htm?id=
        rate.tmall.com          /tmall/rate      /list_detail_rate.htm (JSONP, GBK)
        h5api.m.tmall.com       /tmall/h5api     /h5/mtop.taobao.rate.detaillist.get/6.0/,
                                                 /h5/mtop.alibaba.review.list.for.new.pc.detail/1.0/,
                                                 /h5/mtop.taobao.social.feed.aggregate/1.0/,
                                                 /h5/mtop.taobao.social.ugc.post.detail/1.0/ (page-signed)
        login.taobao.com        /tmall/login     /member/login.jhtml
    xiaohongshu
        www.xiaohongshu.com     /xhs             /search_result?keyword=, /explore/{id}?xsec_token=, /login
        edith.xiaohongshu.com   /xhs/edith       /api/sns/web/v1/search/notes, /v1/feed, /v2/comment/page,
                                                 /v2/comment/sub/page (page-signed)
    douyin
        www.douyin.com          /douyin          /search/{kw}, /video/{id}, /passport/login,
                                                 /aweme/v1/web/… (page-signed)
    zhihu
        www.zhihu.com           /zhihu           /question/{id}, /question/{q}/answer/{a}, /zvideo/{id},
                                                 /search, /signin,
                                                 /api/v4/questions/{id}/feeds, /api/v4/comment_v5/…,
                                                 /api/v4/search_v3 (page-signed)
        zhuanlan.zhihu.com      /zhihu/zhuanlan  /p/{id}
        developer.zhihu.com     /zhihu/developer /api/v1/content/zhihu_search (Authorization: Bearer …)

"Page-signed" calls want what only the page's own script makes; without it they answer as refused.
"""

from __future__ import annotations

from typing import Final

from shengwen.demo.cast import PLATFORMS, Platform

PREFIXES: Final[dict[Platform, dict[str, str]]] = {
    "jd": {
        "item.jd.com": "/jd/item",
        "club.jd.com": "/jd/club",
        "api.m.jd.com": "/jd/api",
        "question.jd.com": "/jd/question",
        "passport.jd.com": "/jd/passport",
        "www.jd.com": "/jd/www",
        "cfe.m.jd.com": "/jd/cfe",
    },
    "tmall": {
        "detail.tmall.com": "/tmall/detail",
        "rate.tmall.com": "/tmall/rate",
        "h5api.m.tmall.com": "/tmall/h5api",
        "login.taobao.com": "/tmall/login",
    },
    "xiaohongshu": {"www.xiaohongshu.com": "/xhs", "edith.xiaohongshu.com": "/xhs/edith"},
    "douyin": {"www.douyin.com": "/douyin"},
    "zhihu": {
        "www.zhihu.com": "/zhihu",
        "zhuanlan.zhihu.com": "/zhihu/zhuanlan",
        "developer.zhihu.com": "/zhihu/developer",
    },
}

LOGIN_PATHS: Final[dict[Platform, str]] = {
    "jd": "/jd/passport/new/login.aspx",
    "tmall": "/tmall/login/member/login.jhtml",
    "xiaohongshu": "/xhs/login",
    "douyin": "/douyin/passport/login",
    "zhihu": "/zhihu/signin",
}
LOGIN_COOKIES: Final[dict[Platform, str]] = {
    "jd": "thor",
    "tmall": "cookie2",
    "xiaohongshu": "web_session",
    "douyin": "sessionid",
    "zhihu": "z_c0",
}
"""The cookie that a login page sets; that it holds a session which has not ended is what "logged in" means here."""


def platform_bases(base_url: str) -> dict[str, dict[str, str]]:
    """Platform → real host → base in the replica at ``base_url`` (``http://127.0.0.1:PORT``); no closing slash."""
    root = base_url.rstrip("/")
    return {name: {host: root + prefix for host, prefix in PREFIXES[name].items()} for name in PLATFORMS}


def real_url(base_url: str, url: str) -> str:
    """The address on the real host that a replica address stands for; any other address comes back unchanged.

    Parsers look at hosts (``passport.jd.com`` is a login wall), so a payload from the replica should carry this.
    """
    root = base_url.rstrip("/")
    if not url.startswith(root + "/"):
        return url
    path = url[len(root) :]
    hosts = [(prefix, host) for platform in PLATFORMS for host, prefix in PREFIXES[platform].items()]
    for prefix, host in sorted(hosts, key=lambda pair: len(pair[0]), reverse=True):
        if path == prefix or path.startswith((prefix + "/", prefix + "?")):
            return f"https://{host}{path[len(prefix) :] or '/'}"
    return url
