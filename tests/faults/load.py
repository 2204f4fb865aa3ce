"""A school at work: teachers draw, students join, people sign in, and everything is written into the ledger."""

import asyncio
import collections
import contextlib
import random
import time
import urllib.parse
import uuid
from dataclasses import dataclass, field

from ledger import Draw, Join, Ledger, Read, Ticket
from machines import BINARY, NO_LIMITS, run
from wire import Connection, NotSent, Unanswered

APP = "11111111-1111-1111-1111-111111111111"
REDIRECT_URI = "https://app.example.com/callback"
STATE = "state-from-client"
PASSWORD = "VeryStrongPass123!"

TEACHERS, STUDENTS, CLASSES = 4, 12, 320
# So many classes are drawn for by everybody at once.
BUSY_CLASSES = 8
WORKERS = 16
# Whoever waits longer, in seconds, is not served yet.
SLOW = 5.0


class School:
    """Accounts and classes, put into a fresh database by the program itself and then multiplied."""

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
        # PostgreSQL takes quoted literals of a VALUES list for text.
        cast = "{}::uuid" if chosen[0].startswith("('") else "{}"
        self.database.rows(
            "INSERT INTO classes (id, owner_id, name, is_active, created_at, updated_at)"
            f" SELECT {cast.format('column1')}, {cast.format('column2')}, column3, is_active, created_at, updated_at"
            f" FROM classes, (VALUES {', '.join(chosen)}) AS chosen WHERE id = {literal(first_class)}"
        )

    def enrollments(self):
        """The pairs of class and student that are in the database."""
        identifier = self.database.identifier
        rows = self.database.rows("SELECT class_id, student_id FROM enrollments")
        emails = {user: email for email, user in self.users.items()}
        return [(str(identifier(class_id)), emails[identifier(student)]) for class_id, student in rows]

    def codes(self):
        """The join codes that are in the database."""
        return [code for (code,) in self.database.rows("SELECT join_code FROM classes WHERE join_code IS NOT NULL")]


@dataclass(slots=True)
class Failure:
    """A request without success, for no fault of its own."""

    kind: str
    sent: float
    answered: float


@dataclass
class Tally:
    requests: int = 0
    acknowledged: int = 0
    # Of 503, of the proxy's own, of ended connections, of none.
    failures: list = field(default_factory=list)
    slow: list = field(default_factory=list)
    wrong: list = field(default_factory=list)
    slowest: float = 0.0
    acknowledged_at: list = field(default_factory=list)

    def count(self, kind):
        return sum(failure.kind == kind for failure in self.failures)


# What each operation may answer when nothing is broken, and what is an acknowledged write.
ALLOWED = {
    "draw": {200: None},
    "read": {200: None},
    "join": {201: None, 400: "INVALID_JOIN_CODE", 409: "ALREADY_ENROLLED"},
    "sign in": {201: None},
    "redeem": {201: None, 400: "[E4000]"},
    "guess": {400: "[E4000]", 429: "[E4290]"},
}
WRITES = {("draw", 200), ("join", 201), ("sign in", 201), ("redeem", 201)}


def credentials(email, password):
    return {"appUuid": APP, "email": email, "password": password, "state": STATE, "redirectUri": REDIRECT_URI}


def error_code(body):
    """The code that an envelope of either family carries, or `None` if it is neither."""
    try:
        if "errors" in body:
            return body["errors"][0]["code"]
        return body["errorCode"] if body["success"] is False else None
    except (KeyError, IndexError, TypeError):
        return None


