"""An SMTP server for tests: aiosmtpd, with failures that the recipient's address selects.

It prints `listening on PORT`, and writes each accepted mail as N.json to a directory. The local part of a recipient selects:

rcpt.CODE.TIMES.x   the answer CODE to RCPT TO, for the first TIMES attempts
data.CODE.TIMES.x   the answer CODE to the message, for the first TIMES attempts
slow.SECONDS.x      a wait before the answer to the message
lost.TIMES.x        no answer: the mail is accepted, but the connection is closed
"""

import argparse
import asyncio
import collections
import email
import email.policy
import json
import os
import pathlib
import ssl

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Handler:
    def __init__(self, directory):
        self.directory = directory
        self.attempts = collections.Counter()
        self.written = len(list(directory.glob("*.json")))

    def fails(self, step, address):
        """The code of a failure that the address asks for, if it has not failed often enough."""
        words = address.split("@")[0].split(".")
        if len(words) < 4 or words[0] != step:
            return None
        self.attempts[step, address] += 1
        return words[1] if self.attempts[step, address] <= int(words[2]) else None

    async def handle_MAIL(self, server, session, envelope, address, options):
        if address.startswith("refused@"):
            return "550 the sender is refused by the test"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        code = self.fails("rcpt", address)
        if code:
            return f"{code} <{address}> is refused by the test"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        (address,) = envelope.rcpt_tos
        code = self.fails("data", address)
        if code:
            return f"{code} the message to <{address}> is refused by the test"
        words = address.split("@")[0].split(".")
        if words[0] == "slow":
            await asyncio.sleep(float(words[1]))
        self.write(session, envelope, address)
        if words[0] == "lost":
            self.attempts["lost", address] += 1
            if self.attempts["lost", address] <= int(words[1]):
                server.transport.abort()
        return "250 OK"

    def write(self, session, envelope, address):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        parts = {
            part.get_content_type(): part.get_content().replace("\r\n", "\n")
            for part in message.walk()
            if not part.is_multipart()
        }
        mail = {
            "to": address,
            "from": envelope.mail_from,
            "ehlo": session.host_name,
            "user": session.auth_data.login.decode() if session.auth_data else None,
            "headers": {name: str(value) for name, value in message.items()},
            "type": message.get_content_type(),
            "text": parts["text/plain"],
            "html": parts["text/html"],
            "ascii": envelope.content.isascii(),
        }
        self.written += 1
        partial = self.directory / f"{self.written}.partial"
        partial.write_text(json.dumps(mail))
        os.rename(partial, self.directory / f"{self.written}.json")


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--directory", type=pathlib.Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--encryption", choices=["none", "starttls", "tls"], default="none")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--user")
    parser.add_argument("--password")
    arguments = parser.parse_args()

    context = None
    if arguments.encryption != "none":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments.cert, arguments.key)
    starttls = context if arguments.encryption == "starttls" else None

    def authenticate(server, session, envelope, mechanism, data):
        right = (arguments.user.encode(), arguments.password.encode())
        accepted = isinstance(data, LoginPassword) and (data.login, data.password) == right
        return AuthResult(success=accepted, handled=False, auth_data=data)

    handler = Handler(arguments.directory)
    settings = {
        "tls_context": starttls,
        "require_starttls": starttls is not None,
        "auth_require_tls": starttls is not None,
        "auth_required": arguments.user is not None,
        "authenticator": authenticate if arguments.user else None,
        "hostname": "smtp.test",
    }
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(handler, **settings),
        "127.0.0.1",
        arguments.port,
        ssl=context if arguments.encryption == "tls" else None,
    )
    print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


asyncio.run(main())
