"""The machines that the scenarios break: nodes, PostgreSQL, HAProxy, a network and a small disk. All are temporary."""

import asyncio
import contextlib
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
import uuid
from pathlib import Path

BINARY = Path(os.environ["HOMEROOM_BINARY"])
POSTGRES_BIN = Path(os.environ.get("POSTGRES_BIN", "/nowhere"))
PUBLIC_URL = "http://homeroom.test"
AS_ROOT = [] if os.geteuid() == 0 else ["sudo", "-n"]
START_TIMEOUT = 60.0

# Switches off the rate limits that one client on one address would reach.
NO_LIMITS = {
    "HOMEROOM_JOIN_CODE_RATE": "0",
    "HOMEROOM_JOIN_USER_FAILURES": "0",
    "HOMEROOM_JOIN_ADDRESS_FAILURES": "0",
}


class SetupError(Exception):
    """The environment of a scenario does not work. The server is not the cause."""


def run(*command, **options):
    """Runs a command. Its output is in the error."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise SetupError(f"{command[0]}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def send(number, processes):
    """Sends a signal to the processes that still exist."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def free_port():
    """Returns a free port below the ephemeral ports, so that it stays free while its server is down."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Node:
    """A server that keeps its port when it is restarted."""

    def __init__(self, name, directory, environment):
        self.name, self.port = name, free_port()
        self.log = directory / f"{name}.log"
        self.environment = NO_LIMITS | {"PATH": os.environ["PATH"]} | environment
        self.process = None
        # Whether the server should respond now.
        self.expected_up = False

    async def start(self, ready=True):
        arguments = ["serve", "--listen", f"127.0.0.1:{self.port}", "--public-url", PUBLIC_URL]
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                [BINARY, *arguments], env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        until = time.monotonic() + START_TIMEOUT
        while ready and not self._listens():
            if self.process.poll() is not None or time.monotonic() > until:
                raise SetupError(f"{self.name} does not start: {self.log.read_text()[-500:]}")
            await asyncio.sleep(0.01)
        self.expected_up = ready

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    async def kill(self):
        """Sends SIGKILL."""
        self.expected_up = False
        self.process.kill()
        await asyncio.to_thread(self.process.wait)

    async def terminate(self):
        """Sends SIGTERM. Returns the exit status and the duration."""
        self.expected_up = False
        began = time.monotonic()
        self.process.terminate()
        status = await asyncio.to_thread(self.process.wait, START_TIMEOUT)
        return status, time.monotonic() - began

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def panics(self):
        return re.findall(r"a panic.*", self.log.read_text()) if self.log.exists() else []


class Sqlite:
    """The SQLite database in a data directory."""

    def __init__(self, data):
        self.path = data / "homeroom.db"
        self.environment = {}

    def rows(self, statement):
        with contextlib.closing(sqlite3.connect(self.path, timeout=30)) as connection, connection:
            return connection.execute(statement).fetchall()

    def literal(self, identifier):
        return f"x'{identifier.hex}'"

    def identifier(self, value):
        return uuid.UUID(bytes=value)


class Postgres:
    """A temporary cluster with a database for each scenario."""

    def __init__(self, directory):
        self.directory, self.data, self.port = directory, directory / "data", free_port()
        self.as_postgres = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []

    def make(self):
        self.directory.mkdir()
        if self.as_postgres:
            shutil.chown(self.directory, "postgres")
        self._run("initdb", "-D", self.data, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale")
        self.start()

    def _run(self, program, *arguments):
        return run(*self.as_postgres, POSTGRES_BIN / program, *arguments, cwd=self.directory)

    def start(self):
        settings = (
            f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories= -c max_connections=200"
        )
        self._run("pg_ctl", "start", "-s", "-w", "-D", self.data, "-l", self.directory / "log", "-o", settings)

    def stop(self, mode="immediate"):
        self._run("pg_ctl", "stop", "-s", "-w", "-D", self.data, "-m", mode)

    def processes(self):
        """Yields the postmaster and then its children. A stopped postmaster starts no more children."""
        postmaster = int((self.data / "postmaster.pid").read_text().split()[0])
        yield postmaster
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                if int(stat.read_text().rpartition(")")[2].split()[1]) == postmaster:
                    yield int(stat.parent.name)

    def backends(self, database):
        """Returns the backend processes of one database."""
        rows = self.query("postgres", f"SELECT pid FROM pg_stat_activity WHERE datname = '{database}'")
        return [int(process) for (process,) in rows]

    def end(self):
        if (self.data / "postmaster.pid").exists():
            send(signal.SIGCONT, self.processes())
            self.stop()

    def database(self, name):
        self.query("postgres", f'CREATE DATABASE "{name}"')
        return PostgresDatabase(self, name)

    def query(self, database, statement):
        url = f"postgres://postgres@127.0.0.1:{self.port}/{database}"
        out = run("psql", url, "-XAtq", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-c", statement)
        return [line.split("\t") for line in out.splitlines()]


class PostgresDatabase:
    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name
        self.environment = {"HOMEROOM_DATABASE_URL": self.url(cluster.port)}

    def url(self, port):
        return f"postgres://postgres@127.0.0.1:{port}/{self.name}"

    def rows(self, statement):
        return self.cluster.query(self.name, statement)

    def literal(self, identifier):
        return f"'{identifier}'"

    def identifier(self, value):
        return uuid.UUID(value)


class Haproxy:
    """HAProxy with health checks of /health/ready. It retries a request only if the connection to the node failed."""

    def __init__(self, directory, nodes):
        self.port, self.directory, self.process = free_port(), directory, None
        self.socket = directory / "haproxy.socket"
        servers = "\n".join(f"    server {node.name} 127.0.0.1:{node.port}" for node in nodes)
        (directory / "haproxy.cfg").write_text(f"""\
