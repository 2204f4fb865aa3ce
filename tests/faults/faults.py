"""Breaks what Homeroom stands on while a school is at work, and holds it to what it acknowledged.

  faults.py [--quick] [SCENARIO...]

Each scenario has a database of its own. Its load runs from before the fault until some seconds after it; then all is
read once more and the ledger is judged. A bound that is broken makes the exit status 1:

- lost, doubled and wrong are 0. Wrong is every answer that the operation may not give, a 5xx other than 503 among them,
  and every failure that the fault does not excuse: of another kind, or later than RESUME seconds after it ended.
- /health/live answers 200 throughout; /health/ready turns to 503 on every node while there is no database.
- Service resumes within RESUME seconds of the fault's end, without a restart: the recovery lasts until the last failed
  or slow answer to a request that was sent after it.
- Every request is answered, within 20 seconds whatever happens.
"""

import argparse
import asyncio
import contextlib
import glob
import json
import math
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from load import Health, Load, School
from machines import AS_ROOT, Broken, Disk, Haproxy, Node, Postgres, Relay, Sqlite, Tmpfs, run, send
from wire import Connection

# The bound of the recovery, in seconds.
RESUME = 5.0
# How long the load goes on after the last fault.
AFTERWARDS = 6.0
# How long a wrong password may keep its sender waiting, at most.
LONGEST_DELAY = 900
# How long a server may take to end.
DRAIN = 10.0

SCENARIOS = {}


