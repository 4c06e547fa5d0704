"""The index over TLS: a server whose certificate a CA of one's own vouches for, and one that nobody vouches for."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ingest.clock import SystemClock
from ingest.errors import ConfigError
from search.elastic.index import ElasticIndex
from tests.contract.index_suite import deliver, ids, q
from tests.factories import a_classified
from tests.servers.elastic import ElasticServer


class Papers(NamedTuple):
    ca: Path
    chain: Path


def papers(folder: Path) -> Papers:
    """A certification authority, and a certificate for 127.0.0.1 with its key."""
    folder.mkdir()
    now = datetime.datetime.now(datetime.UTC)

    def signed(
        name: str, key: ec.EllipticCurvePrivateKey, by: str, with_: ec.EllipticCurvePrivateKey, *, ca: bool
    ) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, by)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(with_.public_key()), critical=False)
        )
        if not ca:
            address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        return builder.sign(with_, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    root, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    found = Papers(folder / "ca.pem", folder / "chain.pem")
    found.ca.write_bytes(signed("ours", root, "ours", root, ca=True))
    secret = leaf.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    found.chain.write_bytes(secret + signed("node", leaf, "ours", root, ca=False))
    return found


@contextmanager
def behind_tls(server: ElasticServer, chain: Path) -> Iterator[str]:
    """The server's address where it is reached over TLS; bytes are passed on as they are."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    loop = asyncio.new_event_loop()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except (ConnectionError, ssl.SSLError):
            return  # one side is gone: so is the other
        finally:
            writer.close()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(copy(reader, back), copy(there, writer))

    listening = loop.run_until_complete(asyncio.start_server(join, "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:

        async def end() -> None:
            listening.close()
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def test_a_ca_of_one_s_own_vouches_for_the_server(
    elastic_server: ElasticServer, elastic_prefix: str, tmp_path: Path
) -> None:
    ours, other = papers(tmp_path / "ours"), papers(tmp_path / "other")
    with behind_tls(elastic_server, ours.chain) as url:
        trusting = elastic_server.settings(elastic_prefix, hosts=(url,), ca_file=ours.ca)
        with ElasticIndex(trusting, SystemClock()) as index:
            mention = a_classified(text="阀门漏水")
            index.apply(deliver([mention]))
            assert ids(index, "漏水") == [mention.id]
        for ca in (None, other.ca):
            doubting = elastic_server.settings(elastic_prefix, hosts=(url,), ca_file=ca)
            with pytest.raises(ConfigError, match="证书没有通过校验"), ElasticIndex(doubting, SystemClock()) as index:
                index.search(q("漏水"))
