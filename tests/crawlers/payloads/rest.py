"""Answers of the endpoints that have no file of their own: composed by us, about an invented brand."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from tests.crawlers.payloads.douyin import AWEME_ID, DOUYIN_AWEME
from tests.crawlers.payloads.xiaohongshu import NOTE_ID

JD_LIST_PAGE: Mapping[str, Any] = {
    "code": "0",
    "result": {
        "floors": [
            {"mId": "commentlist-head", "data": {"allCnt": "2606"}},
            {
                "mId": "commentlist-list",
                "data": [
                    {
                        "commentInfo": {
                            "commentId": "20000000001",
                            "guid": "b" * 32,
                            "commentData": "到货快，焊缝处有点锈",
                            "commentScore": "3",
                            "commentScoreText": "中评",
                            "commentDate": "2025-12-20 08:30:00",
                            "productId": "100099002",
                            "productSpecifications": "颜色:雅白;柱数:12柱",
                            "userNickName": "l***8",
                            "praiseCnt": "1.2万",
                            "replyCnt": "3",
                            "pictureInfoList": [{"largePicURL": "//img30.360buyimg.com/rust.jpg", "mediaType": "1"}],
                            "afterComment": {"content": "5天后追评：越来越锈", "afterDays": "5"},
                        }
                    },
                    {"commentInfo": {"commentId": "20000000002", "commentData": "好", "commentScoreText": "好评",
                                     "commentDate": "2025-12-21", "productId": "100099002", "userNickName": "匿名"}},
                    {"advert": {"id": 1}},
                ],
            },
        ]
    },
}  # fmt: skip

JD_QUESTIONS: Mapping[str, Any] = {
    "totalItem": 2,
    "questionList": [
        {
            "id": 57628904,
            "content": "供暖前要不要试压？",
            "answerCount": 3,
            "created": "2025-10-01 09:00:00",
            "answerList": [
                {"id": 990001, "content": "安装师傅会试", "created": "2025-10-01 10:00:00"},
                {"content": "没有试压，第二天就漏"},
            ],
        },
        {"id": 57628905, "content": "能用在老房子吗", "answerCount": 0, "answerList": None},
    ],
}

JD_ANSWERS: Mapping[str, Any] = {
    "answers": [
        {"id": 990001, "content": "安装师傅会试", "productId": 100099001, "created": "2025-10-01 10:00:00"},
        {"content": "要试的&nbsp;别省", "productId": 100099001},
    ]
}

JD_MERCHANT: Mapping[str, Any] = {
    "jingdong_pop_PopCommentJsfService_getVenderCommentsForJos_responce": {
        "code": "0",
        "comments": [
            {
                "commentId": "30000000001",
                "skuid": 100099003,
                "skuName": "暖屹 浴室背篓",
                "content": "毛巾架不热",
                "creationTime": 1765966706000,
                "score": 2,
                "usefulCount": 4,
                "replyCount": 1,
                "isVenderReply": True,
                "nickName": "j***r",
                "pin": "secret-pin",
                "orderId": 123456789,
                "replies": [{"content": "已安排上门", "creationTime": 1765970000000}],
                "images": [{"id": 1, "imgUrl": "jfs/t1/x.jpg", "imgTitle": ""},
                           {"id": 2, "imgUrl": "//img30.360buyimg.com/cold.jpg"}],
                "videos": [],
            },
            {
                "commentId": "30000000002",
                "skuid": 100099003,
                "content": "系统默认好评",
                "creationTime": "2025-12-17 18:18:26",
                "score": 5,
                "isVenderReply": False,
                "replies": [{"content": "路过的人说的"}],
            },
        ],
    }
}  # fmt: skip

JD_SUMMARIES: Mapping[str, Any] = {
    "CommentsCount": [
        {"SkuId": 100099001, "ProductId": 100099001, "CommentCount": 140000, "CommentCountStr": "14万+",
         "DefaultGoodCount": 110000, "GoodCount": 138000, "GeneralCount": 900, "PoorCount": 1100, "AfterCount": 300,
         "GoodRate": 0.98, "AverageScore": 5, "Score1Count": 700, "Score5Count": 130000}
    ]
}  # fmt: skip

JD_DEFAULT_GOOD = b64encode("1000+个用户默认评价了该商品".encode()).decode()

TMALL_FEED_RATES: Mapping[str, Any] = {
    "watershed": 100,
    "maxPage": 4,
    "currentPageNum": 1,
    "comments": [
        {
            "rateId": 240000000001,
            "rate": "-1",
            "content": "阀门漏水，卖家不回",
            "date": "2025年08月31日 10:13",
            "user": {"nick": "t**b", "anony": True, "userId": ""},
            "auction": {"aucNumId": 6100200301, "title": "暖屹角阀", "sku": "颜色分类:银色"},
            "photos": [{"url": "//img.alicdn.com/f.jpg", "thumbnail": "//img.alicdn.com/f_40.jpg"}],
            "append": {"content": "收货3天后追评：换了还是漏", "dayAfterConfirm": 3, "photos": []},
            "reply": {"content": "亲，请联系客服"},
        },
        {"rateId": 240000000002, "rate": "1", "content": "此用户没有填写评价。", "date": "2025年09月01日 08:00",
         "append": None, "reply": None},
    ],
}  # fmt: skip

TMALL_TAG_CLOUDS: Mapping[str, Any] = {
    "tags": {"rateSum": 1493, "tagClouds": [{"id": "620", "tag": "不热", "count": 12, "posi": False}]}
}

MTOP_ITEM_RATES: Mapping[str, Any] = {
    "api": "mtop.wdetail.getitemrates",
    "v": "3.0",
    "ret": ["SUCCESS::调用成功"],
    "data": {
        "total": "4995", "totalPage": "500", "feedAllCount": "4995", "feedAppendCount": "120", "feedPicCount": "800",
        "feedVideoCount": "9", "foldCount": "33",
        "rateList": [
            {
                "id": "1100000000001", "auctionNumId": "6100200300", "feedback": "暖气片<b>很</b>热", "rateType": "1",
                "feedbackDate": "2024年5月3日 已购：雅白", "reduceUserNick": "小**花", "annoy": "1",
                "skuMap": {"颜色分类": "雅白"}, "feedPicList": [{"thumbnail": "//img.alicdn.com/g.jpg"}],
                "rateResourceList": [{"image": "//img.alicdn.com/g.jpg"}],
            }
        ],
    },
}  # fmt: skip

TMALL_QUESTIONS: Mapping[str, Any] = {
    "api": "mtop.taobao.social.feed.aggregate",
    "ret": ["SUCCESS::调用成功"],
    "data": {"list": [[{"id": "8800001", "title": "冬天真的能到二十度吗"}], [{"id": "8800002", "title": "送角阀吗"}]]},
}

TMALL_QUESTION: Mapping[str, Any] = {
    "api": "mtop.taobao.social.ugc.post.detail",
    "ret": ["SUCCESS::调用成功"],
    "data": {
        "id": "8800001",
        "title": "冬天真的能到二十度吗",
        "refId": "6100200300",
        "refTitle": "暖屹钢制散热器 K20",
        "interact": {"likeCount": "7", "viewCount": "1.5万"},
        "list": {
            "totalCount": "2",
            "list": [{"title": "能，二十二度"}, {"id": "8800101", "title": "不行，漏水还不热"}],
        },
    },
}

TOP_RATES: Mapping[str, Any] = {
    "traderates_get_response": {
        "total_results": 81,
        "trade_rates": {
            "trade_rate": [
                {"tid": 2100000000001, "oid": 2100000000002, "role": "buyer", "nick": "l**g", "result": "bad",
                 "created": "2025-12-01 12:00:00", "item_title": "暖屹 K20", "item_price": "899.00",
                 "num_iid": 6100200300, "content": "安装费没说清楚", "reply": "亲，详情页有写", "valid_score": True},
                {"tid": 2100000000003, "oid": 2100000000004, "role": "seller", "result": "good",
                 "created": "2025-12-01 12:00:00", "content": "好买家"},
            ]
        },
    }
}  # fmt: skip

TOP_FEED: Mapping[str, Any] = {
    "tmall_traderate_feeds_get_response": {
        "tmall_rate_info": {
            "user_nick": "l**g", "content": "安装费没说清楚", "comment_time": "2025-12-01 12:00:00", "has_negtv": True,
            "tags": {"tmall_rate_tag_detail": [{"tag_name": "安装", "posi": False}]},
            "append_content": "退了一百", "append_time": "2025-12-09 12:00:00",
        }
    }
}  # fmt: skip

TOP_ITEM_TAGS: Mapping[str, Any] = {
    "tmall_traderate_itemtags_get_response": {"tags": {"tmall_rate_tag": [{"count": 12, "tag_name": "不热"}]}}
}

XHS_REPLIES: Mapping[str, Any] = {
    "code": 0,
    "success": True,
    "msg": "成功",
    "data": {
        "cursor": "66972000000000001f00cc09",
        "has_more": True,
        "user_id": "viewer-own-account",
        "comments": [
            {
                "id": "66972000000000001f00cc01",
                "note_id": NOTE_ID,
                "content": "我家的也是[微笑R] #暖气片[话题]#",
                "create_time": 1721180600000,
                "ip_location": "内蒙古",
                "like_count": "1.5万",
                "status": -2,
                "user_info": {"user_id": "5f00aa", "nickname": "小鹿"},
                "show_tags": ["is_author"],
                "target_comment": {"id": "66971999000000001f00aa02", "user_info": {"user_id": "60ff01"}},
            }
        ],
    },
}

XHS_PROFILE: Mapping[str, Any] = {
    "code": 0,
    "success": True,
    "data": {
        "cursor": NOTE_ID,
        "has_more": True,
        "notes": [
            {
                "note_id": NOTE_ID,
                "display_title": "暖屹暖气片避雷",
                "type": "normal",
                "xsec_token": "ABt=",
                "user": {"user_id": "5f00aa", "nick_name": "小鹿"},
                "interact_info": {"liked": False, "liked_count": "10万+"},
            }
        ],
    },
}

XHS_LIST_STATE = (
    f'{{"search":{{"feeds":[{{"id":"{NOTE_ID}","modelType":"note","xsecToken":"AB","noteCard":{{"displayTitle":'
    '"暖屹暖气片避雷","user":{"userId":"5f00aa"},"interactInfo":{"likedCount":"45"},"cornerTagInfo":[{"type":'
    '"publish_time","text":"2025-05-29"}]}},{"id":"x","modelType":"rec_query"}]},"user":{"loggedIn":false,'
    '"notes":[[],[]]},"note":{"noteDetailMap":{},"x":undefined}}'
)

DOUYIN_VIDEO_TAB: Mapping[str, Any] = {"status_code": 0, "data": [DOUYIN_AWEME], "cursor": 10, "has_more": 0}

DOUYIN_APP_SEARCH: Mapping[str, Any] = {
    "status_code": 0,
    "business_data": [{"data_id": "0", "type": 1, "data": {"type": 1, "aweme_info": DOUYIN_AWEME}}],
    "cursor": 10,
    "has_more": 1,
}

DOUYIN_REPLIES: Mapping[str, Any] = {
    "status_code": 0,
    "cursor": 3,
    "has_more": 0,
    "total": 3,
    "comments": [
        {
            "cid": "7603286382429717305", "text": "已经赔了[呲牙]", "aweme_id": AWEME_ID, "create_time": 1767279000,
            "digg_count": 2, "ip_label": "山东", "reply_id": "7603286382429717300",
            "reply_to_reply_id": "7603286382429717301", "user": {"uid": "98", "sec_uid": "MS4wLjABAAAA"},
            "label_text": "作者", "label_type": 1, "reply_comment": None,
        },
        {
            "cid": "7603286382429717306", "text": "", "aweme_id": AWEME_ID, "create_time": 1767279100, "digg_count": 0,
            "reply_id": "7603286382429717300", "reply_to_reply_id": "0", "user": {"uid": "12"}, "label_list": None,
            "sticker": {"static_url": {"url_list": ["https://p3.douyinpic.com/st.webp"]}},
        },
    ],
}  # fmt: skip

DOUYIN_RENDER: Mapping[str, Any] = {
    "_location": "/video/7603286382429717282",
    "app": {
        "videoDetail": {
            "awemeId": AWEME_ID, "desc": "暖气片安装翻车现场", "createTime": 1765966706,
            "authorInfo": {"uid": "98", "secUid": "MS4wLjABAAAA", "enterpriseVerifyReason": ""},
            "stats": {"diggCount": 2816, "commentCount": 1046, "shareCount": 2298, "playCount": 0},
            "video": {"playAddr": [{"src": "//v26-web.douyinvod.com/x.mp4"}]}, "images": None,
        },
    },
}  # fmt: skip

DOUYIN_OPEN_COMMENTS: Mapping[str, Any] = {
    "data": {
        "error_code": 0, "description": "", "cursor": 20, "has_more": True,
        "list": [
            {"comment_id": "@9VxS/1qA==", "comment_user_id": "u-1", "content": "客服推诿", "create_time": 1767278064,
             "digg_count": 5, "reply_comment_total": 1, "top": False}
        ],
    },
    "extra": {"logid": "2026", "now": 1767279064000, "error_code": 0},
}  # fmt: skip

DOUYIN_OPEN_VIDEOS: Mapping[str, Any] = {
    "data": {
        "error_code": 0, "cursor": 10, "has_more": False,
        "list": [
            {"item_id": "@8hxdhauTCMppanGnM4ltGM780mDqPP+KPpR0qQOmLVAXb/T06zCNE4zQ==", "title": "暖屹安装全过程",
             "create_time": 1765966706, "share_url": "https://www.iesdouyin.com/share/video/1/", "is_top": False,
             "statistics": {"digg_count": 30, "comment_count": 4, "play_count": 1200, "share_count": 1}}
        ],
    },
    "extra": {"error_code": 0},
}  # fmt: skip

ZHIHU_CHILDREN: Mapping[str, Any] = {
    "counts": {"total_counts": 2},
    "paging": {"is_end": True, "is_start": True, "next": "https://www.zhihu.com/x?offset=5_1_0", "totals": 2},
    "data": [
        {
            "id": "10447279930", "type": "comment", "resource_type": "answer", "content": "<p>我是答主，已换[赞]</p>",
            "created_time": 1676540000, "like_count": 1, "reply_comment_id": "10447279922",
            "reply_root_comment_id": "10447279921", "child_comment_count": 0, "child_comments": [],
            "author": {"id": "a1b2", "url_token": "lao-li", "is_org": False, "is_anonymous": False},
            "author_tag": [{"type": "content_author", "text": "作者", "has_border": False}],
            "comment_tag": [{"type": "hot", "text": "热评"}, {"type": "ip_info", "text": "IP 属地内蒙古"}],
        }
    ],
}  # fmt: skip

ZHIHU_LEGACY: Mapping[str, Any] = {
    "common_counts": 1,
    "paging": {"is_end": True, "totals": 1},
    "data": [
        {
            "id": 700100, "type": "comment", "content": "<p>同款<br/>不热</p>", "created_time": 1676538180,
            "vote_count": 3, "child_comment_count": 0, "address_text": "IP 属地广东",
            "author": {"role": "author", "member": {"id": "m1", "url_token": "x", "name": "甲", "is_org": False}},
        }
    ],
}  # fmt: skip

ZHIHU_HOT: Mapping[str, Any] = {
    "Code": 0,
    "Data": {
        "Items": [
            {"Title": "供暖季家里不热怎么办？", "Url": "https://www.zhihu.com/question/610000001?utm_source=x",
             "Summary": "寒潮来了", "ThumbnailUrl": ""},
            {"Title": "站外的文章", "Url": "https://example.com/a"},
        ]
    },
}  # fmt: skip

ZHIHU_ARTICLE: Mapping[str, Any] = {
    "id": 700000001, "type": "article", "title": "钢制还是铜铝", "content": "<h2>结论</h2><p>看水质</p>",
    "created": 1676000000, "updated": 1676100000, "voteup_count": 12, "comment_count": 3,
    "author": {"id": "org1", "url_token": "nuanyi", "name": "暖屹", "is_org": True},
}  # fmt: skip


def render_page(state: Mapping[str, Any]) -> bytes:
    """A page whose state is URL-encoded, as Douyin's."""
    written = quote(json.dumps(state, ensure_ascii=False))
    return f'<html><script id="RENDER_DATA" type="application/json">{written}</script></html>'.encode()


def stream(*pieces: Mapping[str, Any]) -> bytes:
    """Pieces of JSON with their lengths in hex between them, as ``search/stream`` sends them."""
    parts = [json.dumps(piece, ensure_ascii=False) for piece in pieces]
    return "\r\n".join(f"{len(part.encode()):x}\r\n{part}" for part in parts).encode()


DOUYIN_STREAM = stream(
    {"status_code": 0, "data": [{"type": 1, "aweme_info": DOUYIN_AWEME}], "cursor": 10, "has_more": 1},
    {"ack": 1, "extra": {"now": 1765970000000, "logid": "L1"}},
)
