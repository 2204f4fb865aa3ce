"""The load of a school: teachers generate join codes, students join, users sign in. The ledger records all requests."""

import asyncio
import collections
import contextlib
import random
import time
import urllib.parse
import uuid
from dataclasses import dataclass, field

from ledger import Generation, Join, Ledger, Read, Ticket
from machines import BINARY, NO_LIMITS, run
from wire import Connection, NotSent, Unanswered

APP = "11111111-1111-1111-1111-111111111111"
REDIRECT_URI = "https://app.example.com/callback"
STATE = "state-from-client"
PASSWORD = "VeryStrongPass123!"

TEACHERS, STUDENTS, CLASSES = 4, 12, 320
# The number of classes for which all workers generate codes at the same time.
BUSY_CLASSES = 8
WORKERS = 16
# A response that takes longer than this many seconds counts as slow.
SLOW = 5.0


class School:
    """Accounts and classes. The program creates the first ones, and SQL copies them."""

    def __init__(self, database, data):
        self.database = database
        self.teachers = [f"teacher{number}@example.com" for number in range(TEACHERS)]
        self.students = [f"student{number}@example.com" for number in range(STUDENTS)]
        self.users, self.owners = {}, {}
        environment = NO_LIMITS | {"HOMEROOM_DATA_DIR": str(data)} | database.environment
        app = ["--id", APP, "--name", "Faults", "--redirect-uri", REDIRECT_URI, "--access-token-minutes", "1440"]
        run(BINARY, "app", "add", *app, env=environment)
        run(BINARY, "user", "add", "--email", self.teachers[0], env=environment, input=PASSWORD)
        first = run(BINARY, "class", "add", "--owner", self.teachers[0], "--name", "1", env=environment).strip()
        self._multiply(uuid.UUID(first))

    def _multiply(self, first_class):
        literal = self.database.literal
        for email in self.teachers[1:] + self.students:
            self.database.rows(
                "INSERT INTO users (id, email, password_hash, enabled, email_verified_at, created_at)"
                f" SELECT {literal(uuid.uuid4())}, '{email}', password_hash, enabled, email_verified_at, created_at"
                f" FROM users WHERE email = '{self.teachers[0]}'"
            )
        for value, email in self.database.rows("SELECT id, email FROM users"):
            self.users[email] = self.database.identifier(value)
        chosen = []
        for number in range(CLASSES):
            class_id, owner = uuid.uuid4(), self.teachers[number % TEACHERS]
            self.owners[str(class_id)] = owner
            chosen.append(f"({literal(class_id)}, {literal(self.users[owner])}, '{number}')")
        # PostgreSQL reads quoted literals of a VALUES list as text.
        cast = "{}::uuid" if chosen[0].startswith("('") else "{}"
        self.database.rows(
            "INSERT INTO classes (id, owner_id, name, is_active, created_at, updated_at)"
            f" SELECT {cast.format('column1')}, {cast.format('column2')}, column3, is_active, created_at, updated_at"
            f" FROM classes, (VALUES {', '.join(chosen)}) AS chosen WHERE id = {literal(first_class)}"
        )

    def enrollments(self):
        """Returns the pairs of class and student in the database."""
        identifier = self.database.identifier
        rows = self.database.rows("SELECT class_id, student_id FROM enrollments")
        emails = {user: email for email, user in self.users.items()}
        return [(str(identifier(class_id)), emails[identifier(student)]) for class_id, student in rows]

    def codes(self):
        """Returns the join codes in the database."""
        return [code for (code,) in self.database.rows("SELECT code FROM join_codes")]


@dataclass(slots=True)
class Failure:
    """A valid request that failed."""

    kind: str
    sent: float
    answered: float


