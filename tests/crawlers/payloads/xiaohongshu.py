"""Answers in the shapes of Xiaohongshu 小红书, about an invented brand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOTE_ID = "66696f98000000001c0123ab"
"""Its first 8 hex digits are 2024-06-12 09:51:20 UTC."""
COMMENT_ID = "6697190c000000001f00aa01"
XHS_SEARCH_URL = "https://edith.xiaohongshu.com/api/sns/web/v1/search/notes"

XHS_SEARCH: Mapping[str, Any] = {
    "code": 0,
    "success": True,
    "msg": "成功",
    "data": {
        "has_more": True,
        "items": [
            {
                "id": NOTE_ID,
                "model_type": "note",
                "xsec_token": "ABtoken=",
                "note_card": {
                    "type": "normal",
                    "display_title": "暖屹暖气片避雷",
                    "user": {"user_id": "5f00aa", "nickname": "小鹿"},
                    "interact_info": {"liked_count": "1.5万", "comment_count": "23"},
                },
            },
            {"id": "rec#1", "model_type": "rec_query", "rec_query": {"title": "相关"}},
            {
                "id": "66696f99000000001c0123ac",
                "model_type": "note",
                "xsec_token": "ABtoken2=",
                "note_card": {"type": "video", "user": {"user_id": "5f00ab"}, "interact_info": {"liked_count": "45"}},
            },
        ],
    },
}

XHS_FEED: Mapping[str, Any] = {
    "code": 0,
    "success": True,
    "msg": "成功",
    "data": {
        "current_time": 1736000000000,
        "cursor_score": "",
        "items": [
            {
                "id": NOTE_ID,
                "model_type": "note",
                "note_card": {
                    "note_id": NOTE_ID,
                    "type": "video",
                    "title": "暖气片漏水",
                    "desc": "昨晚泡了地板[哭惹R] #暖气片[话题]##装修避雷[话题]#",
                    "time": 1718185880000,
                    "last_update_time": 1718185999000,
                    "ip_location": "广东",
                    "user": {"user_id": "5f00aa", "nickname": "小鹿", "avatar": "https://a/b"},
                    "interact_info": {
                        "liked_count": "3703",
                        "collected_count": "10+",
                        "comment_count": "1.1万",
                        "share_count": "7",
                        "liked": False,
                    },
                    "tag_list": [{"id": "1", "name": "暖气片", "type": "topic"}],
                    "image_list": [
                        {"url_default": "http://sns-webpic-qc.xhscdn.com/1.jpg", "info_list": []},
                        {"info_list": [{"image_scene": "WB_DFT", "url": "http://sns-webpic-qc.xhscdn.com/2.jpg"}]},
                    ],
                    "video": {"media": {"stream": {"h264": [{"master_url": "http://sns-video.xhscdn.com/v.mp4"}]}}},
                },
            }
        ],
    },
}

XHS_COMMENTS_URL = "https://edith.xiaohongshu.com/api/sns/web/v2/comment/page?note_id={note}&cursor={cursor}&top_comment_id=&xsec_token=T"

XHS_COMMENTS: Mapping[str, Any] = {
    "code": 0,
    "success": True,
    "msg": "成功",
    "data": {
        "user_id": "viewer-own-account",
        "cursor": "66972000000000001f00bb01",
        "has_more": True,
        "time": 1736000000000,
        "xsec_token": "T",
        "comments": [
            {
                "id": COMMENT_ID,
                "note_id": NOTE_ID,
                "content": "同款也漏[偷笑R]",
                "create_time": 1721178828000,
                "ip_location": "江西",
                "like_count": "17",
                "liked": False,
                "status": 0,
                "user_info": {"user_id": "60ff01", "nickname": "阿木"},
                "sub_comment_count": "8",
                "sub_comment_cursor": "66971999000000001f00aa02",
                "sub_comment_has_more": True,
                "show_tags": ["热评"],
                "sub_comments": [
                    {
                        "id": "66971999000000001f00aa02",
                        "note_id": NOTE_ID,
                        "content": "找售后了吗",
                        "create_time": 1721178999000,
                        "like_count": "0",
                        "user_info": {"user_id": "5f00aa"},
                        "show_tags": ["is_author"],
                        "target_comment": {"id": COMMENT_ID, "user_info": {"user_id": "60ff01"}},
                    }
                ],
            },
            {
                "id": "66971a00000000001f00aa03",
                "note_id": NOTE_ID,
                "content": "",
                "create_time": 1721179000000,
                "like_count": "0",
                "status": 3,
                "user_info": {"user_id": "60ff02"},
                "sub_comment_count": "0",
                "sub_comments": [],
                "pictures": [{"url_default": "http://sns-webpic-qc.xhscdn.com/c.jpg"}],
            },
        ],
    },
}


def xhs_page(state: str) -> bytes:
    """A page that carries a state, written as script: ``undefined`` and all."""
    return (
        "<!DOCTYPE html><html><head><title>暖气片漏水 - 小红书</title></head><body><div id=app></div>"
        f"<script>window.__INITIAL_STATE__={state}</script></body></html>"
    ).encode()


XHS_STATE = (
    '{"global":{"appSettings":undefined},"user":{"loggedIn":false,"userInfo":{"userId":"viewer-own-account"}},'
    '"note":{"firstNoteId":undefined,"serverRequestInfo":{"state":"success","errorCode":0,"errMsg":""},'
    f'"noteDetailMap":{{"{NOTE_ID}":{{"comments":{{"list":[{{"id":"{COMMENT_ID}","noteId":"{NOTE_ID}",'
    '"content":"没暖气的undefined冬天","createTime":1721178828000,"likeCount":"3","userInfo":{"userId":"60ff01"},'
    '"subComments":[]}],"cursor":"","hasMore":false},"currentTime":1736000000000,"note":'
    f'{{"noteId":"{NOTE_ID}","title":"暖气片漏水","desc":"昨晚\\u002F泡了地板","type":"normal","time":1718185880000,'
    '"ipLocation":"广东","user":{"userId":"5f00aa","nickname":"小鹿"},'
    '"interactInfo":{"likedCount":"1.5万","commentCount":"23","shareCount":"7"},'
    '"tagList":[],"imageList":[{"urlDefault":"http:\\u002F\\u002Fsns-webpic-qc.xhscdn.com\\u002F1.jpg"}],'
    '"video":undefined}}}}}'
)

XHS_NO_NOTE = (
    '{"user":{"loggedIn":false},"note":{"noteDetailMap":{"undefined":{"comments":{"list":[],"cursor":""},'
    '"currentTime":0,"note":{}}}}}'
)

XHS_APP_COMMENTS: Mapping[str, Any] = {
    "code": 200,
    "request_id": "r",
    "router": "/third/party",
    "data": {
        "code": 0,
        "success": True,
        "data": {
            "comment_count": 31,
            "comment_count_l1": 20,
            "cursor": '{"cursor":"abc","index":2,"pageArea":"UNFOLDED"}',
            "has_more": True,
            "user_id": "viewer-own-account",
            "comments": [
                {
                    "id": COMMENT_ID,
                    "note_id": NOTE_ID,
                    "content": "客服不理人",
                    "time": 1721178828,
                    "like_count": 5,
                    "ip_location": "山东",
                    "user": {"userid": "60ff01", "nickname": "阿木", "red_id": "9", "images": "https://a/b"},
                    "sub_comment_count": 1,
                    "sub_comments": [
                        {
                            "id": "66971999000000001f00aa02",
                            "content": "已私信",
                            "time": 1721178999,
                            "like_count": 0,
                            "user": {"userid": "5f00aa"},
                            "target_comment": {"id": COMMENT_ID},
                        }
                    ],
                }
            ],
        },
    },
}

XHS_APP_SEARCH: Mapping[str, Any] = {
    "code": 0,
    "success": True,
    "data": {
        "has_more": False,
        "items": [
            {
                "model_type": "note",
                "note": {
                    "id": NOTE_ID,
                    "title": "暖屹散热器测评",
                    "desc": "升温快 #暖气片[话题]#",
                    "timestamp": 1718185880,
                    "update_time": 1718185999000,
                    "liked_count": 45,
                    "comments_count": 3,
                    "shared_count": 1,
                    "user": {"userid": "5f00aa", "nickname": "小鹿"},
                    "images_list": [{"url": "http://sns-img.xhscdn.com/1.jpg"}],
                },
            }
        ],
    },
}
