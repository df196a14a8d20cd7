"""What a request has to pass before it costs anything: who asks, how much, how many, how long.

An ASGI layer around the application, so that it counts a body as it streams in, not afterwards.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass

import anyio
from starlette.exceptions import HTTPException

LOOPBACK = ("127.0.0.1", "::1", "localhost")
WORK = (
    "/v1/score",
    "/v1/timeline",
    "/v1/stream",
)  # what computes: `max_waiting`
OPEN = ("/", "/healthz", "/openapi.json", "/page.css", "/page.js")  # needs no token
LINGER_SECONDS = 5.0  # in which the rest of a refused upload is read, else its sender sees a reset
TRY_AGAIN_LATER = 1013  # WebSocket close codes
NOT_ALLOWED = 1008


class Refused(HTTPException):
    """An HTTP status and one sentence; `retry_after` in seconds where trying again helps."""

    def __init__(self, status: int, sentence: str, retry_after: int | None = None):
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        super().__init__(status, sentence, headers)


@dataclass(frozen=True)
class Rules:
    """Of the recipe's section "service"."""

    token: str | None
    max_upload_mb: float
    max_waiting: int
    request_timeout: float

    @property
    def most_bytes(self) -> int:
        return round(self.max_upload_mb * 1e6)

    def check_sender(self, path: str, headers: dict[bytes, bytes]) -> None:
        """`Refused` without the token, for a page of another site and, where there is no token, for
        a name that is not this machine's own: a browser may have been led here under another.
        """
        host = headers.get(b"host", b"").decode("latin-1").lower()
        origin = headers.get(b"origin", b"").decode("latin-1").lower()
        if origin and origin.partition("://")[2] != host:
            raise Refused(403, f"a page of {origin[:100]!r} may not ask this service")
        if self.token is None:
            name = host if host.endswith("]") else host.rpartition(":")[0] or host
            if name.strip("[]") not in LOOPBACK:
                raise Refused(403, "this service answers to 127.0.0.1 and localhost alone")
        elif path not in OPEN and not hmac.compare_digest(_given(headers), self.token.encode()):
            raise Refused(
                401, "a bearer token is needed: send the header Authorization: Bearer ..."
            )


def _given(headers: dict[bytes, bytes]) -> bytes:
    """The token of a request; a browser's WebSocket gives it as a protocol, `bearer, TOKEN`."""
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer":
        return token.strip()
    scheme, _, token = headers.get(b"sec-websocket-protocol", b"").partition(b",")
    return token.strip() if scheme.strip() == b"bearer" else b""


class Guard:
    """Holds the application to the rules; `count(path, status, seconds)` hears of each request."""

    def __init__(self, app, rules: Rules, count: Callable[[str, int, float], None]):
        self.app, self.rules, self._count = app, rules, count
        self.in_work = 0

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        path, begun = scope["path"], asyncio.get_running_loop().time()
        answer = _Answer(scope["type"], send)
        body = _Body(receive, self.rules.most_bytes if scope["type"] == "http" else None)
        headers = dict(scope["headers"])
        try:
            self.rules.check_sender(path, headers)
            if path in WORK:
                await self._work(scope, headers, body, answer)
            else:
                await self.app(scope, body.receive, answer.send)
        except Refused as refusal:
            if answer.status is None:
                if scope["type"] == "http" and b"expect" not in headers:
                    await body.drain()
                await answer.refuse(refusal)
        finally:
            seconds = asyncio.get_running_loop().time() - begun
            self._count(path, answer.status or 0, seconds)

    async def _work(self, scope, headers, body: _Body, answer: _Answer) -> None:
        rules = self.rules
        if self.in_work >= rules.max_waiting:
            raise Refused(429, f"{self.in_work} requests are in work, the most there may be", 1)
        stated = headers.get(b"content-length", b"")
        if stated.isdigit() and int(stated) > rules.most_bytes:
            raise too_large(rules.max_upload_mb)
        self.in_work += 1
        try:
            limit = rules.request_timeout if scope["type"] == "http" else None
            with anyio.fail_after(limit):
                await self.app(scope, body.receive, answer.send)
        except TimeoutError:
            words = f"no answer within {rules.request_timeout:g} s (request_timeout)"
            raise Refused(503, words, 5) from None
        finally:
            self.in_work -= 1


def too_large(megabytes: float) -> Refused:
    return Refused(413, f"the upload is larger than {megabytes:g} MB (max_upload_mb)")


class _Body:
    """A request's messages, its bytes counted."""

    def __init__(self, receive, most: int | None):
        self._receive, self._most, self._bytes, self._ended = receive, most, 0, False

    async def receive(self) -> dict:
        message = await self._receive()
        if message["type"] == "http.request":
            self._bytes += len(message.get("body", b""))
            self._ended = not message.get("more_body", False)
            if self._most is not None and self._bytes > self._most:
                await self.drain()
                raise too_large(self._most / 1e6)
        return message

    async def drain(self) -> None:
        """Read on without keeping anything."""
        with anyio.move_on_after(LINGER_SECONDS):
            while not self._ended:
                message = await self._receive()
                self._ended = not message.get("more_body", False)


class _Answer:
    """What is sent; its status once there is one."""

    def __init__(self, kind: str, send):
        self._kind, self._send, self.status = kind, send, None

    async def send(self, message: dict) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "websocket.accept":
            self.status = 101
        await self._send(message)

    async def refuse(self, refusal: Refused) -> None:
        self.status = refusal.status_code
        if self._kind == "websocket":
            code = TRY_AGAIN_LATER if refusal.headers else NOT_ALLOWED
            await self._send({"type": "websocket.close", "code": code})
            return
        text = json.dumps({"error": refusal.detail}).encode()
        headers = {"content-type": "application/json", "content-length": str(len(text))}
        pairs = [(k.lower().encode(), v.encode()) for k, v in (headers | refusal.headers).items()]
        start = {"type": "http.response.start", "status": self.status, "headers": pairs}
        await self._send(start)
        await self._send({"type": "http.response.body", "body": text})
