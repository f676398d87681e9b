"""What runs tasks, wherever."""

from collections.abc import Sequence
from typing import Protocol

from groundup.core.progress import Advance
from groundup.curate.step import Task


class Engine(Protocol):
    """Runs tasks that do not depend on each other, many at a time, in any order.

    Tasks and what they raise are pickled; what they are to leave behind they write to files that
    every process sees.
    """

    def run(self, tasks: Sequence[Task], advance: Advance) -> None:
        """Until all are done; `advance` is told of each. The first error of a task is raised here,
        once the tasks that had begun have ended."""
        ...