class Trial:
    """One run of one scenario."""

    def __init__(self, name, directory):
        self.name, self.directory = name, directory
        self.data = directory / "data"
        self.nodes, self.ends = [], []
        self.load = self.health = self.proxy = None
        # What began and ended when.
        self.faults = []
        self.problems = []
        self.notes = {}

    # What it stands on.

    async def cluster(self, cluster, relay=None):
        """Three nodes behind HAProxy over one database, with one directory of keys."""
        database = cluster.database(self.name)
        self._school(database)
        environment = {"HOMEROOM_DATA_DIR": str(self.data)} | database.environment
        if relay is not None:
            await relay.start()
            self.ends.append(relay.end)
            environment["HOMEROOM_DATABASE_URL"] = database.url(relay.port)
        for number in (1, 2, 3):
            await self._node(f"node{number}", environment)
        self.proxy = Haproxy(self.directory, self.nodes)
        self.ends.append(self.proxy.end)
        await self.proxy.start()
        await self._go(self.proxy.port)

    async def single(self, data=None, environment=None):
        """One node over SQLite, and no proxy."""
        self.data = data or self.data
        database = Sqlite(self.data)
        self._school(database)
        await self._node("node", {"HOMEROOM_DATA_DIR": str(self.data)} | (environment or {}))
        await self._go(self.nodes[0].port)

    def _school(self, database):
        self.school = School(database, self.data)

    async def _node(self, name, environment):
        node = Node(name, self.directory, environment)
        self.nodes.append(node)
        self.ends.append(node.end)
        await node.start()

    async def _go(self, door):
        self.load = Load(self.school, door)
        await self.load.sign_everybody_in()
        self.health = Health(self.nodes)
        self.health.start()
        self.ends.append(self.health.stop)
        self.load.start()
        await asyncio.sleep(1)

    @contextlib.asynccontextmanager
    async def fault(self):
        began = time.monotonic()
        yield
        self.faults.append((began, time.monotonic()))

    def require(self, condition, otherwise):
        if not condition:
            self.problems.append(otherwise)

    # What came of it.

    async def judge(self, tolerated, database_gone):
        await asyncio.sleep(AFTERWARDS)
        await self.load.stop()
        tally = self.load.tally
        failures = list(tally.failures)
        verdict = await self.load.check()
        self.health.stop()
        verdict.wrong += self.health.wrong
        verdict.wrong += [f"{node.name}: {line}" for node in self.nodes for line in node.panics()]
        if len(tally.failures) > len(failures):
            verdict.wrong.append("requests failed although the load had stopped")
        verdict.wrong += [why for failure in failures if (why := self._unexcused(failure, tolerated))]
        recoveries = [self._recovery(number, failures + tally.slow) for number in range(len(self.faults))]
        self.require(max(recoveries, default=0) <= RESUME, f"it took longer than {RESUME} s to resume")
        last = self.faults[-1][1] if self.faults else 0
        self.require(any(at > last for at in tally.acknowledged_at), "nothing was acknowledged after the fault")
        for began, ended in self.faults if database_gone else []:
            self.require(self.health.all_seen(False, began, ended), "a node stayed ready without a database")
            self.require(self.health.all_seen(True, ended, ended + RESUME), "a node did not get ready again")
        for what in ("lost", "doubled", "wrong"):
            self.require(not getattr(verdict, what), what)
        return {
            "requests": tally.requests,
            "acknowledged": tally.acknowledged,
            "lost": len(verdict.lost),
            "doubled": len(verdict.doubled),
            "wrong": len(verdict.wrong),
            "503": tally.count("503"),
            "proxy": tally.count("proxy"),
            "cut": tally.count("cut") + tally.count("hung"),
            "refused": tally.count("refused"),
            "faults": len(self.faults),
            "recovery": round(max(recoveries, default=0), 2),
            "median recovery": round(sorted(recoveries)[len(recoveries) // 2], 2) if recoveries else 0,
            "slowest": round(tally.slowest, 2),
            "notes": self.notes,
            "problems": self.problems,
            "failures": [f"{failure.kind}{self._when(failure)}" for failure in failures + tally.slow][:100],
            "evidence": {what: getattr(verdict, what)[:20] for what in ("lost", "doubled", "wrong")},
        }

    def _unexcused(self, failure, tolerated):
        if failure.kind not in tolerated:
            return f"a request failed: {failure.kind}{self._when(failure)}"
        if any(began <= failure.answered and failure.sent <= ended + RESUME for began, ended in self.faults):
            return None
        return f"a request failed beside the fault: {failure.kind}{self._when(failure)}"

    def _when(self, failure):
        """How far it was from the fault that it came after."""
        began = max((began for began, _ in self.faults if began <= failure.answered), default=None)
        took = failure.answered - failure.sent
        return "" if began is None else f" after {took:.2f} s, {failure.answered - began:.2f} s after a fault began"

    def _recovery(self, number, bad):
        """From the fault's end until the last answer, to what was sent since, that was none or late."""
        ended = self.faults[number][1]
        until = self.faults[number + 1][0] if number + 1 < len(self.faults) else math.inf
        after = [failure for failure in bad if ended < failure.sent and failure.answered < until]
        return max((failure.answered - ended for failure in after), default=0.0)

    def end(self):
        for task in self.load.tasks if self.load else []:
            task.cancel()
        for end in reversed(self.ends):
            with contextlib.suppress(Exception):
                end()


def scenario(name, seconds, tolerates=(), database_gone=False):
    """Registers a scenario: about how long it takes, and which failures its fault excuses."""

    def register(function):
        SCENARIOS[name] = (function, seconds, set(tolerates), database_gone)
        return function

    return register


# Three nodes over PostgreSQL.


@scenario("kill", 25, {"503", "proxy", "cut", "refused"})
async def kill(trial, postgres):
    """Each node in turn is killed, and is back two seconds later."""
    await trial.cluster(postgres)
    for node in trial.nodes:
        async with trial.fault():
            await node.kill()
        await asyncio.sleep(2)
        await node.start()
        await asyncio.sleep(3)


@scenario("term", 25)
async def term(trial, postgres):
    """Each node in turn is told to end, once HAProxy sends it nothing any more, and is started again."""
    await trial.cluster(postgres)
    for node in trial.nodes:
        async with trial.fault():
            await trial.proxy.command(f"set server nodes/{node.name} state drain")
            await asyncio.sleep(1)
            await ends_well(trial, node)
        await node.start()
        await trial.proxy.command(f"set server nodes/{node.name} state ready")
        await asyncio.sleep(1)


@scenario("pg-restart", 25, {"503", "proxy"}, database_gone=True)
async def pg_restart(trial, postgres):
    """PostgreSQL is stopped without notice, and later in the usual way, and is started two seconds afterwards."""
    await trial.cluster(postgres)
    for mode in ("immediate", "fast"):
        async with trial.fault():
            await asyncio.to_thread(postgres.stop, mode)
            await asyncio.sleep(2)
            await asyncio.to_thread(postgres.start)
        await asyncio.sleep(AFTERWARDS)


@scenario("pg-pause", 20, {"503", "proxy"}, database_gone=True)
async def pg_pause(trial, postgres):
    """All processes of PostgreSQL stand still for eight seconds."""
    await trial.cluster(postgres)
    async with trial.fault():
        send(signal.SIGSTOP, postgres.processes())
        try:
            await asyncio.sleep(8)
        finally:
            send(signal.SIGCONT, postgres.processes())


@scenario("pg-vanish", 40, {"503", "proxy"}, database_gone=True)
async def pg_vanish(trial, postgres):
    """PostgreSQL's machine is gone without a word for twenty seconds, and comes back knowing no connection."""
    relay = Relay(postgres.port)
    await trial.cluster(postgres, relay)
    async with trial.fault():
        relay.vanish()
        await asyncio.sleep(20)
        relay.come_back()
    trial.require(trial.load.tally.count("503") > 0, "nobody was told that there was no database")


@scenario("cut", 45, {"503", "proxy"})
async def cut(trial, postgres):
    """Connections end: PostgreSQL ends them, the network does, and one client in ten hangs up."""
    relay = Relay(postgres.port)
    await trial.cluster(postgres, relay)
    trial.load.hang_up = 0.1
    async with trial.fault():
        for _ in range(10):
            statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            await asyncio.to_thread(postgres.query, "postgres", f"{statement} AND datname = '{trial.name}'")
            await asyncio.sleep(1)
    await asyncio.sleep(AFTERWARDS)
    async with trial.fault():
        for _ in range(20):
            relay.cut()
            await asyncio.sleep(random.uniform(0.2, 0.8))


@scenario("pg-late", 30, {"503", "proxy"})
async def pg_late(trial, postgres):
    """Half of PostgreSQL's backends stand still, lose their connections, and do two seconds late what they were told."""
    relay = Relay(postgres.port)
    await trial.cluster(postgres, relay)
    async with trial.fault():
        for _ in range(5):
            backends = await asyncio.to_thread(postgres.backends, trial.name)
            async with late(trial, random.sample(backends, len(backends) // 2)):
                await asyncio.sleep(0.1)
                relay.cut()
                await asyncio.sleep(1.5)


@scenario("pg-stuck", 40, {"503", "proxy"})
async def pg_stuck(trial, postgres):
    """Most of PostgreSQL's backends stand still for longer than anybody waits, and do late what they were told."""
    await trial.cluster(postgres)
    async with trial.fault():
        for _ in range(2):
            backends = await asyncio.to_thread(postgres.backends, trial.name)
            async with late(trial, random.sample(backends, 3 * len(backends) // 4)):
                # Whoever was refused after six seconds draws again, and another backend does it.
                await asyncio.sleep(12)
    trial.require(trial.load.tally.count("503") > 0, "nobody was told that the database stood still")


@scenario("slow", 25, {"503", "proxy"})
async def slow(trial, postgres):
    """Another session holds a lock on the classes for twelve seconds, longer than a statement may take."""
    await trial.cluster(postgres)
    lock = "BEGIN; LOCK TABLE classes IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(12); COMMIT"
    async with trial.fault():
        await asyncio.to_thread(postgres.query, trial.name, lock)
    trial.require(trial.load.tally.count("503") > 0, "the lock was not felt")


@scenario("term-bare", 25)
async def term_bare(trial, postgres):
    """Each node in turn is told to end, and HAProxy is not: it learns of it from the node, and no request notices."""
    await trial.cluster(postgres)
    for node in trial.nodes * 2:
        async with trial.fault():
            await ends_well(trial, node)
        await asyncio.sleep(1)
        await node.start()
        await asyncio.sleep(2)


# One node over SQLite.


async def kill_rounds(trial, rounds):
    await trial.single()
    node = trial.nodes[0]
    for _ in range(rounds):
        async with trial.fault():
            await node.kill()
        await node.start()
        await asyncio.sleep(random.uniform(0.3, 1.0))


@scenario("sqlite-kill", 110, {"cut", "refused"})
async def sqlite_kill(trial, _):
    """The server is killed a hundred times, at any moment, and is started again on the same data at once."""
    await kill_rounds(trial, 100)


@scenario("sqlite-kill-10", 20, {"cut", "refused"})
async def sqlite_kill_10(trial, _):
    """The same, ten times."""
    await kill_rounds(trial, 10)


@scenario("sqlite-term", 15, {"refused"})
async def sqlite_term(trial, _):
    """The server is told to end and is started again, with nothing in front of it that would wait."""
    await trial.single()
    for _ in range(3):
        async with trial.fault():
            await ends_well(trial, trial.nodes[0])
        await trial.nodes[0].start()
        await asyncio.sleep(1)


@scenario("sqlite-full", 35, {"503"})
async def sqlite_full(trial, _):
    """The disk is full, twice, and for four seconds after somebody has felt it."""
    disk = Tmpfs(trial.directory / "disk", 16)
    trial.ends.append(disk.end)
    await trial.single(data=disk.path / "data")
    for _ in range(2):
        async with felt_fault(trial, "nobody felt that the disk was full") as is_felt:
            disk.fill()
            # SQLite writes its log again from the beginning, and needs no room until it comes to the end.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(20):
                    while not is_felt():
                        await asyncio.sleep(0.1)
            await asyncio.sleep(4)
            await still_reads(trial)
            disk.free()


@scenario("sqlite-stall", 55, {"503"}, database_gone=True)
async def sqlite_stall(trial, _):
    """The disk stands still for fifteen seconds, twice: whoever writes waits, and nothing says that it fails."""
    disk = Disk(trial.directory / "disk", 64)
    trial.ends.append(disk.end)
    await trial.single(data=disk.path / "data")
    for _ in range(2):
        async with felt_fault(trial, "nobody felt that the disk stood still"):
            disk.freeze()
            try:
                # Who reads may have to note so beside the file, and then waits as well.
                await asyncio.sleep(15)
            finally:
                disk.thaw()


@scenario("sqlite-readonly", 20, {"503", "refused", "cut"})
async def sqlite_readonly(trial, _):
    """Nobody may write the file for four seconds; then the server is started while that is so again."""
    await trial.single()
    node, database = trial.nodes[0], trial.data / "homeroom.db"

    def immutable(flag, *files):
        run(*AS_ROOT, "chattr", flag, *files)

    log = Path(f"{database}-wal")
    async with felt_fault(trial, "nobody felt that the file was read-only"):
        immutable("+i", database, log)
        try:
            await asyncio.sleep(4)
            await still_reads(trial)
        finally:
            immutable("-i", database, log)
    trial.require(trial.load.tally.count("cut") == 0, "a request was cut")
    async with trial.fault():
        await ends_well(trial, node)
        immutable("+i", database)
        try:
            await node.start(ready=False)
            status = await asyncio.to_thread(node.process.wait, DRAIN)
            trial.notes["start on a read-only file"] = node.log.read_text().splitlines()[-1]
            trial.require(status == 1, f"started on a read-only file it ended with {status}")
        except subprocess.TimeoutExpired:
            trial.problems.append("started on a read-only file it neither served nor ended")
            await node.kill()
        finally:
            immutable("-i", database)
        await node.start()


@scenario("clock", 30)
async def clock(trial, _):
    """The machine's clock moves by an hour, forth and back, and to the other side."""
    library = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)
    if library is None:
        raise Broken("there is no libfaketimeMT.so.1")
    now = trial.directory / "now"
    now.write_text("+0")
    environment = {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(now),
        "FAKETIME_NO_CACHE": "1",
        # What the kernel never sets back stays as it is.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    await trial.single(environment=environment)
    guesser = Connection(trial.nodes[0].port)
    for _ in range(10):
        await trial.load.guess(guesser)
    for moved in ("+3600", "+0", "-3600", "+0"):
        # A code that is younger than a minute and meets another hour has expired, as it should.
        trial.load.ledger.forgive(time.monotonic() - trial.load.ledger.code_life)
        async with trial.fault():
            now.with_suffix(".new").write_text(moved)
            now.with_suffix(".new").rename(now)
        delays = [await trial.load.guess(guesser) for _ in range(3)]
        trial.notes.setdefault("guessers wait for", []).append(max(delays))
        trial.require(max(delays) <= LONGEST_DELAY, f"a guesser is to wait for {max(delays)} s")
        await asyncio.sleep(4)
    guesser.close()


@contextlib.asynccontextmanager
async def late(trial, backends):
    """They stand still for a time. What they do when they go on has the last word, and is seen."""
    send(signal.SIGSTOP, backends)
    try:
        yield
        trial.load.paused = True
        await asyncio.sleep(0.5)
    finally:
        send(signal.SIGCONT, backends)
    await asyncio.sleep(0.5)
    await trial.load.read_busy_classes()
    trial.load.paused = False
    await asyncio.sleep(0.5)


@contextlib.asynccontextmanager
async def felt_fault(trial, otherwise):
    """A fault for which somebody is sent away, and some time after it."""
    before = trial.load.tally.count("503")

    def is_felt():
        return trial.load.tally.count("503") > before

    async with trial.fault():
        yield is_felt
    trial.require(is_felt(), otherwise)
    await asyncio.sleep(AFTERWARDS)


async def ends_well(trial, node):
    status, took = await node.terminate()
    trial.notes.setdefault("drained in", []).append(round(took, 2))
    trial.require(status == 0, f"SIGTERM: exit status {status}")
    trial.require(took <= DRAIN, f"SIGTERM: it took {took:.1f} s to end")
    trial.require("cut=0" in node.log.read_text().splitlines()[-1], "SIGTERM: a connection was cut")


async def still_reads(trial):
    trial.require(await trial.load.read_busy_classes(), "reading failed, too")


QUICK = ["kill", "pg-restart", "sqlite-kill-10"]
ALL = [name for name in SCENARIOS if name != "sqlite-kill-10"]

COLUMNS = [
    "requests",
    "acknowledged",
    "lost",
    "doubled",
    "wrong",
    "503",
    "proxy",
    "cut",
    "refused",
    "faults",
    "recovery",
]


async def attempt(name, directory, postgres):
    """Runs one scenario, whatever happens."""
    function, seconds, tolerated, database_gone = SCENARIOS[name]
    directory.mkdir()
    trial = Trial(name, directory)
    try:
        async with asyncio.timeout(60 + 3 * seconds):
            await function(trial, postgres)
            return await trial.judge(tolerated, database_gone)
    except (Broken, TimeoutError, RuntimeError) as error:
        return {"problems": [*trial.problems, f"it could not be run: {error or 'it took too long'}"]}
    finally:
        trial.end()


def row(name, result):
    figures = "".join(f"{result.get(column, '-'):>13}" for column in COLUMNS)
    return f"{name:<16}{figures}  {'FAILED' if result['problems'] else 'ok'}"


async def main():
    parser = argparse.ArgumentParser(prog="scripts/faults")
    parser.add_argument("--quick", action="store_true", help=" ".join(QUICK))
    parser.add_argument("scenario", nargs="*", metavar="SCENARIO", help=" ".join(SCENARIOS))
    asked = parser.parse_args()
    if unknown := [name for name in asked.scenario if name not in SCENARIOS]:
        parser.error(f"there is no scenario {unknown[0]}; there are {' '.join(SCENARIOS)}")
    # However it is ended, what it started ends with it.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    names = asked.scenario or (QUICK if asked.quick else ALL)
    results = {}
    with tempfile.TemporaryDirectory(prefix="homeroom-faults-") as temporary:
        directory = Path(temporary)
        # PostgreSQL's own user has to pass.
        directory.chmod(0o755)
        postgres = Postgres(directory / "postgres")
        try:
            postgres.make()
            for name in names:
                print(f"== {name}, about {SCENARIOS[name][1]} s: {SCENARIOS[name][0].__doc__}", flush=True)
                began = time.monotonic()
                result = results[name] = await attempt(name, directory / name, postgres)
                result["seconds"] = round(time.monotonic() - began, 1)
                for problem in result["problems"]:
                    print(f"   {problem}")
                for what, lines in result.get("evidence", {}).items():
                    for line in dict.fromkeys(lines):
                        print(f"   {what}: {line}")
                if result["problems"]:
                    keep(directory / name, Path("target/faults") / name)
        finally:
            postgres.end()
    print("\n" + f"{'':<16}" + "".join(f"{column:>13}" for column in COLUMNS))
    for name, result in results.items():
        print(row(name, result))
    Path("target/faults/faults.json").write_text(json.dumps(results, indent=2))
    sys.exit(any(result["problems"] for result in results.values()))


def keep(directory, at):
    """The logs of what failed."""
    at.mkdir(parents=True, exist_ok=True)
    for log in directory.glob("*.log"):
        (at / log.name).write_bytes(log.read_bytes())


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("interrupted")
