"""Spiders of platforms whose lists answer plain requests: one page at a time, until a list says that it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urljoin

from scrapy import Request
from scrapy.http import Response

from crawlers.address import params_of, stored_url, with_params
from crawlers.base import PlatformSpider, Reading
from crawlers.errors import BudgetSpent, FetchFailed
from crawlers.payload import Payload
from crawlers.resume import Resumption
from crawlers.session import cookies_of
from crawlers.trip import ListPass, Trip


class HttpSpider(PlatformSpider):
    """A platform whose lists answer plain requests."""

    async def fetch(self, url: str, *, referer: str | None = None) -> Payload:
        """One page. Redirects are not followed: where they lead is what tells (a login page is not requested).

        What a server answers by failing is asked for once more after a reader's pause, unless it wants a longer one.
        Raises FetchFailed, SourceDown and what :meth:`turn` does.
        """
        payload = await self._fetch(url, referer)
        fault = self.fault_of(payload)
        if fault is not None and "retry-after" not in payload.headers:
            await self.pause()
            payload = await self._fetch(url, referer, again=True)
            fault = self.fault_of(payload)
        if fault is not None:
            raise self.failed(fault, f"{stored_url(payload.url)} 答复 HTTP {payload.status}")
        return payload

    async def _fetch(self, url: str, referer: str | None, *, again: bool = False) -> Payload:
        await self.turn()
        headers = {"Referer": referer} if referer else {}
        cookies = cookies_of(self.session, self.here.bases.values()) if self.session is not None else None
        request = Request(url, headers=headers, cookies=cookies, meta={"dont_redirect": True}, dont_filter=again)
        return self.payload(url, await self.download(request))

    def payload(self, url: str, response: Response) -> Payload:
        """The answer as parsers read it, with real addresses."""
        headers = {
            name.decode("latin-1").lower(): b", ".join(values).decode("latin-1")
            for name, values in response.headers.items()
        }
        final = self.here.real(response.url)
        if "location" in headers:
            headers["location"] = self.here.real(urljoin(response.url, headers["location"]))
            final = headers["location"] if 300 <= response.status < 400 else final
        return Payload(
            url=self.here.real(url),
            status=response.status,
            headers=headers,
            body=response.body,
            captured_at=self.kit.clock.now(),
            final_url=final,
        )

    async def walk(
        self,
        lane: ListPass,
        trip: Trip,
        first: str,
        *,
        referer: str | None = None,
        numbered: str = "",
        resumed: bool = False,
    ) -> AsyncIterator[Reading]:
        """The pages of one list, from ``first`` on, until its end, what was settled, a repeat, or the cap.

        ``numbered`` names the parameter that counts the pages, where one does: then a page that cannot be fetched
        is left out, noted, and does not hide the next. Never the first one, nor two in a row. Raises FetchFailed.

        ``resumed``: a pass that was cut off is gone on with (:mod:`crawlers.resume`). Lists with cursors are read from
        the top again: a cursor is the platform's own and may have died, and the end of a list cannot be told from the
        answer to a dead one.
        """
        resumption = Resumption(self.kit, lane, first) if resumed else None
        url: str | None = first
        broken = False
        while url is not None and lane.open(url):
            try:
                payload = await self.fetch(url, referer=referer)
            except FetchFailed as error:
                if not numbered or broken or lane.pages == 0:
                    if resumption is not None:
                        resumption.keep()
                    raise
                broken, number = True, params_of(url)[numbered]
                if resumption is not None:
                    resumption.stay()
                lane.skip()
                trip.notes.append(f"{lane.key}：第 {number} 页没有取到（{error.kind}）")
                url = with_params(url, {numbered: str(int(number) + 1)})
                continue
            except (BudgetSpent, asyncio.CancelledError):
                if resumption is not None:
                    resumption.keep()
                raise
            broken = False
            trip.pages += 1
            reading = self.read(payload, trip, lane)
            yield reading
            more = lane.saw(reading.page, reading.taken)
            here, url = url, self.next_url(first, more) if more is not None else None
            if resumption is not None:
                url = resumption.after(here, url, reading.taken)
        if resumption is not None:
            resumption.drop()

    def next_url(self, first: str, more: Mapping[str, str]) -> str:
        """The next page's address: the first page's, with the parameters that the parser read."""
        params = dict(more)
        if "url" in params:
            params = params_of(params["url"])
        return with_params(first, params)
