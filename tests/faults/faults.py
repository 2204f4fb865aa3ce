"""Runs the server under faults while clients send requests, and checks the acknowledged writes.

  faults.py [--quick] [SCENARIO...]

Each scenario has its own database. The load starts before the fault and stops some seconds after it. Then all classes are
read again, and the ledger is checked. The exit status is 1 if one of these bounds is missed:

- lost, doubled and wrong are 0. A response is wrong if the operation may not give it, such as a 5xx other than 503. An
  error is wrong if the fault does not excuse it: another kind, or more than RECOVERY_BOUND seconds after its end.
- /health/live always returns 200. /health/ready returns 503 on every node while there is no database.
- The recovery takes at most RECOVERY_BOUND seconds, without a restart. It ends with the last failed or slow response to
  a request that was sent after the end of the fault.
- Every request is answered within 20 seconds.
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
from machines import AS_ROOT, SetupError, Disk, Haproxy, Node, Postgres, Relay, Sqlite, Tmpfs, run, send
from wire import Connection

# The bound of the recovery, in seconds.
RECOVERY_BOUND = 5.0
# The duration of the load after the last fault, in seconds.
LOAD_AFTER_FAULT = 6.0
# The largest allowed Retry-After of a wrong password, in seconds.
LONGEST_DELAY = 900
# The largest allowed duration of a shutdown, in seconds.
DRAIN = 10.0

SCENARIOS = {}


class Trial:
    """One run of one scenario."""

    def __init__(self, name, directory):
        self.name, self.directory = name, directory
        self.data = directory / "data"
        self.nodes, self.ends = [], []
        self.load = self.health = self.proxy = None
        # The start and the end of each fault.
        self.faults = []
        self.problems = []
        self.notes = {}

    async def cluster(self, cluster, relay=None):
        """Starts three nodes behind HAProxy with one database and one key directory."""
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
        """Starts one node with SQLite, without a proxy."""
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

    async def _go(self, port):
        self.load = Load(self.school, port)
        await self.load.sign_in_all_users()
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

    def require(self, condition, message):
        if not condition:
            self.problems.append(message)

    async def check(self, excused, database_gone):
        await asyncio.sleep(LOAD_AFTER_FAULT)
        await self.load.stop()
        tally = self.load.tally
        failures = list(tally.failures)
        violations = await self.load.check()
        self.health.stop()
        violations.wrong += self.health.wrong
        violations.wrong += [f"{node.name}: {line}" for node in self.nodes for line in node.panics()]
        if len(tally.failures) > len(failures):
            violations.wrong.append("requests failed after the load had stopped")
        violations.wrong += [message for failure in failures if (message := self._unexcused(failure, excused))]
        recoveries = [self._recovery(number, failures + tally.slow) for number in range(len(self.faults))]
        self.require(max(recoveries, default=0) <= RECOVERY_BOUND, f"the recovery took longer than {RECOVERY_BOUND} s")
        last = self.faults[-1][1] if self.faults else 0
        self.require(any(at > last for at in tally.acknowledged_at), "nothing was acknowledged after the fault")
        for began, ended in self.faults if database_gone else []:
            self.require(self.health.all_seen(False, began, ended), "a node stayed ready without a database")
            self.require(self.health.all_seen(True, ended, ended + RECOVERY_BOUND), "a node did not become ready again")
        for what in ("lost", "doubled", "wrong"):
            self.require(not getattr(violations, what), what)
        return {
            "requests": tally.requests,
            "acknowledged": tally.acknowledged,
            "lost": len(violations.lost),
            "doubled": len(violations.doubled),
            "wrong": len(violations.wrong),
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
            "violations": {what: getattr(violations, what)[:20] for what in ("lost", "doubled", "wrong")},
        }

    def _unexcused(self, failure, excused):
        if failure.kind not in excused:
            return f"a request failed: {failure.kind}{self._when(failure)}"
        if any(began <= failure.answered and failure.sent <= ended + RECOVERY_BOUND for began, ended in self.faults):
            return None
        return f"a request failed outside the fault: {failure.kind}{self._when(failure)}"

    def _when(self, failure):
        """Describes the duration of a failed request and its distance from the start of the last fault."""
        began = max((began for began, _ in self.faults if began <= failure.answered), default=None)
        took = failure.answered - failure.sent
        return "" if began is None else f" after {took:.2f} s, {failure.answered - began:.2f} s after a fault began"

    def _recovery(self, number, bad):
        """Returns the seconds from the end of a fault to the last failed or slow response to a later request."""
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


def scenario(name, seconds, excuses=(), database_gone=False):
    """Registers a scenario with its approximate duration and the kinds of errors that its fault excuses."""

    def register(function):
        SCENARIOS[name] = (function, seconds, set(excuses), database_gone)
        return function

    return register


# Three nodes with PostgreSQL.


@scenario("kill", 25, {"503", "proxy", "cut", "refused"})
async def kill(trial, postgres):
    """One node after another gets SIGKILL and is restarted after two seconds."""
    await trial.cluster(postgres)
    for node in trial.nodes:
        async with trial.fault():
            await node.kill()
        await asyncio.sleep(2)
        await node.start()
        await asyncio.sleep(3)


@scenario("term", 25)
async def term(trial, postgres):
    """One node after another is drained in HAProxy, gets SIGTERM and is restarted."""
    await trial.cluster(postgres)
    for node in trial.nodes:
        async with trial.fault():
            await trial.proxy.command(f"set server nodes/{node.name} state drain")
            await asyncio.sleep(1)
            await terminates_cleanly(trial, node)
        await node.start()
        await trial.proxy.command(f"set server nodes/{node.name} state ready")
        await asyncio.sleep(1)


@scenario("pg-restart", 25, {"503", "proxy"}, database_gone=True)
async def pg_restart(trial, postgres):
    """PostgreSQL is stopped, first with mode immediate and then with mode fast. It starts again after two seconds."""
    await trial.cluster(postgres)
    for mode in ("immediate", "fast"):
        async with trial.fault():
            await asyncio.to_thread(postgres.stop, mode)
            await asyncio.sleep(2)
            await asyncio.to_thread(postgres.start)
        await asyncio.sleep(LOAD_AFTER_FAULT)


@scenario("pg-pause", 20, {"503", "proxy"}, database_gone=True)
async def pg_pause(trial, postgres):
    """All processes of PostgreSQL are stopped (SIGSTOP) for eight seconds."""
    await trial.cluster(postgres)
    async with trial.fault():
        send(signal.SIGSTOP, postgres.processes())
        try:
            await asyncio.sleep(8)
        finally:
            send(signal.SIGCONT, postgres.processes())


@scenario("pg-vanish", 40, {"503", "proxy"}, database_gone=True)
async def pg_vanish(trial, postgres):
    """The machine of PostgreSQL loses power for twenty seconds: no FIN, no RST. Then it resets the old connections."""
    relay = Relay(postgres.port)
    await trial.cluster(postgres, relay)
    async with trial.fault():
        relay.vanish()
        await asyncio.sleep(20)
        relay.reappear()
    trial.require(trial.load.tally.count("503") > 0, "no request got a 503 without a database")


@scenario("cut", 45, {"503", "proxy"})
async def cut(trial, postgres):
    """PostgreSQL closes connections, then the network does. One client in ten closes its connection early."""
    relay = Relay(postgres.port)
    await trial.cluster(postgres, relay)
    trial.load.disconnect_share = 0.1
    async with trial.fault():
        for _ in range(10):
            statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            await asyncio.to_thread(postgres.query, "postgres", f"{statement} AND datname = '{trial.name}'")
            await asyncio.sleep(1)
    await asyncio.sleep(LOAD_AFTER_FAULT)
    async with trial.fault():
        for _ in range(20):
            relay.cut()
            await asyncio.sleep(random.uniform(0.2, 0.8))


@scenario("pg-late", 30, {"503", "proxy"})
async def pg_late(trial, postgres):
    """Half of the backends are stopped, lose their connections, and execute their statements two seconds late."""
    relay = Relay(postgres.port)
    await trial.cluster(postgres, relay)
    async with trial.fault():
        for _ in range(5):
            backends = await asyncio.to_thread(postgres.backends, trial.name)
            async with delayed(trial, random.sample(backends, len(backends) // 2)):
                await asyncio.sleep(0.1)
                relay.cut()
                await asyncio.sleep(1.5)


@scenario("pg-stuck", 40, {"503", "proxy"})
async def pg_stuck(trial, postgres):
    """Three quarters of the backends are stopped for longer than a request waits, and execute their statements late."""
    await trial.cluster(postgres)
    async with trial.fault():
        for _ in range(2):
            backends = await asyncio.to_thread(postgres.backends, trial.name)
            async with delayed(trial, random.sample(backends, 3 * len(backends) // 4)):
                # A request that was refused after six seconds is repeated on another backend.
                await asyncio.sleep(12)
    trial.require(trial.load.tally.count("503") > 0, "no request got a 503 while the database was stopped")


@scenario("slow", 25, {"503", "proxy"})
async def slow(trial, postgres):
    """Another session locks the classes for twelve seconds, which is longer than the statement timeout."""
    await trial.cluster(postgres)
    lock = "BEGIN; LOCK TABLE classes IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(12); COMMIT"
    async with trial.fault():
        await asyncio.to_thread(postgres.query, trial.name, lock)
    trial.require(trial.load.tally.count("503") > 0, "no request got a 503 while the classes were locked")


@scenario("term-bare", 25)
async def term_bare(trial, postgres):
    """One node after another gets SIGTERM. HAProxy is not notified, and detects it by health checks. No request fails."""
    await trial.cluster(postgres)
    for node in trial.nodes * 2:
        async with trial.fault():
            await terminates_cleanly(trial, node)
        await asyncio.sleep(1)
        await node.start()
        await asyncio.sleep(2)


# One node with SQLite.


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
    """The server gets SIGKILL a hundred times at random instants, and is restarted with the same data."""
    await kill_rounds(trial, 100)


@scenario("sqlite-kill-10", 20, {"cut", "refused"})
async def sqlite_kill_10(trial, _):
    """The same, ten times."""
    await kill_rounds(trial, 10)


@scenario("sqlite-term", 15, {"refused"})
async def sqlite_term(trial, _):
    """The server gets SIGTERM and is restarted, without a proxy."""
    await trial.single()
    for _ in range(3):
        async with trial.fault():
            await terminates_cleanly(trial, trial.nodes[0])
        await trial.nodes[0].start()
        await asyncio.sleep(1)


@scenario("sqlite-full", 35, {"503"})
async def sqlite_full(trial, _):
    """The disk is full, twice, until four seconds after the first 503."""
    disk = Tmpfs(trial.directory / "disk", 16)
    trial.ends.append(disk.end)
    await trial.single(data=disk.path / "data")
    for _ in range(2):
        async with fault_with_503(trial, "no request got a 503 while the disk was full") as has_503:
            disk.fill()
            # SQLite reuses its write-ahead log, and needs no space until it reaches the end of the file.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(20):
                    while not has_503():
                        await asyncio.sleep(0.1)
            await asyncio.sleep(4)
            await reads_succeed(trial)
            disk.free()


@scenario("sqlite-stall", 55, {"503"}, database_gone=True)
async def sqlite_stall(trial, _):
    """The disk is frozen for fifteen seconds, twice. Writes wait and do not fail."""
    disk = Disk(trial.directory / "disk", 64)
    trial.ends.append(disk.end)
    await trial.single(data=disk.path / "data")
    for _ in range(2):
        async with fault_with_503(trial, "no request got a 503 while the disk was frozen"):
            disk.freeze()
            try:
                # Reads may wait too, because SQLite may write to the shared memory file.
                await asyncio.sleep(15)
            finally:
                disk.thaw()


@scenario("sqlite-readonly", 20, {"503", "refused", "cut"})
async def sqlite_readonly(trial, _):
    """The database file is read-only for four seconds. Then the server is started with a read-only file."""
    await trial.single()
    node, database = trial.nodes[0], trial.data / "homeroom.db"

    def immutable(flag, *files):
        run(*AS_ROOT, "chattr", flag, *files)

    log = Path(f"{database}-wal")
    async with fault_with_503(trial, "no request got a 503 while the file was read-only"):
        immutable("+i", database, log)
        try:
            await asyncio.sleep(4)
            await reads_succeed(trial)
        finally:
            immutable("-i", database, log)
    trial.require(trial.load.tally.count("cut") == 0, "a request was cut")
    async with trial.fault():
        await terminates_cleanly(trial, node)
        immutable("+i", database)
        try:
            await node.start(ready=False)
            status = await asyncio.to_thread(node.process.wait, DRAIN)
            trial.notes["start on a read-only file"] = node.log.read_text().splitlines()[-1]
            trial.require(status == 1, f"the server ended with {status} on a read-only file")
        except subprocess.TimeoutExpired:
            trial.problems.append("the server did not end on a read-only file")
            await node.kill()
        finally:
            immutable("-i", database)
        await node.start()


@scenario("clock", 30)
async def clock(trial, _):
    """The clock is set forward by an hour and back, and then back by an hour and forward."""
    library = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)
    if library is None:
        raise SetupError("libfaketimeMT.so.1 is missing")
    now = trial.directory / "now"
    now.write_text("+0")
    environment = {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(now),
        "FAKETIME_NO_CACHE": "1",
        # The monotonic clock never changes.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    await trial.single(environment=environment)
    client = Connection(trial.nodes[0].port)
    for _ in range(10):
        await trial.load.guess(client)
    for moved in ("+3600", "+0", "-3600", "+0"):
        async with trial.fault():
            now.with_suffix(".new").write_text(moved)
            now.with_suffix(".new").rename(now)
            trial.load.ledger.clock_changes.append(time.monotonic())
        delays = [await trial.load.guess(client) for _ in range(3)]
        trial.notes.setdefault("Retry-After of wrong passwords", []).append(max(delays))
        trial.require(max(delays) <= LONGEST_DELAY, f"Retry-After of a wrong password is {max(delays)} s")
        await asyncio.sleep(4)
    client.close()


@contextlib.asynccontextmanager
async def delayed(trial, backends):
    """Stops backends. The load pauses while they continue, so that reads show the result of their late statements."""
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
async def fault_with_503(trial, message):
    """A fault during which a request must get a 503, and the time of its recovery."""
    before = trial.load.tally.count("503")

    def has_503():
        return trial.load.tally.count("503") > before

    async with trial.fault():
        yield has_503
    trial.require(has_503(), message)
    await asyncio.sleep(LOAD_AFTER_FAULT)


async def terminates_cleanly(trial, node):
    status, took = await node.terminate()
    trial.notes.setdefault("drained in", []).append(round(took, 2))
    trial.require(status == 0, f"SIGTERM: exit status {status}")
    trial.require(took <= DRAIN, f"SIGTERM: the shutdown took {took:.1f} s")
    trial.require("cut=0" in node.log.read_text().splitlines()[-1], "SIGTERM: a connection was cut")


async def reads_succeed(trial):
    trial.require(await trial.load.read_busy_classes(), "reads failed during the fault")


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
    """Runs one scenario. Errors are part of the result."""
    function, seconds, excused, database_gone = SCENARIOS[name]
    directory.mkdir()
    trial = Trial(name, directory)
    try:
        async with asyncio.timeout(60 + 3 * seconds):
            await function(trial, postgres)
            return await trial.check(excused, database_gone)
    except (SetupError, TimeoutError, RuntimeError) as error:
        return {"problems": [*trial.problems, f"the scenario could not run: {error or 'timeout'}"]}
    finally:
        trial.end()


def row(name, result):
    figures = "".join(f"{result.get(column, '-'):>13}" for column in COLUMNS)
    return f"{name:<16}{figures}  {'FAILED' if result['problems'] else 'ok'}"


async def main():
    parser = argparse.ArgumentParser(prog="scripts/faults")
    parser.add_argument("--quick", action="store_true", help=" ".join(QUICK))
    parser.add_argument("scenario", nargs="*", metavar="SCENARIO", help=" ".join(SCENARIOS))
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.scenario if name not in SCENARIOS]:
        parser.error(f"unknown scenario {unknown[0]}; the scenarios are {' '.join(SCENARIOS)}")
    # SIGTERM also ends the processes that this program started.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    names = arguments.scenario or (QUICK if arguments.quick else ALL)
    results = {}
    with tempfile.TemporaryDirectory(prefix="homeroom-faults-") as temporary:
        directory = Path(temporary)
        # The user of PostgreSQL needs access.
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
                for what, lines in result.get("violations", {}).items():
                    for line in dict.fromkeys(lines):
                        print(f"   {what}: {line}")
                if result["problems"]:
                    copy_logs(directory / name, Path("target/faults") / name)
        finally:
            postgres.end()
    print("\n" + f"{'':<16}" + "".join(f"{column:>13}" for column in COLUMNS))
    for name, result in results.items():
        print(row(name, result))
    Path("target/faults/faults.json").write_text(json.dumps(results, indent=2))
    sys.exit(any(result["problems"] for result in results.values()))


def copy_logs(directory, at):
    """Copies the logs of a failed scenario."""
    at.mkdir(parents=True, exist_ok=True)
    for log in directory.glob("*.log"):
        (at / log.name).write_bytes(log.read_bytes())


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("interrupted")