@dataclass
class Tally:
    requests: int = 0
    acknowledged: int = 0
    # The kinds are 503, proxy (an error of HAProxy), cut, hung (no response) and refused (no connection).
    failures: list = field(default_factory=list)
    slow: list = field(default_factory=list)
    wrong: list = field(default_factory=list)
    slowest: float = 0.0
    acknowledged_at: list = field(default_factory=list)

    def count(self, kind):
        return sum(failure.kind == kind for failure in self.failures)


# The allowed responses of each operation without a fault, and the responses that acknowledge a write.
ALLOWED = {
    "generate": {200: None},
    "read": {200: None},
    "join": {201: None, 400: "INVALID_JOIN_CODE", 409: "ALREADY_ENROLLED"},
    "sign in": {201: None},
    "redeem": {201: None, 400: "[E4000]"},
    "guess": {400: "[E4000]", 429: "[E4290]"},
}
WRITES = {("generate", 200), ("join", 201), ("sign in", 201), ("redeem", 201)}


def credentials(email, password):
    return {"appUuid": APP, "email": email, "password": password, "state": STATE, "redirectUri": REDIRECT_URI}


def error_code(body):
    """Returns the error code of an envelope of either API family, or `None`."""
    try:
        if "errors" in body:
            return body["errors"][0]["code"]
        return body["errorCode"] if body["success"] is False else None
    except (KeyError, IndexError, TypeError):
        return None


