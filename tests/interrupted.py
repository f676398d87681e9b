"""An engine for tests of what goes on where it was cut off."""

from collections.abc import Sequence

from groundup.core.progress import Advance
from groundup.curate.step import Task


class Interrupted:
    """An engine that stops after some tasks."""

    def __init__(self, tasks: int):
        self.left = tasks

    def run(self, tasks: Sequence[Task], advance: Advance) -> None:
        for task in tasks:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            task.function(*task.arguments)
            advance()
