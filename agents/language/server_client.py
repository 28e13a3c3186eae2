"""A client of a server whose answers have an end: in seconds, from the first to the last byte, and in bytes.

A timeout of the library's is between two reads, so that a server which sends a byte now and then is waited for without
end; and it reads all that is sent before anybody looks at it.
"""

from __future__ import annotations

import ipaddress
import time
from typing import Any
from urllib.parse import urlsplit

import httpx2
from openai import DefaultHttpxClient

from .time_limit import within

_OF_THE_TRANSFER = ("content-encoding", "content-length", "transfer-encoding")  # headers that are true of it alone


class ServerClient(DefaultHttpxClient):
    """Requests to `url`. An answer has so many `seconds`, or is a `ReadTimeout`; it is cut behind `most_bytes` + 1. A
    proxy of the environment is used for other machines alone."""

    def __init__(self, url: str, *, seconds: float, most_bytes: int) -> None:
        host = urlsplit(url).hostname or ""
        shown = f"[{host}]" if ":" in host else host
        super().__init__(timeout=seconds, mounts={f"all://{shown}": None} if is_here(host) else None)
        self._seconds, self._most = seconds, most_bytes

    def send(self, request: httpx2.Request, *, stream: bool = False, **how: Any) -> httpx2.Response:
        """As the library does, and all of the answer has been read, or as much as is allowed."""
        try:
            return within(self._seconds, lambda: self._read(request, how))
        except TimeoutError:
            raise httpx2.ReadTimeout(f"no whole answer within {self._seconds:g} s", request=request) from None

    def _read(self, request: httpx2.Request, how: dict[str, Any]) -> httpx2.Response:
        until, body = time.monotonic() + self._seconds, bytearray()
        answer = super().send(request, stream=True, **how)
        try:
            for part in answer.iter_bytes():
                body += part
                if len(body) > self._most:
                    break
                if time.monotonic() > until:
                    raise TimeoutError
        finally:
            answer.close()
        headers = [(name, value) for name, value in answer.headers.multi_items() if name not in _OF_THE_TRANSFER]
        kept = bytes(body[: self._most + 1])
        return httpx2.Response(answer.status_code, headers=headers, content=kept, request=answer.request)


def is_here(host: str) -> bool:
    """Whether it is this machine by its own name for itself."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified
