"""A customer of the demo: an API key, and a browser that walks through the packages' own consent pages."""

import re
from collections.abc import Mapping
from html import unescape
from typing import Any
from urllib.parse import urljoin

from hub.sdk.http import new_browser

LANGUAGE = "nl"
_FORM_POST = re.compile(r'<body onload="document\.forms\[0\]\.submit\(\)">\s*<form[^>]* action="([^"]+)"')
_INPUT = re.compile(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"')
_PAGES = 12


class DemoFailed(Exception):
    """The demo is not as it should be; `str()` says what."""


class Customer:
    """A customer with an API key and a browser."""

    def __init__(self, base_url: str, key: str) -> None:
        self._api = new_browser(base_url, {"Authorization": f"Bearer {key}", "Accept-Language": LANGUAGE})
        self._browser = new_browser(base_url, {"Accept-Language": LANGUAGE})

    async def close(self) -> None:
        """Closes both."""
        await self._api.aclose()
        await self._browser.aclose()

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """The JSON of a call to the API. Raises DemoFailed with the problem document."""
        answer = await self._api.request(method, f"/v1{path}", json=body)
        if answer.status_code == 409 and "run_id" in answer.json():
            return await self.call("GET", f"/runs/{answer.json()['run_id']}")
        if answer.status_code >= 400:
            raise DemoFailed(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    async def consent(self, url: str, login: Mapping[str, str]) -> None:
        """Follows an authorisation through the package's own pages: logs in, accepts, comes back. Raises DemoFailed."""
        answer = await self._browser.get(url)
        for _ in range(_PAGES):
            if answer.is_redirect:
                answer = await self._browser.get(urljoin(str(answer.url), answer.headers["location"]))
            elif posted := _FORM_POST.search(answer.text):
                # A page that posts itself, as a browser would do it: from another site, so without our cookies.
                fields = {name: unescape(value) for name, value in re.findall(_INPUT, answer.text)}
                kept, self._browser.cookies = self._browser.cookies, type(self._browser.cookies)()
                answer = await self._browser.post(unescape(posted[1]), data=fields)
                self._browser.cookies = kept
            elif "<form" in answer.text and 'name="consent"' in answer.text:
                fields = {name: unescape(value) for name, value in re.findall(_INPUT, answer.text)}
                form = {**fields, **{name: value for name, value in login.items() if name in fields}, "consent": "yes"}
                answer = await self._browser.post(str(answer.url), data=form)
            else:
                break
        if answer.status_code >= 400:
            raise DemoFailed(f"consent ended at {answer.url}: {answer.status_code} {answer.text[:500]}")
