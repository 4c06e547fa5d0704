"""Xiaohongshu 小红书: its endpoints. The envelope is always ``{code, success, msg, data}``."""

from __future__ import annotations

import re
from typing import Final

from crawlers.endpoint import Endpoint, Platform
from crawlers.xiaohongshu import comments, notes, signals

XIAOHONGSHU: Final = Platform(
    name="xiaohongshu",
    endpoints=(
        Endpoint(
            name=notes.NOTE_PAGE,
            address=re.compile(r"(?:xiaohongshu|rednote)\.com/(?:explore|discovery/item|search_result)/[0-9a-f]{24}"),
            fits=lambda root: bool(root.at("note.noteDetailMap").value) and root.is_object("note.noteDetailMap"),
            accepts=lambda root: root.is_object("note.noteDetailMap"),
            parse=notes.note_page,
        ),
        Endpoint(
            name=notes.LIST_PAGE,
            address=re.compile(r"(?:xiaohongshu|rednote)\.com/(?:search_result|user/profile)"),
            fits=lambda root: root.is_list("search.feeds") or root.is_list("user.notes"),
            parse=notes.list_page,
        ),
        Endpoint(
            name=notes.APP_SEARCH,
            address=None,
            fits=notes.holds_app_notes,
            parse=notes.app_search,
        ),
        Endpoint(
            name=notes.FEED,
            address=re.compile(r"/api/sns/web/v\d/feed"),
            fits=lambda root: notes.holds_items(root) and notes.holds_full_note(root),
            accepts=notes.holds_items,
            parse=notes.feed,
        ),
        Endpoint(
            name=notes.SEARCH,
            address=re.compile(r"/api/sns/web/v\d/(?:search/notes|homefeed)"),
            fits=notes.holds_items,
            parse=notes.search,
        ),
        Endpoint(
            name=comments.APP_COMMENTS,
            address=None,
            fits=comments.holds_app_comments,
            parse=comments.app_comment_page,
        ),
        Endpoint(
            name=comments.REPLIES,
            address=re.compile(r"/api/sns/web/v\d/comment/sub/page"),
            fits=lambda root: (
                comments.holds_comments(root) and comments.data_of(root).at("comments.0").is_object("target_comment")
            ),
            accepts=comments.holds_comments,
            parse=comments.reply_page,
        ),
        Endpoint(
            name=comments.COMMENTS,
            address=re.compile(r"/api/sns/web/v\d/comment/page"),
            fits=comments.holds_comments,
            parse=comments.comment_page,
        ),
        Endpoint(
            name=notes.PROFILE,
            address=re.compile(r"/api/sns/web/v\d/(?:user_posted|note/(?:collect|like)/page|board/note)"),
            fits=lambda root: notes.data_with(root, "notes").is_list("notes"),
            parse=notes.profile,
        ),
    ),
    outside=signals.outside,
    inside=signals.inside,
    statuses=signals.STATUSES,
)