class Load:
    """Sends requests to a port."""

    def __init__(self, school, port):
        self.school, self.port = school, port
        # The share of requests for which the client closes the connection early.
        self.disconnect_share = 0.0
        self.ledger = Ledger(school.owners)
        self.tally = Tally()
        self.tokens = {}
        self.class_ids = list(school.owners)
        self.pending_joins = collections.deque(
            (class_id, student) for class_id in self.class_ids for student in school.students
        )
        random.shuffle(self.pending_joins)
        self.tasks = []
        self.paused = self.stopping = False

    async def request(self, connection, operation, method, path, token=None, body=None, refused=None, **options):
        """Sends one request. Returns the response if it is allowed, and `None` if the request failed or is uncertain.

        Calls `refused` with the instant of a 503. Raises `NotSent` if the server cannot have executed the request.
        """
        tally = self.tally
        if self.disconnect_share and operation != "redeem" and random.random() < self.disconnect_share:
            # A sign-in takes longer, because of the password hash.
            options["disconnect_after"] = random.uniform(0, 0.3 if operation == "sign in" else 0.02)
        tally.requests += 1
        began = time.monotonic()
        try:
            response = await connection.request(method, path, token, body, **options)
        except NotSent:
            tally.failures.append(Failure("refused", began, time.monotonic()))
            raise
        except Unanswered as failure:
            if "disconnect_after" not in options:
                kind = "hung" if str(failure) == "TimeoutError" else "cut"
                tally.failures.append(Failure(kind, began, time.monotonic()))
            return None
        took = response.answered - response.sent
        tally.slowest = max(tally.slowest, took)
        content = response.json()
        code = error_code(content)
        if response.status == 503 and code in ("SERVICE_UNAVAILABLE", "[E5030]"):
            tally.failures.append(Failure("503", response.sent, response.answered))
            if not response.headers.get("retry-after", "").isdigit():
                tally.wrong.append(f"{operation}: 503 without Retry-After")
            if refused:
                refused(response.answered)
            return None
        if response.status in (502, 503, 504) and content is None:
            tally.failures.append(Failure("proxy", response.sent, response.answered))
            return None
        allowed = ALLOWED[operation]
        if response.status not in allowed or content is None or code != allowed[response.status]:
            tally.wrong.append(f"{operation}: {response.status} {response.body[:200]!r}")
            return None
        if took > SLOW:
            tally.slow.append(Failure("slow", response.sent, response.answered))
        if (operation, response.status) in WRITES:
            tally.acknowledged += 1
            tally.acknowledged_at.append(response.answered)
        return response

    # Single operations. The result is false if the operation did not succeed.

    async def generate(self, connection, class_id):
        history = self.ledger.classes[class_id]
        generation = Generation(time.monotonic())
        history.generations.append(generation)
        token = self.tokens[self.school.owners[class_id]]
        try:
            path = f"/classes/{class_id}/join-code"
            response = await self.request(connection, "generate", "POST", path, token, refused=generation.refuse)
        except NotSent:
            history.generations.remove(generation)
            return None
        if response is None:
            return None
        generation.code, generation.answered = response.json()["data"]["joinCode"], response.answered
        return generation

    async def join(self, connection, class_id, student, generation):
        join = Join(student, generation, time.monotonic())
        try:
            path = f"/classes/join/{generation.code}"
            response = await self.request(connection, "join", "POST", path, self.tokens[student])
        except NotSent:
            return None
        self.ledger.classes[class_id].joins.append(join)
        if response is not None:
            join.status, join.answered = response.status, response.answered
        return join

    async def read(self, connection, class_id):
        token = self.tokens[self.school.owners[class_id]]
        try:
            response = await self.request(connection, "read", "GET", f"/classes/{class_id}", token)
        except NotSent:
            return None
        if response is not None:
            code = response.json()["data"]["joinCode"]
            self.ledger.classes[class_id].reads.append(Read(response.sent, response.answered, code))
        return response

    async def guess(self, connection):
        """Sends a wrong password. Returns the seconds of Retry-After."""
        response = await self.request(
            connection, "guess", "POST", "/api/v1/codes", body=credentials("guessed@example.com", "wrong")
        )
        return int(response.headers.get("retry-after", 0)) if response else 0

    async def sign_in(self, connection, email):
        body = credentials(email, PASSWORD)
        try:
            response = await self.request(connection, "sign in", "POST", "/api/v1/codes", body=body)
        except NotSent:
            return None
        if response is None:
            return None
        url = response.json()["items"][0]["nextAction"]["url"]
        code = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["code"][0]
        return Ticket(code, response.sent, response.answered)

    async def redeem(self, connection, ticket):
        """Returns the tokens, or `None`."""
        body = {"client_id": APP, "service": "email", "grant_type": "authorization_code", "code": ticket.code}
        body |= {"redirect_uri": REDIRECT_URI, "state": STATE}
        try:
            response = await self.request(connection, "redeem", "POST", "/api/v1/tokens", body=body)
        except NotSent:
            return None
        ticket.tries.append(response and response.status)
        return response.json()["items"][0] if response and response.status == 201 else None

    async def sign_in_all_users(self):
        connection = Connection(self.port)
        for email in self.school.teachers + self.school.students:
            ticket = await self.sign_in(connection, email)
            tokens = ticket and await self.redeem(connection, ticket)
            if not tokens:
                raise RuntimeError(f"the sign-in failed: {self.tally.failures} {self.tally.wrong}")
            self.tokens[email] = tokens["accessToken"]
        connection.close()

    # The workers.

    async def _work(self):
        connection = Connection(self.port)
        while not self.stopping:
            if self.paused:
                await asyncio.sleep(0.05)
                continue
            chance = random.random()
            if chance < 0.45:
                is_busy = random.random() < 0.5
                classes = self.class_ids[: BUSY_CLASSES if is_busy else None]
                succeeded = await self.generate(connection, random.choice(classes))
            elif chance < 0.80 and self.pending_joins:
                succeeded = await self._enrol(connection, *self.pending_joins.pop())
            elif chance < 0.85:
                succeeded = await self._join_with_old_code(connection)
            else:
                succeeded = await self.read(connection, random.choice(self.class_ids))
            if not succeeded:
                await asyncio.sleep(0.05)
        connection.close()

    async def _enrol(self, connection, class_id, student):
        """Repeats until it is certain that the student is enrolled."""
        while not self.stopping:
            generation = self.ledger.classes[class_id].latest()
            if generation is None or random.random() < 0.3:
                generation = await self.generate(connection, class_id)
            join = generation and await self.join(connection, class_id, student, generation)
            if join and join.status in (201, 409):
                return True
            if not join or join.status is None:
                await asyncio.sleep(0.05)
        return False

    async def _join_with_old_code(self, connection):
        class_id = random.choice(self.class_ids[:BUSY_CLASSES])
        old = self.ledger.classes[class_id].replaced(time.monotonic())
        student = random.choice(self.school.students)
        return await self.join(connection, class_id, student, old) if old else True

    async def _sign_in_repeatedly(self):
        """Signs in, waits, and redeems the code three times at once. HAProxy sends the requests to different nodes."""
        connection = Connection(self.port)
        while not self.stopping:
            ticket = await self.sign_in(connection, random.choice(self.school.students))
            if ticket is None:
                await asyncio.sleep(0.1)
                continue
            self.ledger.tickets.append(ticket)
            await asyncio.sleep(random.uniform(0, 1.5))
            while not ticket.is_settled() and time.monotonic() < ticket.issued + self.ledger.code_life / 2:
                connections = [Connection(self.port) for _ in range(3)]
                await asyncio.gather(*(self.redeem(each, ticket) for each in connections))
                for each in connections:
                    each.close()
                if self.stopping:
                    break
                await asyncio.sleep(0.3 * (not ticket.is_settled()))
        connection.close()

    def start(self):
        self.tasks = [asyncio.create_task(self._work()) for _ in range(WORKERS)]
        self.tasks += [asyncio.create_task(self._sign_in_repeatedly()) for _ in range(2)]

    async def stop(self):
        self.stopping = True
        await asyncio.gather(*self.tasks)

    async def read_busy_classes(self):
        """Returns whether all reads succeeded."""
        connection = Connection(self.port)
        answers = [await self.read(connection, class_id) for class_id in self.class_ids[:BUSY_CLASSES]]
        connection.close()
        return all(answers)

    async def check(self):
        """Reads all classes again and checks the ledger. Call it after the load has stopped."""
        connection = Connection(self.port)
        for class_id in self.class_ids:
            await self.read(connection, class_id)
        joined = [
            (class_id, join.student)
            for class_id, history in self.ledger.classes.items()
            for join in history.joins
            if join.status == 201
        ]
        for class_id, student in random.sample(joined, min(100, len(joined))):
            try:
                await self.request(connection, "read", "GET", f"/classes/{class_id}", self.tokens[student])
            except NotSent:
                self.tally.wrong.append("there is no connection to the server")
        connection.close()
        violations = self.ledger.check(self.school.enrollments(), self.school.codes())
        violations.wrong += self.tally.wrong
        return violations


class Health:
    """Polls /health/live and /health/ready of every node."""

    def __init__(self, nodes):
        self.nodes = nodes
        # Tuples of instant, node name, and ready.
        self.seen = []
        self.wrong = []
        self.tasks = []

    def start(self):
        self.tasks = [asyncio.create_task(self._watch(node, path)) for node in self.nodes for path in ("live", "ready")]

    async def _watch(self, node, path):
        while True:
            process, up = node.process, node.expected_up
            status = None
            connection = Connection(node.port)
            with contextlib.suppress(NotSent, Unanswered):
                status = (await connection.request("GET", f"/health/{path}", timeout=10)).status
            connection.close()
            still = up and node.expected_up and node.process is process
            if still and path == "ready":
                self.seen.append((time.monotonic(), node.name, status == 200))
            if still and status not in ((200,) if path == "live" else (200, 503)):
                self.wrong.append(f"{node.name}: /health/{path} returned {status}")
            await asyncio.sleep(0.1)

    def stop(self):
        for task in self.tasks:
            task.cancel()

    def all_seen(self, ready, since, until):
        """Returns whether every node had this readiness at least once in this time."""
        names = {name for at, name, value in self.seen if value is ready and since <= at <= until}
        return names == {node.name for node in self.nodes}
