"""Answers in the shapes of Zhihu 知乎, about an invented brand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

ZHIHU_ANSWER: Mapping[str, Any] = {
    "id": "3190000001",
    "type": "answer",
    "content": '<p>用了三年，<b>焊缝</b>没问题。</p><figure><img src="data:image/svg+xml;x" '
    'data-original="https://pic1.zhimg.com/v2-a_r.jpg"/></figure><p>就是安装费贵&amp;慢</p>',
    "excerpt": "用了三年",
    "created_time": 1676538180,
    "updated_time": 1676538999,
    "voteup_count": 415,
    "comment_count": 24,
    "author": {"id": "a1b2", "url_token": "lao-li", "name": "老李", "headline": "", "is_org": False},
    "question": {"id": "510000001", "title": "暖屹暖气片怎么样？", "created": 1670000000},
}

ZHIHU_FEEDS_URL = "https://www.zhihu.com/api/v4/questions/510000001/feeds?limit=20&offset=0&order=updated"

ZHIHU_FEEDS: Mapping[str, Any] = {
    "data": [
        {"type": "question_feed_card", "target_type": "answer", "target": ZHIHU_ANSWER, "cursor": "c1", "position": 0},
        {"type": "question_feed_ad", "target_type": "ad", "target": {"id": "9"}},
        {
            "type": "question_feed_card",
            "target_type": "answer",
            "target": {
                "id": "3190000002",
                "type": "answer",
                "content": "<p>不热</p>",
                "created_time": 1676540000,
                "author": {"id": "0", "name": "匿名用户", "is_org": False},
                "question": {"id": "510000001", "title": "暖屹暖气片怎么样？"},
            },
        },
    ],
    "session": {"id": "s"},
    "paging": {
        "page": 1,
        "is_end": False,
        "need_force_login": False,
        "next": "https://www.zhihu.com/api/v4/questions/510000001/feeds?cursor=abc&limit=20&offset=3&order=updated",
    },
}

ZHIHU_COMMENTS_URL = (
    "https://www.zhihu.com/api/v4/comment_v5/answers/3190000001/root_comment?order_by=score&limit=20&offset={offset}"
)

ZHIHU_COMMENTS: Mapping[str, Any] = {
    "counts": {"total_counts": 24, "collapsed_counts": 0, "reviewing_counts": 0},
    "comment_status": {"type": 0, "text": ""},
    "edit_status": {"toast": "未登录用户"},
    "paging": {
        "is_end": False,
        "is_start": True,
        "next": "https://www.zhihu.com/api/v4/comment_v5/answers/3190000001/root_comment?limit=20&offset=5_11459633608_0",
        "totals": 24,
    },
    "data": [
        {
            "id": "10447279921",
            "type": "comment",
            "resource_type": "answer",
            "content": '<p>漏水怎么办<br>急</p><a class="comment_img" href="https://pic4.zhimg.com/c.jpg">查看图片</a>',
            "created_time": 1676538180,
            "like_count": 9,
            "dislike_count": 0,
            "reply_comment_id": "0",
            "reply_root_comment_id": "10447279921",
            "child_comment_count": 2,
            "child_comment_next_offset": None,
            "author": {"id": "c3", "url_token": "t", "name": "小周", "is_org": False, "is_anonymous": False},
            "comment_tag": [{"type": "hot", "text": "热评"}, {"type": "ip_info", "text": "山东"}],
            "author_tag": [],
            "is_author": False,
            "is_delete": False,
            "child_comments": [
                {
                    "id": "10447279922",
                    "type": "comment",
                    "content": "联系客服[捂脸]",
                    "created_time": 1676538999,
                    "like_count": 0,
                    "reply_comment_id": "10447279921",
                    "reply_root_comment_id": "10447279921",
                    "author": {"id": "org", "name": "暖屹", "is_org": True},
                    "comment_tag": [],
                }
            ],
        },
        {"id": "10447279930", "type": "comment", "content": "已删除", "is_delete": True, "created_time": 1676538180},
    ],
}

ZHIHU_STATE: Mapping[str, Any] = {
    "captcha": {},
    "initialState": {
        "entities": {
            "questions": {
                "510000001": {
                    "id": "510000001",
                    "title": "暖屹暖气片怎么样？",
                    "detail": "<p>想装，<br>求意见</p>",
                    "created": 1670000000,
                    "updatedTime": 1670000001,
                    "answerCount": 415,
                    "visitCount": 90000,
                    "commentCount": 3,
                    "voteupCount": 8,
                    "author": {"id": "q9", "name": "提问者"},
                }
            },
            "answers": {
                "3190000001": {
                    "id": "3190000001",
                    "content": "<p>用了三年</p>",
                    "createdTime": 1676538180,
                    "updatedTime": 1676538999,
                    "voteupCount": 415,
                    "commentCount": 24,
                    "author": {"id": "a1b2", "name": "老李", "urlToken": "lao-li"},
                    "question": {"id": "510000001", "title": "暖屹暖气片怎么样？"},
                }
            },
            "articles": {
                "700000001": {
                    "id": "700000001",
                    "title": "钢制还是铜铝",
                    "content": "<h2>先说结论</h2><p>看水质</p>",
                    "created": 1676000000,
                    "updated": 1676000001,
                    "voteupCount": 5,
                    "commentCount": 1,
                    "author": {"id": "a9", "name": "暖通老王", "isOrg": True},
                }
            },
        },
        "question": {
            "answers": {
                "510000001": {"ids": [], "isDrained": True, "antiSpider": False, "needForceLogin": False, "error": None}
            }
        },
    },
}


def zhihu_page(state: Any) -> bytes:
    return (
        "<!doctype html><html><head><title>暖屹暖气片怎么样？ - 知乎</title></head><body>"
        f'<script id="js-initialData" type="text/json">{json.dumps(state, ensure_ascii=False)}</script></body></html>'
    ).encode()


ZHIHU_SEARCH: Mapping[str, Any] = {
    "data": [
        {
            "type": "search_result",
            "highlight": {"title": "<em>暖气片</em>怎么样", "description": "…"},
            "object": {
                "type": "answer",
                "id": "3190000001",
                "question": {"id": "510000001", "name": "暖屹<em>暖气片</em>怎么样？"},
                "excerpt": "用了三年",
                "content": "<p>用了三年<em>暖气片</em></p>",
                "created_time": 1676538180,
                "voteup_count": 1,
                "comment_count": 0,
                "author": {"id": "a1b2", "name": "老李"},
                "url": "https://api.zhihu.com/answers/3190000001",
            },
        },
        {"type": "relevant_query", "query_list": []},
        {"type": "search_result", "object": {"type": "topic", "id": "1"}},
        {
            "type": "search_result",
            "object": {
                "type": "article",
                "id": "700000001",
                "title": "<em>暖气片</em>",
                "excerpt": "看<em>水质</em>",
                "created": 1676000000,
            },
        },
        {
            "type": "zvideo",
            "object": {
                "type": "zvideo",
                "id": "160000001",
                "title": "安装",
                "description": "教程",
                "created_at": 1676000000,
            },
        },
    ],
    "paging": {"is_end": False, "next": "https://www.zhihu.com/api/v4/search_v3?q=x&offset=20&limit=20"},
}

ZHIHU_OFFICIAL: Mapping[str, Any] = {
    "Code": 0,
    "Message": "ok",
    "Data": {
        "HasMore": False,
        "Items": [
            {
                "Title": "暖屹<em>暖气片</em>怎么样？ - 知乎",
                "ContentType": "Answer",
                "ContentID": "-12345",
                "ContentText": "用了三年，<em>暖气片</em>不漏",
                "Url": "https://www.zhihu.com/question/510000001/answer/3190000001?utm_medium=openapi_platform",
                "VoteUpCount": 9,
                "CommentCount": 2,
                "AuthorName": "知乎用户",
                "EditTime": 1676538180,
                "RankingScore": 0.9,
                "CommentInfoList": [{"Content": "同感"}],
            },
            {
                "Title": "钢制还是铜铝",
                "ContentType": "Article",
                "ContentText": "看水质",
                "Url": "https://zhuanlan.zhihu.com/p/700000001?utm_source=x",
                "AuthorName": "暖通老王",
                "EditTime": 1676000000,
            },
        ],
    },
}
