"""Verify that a completion is the Python function that the problem asks for.

The completion is parsed and compiled in a sandboxed process, and never executed. One process
serves a batch: starting Python costs more than checking a hundred functions.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import groundup
from groundup.core.errors import GroundupError, InputError
from groundup.verifiers.function_check import CONDITIONS, READY
from groundup.verifiers.sandbox import Limits, run_python
from groundup.verifiers.verifier import Problem, Verdict

_BATCH = 256  # completions a process; one that dies is started again for those it did not reach

# -I and -S leave the standard library alone on the path; the check itself comes from this package.
_PROGRAM = f"""
import sys
sys.path.append({str(Path(groundup.__file__).resolve().parents[1])!r})
from groundup.verifiers.function_check import main
main()
"""


@dataclass(frozen=True, kw_only=True)
class PythonFunction:
    """Verifier of problems {"name": "f", "parameters": ["a", "*", "key"]}.

    The score is 1 where all five conditions hold (it parses, compiles, defines the function, with
    exactly these parameters, and its body works on them), else 0. The partial score is the share
    of the conditions that hold, in that order; a completion without any function has none of it.

    max_characters: a longer completion scores 0 and is not looked at.
    """

    max_characters: int = 100_000
    limits: Limits = field(default_factory=lambda: Limits(cpu_seconds=2, wall_seconds=30.0))

    def __call__(self, problem: Problem, completion: str) -> Verdict:
        return self.verify_batch([(problem, completion)])[0]

    def verify_batch(self, pairs: Sequence[tuple[Problem, str]]) -> list[Verdict]:
        """Raises `InputError` for a problem without a name or a list of parameters.

        Raises `GroundupError` where the sandboxed process cannot be started.
        """
        requests = [_request(problem, completion) for problem, completion in pairs]
        verdicts: list[Verdict | None] = [
            None
            if len(completion) <= self.max_characters
            else Verdict(0.0, f"is longer than {self.max_characters} characters")
            for _, completion in pairs
        ]
        waiting = [index for index, verdict in enumerate(verdicts) if verdict is None]
        while waiting:
            batch = waiting[:_BATCH]
            judged = self._judge([requests[index] for index in batch])
            for index, verdict in zip(batch, judged, strict=False):
                verdicts[index] = verdict
            waiting = waiting[len(judged) :]
        return [verdict for verdict in verdicts if verdict is not None]

    def _judge(self, requests: list[bytes]) -> list[Verdict]:
        """The verdicts up to where the process ended: at least one.

        Whatever stops a fresh process at its first request is that request's fault. One that stops
        it later is tried again in a process of its own batch, first.
        """
        outcome = run_python(_PROGRAM, stdin=b"".join(requests), limits=self.limits)
        ready, *answers = outcome.stdout.split(b"\n")[:-1] or [b""]
        if ready.decode() != READY:
            last_line = outcome.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise GroundupError(
                f"the sandboxed Python process does not start ({outcome.status}: {last_line})."
            )
        if answers:
            return [_verdict(*json.loads(answer)) for answer in answers]
        # An exception that the check did not foresee is a defect of the check.
        return [
            Verdict(0.0, f"stopped the check: {outcome.status}", raised=outcome.status == "error")
        ]


def _request(problem: Problem, completion: str) -> bytes:
    name: Any = problem.get("name")
    parameters: Any = problem.get("parameters")
    if not isinstance(name, str) or not isinstance(parameters, list | tuple):
        raise InputError(
            f"the problem {dict(problem)!r} must hold a name and a list of parameters."
        )
    return json.dumps([completion, name, list(parameters)]).encode("ascii") + b"\n"


def _verdict(met: int, reason: str) -> Verdict:
    return Verdict(float(met == CONDITIONS), reason, partial=met / CONDITIONS)
