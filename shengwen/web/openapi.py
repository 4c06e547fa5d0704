"""What `POST /api/v1/mentions` takes and answers, as OpenAPI; `docs/push.openapi.json` is this, written.

python -m shengwen.web.openapi > docs/push.openapi.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any, Final

from shengwen.pushing import MAX_ITEMS, PushedMention
from shengwen.web.security import PUSH_PATH

_REF: Final = "#/components/schemas/"


def example() -> Mapping[str, list[dict[str, object]]]:
    """A batch as the documents show it."""
    return {
        "mentions": [
            {
                "id": "T-20260304-0017",
                "kind": "call",
                "text": "客户说暖气片接口渗水，已经第二次报修，要求今天上门",
                "created_at": "2026-03-04T14:05:00+08:00",
                "author": "C-10086",
                "region": "山东",
                "product": {"sku": "K20-1800", "name": "K20 钢制暖气片"},
            },
            {"id": "S-311", "kind": "survey", "text": "安装师傅迟到两小时", "nps": 3},
        ]
    }


def document() -> dict[str, Any]:
    """OpenAPI 3.1."""
    pushed = PushedMention.model_json_schema(ref_template=_REF + "{model}")
    schemas = {**pushed.pop("$defs"), "PushedMention": pushed, "Answer": _ANSWER, "Error": _ERROR}
    items = {"type": "array", "minItems": 1, "maxItems": MAX_ITEMS, "items": {"$ref": f"{_REF}PushedMention"}}
    batch = {
        "type": "object",
        "required": ["mentions"],
        "additionalProperties": False,
        "properties": {"mentions": items},
    }
    failed = {"content": {"application/json": {"schema": {"$ref": f"{_REF}Error"}}}}
    answered = {"content": {"application/json": {"schema": {"$ref": f"{_REF}Answer"}}}}
    seconds = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "声闻：推送", "version": "1"},
        "paths": {
            PUSH_PATH: {
                "post": {
                    "summary": "推送顾客说的话",
                    "security": [{"token": []}],
                    "parameters": [
                        {
                            "name": "Content-Encoding",
                            "in": "header",
                            "schema": {"type": "string", "enum": ["identity", "gzip"]},
                        }
                    ],
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/json": {"schema": {"oneOf": [batch, items]}, "example": example()},
                            "application/x-ndjson": {"schema": {"type": "string"}},
                        },
                    },
                    "responses": {
                        "202": {"description": "没有被拒绝的都已写进日志", **answered},
                        "400": {"description": "这一批读不懂", **failed},
                        "401": {"description": "令牌无效或已停用", **failed},
                        "413": {"description": "这一批太大", **failed},
                        "415": {"description": "内容类型或编码不支持", **failed},
                        "422": {"description": "每一条都被拒绝", **answered},
                        "503": {"description": "没有写进日志，请把同一批再发一遍", "headers": seconds, **failed},
                    },
                }
            }
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas,
        },
    }


_COUNT: Final = {"type": "integer", "minimum": 0}
_RESULT: Final = {
    "type": "object",
    "required": ["index", "status"],
    "properties": {
        "index": _COUNT,
        "status": {"type": "string", "enum": ["accepted", "duplicate", "rejected"]},
        "id": {"type": "string", "description": "记录的编号"},
        "path": {"type": "string", "description": "哪个字段"},
        "reason": {"type": "string", "description": "为什么被拒绝"},
    },
}
_ANSWER: Final = {
    "type": "object",
    "required": ["accepted", "duplicate", "rejected", "results"],
    "properties": {
        "accepted": _COUNT,
        "duplicate": _COUNT,
        "rejected": _COUNT,
        "results": {"type": "array", "items": _RESULT, "description": "与推送的次序相同"},
    },
}
_ERROR: Final = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}


def written() -> str:
    """The document as it lies in the repository."""
    return json.dumps(document(), ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(written())
