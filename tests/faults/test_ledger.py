"""Tests that the ledger finds every kind of contradiction, and reports none that can be explained."""

import unittest

from ledger import NEVER, Generation, Join, Ledger, Read, Ticket


class LedgerTest(unittest.TestCase):
    def setUp(self):
        self.ledger = Ledger(["c"])
        self.history = self.ledger.classes["c"]

    def generate(self, sent, answered, code):
        self.history.generations.append(Generation(sent, answered, code))
        return self.history.generations[-1]

    def uncertain(self, sent, refused=NEVER):
        self.history.generations.append(Generation(sent, refused=refused))

    def read(self, sent, answered, code):
        self.history.reads.append(Read(sent, answered, code))

    def join(self, generation, sent, answered, status, student="s"):
        self.history.joins.append(Join(student, generation, sent, answered, status))

    def violations(self, enrollments=(), stored=()):
        violations = self.ledger.check(list(enrollments), list(stored))
        return len(violations.lost), len(violations.doubled), len(violations.wrong)

    def test_read_last_answered_code_no_violation(self):
        self.generate(0, 1, "A")
        self.generate(2, 3, "B")
        self.read(4, 5, "B")
        self.assertEqual(self.violations(), (0, 0, 0))

    def test_read_older_code_is_lost(self):
        self.generate(0, 1, "A")
        self.generate(2, 3, "B")
        self.read(4, 5, "A")
        self.assertEqual(self.violations(), (1, 0, 0))

    def test_read_no_code_after_generation_is_lost(self):
        self.read(0, 1, None)
        self.generate(0, 1, "A")
        self.read(4, 5, None)
        self.assertEqual(self.violations(), (1, 0, 0))

    def test_concurrent_generations_either_code_no_violation(self):
        self.generate(0, 3, "A")
        self.generate(1, 2, "B")
        self.read(4, 5, "A")
        self.assertEqual(self.violations(), (0, 0, 0))

    def test_pending_generation_read_older_code_no_violation(self):
        self.generate(0, 1, "A")
        self.generate(2, 6, "B")
        self.read(4, 5, "A")
        self.assertEqual(self.violations(), (0, 0, 0))

    def test_uncertain_generation_read_old_or_unknown_code_no_violation(self):
        self.generate(0, 1, "A")
        self.uncertain(2)
        self.read(3, 4, "A")
        self.read(5, 6, "X")
        self.assertEqual(self.violations(), (0, 0, 0))

    def test_read_code_without_generation_is_lost(self):
        self.generate(0, 1, "A")
        self.read(3, 4, "X")
        self.uncertain(5)
        self.assertEqual(self.violations(), (1, 0, 0))

    def test_uncertain_generation_two_unknown_codes_is_lost(self):
        self.uncertain(0)
        self.read(3, 4, "X")
        self.read(5, 6, "Y")
        self.assertEqual(self.violations(), (1, 0, 0))

    def test_uncertain_code_reappears_after_newer_code_is_lost(self):
        self.uncertain(0)
        self.read(1, 2, "X")
        self.generate(3, 4, "A")
        self.read(5, 6, "X")
        self.assertEqual(self.violations(), (1, 0, 0))

    def test_refused_generation_replaces_later_request_is_lost(self):
        self.uncertain(0, refused=1)
        self.generate(2, 3, "A")
        self.read(4, 5, "X")
        self.assertEqual(self.violations(), (1, 0, 0))

    def test_refused_generation_replaces_earlier_request_no_violation(self):
        self.uncertain(0, refused=2)
        self.generate(1, 3, "A")
        self.read(4, 5, "X")
        self.assertEqual(self.violations(), (0, 0, 0))

    def test_unknown_code_of_any_uncertain_generation_no_violation(self):
        self.uncertain(0, refused=1)
        self.uncertain(0)
        self.generate(2, 3, "A")
        self.read(4, 5, "X")
        self.assertEqual(self.violations(), (0, 0, 0))

    def test_same_code_for_two_generations_is_doubled(self):
        self.generate(0, 1, "A")
        self.generate(2, 3, "A")
        self.assertEqual(self.violations(stored=["A", "A"]), (0, 2, 0))

    def test_join_stored_zero_or_two_times_is_violation(self):
        generation = self.generate(0, 1, "A")
        self.join(generation, 2, 3, 201)
        self.assertEqual(self.violations([("c", "s")]), (0, 0, 0))
        self.assertEqual(self.violations([]), (1, 0, 0))
        self.assertEqual(self.violations([("c", "s"), ("c", "s")]), (0, 1, 0))
        self.join(generation, 4, 5, 201)
        self.assertEqual(self.violations([("c", "s")]), (0, 1, 0))

    def test_uncertain_join_stored_or_not_no_violation(self):
        self.join(self.generate(0, 1, "A"), 2, float("inf"), None)
        self.assertEqual(self.violations([]), (0, 0, 0))
        self.assertEqual(self.violations([("c", "s")]), (0, 0, 0))

    def test_enrollment_after_refused_join_is_wrong(self):
        generation = self.generate(0, 1, "A")
        self.generate(0, 1, "B")
        self.join(generation, 2, 3, 400)
        self.assertEqual(self.violations([("c", "s")]), (0, 0, 1))

    def test_conflict_without_join_is_wrong(self):
        generation = self.generate(0, 1, "A")
        self.join(generation, 2, 3, 409)
        self.assertEqual(self.violations(), (0, 0, 1))

    def test_join_with_replaced_code_is_wrong(self):
        old = self.generate(0, 1, "A")
        self.generate(2, 3, "B")
        self.join(old, 4, 5, 201)
        self.assertEqual(self.violations([("c", "s")]), (0, 0, 1))

    def test_join_during_replacement_either_result_no_violation(self):
        old = self.generate(0, 1, "A")
        self.generate(2, 6, "B")
        self.join(old, 4, 5, 201)
        self.join(old, 4, 5, 400, "t")
        self.assertEqual(self.violations([("c", "s")]), (0, 0, 0))

    def test_join_with_current_code_refused_is_wrong(self):
        self.generate(-2, -1, "Z")
        self.join(self.generate(0, 1, "A"), 2, 3, 400)
        self.generate(4, 5, "B")
        self.assertEqual(self.violations(), (0, 0, 1))

    def test_authorization_code_redeemed_twice_or_never_is_violation(self):
        for tries, expected in [
            ([201, 400, 400], (0, 0, 0)),
            ([None, 400], (0, 0, 0)),
            ([], (0, 0, 0)),
            ([201, 201], (0, 1, 0)),
            ([400, 400], (1, 0, 0)),
        ]:
            self.ledger.tickets = [Ticket("x", 0, 1, tries)]
            self.assertEqual(self.violations(), expected, tries)

    def test_authorization_code_refused_after_clock_change_no_violation(self):
        self.ledger.tickets = [Ticket("x", 5, 6, [400])]
        self.ledger.clock_changes = [5.5]
        self.assertEqual(self.violations(), (0, 0, 0))
        self.ledger.clock_changes = [4]
        self.assertEqual(self.violations(), (1, 0, 0))


if __name__ == "__main__":
    unittest.main()
