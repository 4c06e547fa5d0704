"""Answers in the shapes of JD 京东, about an invented brand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

JD_OLD_URL = (
    "https://club.jd.com/comment/productPageComments.action"
    "?callback=fetchJSON_comment98&productId=100099001&score=0&sortType=6&page={page}&pageSize=10"
)

JD_REVIEW: Mapping[str, Any] = {
    "id": 10681890470123456,
    "guid": "0d3f9d1c-7a51-4ef3-9b17-2a64a6a0c001",
    "content": "装上当晚就热了&hellip;<b>就是</b>阀门那里\n有点渗水",
    "score": 3,
    "creationTime": "2025-11-08 00:44:24",
    "referenceTime": "2025-11-01 20:00:00",
    "referenceId": "100099002",
    "referenceName": "暖屹 K20 钢制散热器",
    "referenceImage": "jfs/t1/k20.jpg",
    "productColor": "雅白",
    "productSize": "K20",
    "productSales": [{"dim": 3, "saleName": "柱数", "saleValue": "10柱"}],
    "nickname": "山***彡",
    "anonymousFlag": 1,
    "userProvince": "",
    "userClient": 2,
    "usefulVoteCount": 12,
    "uselessVoteCount": 0,
    "replyCount": 4,
    "replyCount2": 1,
    "replies": [{"id": 5, "content": "您好，已为您安排师傅上门", "nickname": "暖屹客服", "userClient": 102}],
    "images": [{"id": 1, "imgUrl": "//img30.360buyimg.com/n0/s128x96_jfs/t1/leak.jpg"}],
    "videos": [{"remark": "https://vod.300hu.com/leak.mp4", "mainUrl": "//img.jd.com/cover.jpg"}],
    "days": 7,
    "afterDays": 30,
    "afterUserComment": {"created": "2025-12-01 08:00:00", "hAfterUserComment": {"content": "师傅换了垫片，不漏了"}},
    "afterImages": [{"imgUrl": "//img30.360buyimg.com/after.jpg"}],
}

JD_OLD: Mapping[str, Any] = {
    "productAttr": None,
    "productCommentSummary": {
        "skuId": 100099001,
        "productId": 100099001,
        "commentCount": 140000,
        "commentCountStr": "14万+",
        "defaultGoodCount": 110000,
        "goodRate": 0.98,
    },
    "hotCommentTagStatistics": [{"id": "f1", "name": "不热", "count": 273, "rid": "r1", "canBeFiltered": True}],
    "maxPage": 66,
    "score": 0,
    "comments": [
        JD_REVIEW,
        {
            "id": 10681890470123457,
            "content": "此用户未填写评价内容",
            "score": 5,
            "creationTime": "2025-11-09 10:00:00",
            "nickname": "匿名用户",
            "afterUserComment": None,
            "replies": [],
            "images": None,
        },
    ],
}

JD_LEGO: Mapping[str, Any] = {
    "code": "0",
    "allCnt": "2606",
    "allCntStr": "2000+",
    "goodRate": "95%",
    "defaultGoodCountText": "MTAwMCs=",
    "isAllDefaultGoodComment": False,
    "semanticTagList": [{"id": "1", "tagId": "t1", "name": "安装快", "count": "4", "type": "4", "canBeFiltered": True}],
    "noCommentText": "商品好不好，问问买过的人吧",
    "questionList": [
        {
            "id": "57628904",
            "content": "80平的房子装几组合适？",
            "answerCountText": "2个回答",
            "systemId": "1",
            "answerList": [
                {"content": "我家装了五组", "nickName": "老王", "type": "0", "systemId": "1"},
                {"content": "六组够了", "nickName": "l***q", "type": "0", "systemId": "1"},
            ],
        }
    ],
    "commentInfoList": [
        {
            "commentId": "16115292165",
            "guid": "a" * 32,
            "commentData": "屋里二十三度，满意",
            "tagCommentContent": "",
            "commentScore": "5",
            "commentDate": "2025-10-10 16:54:33",
            "productId": "100099002",
            "wareAttribute": [{"颜色": "雅白"}, {"型号": "K20"}],
            "userNickName": "软***宝",
            "userId": "",
            "praiseCnt": "1",
            "replyCnt": "0",
            "pictureInfoList": [
                {"picURL": "//img.jd.com/s.jpg", "largePicURL": "//img.jd.com/l.jpg", "mediaType": "1"},
                {"picURL": "//img.jd.com/v.jpg", "videoUrl": "//vod.jd.com/v.mp4", "mediaType": "2"},
            ],
            "afterComment": {},
        },
        {
            "commentId": "16115292166",
            "commentData": "",
            "commentScore": "5",
            "commentDate": "2025-10-11",
            "productId": "100099002",
            "productSpecifications": "颜色:深空灰;型号:K30",
            "afterComment": {"content": "一个月后追评：焊缝生锈了"},
            "noCommentMessage": "用户未及时作出评价哦~",
        },
    ],
}
