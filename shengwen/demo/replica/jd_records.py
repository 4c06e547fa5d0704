"""JD's records: review lists ordered and counted, one review in the old shape and in the new one."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from shengwen.demo.cast import JD_SHOP
from shengwen.demo.items import Item
from shengwen.demo.replica.web import beijing, picture

CATEGORY: Final = (1620, 1628, 9987)


def ordered(reviews: Sequence[Item], sort: int) -> list[Item]:
    """6 newest first, anything else "recommended": pictures and likes first."""
    if sort == 6:
        return sorted(reviews, key=lambda item: (item.created_at, item.native_id), reverse=True)
    return sorted(reviews, key=lambda item: (item.pictures > 0, item.likes, item.created_at), reverse=True)


def by_score(reviews: Sequence[Item], score: int) -> list[Item]:
    wanted = {1: (1,), 2: (2, 3), 3: (4, 5)}
    if score in wanted:
        return [item for item in reviews if item.score in wanted[score]]
    if score == 4:
        return [item for item in reviews if item.pictures]
    if score == 5:
        return [item for item in reviews if item.append]
    return [] if score == 7 else list(reviews)


def summary(reviews: Sequence[Item], sku: str) -> dict[str, Any]:
    """productCommentSummary; a score of 1 is poor, 2 and 3 general, the rest good."""
    counts = {score: sum(item.score == score for item in reviews) for score in range(1, 6)}
    good, general, poor = counts[4] + counts[5], counts[2] + counts[3], counts[1]
    rate = good / len(reviews) if reviews else 1.0
    made: dict[str, Any] = {
        "skuId": int(sku) if sku.isascii() and sku.isdigit() else 0,
        "productId": int(sku) if sku.isascii() and sku.isdigit() else 0,
        "averageScore": 5 if rate > 0.7 else 4,
        "goodRate": round(rate, 3),
        "goodRateShow": round(rate * 100),
        "defaultGoodCount": sum(item.mood == "default" for item in reviews),
    }
    for name, value in {
        "commentCount": len(reviews),
        "goodCount": good,
        "generalCount": general,
        "poorCount": poor,
        "afterCount": sum(item.append is not None for item in reviews),
        "showCount": sum(item.pictures > 0 for item in reviews),
        "videoCount": 0,
    }.items():
        made |= {name: value, f"{name}Str": str(value)}
    return made


def hot_tags(reviews: Sequence[Item]) -> list[dict[str, Any]]:
    """hotCommentTagStatistics: how many reviews hold a word."""
    words = (("升温快", "快"), ("颜值高", "颜值"), ("师傅好", "师傅"), ("暖和", "暖和"), ("包装好", "包装"))
    tags = []
    for index, (name, word) in enumerate(words):
        count = sum(word in item.text for item in reviews)
        if count:
            tags.append(
                {
                    "id": f"7f{index:02d}",
                    "name": name,
                    "count": count,
                    "type": 4,
                    "rid": f"7f{index:02d}",
                    "canBeFiltered": True,
                }
            )
    return tags


def _sale(item: Item) -> tuple[str, str]:
    if item.model is None or item.sku not in item.model.jd_skus:
        return "", ""
    return item.model.specs[item.model.jd_skus.index(item.sku)]


def _guid(item: Item) -> str:
    return str(uuid5(NAMESPACE_URL, f"jd:{item.native_id}"))


def old_comment(item: Item) -> dict[str, Any]:
    """One entry of ``comments[]``; text is HTML-escaped, as it was."""
    colour, size = _sale(item)
    made: dict[str, Any] = {
        "id": int(item.native_id),
        "guid": _guid(item),
        "content": escape(item.text, quote=False).replace("……", "&hellip;&hellip;"),
        "creationTime": beijing(item.created_at),
        "isTop": False,
        "topped": 0,
        "status": 1,
        "referenceId": item.sku,
        "referenceName": item.model.title if item.model else "",
        "referenceImage": "jfs/demo/radiator.svg",
        "referenceTime": beijing(item.created_at),
        "referenceType": "Product",
        "firstCategory": CATEGORY[0],
        "secondCategory": CATEGORY[1],
        "thirdCategory": CATEGORY[2],
        "replyCount": 0,
        "replyCount2": 1 if item.seller_reply else 0,
        "score": item.score,
        "nickname": item.author.masked,
        "anonymousFlag": 1,
        "userClient": 4,
        "userClientShow": "来自京东Android客户端",
        "userProvince": "",
        "userLevelId": "105",
        "userLevelName": "PLUS会员",
        "plusAvailable": 201,
        "userImage": "",
        "usefulVoteCount": item.likes,
        "uselessVoteCount": 0,
        "productColor": colour,
        "productSize": size,
        "productSales": [],
        "imageCount": item.pictures,
        "days": 5,
        "afterDays": item.append_days(),
        "title": "",
        "mobileVersion": "",
    }
    if item.pictures:
        made["images"] = [
            {"id": int(item.native_id) * 10 + n, "imgUrl": picture(item, n), "associateId": int(item.native_id)}
            for n in range(item.pictures)
        ]
    if item.append:
        made["afterUserComment"] = {
            "created": beijing(item.append.at),
            "ip": "",
            "hAfterUserComment": {"content": escape(item.append.text, quote=False)},
        }
    if item.seller_reply:
        made["replies"] = [
            {
                "id": int(item.native_id) + 7,
                "commentId": item.native_id,
                "content": item.seller_reply.text,
                "creationTime": beijing(item.seller_reply.at),
                "updateTime": beijing(item.seller_reply.at),
                "nickname": JD_SHOP,
                "userClient": 102,
            }
        ]
    return made


def new_comment(item: Item) -> dict[str, Any]:
    """One ``commentInfo`` of api.m.jd.com; every scalar is a string. A review without words has an empty text."""
    colour, size = _sale(item)
    return {
        "commentId": item.native_id,
        "guid": _guid(item).replace("-", ""),
        "commentData": "" if item.mood == "default" else item.text,
        "tagCommentContent": "",
        "noCommentMessage": "用户未及时作出评价哦~",
        "commentScore": str(item.score),
        "commentScoreText": "好评" if (item.score or 0) > 3 else "差评" if item.score == 1 else "中评",
        "commentDate": beijing(item.created_at),
        "productId": item.sku,
        "wareAttribute": [{"颜色": colour}, {"型号": size}],
        "userNickName": item.author.masked,
        "userImgURL": "",
        "userLevel": "105",
        "plusAvailable": "201",
        "userId": "",
        "praiseCnt": str(item.likes),
        "replyCnt": "0",
        "pictureInfoList": [
            {"picURL": picture(item, n), "largePicURL": picture(item, n), "mediaType": "1"}
            for n in range(item.pictures)
        ],
        "afterComment": {"content": item.append.text} if item.append else {},
        "maidianInfo": ";".join(str(one) for one in CATEGORY),
    }
