"""An HTTP/1.1 client over one persistent connection. Its errors show whether a request was sent."""

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass


# The client opens a new connection after this many idle seconds. The server closes idle connections after ten seconds,
# and a request that is sent at that moment is lost (RFC 9112 section 9.5).
MAX_IDLE = 5.0


class NotSent(Exception):
    """There was no connection, so the server did not execute the request."""


class Unanswered(Exception):
    """The connection or the timeout ended before the full response. The server may have executed the request."""

    def __init__(self, reason, sent):
        super().__init__(reason)
        self.sent = sent


@dataclass(slots=True)
class Response:
    status: int
    headers: dict
    body: bytes
    sent: float
    answered: float

    def json(self):
        """Returns the body, or `None` if it is not JSON."""
        if self.headers.get("content-type") != "application/json":
            return None
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Connection:
    def __init__(self, port):
        self.port = port
        self.streams = None
        self.idle_since = 0.0

    async def request(self, method, path, token=None, body=None, timeout=20.0, disconnect_after=None):
        """Sends a request and reads the response. `disconnect_after` closes the connection this many seconds after sending."""
        content = b"" if body is None else json.dumps(body).encode()
        head = [f"{method} {path} HTTP/1.1", "Host: homeroom.test", f"Content-Length: {len(content)}"]
        if body is not None:
            head.append("Content-Type: application/json")
        if token is not None:
            head.append(f"Authorization: Bearer {token}")
        request = "\r\n".join([*head, "", ""]).encode() + content
        if time.monotonic() - self.idle_since > MAX_IDLE:
            self.close()
        if self.streams is None:
            try:
                async with asyncio.timeout(5):
                    self.streams = await asyncio.open_connection("127.0.0.1", self.port)
            except (OSError, TimeoutError) as error:
                raise NotSent(str(error)) from error
        reader, writer = self.streams
        sent = time.monotonic()
        try:
            async with asyncio.timeout(timeout):
                writer.write(request)
                if disconnect_after is not None:
                    await asyncio.sleep(disconnect_after)
                    raise ConnectionAbortedError("disconnected")
                status, headers, response, keep = await self._read(reader)
        except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError) as error:
            self.close()
            raise Unanswered(type(error).__name__, sent) from error
        except asyncio.CancelledError:
            self.close()
            raise
        answered = self.idle_since = time.monotonic()
        if not keep:
            self.close()
        return Response(status, headers, response, sent, answered)

    async def _read(self, reader):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {}
        for line in filter(None, head[1:]):
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        keep = headers.get("connection", "").lower() != "close" and "content-length" in headers
        if "content-length" in headers:
            body = await reader.readexactly(int(headers["content-length"]))
        else:
            body = await reader.read()
        return int(head[0].split()[1]), headers, body, keep

    def close(self):
        if self.streams is not None:
            with contextlib.suppress(Exception):
                self.streams[1].transport.abort()
            self.streams = None
