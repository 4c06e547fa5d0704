"""The taxonomy: groups, tags, their words and examples, as a user writes them in a TOML file.

``taxonomy.toml`` beside this module is what ships, and its head explains the format. A file with ``extends = true``
adds to the shipped taxonomy, or replaces the tags and groups it names again; any other file stands alone.
"""

from __future__ import annotations

import tomllib
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ingest.complaints import first_complaint
from ingest.errors import ConfigError

_MAX_BYTES = 4_000_000

Word = Annotated[str, Field(min_length=1, max_length=400)]
Words = tuple[Word, ...]
Sentence = Annotated[str, Field(min_length=1, max_length=500)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Examples(_Entry):
    """Sentences that carry the tag, by the sentiment they carry it with."""

    negative: tuple[Sentence, ...] = ()
    neutral: tuple[Sentence, ...] = ()
    positive: tuple[Sentence, ...] = ()


class Safety(_Entry):
    """Words of danger; ``not`` are stretches in which they are something else. The sentences show the three modes."""

    words: Words
    excluded: Words = Field(default=(), alias="not")
    meant: tuple[Sentence, ...] = ()
    feared: tuple[Sentence, ...] = ()
    denied: tuple[Sentence, ...] = ()


class Tag(_Entry):
    """One tag. ``severity`` 0-10 is how bad its plain negative is.

    ``plain``: mentioning it without an opinion counts too. ``only``: the one sentiment it can hold.
    """

    name: str = Field(pattern=r"^[^/\s]{1,30}/[^/\s]{1,30}$")
    words: Words = ()
    negative: Words = ()
    positive: Words = ()
    excluded: Words = Field(default=(), alias="not")
    when_positive: str | None = None
    when_negative: str | None = None
    department: str | None = None
    severity: float = Field(default=4, ge=0, le=10)
    plain: bool = False
    only: Literal["negative", "neutral", "positive"] | None = None
    examples: Examples = Examples()
    safety: Safety | None = None

    @property
    def group(self) -> str:
        return self.name.split("/")[0]


class Group(_Entry):
    """A group of tags, the department that answers for it and the tag its suggestions get."""

    name: str = Field(pattern=r"^[^/\s]{1,30}$")
    department: str | None = None
    suggestion: str | None = None


class Product(_Entry):
    """What the brand sells: ``words`` name it, ``lookalikes`` are stretches in which they mean something else."""

    words: Words = ()
    lookalikes: Words = ()


class Defaults(_Entry):
    """Tags for what is said of nothing in particular; ``praise`` is for a bare 很好."""

    praise: str | None = None


class Taxonomy(_Entry):
    """Everything a classifier must know of one brand's business."""

    product: Product = Product()
    defaults: Defaults = Defaults()
    groups: tuple[Group, ...] = Field(default=(), alias="group")
    tags: tuple[Tag, ...] = Field(alias="tag", min_length=1)

    @cached_property
    def by_name(self) -> dict[str, Tag]:
        return {tag.name: tag for tag in self.tags}

    @cached_property
    def _groups(self) -> dict[str, Group]:
        return {group.name: group for group in self.groups}

    def group_of(self, tag: str) -> Group:
        """The group of a tag. Raises KeyError for a tag that is not in the taxonomy."""
        return self._groups[self.by_name[tag].group]


def load_taxonomy(path: Path | None = None) -> Taxonomy:
    """Read a taxonomy file, or the one that ships. Raises ConfigError (Chinese) naming the entry that does not fit."""
    if path is None:
        return parse_taxonomy(_shipped(), source="自带的标签体系")
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError(f"标签体系文件 {path} 太大，上限 {_MAX_BYTES // 1_000_000} MB")
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"读不到标签体系文件 {path}：{error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"标签体系文件 {path} 不是 UTF-8 编码，请另存为 UTF-8") from error
    return parse_taxonomy(text, source=f"标签体系文件 {path}")


def parse_taxonomy(text: str, *, source: str = "标签体系") -> Taxonomy:
    """Parse the text of a taxonomy file; ``source`` names it in messages. Raises ConfigError."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source} 不是合法的 TOML：{error}") from error
    extends = data.pop("extends", False)
    if not isinstance(extends, bool):
        raise ConfigError(f"{source}：extends 只能写 true 或 false")
    for key in ("group", "tag"):
        if not all(isinstance(entry, dict) for entry in _list(data, key, source)):
            raise ConfigError(f"{source}：{key} 要写成 [[{key}]]")
    if extends:
        data = _extended(tomllib.loads(_shipped()), data)
    try:
        taxonomy = Taxonomy.model_validate(data)
    except ValidationError as error:
        raise ConfigError(f"{source}：{_complaint(error, data)}") from error
    _check(taxonomy, source)
    return taxonomy


def _shipped() -> str:
    return files("classify").joinpath("taxonomy.toml").read_text("utf-8")


def _list(data: dict[str, Any], key: str, source: str) -> list[Any]:
    entries = data.get(key, [])
    if not isinstance(entries, list):
        raise ConfigError(f"{source}：{key} 要写成 [[{key}]]（两对方括号）")
    return entries


def _extended(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    merged = base | {key: value for key, value in more.items() if key not in ("group", "tag")}
    for key in ("group", "tag"):
        again = {entry.get("name") for entry in more.get(key, [])}
        merged[key] = [entry for entry in base[key] if entry["name"] not in again] + more.get(key, [])
    return merged


def _complaint(error: ValidationError, data: dict[str, Any]) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    where = list(first["loc"])
    named = ""
    if len(where) >= 2 and where[0] in ("group", "tag") and isinstance(where[1], int):
        kind = "标签" if where[0] == "tag" else "组"
        name = data[where[0]][where[1]].get("name")
        named = f"{kind}“{name}”" if isinstance(name, str) and name else f"第 {where[1] + 1} 个{kind}"
        where = where[2:]
    field = ".".join(str(part) for part in where)
    what = {
        "missing": "没有写",
        "extra_forbidden": "不认识这一项，请检查拼写",
        "string_type": "要写成带引号的文字",
        "string_too_short": "不能为空",
        "string_too_long": "太长了",
        "tuple_type": "要写成方括号里的列表",
        "too_short": "至少要有一个",
        "string_pattern_mismatch": "写法不对：标签要写作 组/标签，组名里不能有斜杠和空格",
        "float_type": "要写成数字",
        "float_parsing": "要写成数字",
        "less_than_equal": "不能大于 10",
        "greater_than_equal": "不能小于 0",
        "bool_type": "只能写 true 或 false",
        "bool_parsing": "只能写 true 或 false",
        "literal_error": "只能写 negative、neutral 或 positive",
        "model_type": "写法不对",
        "model_attributes_type": "写法不对",
    }.get(first["type"]) or first_complaint(error).said
    return f"{named}的 {field} {what}" if named and field else f"{named or field} {what}"


def _check(taxonomy: Taxonomy, source: str) -> None:
    groups = [group.name for group in taxonomy.groups]
    names = [tag.name for tag in taxonomy.tags]
    for kind, entries in (("组", groups), ("标签", names)):
        twice = sorted({entry for entry in entries if entries.count(entry) > 1})
        if twice:
            raise ConfigError(f"{source}：{kind}“{twice[0]}”写了两遍")
    for tag in taxonomy.tags:
        if tag.group not in groups:
            raise ConfigError(f"{source}：标签“{tag.name}”的组“{tag.group}”没有声明，请加一段 [[group]]")
        if not (tag.words or tag.negative or tag.positive):
            raise ConfigError(f"{source}：标签“{tag.name}”没有词，words、negative、positive 至少写一个")
        for word in _every_word(tag):
            if any(not alternative.strip() for side in word.split("~") for alternative in side.split("|")):
                raise ConfigError(f"{source}：标签“{tag.name}”的词“{word}”里 ~ 或 | 的一边是空的")
        for field in ("when_positive", "when_negative"):
            _known(getattr(tag, field), names, f"{source}：标签“{tag.name}”的 {field}")
    for group in taxonomy.groups:
        _known(group.suggestion, names, f"{source}：组“{group.name}”的 suggestion")
    _known(taxonomy.defaults.praise, names, f"{source}：defaults 的 praise")


def _every_word(tag: Tag) -> Words:
    safety = (*tag.safety.words, *tag.safety.excluded) if tag.safety else ()
    return (*tag.words, *tag.negative, *tag.positive, *tag.excluded, *safety)


def _known(name: str | None, names: list[str], where: str) -> None:
    if name is not None and name not in names:
        raise ConfigError(f"{where} 指向没有的标签“{name}”")
