"""The one error tree.

    ShengwenError
    ├── Retryable            may pass by itself: a busy database, a 429, a time-out
    │   └── Unavailable      a server that cannot be reached right now
    ├── Permanent            will not pass without a person: the stage or command stops
    │   ├── ConfigError      a setting is missing or wrong; the message names it
    │   ├── ContractError    code broke a promise (unknown topic, commit backwards)
    │   │   └── NotAssigned  a partition that this member does not own, or owns no more
    │   ├── DeadLetterLimit  too many poison records in a row: stop, do not empty the topic
    │   └── ModelError       a model file is missing, corrupted or swapped
    ├── Poison               this one record can never pass: park it as a dead letter
    │   └── PayloadError     a platform's answer that cannot be read; names the path that broke
    └── UserError            what a person typed cannot be done; the message says what to do
        └── QueryError       a query that cannot be parsed; carries the position and a suggestion

Messages reach users (a command's error, the sources page, a dead letter, the answer to a push) and are in Chinese:
where it is, which setting, what to do; a server's own words stand in parentheses. Only a ContractError speaks to
developers.
Each client library's exceptions are mapped onto this tree once, where the library is called.
"""

from __future__ import annotations

from collections.abc import Collection


class ShengwenError(Exception):
    """Root of everything this project raises on purpose."""


class Retryable(ShengwenError):
    """May pass by itself. ``retry_after`` (seconds) is the other side's own wish, if it gave one."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(Retryable):
    """A server that cannot be reached right now."""


class Permanent(ShengwenError):
    """Will not pass without a person; stages stop on it instead of losing records."""


class ConfigError(Permanent):
    """A setting is missing or wrong; the message (Chinese) names it and says what to do."""


class ContractError(Permanent):
    """Code broke a promise of a contract class."""


class NotAssigned(ContractError):
    """A partition that this member does not own: never did, or a rebalance took it since. ``partitions`` names them."""

    def __init__(self, message: str, partitions: Collection[int] = ()) -> None:
        super().__init__(message)
        self.partitions = frozenset(partitions)


class DeadLetterLimit(Permanent):
    """Too many poison records: the stage stops instead of emptying its topic into the dead letters."""


class ModelError(Permanent):
    """A model file is missing, corrupted or not the one that was shipped."""


class Poison(ShengwenError):
    """This one record can never pass. ``field`` names what broke, as a dotted path where there is one."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message if field is None else f"{field}: {message}")
        self.field = field


class PayloadError(Poison):
    """A platform's answer that cannot be read."""


class UserError(ShengwenError):
    """What a person asked for cannot be done; the message (Chinese) says what to do."""


class QueryError(UserError):
    """A query that cannot be parsed.

    ``position`` is the 0-based character offset in the query as typed; ``suggestion`` is Chinese or empty.
    """

    def __init__(self, message: str, *, position: int, suggestion: str = "") -> None:
        text = f"第 {position + 1} 个字符处：{message}"
        super().__init__(f"{text}。{suggestion}" if suggestion else text)
        self.position = position
        self.suggestion = suggestion
