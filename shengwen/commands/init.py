"""``shengwen init``: a home with settings that explain themselves."""

from __future__ import annotations

from pathlib import Path

import click

from ingest.errors import UserError
from ingest.privacy import load_secret
from shengwen.cli import pass_home
from shengwen.home import Home
from shengwen.messages import Command

TEMPLATE = Path(__file__).parents[1] / "settings_template.toml"


@click.command(cls=Command, examples=["shengwen init", "shengwen init --home /srv/shengwen"])
@pass_home
def init(home: Home) -> None:
    """建立数据文件夹、密钥和一份带说明的设置文件 shengwen.toml；已有的不会覆盖。"""
    from shengwen.settings import load_settings

    home.ensure()
    load_secret(home.secret)
    if home.settings.exists():
        raise UserError(f"{home.settings} 已经有了，没有改动它")
    home.settings.write_text(TEMPLATE.read_text(encoding="utf-8"), encoding="utf-8")
    home.settings.chmod(0o600)  # it will hold the bots' addresses, which are their passwords
    load_settings(home)
    click.echo(f"已建立 {home.settings}\n写好品牌、采集目标和告警渠道后，运行 shengwen up；shengwen doctor 检查设置。")
