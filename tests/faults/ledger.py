"""What was asked and what was answered, and whether the two can both be true.

Every request has the instant at which its sending began, and the one at which its answer had been read. A request
without an answer, or with a 5xx, is *in doubt*: it may have been carried out, then or later. But a draw that was answered
503 takes the place of none that was sent after that. Nothing else is unclear, and so a history convicts the server if no
order of events explains it.
"""

import bisect
import itertools
import math
from dataclasses import dataclass, field

NEVER = math.inf


@dataclass(slots=True, eq=False)
class Draw:
    """A draw of a class's join code. In doubt it has no code, and no answer but perhaps that it was refused."""

    sent: float
    answered: float = NEVER
    code: str | None = None
    refused: float = NEVER

    def refuse(self, at):
        self.refused = at


@dataclass(slots=True, eq=False)
class Join:
    """A try to join with the code of a draw. In doubt it has no status, and no answer."""

    student: str
    draw: Draw
    sent: float
    answered: float = NEVER
    status: int | None = None


@dataclass(slots=True, eq=False)
class Read:
    """What the owner saw as the class's join code."""

    sent: float
    answered: float
    code: str | None


@dataclass(slots=True, eq=False)
class Ticket:
    """An authorization code, and what became of the tries to redeem it: 201, 400, or `None` in doubt."""

    code: str
    issued: float
    tries: list = field(default_factory=list)
    # It may have expired before its time.
    excused: bool = False

    def is_settled(self):
        return any(status is not None for status in self.tries)


class ClassHistory:
    """What happened to one class."""

    def __init__(self):
        self.draws = []
        self.joins = []
        self.reads = []

    def latest(self):
        """The draw that was answered last, if any: most likely its code is the live one."""
        known = [draw for draw in self.draws[-8:] if draw.code]
        return max(known, key=lambda draw: draw.answered, default=None)

    def replaced(self, now):
        """A draw whose code was replaced for certain before `now`."""
        known = [draw for draw in self.draws[-8:] if draw.code and draw.answered < now]
        newest = max(known, key=lambda draw: draw.sent, default=None)
        return next((draw for draw in known if draw.answered < newest.sent), None)

    def judge(self, verdict):
        known = sorted((draw for draw in self.draws if draw.code), key=lambda draw: draw.answered)
        doubtful = sorted((draw for draw in self.draws if not draw.code), key=lambda draw: draw.sent)
        answered = [draw.answered for draw in known]
        newest_sent = list(itertools.accumulate((draw.sent for draw in known), max))
        by_code = {draw.code: draw for draw in known}

        def overtaken(since, at):
            """Whether a code that was in place at `since` was replaced by another that was answered before `at`."""
            place = bisect.bisect_left(answered, at)
            return place > 0 and newest_sent[place - 1] > since

        # A code that nobody was told belongs to a draw in doubt, and was in place when it was first seen.
        first_seen = {}
        for read in sorted(self.reads, key=lambda read: read.answered):
            if read.code and read.code not in by_code and read.code not in first_seen:
                first_seen[read.code] = read.answered
                place = bisect.bisect_left(doubtful, read.answered, key=lambda draw: draw.sent)
                if place < len(first_seen):
                    verdict.lost.append("a class has a code that nobody drew")
                elif all(overtaken(draw.refused, read.sent) for draw in doubtful[:place]):
                    verdict.lost.append("a draw that had been refused took the place of a newer one")

        for read in self.reads:
            if read.code is None:
                stale = overtaken(-NEVER, read.sent)
            elif read.code in by_code:
                stale = overtaken(by_code[read.code].answered, read.sent)
            else:
                stale = overtaken(first_seen[read.code], read.sent)
            if stale:
                verdict.lost.append(f"an acknowledged draw is gone at {read.sent:.3f}: the class has an older code")

        for join in self.joins:
            if join.status == 201 and overtaken(join.draw.answered, join.sent):
                verdict.wrong.append("a code let somebody in after another one had been answered")
            if join.status == 400 and not any(
                other is not join.draw and other.answered > join.draw.sent and other.sent < join.answered
                for other in self.draws
            ):
                verdict.wrong.append("a live code let nobody in")


@dataclass
class Verdict:
    """What cannot be explained, a line for each."""

    lost: list = field(default_factory=list)
    doubled: list = field(default_factory=list)
    wrong: list = field(default_factory=list)


class Ledger:
    """All that was asked of one school."""

    def __init__(self, class_ids, code_life=60.0):
        self.classes = {class_id: ClassHistory() for class_id in class_ids}
        self.tickets = []
        self.code_life = code_life

    def forgive(self, since):
        """Codes issued `since` may have expired before their time: the clock was set forward."""
        for ticket in self.tickets:
            ticket.excused |= ticket.issued >= since

    def judge(self, enrollments, stored_codes):
        """The verdict. `enrollments` are the pairs of class and student in the database, `stored_codes` its codes."""
        verdict = Verdict()
        for history in self.classes.values():
            history.judge(verdict)
        self._judge_enrollments(enrollments, verdict)
        drawn = [draw.code for history in self.classes.values() for draw in history.draws if draw.code]
        verdict.doubled += ["a join code was answered twice"] * (len(drawn) - len(set(drawn)))
        verdict.doubled += ["two classes have one code"] * (len(stored_codes) - len(set(stored_codes)))
        for ticket in self.tickets:
            redeemed = ticket.tries.count(201)
            if redeemed > 1:
                verdict.doubled.append(f"an authorization code was redeemed {redeemed} times")
            if redeemed == 0 and ticket.tries and None not in ticket.tries and not ticket.excused:
                verdict.lost.append("an authorization code could not be redeemed")
        return verdict

    def _judge_enrollments(self, enrollments, verdict):
        there = set(enrollments)
        verdict.doubled += ["a student is enrolled twice"] * (len(enrollments) - len(there))
        acknowledged, possible = set(), set()
        for class_id, history in self.classes.items():
            for join in history.joins:
                pair = (class_id, join.student)
                if join.status == 201:
                    if pair in acknowledged:
                        verdict.doubled.append("a student was let in twice")
                    acknowledged.add(pair)
                if join.status in (201, None):
                    possible.add(pair)
            for join in history.joins:
                if join.status == 409 and (class_id, join.student) not in possible:
                    verdict.wrong.append("a student was said to be enrolled who never joined")
        verdict.lost += ["an acknowledged enrollment is gone"] * len(acknowledged - there)
        verdict.wrong += ["somebody is enrolled who was not let in"] * len(there - possible)