class Load:
    """All of it goes through `door`, a port."""

    def __init__(self, school, door):
        self.school, self.door = school, door
        # The share of requests that clients give up.
        self.hang_up = 0.0
        self.ledger = Ledger(school.owners)
        self.tally = Tally()
        self.tokens = {}
        self.class_ids = list(school.owners)
        self.places = collections.deque(
            (class_id, student) for class_id in self.class_ids for student in school.students
        )
        random.shuffle(self.places)
        self.tasks = []
        self.paused = self.stopping = False

    async def ask(self, connection, operation, method, path, token=None, body=None, refused=None, **options):
        """One request: its answer if it is one that the operation may give, `None` if it failed or is in doubt. `refused`
        is told when the server had said that it was not carried out.

        Raises `NotSent` if it was not carried out for certain."""
        tally = self.tally
        if self.hang_up and operation != "redeem" and random.random() < self.hang_up:
            # A password takes its time.
            options["hang_up"] = random.uniform(0, 0.3 if operation == "sign in" else 0.02)
        tally.requests += 1
        began = time.monotonic()
        try:
            answer = await connection.ask(method, path, token, body, **options)
        except NotSent:
            tally.failures.append(Failure("refused", began, time.monotonic()))
            raise
        except Unanswered as failure:
            if "hang_up" not in options:
                kind = "hung" if str(failure) == "TimeoutError" else "cut"
                tally.failures.append(Failure(kind, began, time.monotonic()))
            return None
        took = answer.answered - answer.sent
        tally.slowest = max(tally.slowest, took)
        content = answer.json()
        code = error_code(content)
        if answer.status == 503 and code in ("SERVICE_UNAVAILABLE", "[E5030]"):
            tally.failures.append(Failure("503", answer.sent, answer.answered))
            if not answer.headers.get("retry-after", "").isdigit():
                tally.wrong.append(f"{operation}: 503 without Retry-After")
            if refused:
                refused(answer.answered)
            return None
        if answer.status in (502, 503, 504) and content is None:
            tally.failures.append(Failure("proxy", answer.sent, answer.answered))
            return None
        allowed = ALLOWED[operation]
        if answer.status not in allowed or content is None or code != allowed[answer.status]:
            tally.wrong.append(f"{operation}: {answer.status} {answer.body[:200]!r}")
            return None
        if took > SLOW:
            tally.slow.append(Failure("slow", answer.sent, answer.answered))
        if (operation, answer.status) in WRITES:
            tally.acknowledged += 1
            tally.acknowledged_at.append(answer.answered)
        return answer

    # What somebody does. Each answers whether it went well.

    async def draw(self, connection, class_id):
        history = self.ledger.classes[class_id]
        draw = Draw(time.monotonic())
        history.draws.append(draw)
        token = self.tokens[self.school.owners[class_id]]
        try:
            path = f"/classes/{class_id}/join-code"
            answer = await self.ask(connection, "draw", "POST", path, token, refused=draw.refuse)
        except NotSent:
            history.draws.remove(draw)
            return None
        if answer is None:
            return None
        draw.code, draw.answered = answer.json()["data"]["joinCode"], answer.answered
        return draw

    async def join(self, connection, class_id, student, draw):
        join = Join(student, draw, time.monotonic())
        try:
            answer = await self.ask(connection, "join", "POST", f"/classes/join/{draw.code}", self.tokens[student])
        except NotSent:
            return None
        self.ledger.classes[class_id].joins.append(join)
        if answer is not None:
            join.status, join.answered = answer.status, answer.answered
        return join

    async def read(self, connection, class_id):
        token = self.tokens[self.school.owners[class_id]]
        try:
            answer = await self.ask(connection, "read", "GET", f"/classes/{class_id}", token)
        except NotSent:
            return None
        if answer is not None:
            code = answer.json()["data"]["joinCode"]
            self.ledger.classes[class_id].reads.append(Read(answer.sent, answer.answered, code))
        return answer

    async def guess(self, connection):
        """Tries a password. Answers after how many seconds another one is welcome."""
        answer = await self.ask(
            connection, "guess", "POST", "/api/v1/codes", body=credentials("guessed@example.com", "wrong")
        )
        return int(answer.headers.get("retry-after", 0)) if answer else 0

    async def sign_in(self, connection, email):
        body = credentials(email, PASSWORD)
        try:
            answer = await self.ask(connection, "sign in", "POST", "/api/v1/codes", body=body)
        except NotSent:
            return None
        if answer is None:
            return None
        url = answer.json()["items"][0]["nextAction"]["url"]
        return Ticket(urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["code"][0], answer.answered)

    async def redeem(self, connection, ticket):
        """Answers the tokens, if it got any."""
        body = {"client_id": APP, "service": "email", "grant_type": "authorization_code", "code": ticket.code}
        body |= {"redirect_uri": REDIRECT_URI, "state": STATE}
        try:
            answer = await self.ask(connection, "redeem", "POST", "/api/v1/tokens", body=body)
        except NotSent:
            return None
        ticket.tries.append(answer and answer.status)
        return answer.json()["items"][0] if answer and answer.status == 201 else None

    async def sign_everybody_in(self):
        connection = Connection(self.door)
        for email in self.school.teachers + self.school.students:
            ticket = await self.sign_in(connection, email)
            tokens = ticket and await self.redeem(connection, ticket)
            if not tokens:
                raise RuntimeError(f"nobody can sign in: {self.tally.failures} {self.tally.wrong}")
            self.tokens[email] = tokens["accessToken"]
        connection.close()

    # What everybody does, over and over.

    async def _work(self):
        connection = Connection(self.door)
        while not self.stopping:
            if self.paused:
                await asyncio.sleep(0.05)
                continue
            chance = random.random()
            if chance < 0.45:
                busy = random.random() < 0.5
                well = await self.draw(connection, random.choice(self.class_ids[: BUSY_CLASSES if busy else None]))
            elif chance < 0.80 and self.places:
                well = await self._enrol(connection, *self.places.pop())
            elif chance < 0.85:
                well = await self._try_an_old_code(connection)
            else:
                well = await self.read(connection, random.choice(self.class_ids))
            if not well:
                await asyncio.sleep(0.05)
        connection.close()

    async def _enrol(self, connection, class_id, student):
        """Goes on until it is known whether the student is in."""
        while not self.stopping:
            draw = self.ledger.classes[class_id].latest()
            if draw is None or random.random() < 0.3:
                draw = await self.draw(connection, class_id)
            join = draw and await self.join(connection, class_id, student, draw)
            if join and join.status in (201, 409):
                return True
            if not join or join.status is None:
                await asyncio.sleep(0.05)
        return False

    async def _try_an_old_code(self, connection):
        class_id = random.choice(self.class_ids[:BUSY_CLASSES])
        old = self.ledger.classes[class_id].replaced(time.monotonic())
        student = random.choice(self.school.students)
        return await self.join(connection, class_id, student, old) if old else True

    async def _visit(self):
        """Signs in, waits a little, and redeems the code thrice at once: HAProxy has each node do it."""
        connection = Connection(self.door)
        while not self.stopping:
            ticket = await self.sign_in(connection, random.choice(self.school.students))
            if ticket is None:
                await asyncio.sleep(0.1)
                continue
            self.ledger.tickets.append(ticket)
            await asyncio.sleep(random.uniform(0, 1.5))
            while not ticket.is_settled() and time.monotonic() < ticket.issued + self.ledger.code_life / 2:
                connections = [Connection(self.door) for _ in range(3)]
                await asyncio.gather(*(self.redeem(each, ticket) for each in connections))
                for each in connections:
                    each.close()
                if self.stopping:
                    break
                await asyncio.sleep(0.3 * (not ticket.is_settled()))
        connection.close()

    def start(self):
        self.tasks = [asyncio.create_task(self._work()) for _ in range(WORKERS)]
        self.tasks += [asyncio.create_task(self._visit()) for _ in range(2)]

    async def stop(self):
        self.stopping = True
        await asyncio.gather(*self.tasks)

    async def read_busy_classes(self):
        """Answers whether all could be read."""
        connection = Connection(self.door)
        answers = [await self.read(connection, class_id) for class_id in self.class_ids[:BUSY_CLASSES]]
        connection.close()
        return all(answers)

    async def check(self):
        """Reads everything once more, and judges. The load has stopped."""
        connection = Connection(self.door)
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
                await self.ask(connection, "read", "GET", f"/classes/{class_id}", self.tokens[student])
            except NotSent:
                self.tally.wrong.append("the server is gone")
        connection.close()
        verdict = self.ledger.judge(self.school.enrollments(), self.school.codes())
        verdict.wrong += self.tally.wrong
        return verdict


class Health:
    """Asks every node, over and over, whether it lives and is ready."""

    def __init__(self, nodes):
        self.nodes = nodes
        # Instant, node, ready.
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
                status = (await connection.ask("GET", f"/health/{path}", patience=10)).status
            connection.close()
            still = up and node.expected_up and node.process is process
            if still and path == "ready":
                self.seen.append((time.monotonic(), node.name, status == 200))
            if still and status not in ((200,) if path == "live" else (200, 503)):
                self.wrong.append(f"{node.name}: /health/{path} said {status}")
            await asyncio.sleep(0.1)

    def stop(self):
        for task in self.tasks:
            task.cancel()

    def all_seen(self, ready, since, until):
        """Whether every node said this at least once in this time."""
        names = {name for at, name, said in self.seen if said is ready and since <= at <= until}
        return names == {node.name for node in self.nodes}
