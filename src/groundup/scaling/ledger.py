"""The ledger: which trainings were asked for, what each was charged, and what came of it.

A budget is an amount of FLOPs or seconds. A job that is submitted is charged at once what it is
expected to cost, and when it ends, the same charge becomes what it did cost: there is one for each
time that it was submitted, whoever works at it and however often, so that nothing is charged twice.
What a budget has left is its amount less its charges. A job is the same as another where its
request is, and is done only once: asked for again, its result is there, and costs nothing.

A worker claims the job of the highest priority for some time, and renews its claim while it works.
Where it dies, the claim runs out, and another worker takes the job. The first result counts.

It is one SQLite file with a write-ahead log (https://sqlite.org/wal.html): those who read do not
wait for those who write, these take turns, and a process that is killed leaves nothing half done.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from groundup.core.errors import InputError
from groundup.core.files import sha256_json

State = Literal["waiting", "running", "done", "failed"]
Unit = Literal["flops", "seconds"]

_PATIENCE = 60.0  # seconds for others to finish writing
_ATTEMPTS = 3  # of workers that die at a job, until it is taken for what kills them
_TABLES = """
CREATE TABLE IF NOT EXISTS budgets (
    name TEXT PRIMARY KEY, unit TEXT NOT NULL, amount REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS charges (
    number INTEGER PRIMARY KEY,
    budget TEXT NOT NULL REFERENCES budgets (name),
    amount REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    request TEXT NOT NULL,
    charge INTEGER NOT NULL REFERENCES charges (number),
    priority INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    worker TEXT,
    claimed_until REAL,
    result TEXT,
    reason TEXT
);
CREATE INDEX IF NOT EXISTS of_budget ON charges (budget);
CREATE INDEX IF NOT EXISTS queue ON jobs (state, priority DESC, number);
"""
_JOBS = (
    "SELECT jobs.*, charges.budget, charges.amount FROM jobs "
    "JOIN charges ON charges.number = jobs.charge"
)


@dataclass(frozen=True, kw_only=True)
class Job:
    """request: what was asked for, as JSON holds it. budget, charge: that of the last time it was
    asked for. result: of a job that is done. reason: of one that failed."""

    number: int
    key: str
    budget: str
    request: Mapping[str, Any]
    charge: float
    priority: int
    state: State
    attempts: int
    result: Mapping[str, Any] | None
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class Balance:
    """Of a budget, in its unit."""

    unit: Unit
    amount: float
    charged: float

    @property
    def left(self) -> float:
        return self.amount - self.charged


class Ledger:
    """clock: the time in seconds since 1970, which all workers' machines should agree on to within
    a part of a claim.

    Raises `InputError` where the file cannot be opened or written to.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time):
        self._path, self._clock = path, clock
        with self._errors_told():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")  # what is committed stays
            self._connection.executescript(_TABLES)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def fund(self, budget: str, amount: float, unit: Unit = "flops") -> None:
        """Make a budget, or change its amount. Raises `InputError` for less than is charged."""
        with self._writing() as write:
            row = write("SELECT unit FROM budgets WHERE name = ?", budget).fetchone()
            if row is not None and row["unit"] != unit:
                raise InputError(f"the budget {budget} is in {row['unit']}, and not in {unit}.")
            charged = self._charged(budget)
            if amount < charged:
                raise InputError(
                    f"the budget {budget} cannot be {amount:.3g} {unit}: {charged:.3g} are charged."
                )
            write(
                "INSERT INTO budgets VALUES (?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET amount = excluded.amount",
                *(budget, unit, amount),
            )

    def balance(self, budget: str) -> Balance:
        """Raises `InputError` where there is no such budget."""
        with self._errors_told():
            row = self._connection.execute(
                "SELECT unit, amount FROM budgets WHERE name = ?", (budget,)
            ).fetchone()
            if row is None:
                raise InputError(f"there is no budget {budget}: make it first.")
            return Balance(unit=row["unit"], amount=row["amount"], charged=self._charged(budget))

    def submit(
        self, budget: str, request: Mapping[str, Any], charge: float, priority: int = 0
    ) -> Job:
        """Ask for a job. One that was done is returned with its result, and costs nothing; one that
        failed is tried again, for another charge.

        Raises `InputError` where the same job waits or runs, or the budget has too little left.
        """
        key = sha256_json(dict(request))
        with self._writing() as write:
            balance = self.balance(budget)
            known = self._find("key = ?", key)
            if known is not None and known.state in ("waiting", "running"):
                raise InputError(f"the same training is asked for already, as job {known.number}.")
            if known is not None and known.state == "done":
                return known
            if charge > balance.left:
                raise InputError(
                    f"the budget {budget} has {balance.left:.3g} {balance.unit} left, and the "
                    f"training takes {charge:.3g}: give it more, or ask for less."
                )
            charged = write("INSERT INTO charges (budget, amount) VALUES (?, ?)", budget, charge)
            write(
                "INSERT INTO jobs (key, request, charge, priority, state) "
                "VALUES (?, ?, ?, ?, 'waiting') ON CONFLICT (key) DO UPDATE SET "
                "charge = excluded.charge, priority = excluded.priority, state = 'waiting', "
                "attempts = 0, reason = NULL",
                *(key, json.dumps(request, sort_keys=True), charged.lastrowid, priority),
            )
            job = self._find("key = ?", key)
            assert job is not None
            return job

    def claim(self, worker: str, seconds: float) -> Job | None:
        """The job of the highest priority that waits, the oldest of equals, or whose worker let its
        claim run out; None where there is none. It is this worker's for so many seconds."""
        with self._writing() as write:
            now = self._clock()
            write(
                "UPDATE jobs SET state = 'failed', reason = ? WHERE state = 'running' "
                "AND claimed_until < ? AND attempts >= ?",
                *(f"its worker died {_ATTEMPTS} times", now, _ATTEMPTS),
            )
            job = self._find(
                "state = 'waiting' OR (state = 'running' AND claimed_until < ?) "
                "ORDER BY priority DESC, jobs.number LIMIT 1",
                now,
            )
            if job is None:
                return None
            write(
                "UPDATE jobs SET state = 'running', worker = ?, claimed_until = ?, "
                "attempts = attempts + 1 WHERE number = ?",
                *(worker, now + seconds, job.number),
            )
            return self._find("jobs.number = ?", job.number)

    def renew(self, number: int, worker: str, seconds: float) -> bool:
        """Claim it for so many more seconds from now. False where it is another's by now."""
        with self._writing() as write:
            done = write(
                "UPDATE jobs SET claimed_until = ? "
                "WHERE number = ? AND worker = ? AND state = 'running'",
                *(self._clock() + seconds, number, worker),
            )
            return done.rowcount == 1

    def finish(self, number: int, result: Mapping[str, Any], charge: float) -> bool:
        """Write down what came of a job, and what it cost. False where that was known already: of
        two workers of one job, the first one's result counts."""
        return self._end(number, "done", charge, json.dumps(result, sort_keys=True), None)

    def fail(self, number: int, reason: str, charge: float) -> bool:
        """Write down that a job cannot be done, and what it cost until then."""
        return self._end(number, "failed", charge, None, reason)

    def jobs(self, budget: str) -> list[Job]:
        """In the order in which they were asked for."""
        with self._errors_told():
            rows = self._connection.execute(
                f"{_JOBS} WHERE charges.budget = ? ORDER BY jobs.number", (budget,)
            )
            return [_job(row) for row in rows]

    def _end(
        self, number: int, state: State, charge: float, result: str | None, reason: str | None
    ) -> bool:
        with self._writing() as write:
            done = write(
                "UPDATE jobs SET state = ?, result = ?, reason = ? "
                "WHERE number = ? AND state = 'running'",
                *(state, result, reason, number),
            )
            if done.rowcount == 0:
                return False
            write(
                "UPDATE charges SET amount = ? "
                "WHERE number = (SELECT charge FROM jobs WHERE number = ?)",
                *(charge, number),
            )
            return True

    def _charged(self, budget: str) -> float:
        row = self._connection.execute(
            "SELECT COALESCE(SUM(amount), 0) FROM charges WHERE budget = ?", (budget,)
        ).fetchone()
        return float(row[0])

    def _find(self, where: str, *values: object) -> Job | None:
        row = self._connection.execute(f"{_JOBS} WHERE {where}", values).fetchone()
        return None if row is None else _job(row)

    @contextmanager
    def _writing(self) -> Iterator[Callable[..., sqlite3.Cursor]]:
        """A transaction that nobody else writes in; all of it is there afterwards, or nothing."""
        with self._errors_told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield lambda statement, *values: self._connection.execute(statement, values)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise InputError(
                f"the ledger {self._path} cannot be used ({error}): check the disk, and that the "
                "folder can be written to."
            ) from error


def _job(row: sqlite3.Row) -> Job:
    return Job(
        number=row["number"],
        key=row["key"],
        budget=row["budget"],
        request=json.loads(row["request"]),
        charge=row["amount"],
        priority=row["priority"],
        state=row["state"],
        attempts=row["attempts"],
        result=None if row["result"] is None else json.loads(row["result"]),
        reason=row["reason"],
    )
