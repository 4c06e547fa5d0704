"""Answers in the shapes of Tmall 天猫 and Taobao 淘宝, about an invented brand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TMALL_OLD_URL = "https://rate.tmall.com/list_detail_rate.htm?itemId=6100200300&sellerId=22&currentPage={page}"

TMALL_OLD: Mapping[str, Any] = {
    "rateDetail": {
        "rateCount": {"total": 1493, "shop": 0, "picNum": 300, "used": 120},
        "rateDanceInfo": {"currentMilles": 1564415860000},
        "paginator": {"items": 1493, "page": 1, "lastPage": 75},
        "tags": [],
        "rateList": [
            {
                "id": 1053378826253,
                "rateContent": "包装好，<b></b>就是安装收了两百",
                "rateDate": "2025-07-29 23:57:40",
                "gmtCreateTime": {"time": 1753804660000, "year": 125, "month": 6},
                "tradeEndTime": {"time": 1753000000000},
                "auctionSku": "颜色分类:黑色;规格:K20/10柱",
                "displayUserNick": "l***0",
                "anony": True,
                "appendComment": {
                    "content": "收货12天后追评：漏水，师傅推诿",
                    "commentTime": "2025-08-10 12:00:00",
                    "days": 12,
                },
                "reply": "亲，很抱歉给您带来不便",
                "pics": ["//img.alicdn.com/a.jpg"],
                "picsSmall": ["//img.alicdn.com/a_40x40.jpg"],
                "useful": True,
                "userVipLevel": 0,
            },
            {
                "id": 1053378826254,
                "rateContent": "评价方未及时做出评价,系统默认好评!",
                "rateDate": "2025-07-30 09:00:00",
                "gmtCreateTime": "",
                "tradeEndTime": "",
                "auctionSku": "",
                "displayUserNick": "匿***",
                "appendComment": "",
                "reply": "",
                "pics": "",
            },
            {
                "id": 1053378826255,
                "rateContent": "还行",
                "rateDate": "",
                "gmtCreateTime": {"time": 1753804660000},
                "appendComment": None,
                "pics": [],
            },
        ],
    }
}

MTOP_DETAIL: Mapping[str, Any] = {
    "api": "mtop.taobao.rate.detaillist.get",
    "v": "6.0",
    "ret": ["SUCCESS::调用成功"],
    "data": {
        "hasNext": "true",
        "imprItemVOS": [{"title": "有异响", "count": "31"}, {"title": "不热", "fuzzyCount": "100+"}, {"title": "空"}],
        "total": "812",
        "feedAllCount": "812",
        "rateList": [
            {
                "id": "1217454492091",
                "feedId": "1217454492091",
                "auctionNumId": "6100200300",
                "auctionTitle": "暖屹钢制散热器 K20",
                "feedback": "客服一直不理人",
                "feedbackDate": "2025年5月3日",
                "rateType": "-1",
                "userStar": "10",
                "userNick": "t**4",
                "skuValueStr": "颜色分类:雅白",
                "skuMap": {"颜色分类": "雅白", "柱数": "10柱"},
                "feedPicPathList": ["//img.alicdn.com/p1.jpg"],
                "video": {"cloudVideoUrl": "//cloud.video.taobao.com/v.mp4", "coverUrl": "//img.alicdn.com/c.jpg"},
                "reply": "亲，请私信",
                "appendedFeed": {
                    "appendedFeedback": "退了",
                    "intervalDay": "9",
                    "appendFeedPicPathList": [],
                    "reply": "已退款",
                },
                "interactInfo": {"likeCount": "1.2万"},
            },
            {
                "feedId": "1217454492092",
                "feedback": "此用户没有填写评价。",
                "feedbackDate": "2025-05-04",
                "rateType": "1",
            },
        ],
    },
}

MTOP_NEW_PC: Mapping[str, Any] = {
    "api": "mtop.alibaba.review.list.for.new.pc.detail",
    "v": "1.0",
    "ret": ["SUCCESS::调用成功"],
    "data": {
        "module": {
            "hasNext": "true",
            "reviewVOList": [
                {
                    "id": "1217454492091",
                    "reviewWordContent": "温控阀不好用，客厅不热",
                    "reviewDate": "2个月前",
                    "skuText": {"颜色分类": "雅白", "规格": "K20"},
                    "userNick": "t**4",
                    "interactionVO": {"likeCount": "3", "commentCount": "1", "readCount": "129"},
                    "reviewPicPathList": ["//img.alicdn.com/r.jpg"],
                    "reviewAppendVO": {"appendedWordContent": "换了阀好了", "intervalDay": "0", "reply": "感谢"},
                }
            ],
        }
    },
}
