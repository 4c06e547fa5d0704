"""A hub on loopback: what ``huggingface_hub`` asks for, answered from folders."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit


class Hub:
    """``repos`` maps ``owner/name`` to (folder, commit); ``asked`` keeps every path; ``down`` answers 503."""

    def __init__(self) -> None:
        self.repos: dict[str, tuple[Path, str]] = {}
        self.gated: set[str] = set()
        self.asked: list[str] = []
        self.down = False
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.answer(self)

            do_HEAD = do_GET  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fetched(self) -> set[str]:
        """Names of the files that were asked for."""
        return {path.rpartition("/")[2] for path in self.asked if "/resolve/" in path}

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = unquote(urlsplit(request.path).path)
        self.asked.append(path)
        if self.down:
            return self._send(request, 503, b"busy")
        words = path.strip("/").split("/")
        if words[:2] == ["api", "models"]:
            return self._api(request, "/".join(words[2:4]), words[4:])
        folder, commit = self.repos.get("/".join(words[:2]), (None, ""))
        if folder is None or words[2] != "resolve":
            return self._send(request, 404, b"", **{"X-Error-Code": "RepoNotFound"})
        data = folder.joinpath(*words[4:]).read_bytes()
        etag = f'"{hashlib.sha256(data).hexdigest()}"'
        return self._send(request, 200, data, **{"ETag": etag, "X-Repo-Commit": commit})

    def _api(self, request: BaseHTTPRequestHandler, repo: str, words: list[str]) -> None:
        if repo in self.gated:
            return self._send(request, 403, b"", **{"X-Error-Code": "GatedRepo"})
        if repo not in self.repos:
            return self._send(request, 404, b"", **{"X-Error-Code": "RepoNotFound"})
        folder, commit = self.repos[repo]
        if words[1:] and words[1] not in ("main", commit):
            return self._send(request, 404, b"", **{"X-Error-Code": "RevisionNotFound"})
        names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        if words[:1] == ["tree"]:
            answer: Any = [
                {"type": "file", "path": name, "size": (folder / name).stat().st_size, "oid": "0" * 40}
                for name in names
            ]
        else:
            answer = {"id": repo, "sha": commit, "siblings": [{"rfilename": name} for name in names]}
        return self._send(request, 200, json.dumps(answer).encode(), **{"Content-Type": "application/json"})

    @staticmethod
    def _send(request: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
        request.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            request.send_header(name, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)
