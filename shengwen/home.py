"""One folder holds all state and settings of an installation; two homes never touch each other."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import ConfigError

ENV = "SHENGWEN_HOME"


@dataclass(frozen=True, slots=True)
class Home:
    """Where things lie in the folder ``path``."""

    path: Path

    @property
    def settings(self) -> Path:
        return self.path / "shengwen.toml"

    @property
    def secret(self) -> Path:
        return self.path / "secret.key"

    @property
    def log(self) -> Path:
        return self.path / "log.db"

    @property
    def index(self) -> Path:
        return self.path / "index.db"

    @property
    def state(self) -> Path:
        return self.path / "state.db"

    @property
    def runtime(self) -> Path:
        """What the running service tells other commands: its URL and process id."""
        return self.path / "running.json"

    @property
    def audit(self) -> Path:
        """A line for each request that went to a platform (:mod:`crawlers.audit`)."""
        return self.path / "audit"

    @property
    def beats(self) -> Path:
        """Where its processes say that they live (:mod:`shengwen.heartbeat`)."""
        return self.path / "run"

    def ensure(self) -> Home:
        """Make the folder, for its owner only. Raises ConfigError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ConfigError(f"无法创建数据文件夹 {self.path}：{error.strerror}；用 --home 指定别处") from error
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise ConfigError(f"没有写入数据文件夹 {self.path} 的权限；用 --home 指定别处")
        return self

    def demo(self) -> Home:
        """The demo's own home, beside this one."""
        return Home(self.path.with_name(f"{self.path.name}-demo"))


def find_home(option: Path | None) -> Home:
    """``--home``, else ``SHENGWEN_HOME``, else the user's data folder."""
    chosen = option or (Path(os.environ[ENV]) if os.environ.get(ENV) else None)
    if chosen is None:
        data = os.environ.get("XDG_DATA_HOME")
        try:
            chosen = (Path(data) if data else Path.home() / ".local" / "share") / "shengwen"
        except RuntimeError as error:  # a user without a home, as in some containers
            raise ConfigError("这个用户没有主目录；请用 --home 指定数据文件夹") from error
    return Home(chosen.expanduser().absolute())
