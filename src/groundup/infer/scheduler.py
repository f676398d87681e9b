"""Which sequences the next pass computes, and how much of each (Yu et al. 2022, "Orca", section 4:
a batch is made anew for every pass, so that none waits for the longest).

Every sequence that is being generated has its next token in every pass. What is left of a pass's
tokens goes to prompts, in the order in which they came, a long one in chunks (Agrawal et al. 2023,
"SARATHI"). Where pages run out, the sequence that came last gives back its own and waits: what it
has written stays written, and is read again when there is room.
"""

from collections import deque

from groundup.infer.cache import PagedCache, page_names
from groundup.infer.sequence import Sequence


class Scheduler:
    """at_once: the most tokens of a pass."""

    def __init__(self, cache: PagedCache, at_once: int):
        self.cache, self.at_once = cache, at_once
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []  # in the order in which they came
        self.preempted = 0  # how often

    def add(self, sequence: Sequence) -> None:
        self.waiting.append(sequence)

    def remove(self, sequence: Sequence) -> None:
        """It has ended, wherever it stands; its pages are free."""
        if sequence.row < 0:
            self.waiting.remove(sequence)
        else:
            self._stop(sequence)

    @property
    def writing(self) -> list[Sequence]:
        """Sequences of which the next pass reads the token that was drawn last, and no more."""
        return [s for s in self.running if s.scored is None and s.computed == s.length - 1]

    def plan(self) -> dict[Sequence, int]:
        """The sequences of the next pass, and up to which position each is computed."""
        planned: dict[Sequence, int] = {}
        left = self.at_once
        preempted = self.preempted
        for sequence in sorted(self.running, key=lambda s: s.length - s.computed > 1):
            count = min(left, sequence.wanted - sequence.computed)
            if sequence.row < 0 or not count:
                continue
            while not self.cache.extend(sequence.row, sequence.computed + count):
                if sequence.drafted:  # guesses are worth no one's place
                    sequence.drafted.clear()
                    count = min(count, sequence.wanted - sequence.computed)
                    continue
                last = self.running[-1]
                left += planned.pop(last, last.computed) - last.computed
                self._preempt(last)
                if last is sequence:
                    break
            else:
                planned[sequence] = sequence.computed + count
                left -= count
        if preempted == self.preempted:
            self._admit(planned, left)
        return planned

    def _admit(self, planned: dict[Sequence, int], left: int) -> None:
        """Begin with sequences that wait, while there are tokens, rows and pages."""
        passed: list[Sequence] = []  # their pages are being computed for another one
        while left and self.waiting and self.cache.free_rows:
            sequence = self.waiting.popleft()
            if self.cache.shares and not sequence.names:
                sequence.names = page_names(sequence.inside(0, sequence.length))
            if self.cache.awaited(sequence.names):
                passed.append(sequence)
                continue
            shareable = sequence.length if sequence.scored is None else sequence.scored - 1
            row, computed = self.cache.admit(sequence.names, sequence.length, shareable=shareable)
            stop = computed + min(left, sequence.wanted - computed)
            whole = min(sequence.length + 1, self.cache.config.context)
            if not self.cache.fits(row, whole) or not self.cache.extend(row, stop):
                self.cache.release(row)
                passed.append(sequence)
                break
            sequence.row, sequence.computed = row, computed
            self.running.append(sequence)
            planned[sequence] = stop
            left -= stop - computed
        self.waiting.extendleft(reversed(passed))

    def computed(self, sequence: Sequence, stop: int) -> None:
        """A pass has computed a sequence up to a position."""
        sequence.computed = stop
        self.cache.computed(sequence.row, stop, sequence.inside)

    def _preempt(self, sequence: Sequence) -> None:
        self._stop(sequence)
        self.waiting.appendleft(sequence)
        self.preempted += 1

    def _stop(self, sequence: Sequence) -> None:
        self.running.remove(sequence)
        self.cache.release(sequence.row)
        sequence.row, sequence.computed, sequence.names = -1, 0, []
        sequence.drafted.clear()
        if sequence.scored is not None and sequence.finish is None:
            sequence.chosen.clear()  # they are read again from the first on
