"""Xiaohongshu's records: notes and comments, in the API's shape and in the page state's."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson
from markupsafe import Markup

from shengwen.demo.items import Item
from shengwen.demo.people import Person
from shengwen.demo.replica.web import millis, picture

VIEWER: Final = "5f0000000000000000000000"
"""The invented account that looks at the pages."""
_TOPIC: Final = re.compile(r"#([^#\[\s]+)\[话题\]#")


def note_type(note: Item) -> str:
    """What is not shown in pictures is a video."""
    return "normal" if note.pictures else "video"


def short_count(number: int) -> str:
    """As the site shows it: "1.5万" from ten thousand on."""
    return str(number) if number < 10_000 else f"{number / 10_000:.1f}万"


def user(person: Person) -> dict[str, Any]:
    return {"user_id": person.uid, "nickname": person.nick, "avatar": ""}


def image(note: Item, n: int) -> dict[str, Any]:
    url = picture(note, n)
    return {
        "width": 480,
        "height": 640,
        "url_default": url,
        "url_pre": url,
        "live_photo": False,
        "info_list": [{"image_scene": "WB_DFT", "url": url}],
    }


def _tags(note: Item) -> list[dict[str, str]]:
    names = _TOPIC.findall(note.text)
    return [{"id": f"{index:024x}", "name": name, "type": "topic"} for index, name in enumerate(names)]


def note_card(note: Item, comments: int) -> dict[str, Any]:
    card: dict[str, Any] = {
        "note_id": note.native_id,
        "type": note_type(note),
        "title": note.title,
        "desc": note.text,
        "time": millis(note.created_at),
        "last_update_time": millis(note.created_at),
        "user": user(note.author),
        "interact_info": {
            "liked": False,
            "liked_count": short_count(note.likes),
            "collected": False,
            "collected_count": short_count(note.likes // 2),
            "comment_count": str(comments),
            "share_count": str(note.likes // 9),
            "followed": False,
            "relation": "none",
        },
        "image_list": [image(note, n) for n in range(note.pictures)],
        "tag_list": _tags(note),
        "at_user_list": [],
        "share_info": {"un_share": False},
    }
    if note.likes % 7:
        card["ip_location"] = note.author.province
    return card


def _comment(item: Item, note: Item) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": item.native_id,
        "note_id": note.native_id,
        "content": item.text,
        "create_time": millis(item.created_at),
        "like_count": str(item.likes),
        "liked": False,
        "status": 0,
        "user_info": {"user_id": item.author.uid, "nickname": item.author.nick, "image": ""},
        "show_tags": ["is_author"] if item.author.uid == note.author.uid else [],
        "at_users": [],
        "pictures": [],
    }
    # The province is missing on some of the real comments, too.
    if int(item.native_id[-1], 16) % 4:
        made["ip_location"] = item.author.province
    return made


def reply(item: Item, note: Item) -> dict[str, Any]:
    return _comment(item, note) | {
        "target_comment": {"id": item.reply_to, "user_info": {"user_id": "", "nickname": ""}}
    }


def root_comment(root: Item, note: Item, thread: list[Item]) -> dict[str, Any]:
    return _comment(root, note) | {
        "sub_comment_count": str(len(thread)),
        "sub_comments": [reply(item, note) for item in thread[:1]],
        "sub_comment_cursor": thread[0].native_id if thread else "",
        "sub_comment_has_more": len(thread) > 1,
    }


def note_state(note: Item | None, comments: int, said: dict[str, Any] | None = None) -> Markup:
    """A note page's state; ``said``: the first page of its comments, where the server has put it in."""
    if note is None:
        detail: dict[str, Any] = {
            "undefined": {"comments": {"list": [], "cursor": "", "hasMore": True}, "currentTime": 0, "note": {}}
        }
    else:
        card = note_card(note, comments)
        shown = {
            "noteId": note.native_id,
            "type": card["type"],
            "title": note.title,
            "desc": note.text,
            "time": card["time"],
            "lastUpdateTime": card["last_update_time"],
            "ipLocation": note.author.province,
            "user": {"userId": note.author.uid, "nickname": note.author.nick, "avatar": ""},
            "interactInfo": {
                "likedCount": card["interact_info"]["liked_count"],
                "collectedCount": card["interact_info"]["collected_count"],
                "commentCount": str(comments),
                "shareCount": card["interact_info"]["share_count"],
            },
            "tagList": card["tag_list"],
            "imageList": [{"urlDefault": picture(note, n), "width": 480, "height": 640} for n in range(note.pictures)],
        }
        below = {"list": [], "cursor": "", "hasMore": True, "loading": False, "firstRequestFinish": False}
        if said is not None:
            below |= {"list": _camel(said["comments"]), "cursor": said["cursor"], "hasMore": said["has_more"]}
            below["firstRequestFinish"] = True
        detail = {note.native_id: {"comments": below, "currentTime": card["time"], "note": shown}}
    served = {"state": "success", "errorCode": 0, "errMsg": ""}
    return _initial_state({"note": {"noteDetailMap": detail, "serverRequestInfo": served, "volume": "@undefined@"}})


def search_state(first: dict[str, Any]) -> Markup:
    """A search page's state: the first page of the search."""
    found = {"feeds": _camel(first["items"]), "hasMore": first["has_more"], "searchContext": {"page": 1}}
    return _initial_state({"search": found, "note": {"noteDetailMap": {}}})


_SNAKE: Final = re.compile(r"_([a-z])")


def _camel(value: Any) -> Any:
    """The same with its keys written as the page's state writes them."""
    if isinstance(value, list):
        return [_camel(one) for one in value]
    if isinstance(value, dict):
        return {_SNAKE.sub(lambda found: found[1].upper(), key): _camel(one) for key, one in value.items()}
    return value


def _initial_state(parts: dict[str, Any]) -> Markup:
    """``window.__INITIAL_STATE__`` as the site writes it: JSON with bare ``undefined`` and escaped slashes."""
    state = {
        "global": {"appSettings": "@undefined@"},
        "user": {"loggedIn": False, "userInfo": {"userId": VIEWER}, "activeTab": "@undefined@"},
    } | parts
    text = orjson.dumps(state).decode().replace('"@undefined@"', "undefined")
    return Markup(text.replace("/", "\\u002F").replace("<", "\\u003C"))  # noqa: S704 - no tag can be closed or opened
