"""The ledger must convict every kind of loss, and acquit what merely looks like one."""

import unittest

from ledger import NEVER, Draw, Join, Ledger, Read, Ticket


class Judging(unittest.TestCase):
    def setUp(self):
        self.ledger = Ledger(["c"])
        self.history = self.ledger.classes["c"]

    def draw(self, sent, answered, code):
        self.history.draws.append(Draw(sent, answered, code))
        return self.history.draws[-1]

    def doubt(self, sent, refused=NEVER):
        self.history.draws.append(Draw(sent, refused=refused))

    def read(self, sent, answered, code):
        self.history.reads.append(Read(sent, answered, code))

    def join(self, draw, sent, answered, status, student="s"):
        self.history.joins.append(Join(student, draw, sent, answered, status))

    def verdict(self, enrollments=(), stored=()):
        verdict = self.ledger.judge(list(enrollments), list(stored))
        return len(verdict.lost), len(verdict.doubled), len(verdict.wrong)

    def test_the_code_that_was_answered_last_is_there(self):
        self.draw(0, 1, "A")
        self.draw(2, 3, "B")
        self.read(4, 5, "B")
        self.assertEqual(self.verdict(), (0, 0, 0))

    def test_an_older_code_is_a_lost_draw(self):
        self.draw(0, 1, "A")
        self.draw(2, 3, "B")
        self.read(4, 5, "A")
        self.assertEqual(self.verdict(), (1, 0, 0))

    def test_no_code_after_a_draw_is_a_lost_draw(self):
        self.read(0, 1, None)
        self.draw(0, 1, "A")
        self.read(4, 5, None)
        self.assertEqual(self.verdict(), (1, 0, 0))

    def test_of_draws_at_once_either_may_be_last(self):
        self.draw(0, 3, "A")
        self.draw(1, 2, "B")
        self.read(4, 5, "A")
        self.assertEqual(self.verdict(), (0, 0, 0))

    def test_a_draw_that_was_not_answered_yet_may_be_unseen(self):
        self.draw(0, 1, "A")
        self.draw(2, 6, "B")
        self.read(4, 5, "A")
        self.assertEqual(self.verdict(), (0, 0, 0))

    def test_a_draw_in_doubt_may_have_been_carried_out_or_not(self):
        self.draw(0, 1, "A")
        self.doubt(2)
        self.read(3, 4, "A")
        self.read(5, 6, "X")
        self.assertEqual(self.verdict(), (0, 0, 0))

    def test_a_code_that_nobody_drew_is_a_lost_draw(self):
        self.draw(0, 1, "A")
        self.read(3, 4, "X")
        self.doubt(5)
        self.assertEqual(self.verdict(), (1, 0, 0))

    def test_one_draw_in_doubt_explains_one_code(self):
        self.doubt(0)
        self.read(3, 4, "X")
        self.read(5, 6, "Y")
        self.assertEqual(self.verdict(), (1, 0, 0))

    def test_a_code_in_doubt_that_was_seen_does_not_come_back(self):
        self.doubt(0)
        self.read(1, 2, "X")
        self.draw(3, 4, "A")
        self.read(5, 6, "X")
        self.assertEqual(self.verdict(), (1, 0, 0))

    def test_a_draw_that_was_refused_takes_the_place_of_none_that_was_sent_later(self):
        self.doubt(0, refused=1)
        self.draw(2, 3, "A")
        self.read(4, 5, "X")
        self.assertEqual(self.verdict(), (1, 0, 0))

    def test_a_draw_that_was_refused_may_take_the_place_of_one_that_was_sent_before(self):
        self.doubt(0, refused=2)
        self.draw(1, 3, "A")
        self.read(4, 5, "X")
        self.assertEqual(self.verdict(), (0, 0, 0))

    def test_a_code_may_be_of_any_draw_in_doubt(self):
        self.doubt(0, refused=1)
        self.doubt(0)
        self.draw(2, 3, "A")
        self.read(4, 5, "X")
        self.assertEqual(self.verdict(), (0, 0, 0))

    def test_one_code_for_two_draws_is_doubled(self):
        self.draw(0, 1, "A")
        self.draw(2, 3, "A")
        self.assertEqual(self.verdict(stored=["A", "A"]), (0, 2, 0))

    def test_a_join_is_there_and_only_once(self):
        draw = self.draw(0, 1, "A")
        self.join(draw, 2, 3, 201)
        self.assertEqual(self.verdict([("c", "s")]), (0, 0, 0))
        self.assertEqual(self.verdict([]), (1, 0, 0))
        self.assertEqual(self.verdict([("c", "s"), ("c", "s")]), (0, 1, 0))
        self.join(draw, 4, 5, 201)
        self.assertEqual(self.verdict([("c", "s")]), (0, 1, 0))

    def test_a_join_in_doubt_may_be_there_or_not(self):
        self.join(self.draw(0, 1, "A"), 2, float("inf"), None)
        self.assertEqual(self.verdict([]), (0, 0, 0))
        self.assertEqual(self.verdict([("c", "s")]), (0, 0, 0))

    def test_nobody_is_enrolled_who_was_turned_away(self):
        draw = self.draw(0, 1, "A")
        self.draw(0, 1, "B")
        self.join(draw, 2, 3, 400)
        self.assertEqual(self.verdict([("c", "s")]), (0, 0, 1))

    def test_a_conflict_needs_somebody_who_joined(self):
        draw = self.draw(0, 1, "A")
        self.join(draw, 2, 3, 409)
        self.assertEqual(self.verdict(), (0, 0, 1))

    def test_a_replaced_code_lets_nobody_in(self):
        old = self.draw(0, 1, "A")
        self.draw(2, 3, "B")
        self.join(old, 4, 5, 201)
        self.assertEqual(self.verdict([("c", "s")]), (0, 0, 1))

    def test_a_code_that_is_being_replaced_may_let_somebody_in_or_not(self):
        old = self.draw(0, 1, "A")
        self.draw(2, 6, "B")
        self.join(old, 4, 5, 201)
        self.join(old, 4, 5, 400, "t")
        self.assertEqual(self.verdict([("c", "s")]), (0, 0, 0))

    def test_a_live_code_lets_people_in(self):
        self.draw(-2, -1, "Z")
        self.join(self.draw(0, 1, "A"), 2, 3, 400)
        self.draw(4, 5, "B")
        self.assertEqual(self.verdict(), (0, 0, 1))

    def test_an_authorization_code_is_redeemed_once(self):
        for tries, expected in [
            ([201, 400, 400], (0, 0, 0)),
            ([None, 400], (0, 0, 0)),
            ([], (0, 0, 0)),
            ([201, 201], (0, 1, 0)),
            ([400, 400], (1, 0, 0)),
        ]:
            self.ledger.tickets = [Ticket("x", 0, tries)]
            self.assertEqual(self.verdict(), expected, tries)


if __name__ == "__main__":
    unittest.main()
