"""Answers in the shapes of Douyin 抖音, about an invented brand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

AWEME_ID = "7603286382429717282"

DOUYIN_AWEME: Mapping[str, Any] = {
    "aweme_id": AWEME_ID,
    "desc": "暖气片安装翻车现场 #暖气片 [呲牙]",
    "create_time": 1765966706,
    "author": {
        "uid": "98",
        "sec_uid": "MS4wLjABAAAA",
        "nickname": "暖屹官方",
        "enterprise_verify_reason": "暖屹散热器官方账号",
    },
    "statistics": {
        "digg_count": 2816,
        "comment_count": 1046,
        "share_count": 2298,
        "collect_count": 711,
        "play_count": 0,
    },
    "aweme_type": 0,
    "media_type": 4,
    "images": None,
    "video": {"play_addr": {"url_list": ["https://v26-web.douyinvod.com/x.mp4"]}, "duration": 15000},
}

DOUYIN_SEARCH_URL = "https://www.douyin.com/aweme/v1/web/general/search/single/?keyword=%E6%9A%96%E6%B0%94%E7%89%87&offset={offset}&count=10"

DOUYIN_SEARCH: Mapping[str, Any] = {
    "status_code": 0,
    "data": [
        {"type": 1, "aweme_info": DOUYIN_AWEME},
        {"type": 6, "related_word_list": [{"word": "暖气片"}]},
        {
            "type": 1,
            "aweme_mix_info": {
                "mix_items": [
                    {
                        "aweme_id": "7603286382429717283",
                        "desc": "图文：三种暖气片对比",
                        "create_time": 1765966800,
                        "aweme_type": 68,
                        "author": {"uid": "99", "nickname": "装修老李", "enterprise_verify_reason": ""},
                        "statistics": {"digg_count": 1, "play_count": 900},
                        "images": [{"url_list": ["https://p3.douyinpic.com/1.jpeg"]}],
                    }
                ]
            },
        },
    ],
    "cursor": 20,
    "has_more": 1,
    "extra": {"now": 1765970000000, "logid": "20260105090000ABCDEF"},
    "log_pb": {"impr_id": "20260105090000ABCDEF", "stab_extra": {"traffic_identification": "normal"}},
}

DOUYIN_COMMENTS_URL = "https://www.douyin.com/aweme/v1/web/comment/list/?aweme_id=7603286382429717282&cursor={cursor}&count=20&item_type=0"

DOUYIN_COMMENTS: Mapping[str, Any] = {
    "status_code": 0,
    "cursor": 20,
    "has_more": 1,
    "total": 1046,
    "extra": {"now": 1770280000000},
    "comments": [
        {
            "cid": "7603286382429717300",
            "text": "我家也是，客服推来推去",
            "aweme_id": AWEME_ID,
            "create_time": 1767278064,
            "digg_count": 42,
            "reply_comment_total": 3,
            "ip_label": "河南",
            "user": {"uid": "7", "sec_uid": "MS4wB", "nickname": "老张", "region": "CN"},
            "reply_id": "0",
            "reply_to_reply_id": "0",
            "label_type": -1,
            "image_list": None,
            "reply_comment": [
                {
                    "cid": "7603286382429717301",
                    "text": "",
                    "aweme_id": AWEME_ID,
                    "create_time": 1767278100,
                    "digg_count": 0,
                    "reply_id": "7603286382429717300",
                    "reply_to_reply_id": "0",
                    "user": {"uid": "8"},
                    "image_list": [{"origin_url": {"url_list": ["https://p3-sign.douyinpic.com/c.jpeg?x-expires=1"]}}],
                    "label_text": "作者",
                    "label_type": 1,
                }
            ],
        }
    ],
}
