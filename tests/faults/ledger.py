"""Records all requests and responses, and finds contradictions between them.

Each request has the instant before it was sent and the instant after its response was read. A request without a
response, or with a 5xx, is *uncertain*: the server may have executed it, at once or later. One rule limits this: after a
503, a request to generate a join code must not replace a code that was requested later. A contradiction is a set of
responses that no order of events explains.
"""

import bisect
import itertools
import math
from dataclasses import dataclass, field

NEVER = math.inf


@dataclass(slots=True, eq=False)
class Generation:
    """A request to generate a join code. An uncertain one has no code. `refused` is the instant of a 503."""

    sent: float
    answered: float = NEVER
    code: str | None = None
    refused: float = NEVER

    def refuse(self, at):
        self.refused = at


@dataclass(slots=True, eq=False)
class Join:
    """A request to join with a generated code. An uncertain one has no status."""

    student: str
    generation: Generation
    sent: float
    answered: float = NEVER
    status: int | None = None


@dataclass(slots=True, eq=False)
class Read:
    """The join code of a class, read by its owner."""

    sent: float
    answered: float
    code: str | None


@dataclass(slots=True, eq=False)
class Ticket:
    """An authorization code and the results of its redemptions: 201, 400, or `None` if uncertain."""

    code: str
    sent: float
    issued: float
    tries: list = field(default_factory=list)

    def is_settled(self):
        return any(status is not None for status in self.tries)


class ClassHistory:
    """The requests for one class."""

    def __init__(self):
        self.generations = []
        self.joins = []
        self.reads = []

    def latest(self):
        """Returns the request that was answered last, or `None`. Its code is probably the current one."""
        known = [generation for generation in self.generations[-8:] if generation.code]
        return max(known, key=lambda generation: generation.answered, default=None)

    def replaced(self, now):
        """Returns a request whose code was certainly replaced before `now`."""
        known = [generation for generation in self.generations[-8:] if generation.code and generation.answered < now]
        newest = max(known, key=lambda generation: generation.sent, default=None)
        return next((generation for generation in known if generation.answered < newest.sent), None)

    def check(self, violations):
        known = sorted((each for each in self.generations if each.code), key=lambda each: each.answered)
        uncertain = sorted((each for each in self.generations if not each.code), key=lambda each: each.sent)
        answered = [generation.answered for generation in known]
        newest_sent = list(itertools.accumulate((generation.sent for generation in known), max))
        by_code = {generation.code: generation for generation in known}

        def replaced_between(since, at):
            """Returns whether a code that was current at `since` was certainly replaced before `at`."""
            index = bisect.bisect_left(answered, at)
            return index > 0 and newest_sent[index - 1] > since

        # A code that no response had belongs to an uncertain request. It was current when it was first read.
        first_seen = {}
        for read in sorted(self.reads, key=lambda read: read.answered):
            if read.code and read.code not in by_code and read.code not in first_seen:
                first_seen[read.code] = read.answered
                index = bisect.bisect_left(uncertain, read.answered, key=lambda generation: generation.sent)
                if index < len(first_seen):
                    violations.lost.append("a class has a code that no request generated")
                elif all(replaced_between(generation.refused, read.sent) for generation in uncertain[:index]):
                    violations.lost.append("a request that was refused replaced a newer code")

        for read in self.reads:
            if read.code is None:
                stale = replaced_between(-NEVER, read.sent)
            elif read.code in by_code:
                stale = replaced_between(by_code[read.code].answered, read.sent)
            else:
                stale = replaced_between(first_seen[read.code], read.sent)
            if stale:
                violations.lost.append(f"an acknowledged code was lost at {read.sent:.3f}: the class has an older code")

        for join in self.joins:
            if join.status == 201 and replaced_between(join.generation.answered, join.sent):
                violations.wrong.append("a student joined with a code after a newer one was acknowledged")
            if join.status == 400 and not any(
                other is not join.generation and other.answered > join.generation.sent and other.sent < join.answered
                for other in self.generations
            ):
                violations.wrong.append("a current code was refused")


@dataclass
class Violations:
    """The contradictions: one line for each."""

    lost: list = field(default_factory=list)
    doubled: list = field(default_factory=list)
    wrong: list = field(default_factory=list)


class Ledger:
    """All requests to one school."""

    def __init__(self, class_ids, code_life=60.0):
        self.classes = {class_id: ClassHistory() for class_id in class_ids}
        self.tickets = []
        self.code_life = code_life
        # The instants at which a scenario changed the clock of the server.
        self.clock_changes = []

    def _may_have_expired(self, ticket):
        """Returns whether a change of the clock may have expired an authorization code."""
        return any(ticket.sent <= change <= ticket.sent + self.code_life for change in self.clock_changes)

    def check(self, enrollments, stored_codes):
        """Returns the violations. `enrollments` and `stored_codes` are the contents of the database."""
        violations = Violations()
        for history in self.classes.values():
            history.check(violations)
        self._check_enrollments(enrollments, violations)
        generated = [each.code for history in self.classes.values() for each in history.generations if each.code]
        violations.doubled += ["two requests got the same join code"] * (len(generated) - len(set(generated)))
        violations.doubled += ["two classes have the same code"] * (len(stored_codes) - len(set(stored_codes)))
        for ticket in self.tickets:
            redeemed = ticket.tries.count(201)
            if redeemed > 1:
                violations.doubled.append(f"an authorization code was redeemed {redeemed} times")
            if redeemed == 0 and ticket.tries and None not in ticket.tries and not self._may_have_expired(ticket):
                violations.lost.append("an authorization code could not be redeemed")
        return violations

    def _check_enrollments(self, enrollments, violations):
        stored = set(enrollments)
        violations.doubled += ["a student is enrolled twice"] * (len(enrollments) - len(stored))
        acknowledged, possible = set(), set()
        for class_id, history in self.classes.items():
            for join in history.joins:
                pair = (class_id, join.student)
                if join.status == 201:
                    if pair in acknowledged:
                        violations.doubled.append("a student joined twice")
                    acknowledged.add(pair)
                if join.status in (201, None):
                    possible.add(pair)
            for join in history.joins:
                if join.status == 409 and (class_id, join.student) not in possible:
                    violations.wrong.append("a student who never joined was reported as enrolled")
        violations.lost += ["an acknowledged enrollment is lost"] * len(acknowledged - stored)
        violations.wrong += ["a student is enrolled without an accepted request"] * len(stored - possible)
