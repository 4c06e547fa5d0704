"""Bringing an index file of an older version up to date.

Documents are whole records, so whatever is derived from them can be made anew from the file alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from search.columns import INSERT, TABLE, Codes, encode
from search.packing import Packer


def upgrade(connection: sqlite3.Connection) -> None:
    """Make the columns anew, in the running transaction. Raises Damage for a document that cannot be read.

    Takes some twenty seconds for a hundred thousand mentions; memory does not grow with them.
    """
    packer = Packer(connection.execute("SELECT value FROM meta WHERE name = 'dictionary'").fetchone()[0])
    connection.execute("DROP TABLE columns")
    connection.execute(TABLE)
    codes = Codes(connection)

    def rows() -> Iterator[tuple[object, ...]]:
        for docid, packed in connection.execute("SELECT docid, doc FROM docs ORDER BY docid"):
            yield docid, *encode(packer.unpack(packed), codes)

    connection.executemany(INSERT, rows())
    connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'version'")