global
    stats socket {self.socket} mode 600 level admin
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    timeout check 3s
    option redispatch 1
    retries 3
    retry-on conn-failure
frontend clients
    bind 127.0.0.1:{self.port}
    default_backend nodes
backend nodes
    balance roundrobin
    option httpchk GET /health/ready
    default-server check inter 500ms fall 2 rise 1
{servers}
""")

    async def start(self):
        with open(self.directory / "haproxy.log", "w") as log:
            self.process = subprocess.Popen(
                ["haproxy", "-db", "-f", self.directory / "haproxy.cfg"], stdout=log, stderr=log
            )
        until = time.monotonic() + START_TIMEOUT
        while not self.socket.exists():
            if self.process.poll() is not None or time.monotonic() > until:
                raise SetupError(f"HAProxy does not start: {(self.directory / 'haproxy.log').read_text()}")
            await asyncio.sleep(0.01)

    async def command(self, text):
        """Sends a command to the socket of HAProxy."""
        reader, writer = await asyncio.open_unix_connection(self.socket)
        writer.write(f"{text}\n".encode())
        response = await reader.read()
        writer.close()
        return response.decode()

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Relay:
    """The network between the nodes and PostgreSQL."""

    def __init__(self, target):
        self.target, self.port, self.server = target, None, None
        self.pairs = set()
        # If true, the relay drops all data and does not close connections.
        self.silent = False

    async def start(self):
        self.server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _connected(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = Pair(self, writer, far_writer)
        self.pairs.add(pair)
        for passing in (pair.forward(reader, far_writer), pair.forward(far_reader, writer)):
            pair.tasks.append(asyncio.create_task(passing))
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait(pair.tasks, return_when=asyncio.FIRST_COMPLETED)
        self.pairs.discard(pair)
        pair.abort()

    def cut(self):
        """Closes all connections. Data in transit is lost."""
        for pair in list(self.pairs):
            pair.abort()

    def vanish(self):
        """Simulates a machine that loses power: no data and no FIN or RST."""
        self.silent = True
        for pair in self.pairs:
            pair.stale = True

    def reappear(self):
        """Simulates the machine after its restart: it resets the old connections when it receives data on them."""
        self.silent = False
        for pair in list(self.pairs):
            if pair.sent_while_silent:
                pair.abort()
            elif pair.stale:
                pair.far_writer.transport.abort()

    def end(self):
        if self.server is not None:
            self.server.close()
            self.cut()


class Pair:
    """Both halves of one connection through the relay."""

    def __init__(self, relay, writer, far_writer):
        self.relay, self.writer, self.far_writer = relay, writer, far_writer
        self.stale = relay.silent
        # Whether the node sent data that was dropped. TCP sends it again, and the restarted machine then resets.
        self.sent_while_silent = False
        self.tasks = []

    async def forward(self, reader, writer):
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65536):
                if self.relay.silent:
                    self.sent_while_silent |= writer is self.far_writer
                    continue
                if self.stale:
                    break
                writer.write(chunk)
                await writer.drain()
        # The node does not learn that the other half of its connection has ended.
        if self.stale and writer is self.writer:
            await asyncio.Event().wait()

    def abort(self):
        self.writer.transport.abort()
        # PostgreSQL reads the forwarded data before the end of the connection.
        self.far_writer.close()
        for task in self.tasks:
            task.cancel()


class Tmpfs:
    """A disk of a few megabytes that can be filled."""

    def __init__(self, path, megabytes):
        self.path = path
        path.mkdir()
        run(*AS_ROOT, "mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0777", "tmpfs", path)

    def fill(self):
        with open(self.path / "filler", "wb", buffering=0) as filler, contextlib.suppress(OSError):
            for size in (65536, 4096, 1):
                with contextlib.suppress(OSError):
                    while filler.write(b"\0" * size):
                        pass

    def free(self):
        (self.path / "filler").unlink()

    def end(self):
        run(*AS_ROOT, "umount", "--lazy", self.path)


class Disk:
    """A disk that can be frozen. Writes then wait."""

    def __init__(self, path, megabytes):
        self.path = path
        image = path.with_suffix(".image")
        path.mkdir()
        with open(image, "wb") as file:
            file.truncate(megabytes << 20)
        run("mkfs.ext4", "-q", "-F", image)
        run(*AS_ROOT, "mount", "-o", "loop", image, path)
        run(*AS_ROOT, "chmod", "0777", path)

    def freeze(self):
        run(*AS_ROOT, "fsfreeze", "--freeze", self.path)

    def thaw(self):
        run(*AS_ROOT, "fsfreeze", "--unfreeze", self.path)

    def end(self):
        with contextlib.suppress(SetupError):
            self.thaw()
        run(*AS_ROOT, "umount", "--lazy", self.path)
