"""The ledger: charges, queue, workers that die, and many processes at once."""

import multiprocessing
import os
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from groundup.core.errors import InputError
from groundup.scaling.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.fund("sweep", 100.0)
    return ledger


def request(number: int) -> dict[str, Any]:
    return {"width": number}


def test_a_job_is_charged_once_and_its_result_is_free(ledger: Ledger) -> None:
    job = ledger.submit("sweep", request(1), 40)
    assert (job.state, ledger.balance("sweep").left) == ("waiting", 60)
    claimed = ledger.claim("a", 10)
    assert claimed is not None
    assert claimed.request == request(1)
    assert ledger.finish(job.number, {"loss": 3.0}, 38)
    assert ledger.balance("sweep").left == 62
    again = ledger.submit("sweep", request(1), 40)
    assert again.result == {"loss": 3.0}
    assert ledger.balance("sweep").left == 62
    assert not ledger.finish(job.number, {"loss": 9.0}, 99)  # known already
    assert ledger.submit("sweep", request(1), 40).result == {"loss": 3.0}


def test_what_cannot_be_asked_for_is_one_sentence(ledger: Ledger) -> None:
    ledger.submit("sweep", request(1), 60)
    with pytest.raises(InputError, match="is asked for already, as job 1"):
        ledger.submit("sweep", request(1), 1)
    with pytest.raises(InputError, match="has 40 flops left, and the training takes 41"):
        ledger.submit("sweep", request(2), 41)
    with pytest.raises(InputError, match="there is no budget other"):
        ledger.submit("other", request(3), 1)
    with pytest.raises(InputError, match="cannot be 50 flops: 60 are charged"):
        ledger.fund("sweep", 50)
    with pytest.raises(InputError, match="is in flops, and not in seconds"):
        ledger.fund("sweep", 500, "seconds")
    ledger.fund("sweep", 500)
    assert ledger.balance("sweep").left == 440
    assert [job.number for job in ledger.jobs("sweep")] == [1]


def test_the_queue_goes_by_priority_then_by_age(ledger: Ledger) -> None:
    for number, priority in enumerate((0, 5, 0, 5)):
        ledger.submit("sweep", request(number), 1, priority)
    order = [ledger.claim("a", 10) for _ in range(5)]
    assert [job and job.request["width"] for job in order] == [1, 3, 0, 2, None]


def test_a_job_whose_worker_died_is_anothers_and_is_charged_once(tmp_path: Path) -> None:
    now = [1000.0]
    ledger = Ledger(tmp_path / "ledger.sqlite", clock=lambda: now[0])
    ledger.fund("sweep", 100)
    number = ledger.submit("sweep", request(1), 40).number
    assert ledger.claim("a", 10)
    assert ledger.claim("b", 10) is None
    now[0] += 9
    assert ledger.renew(number, "a", 10)
    now[0] += 9
    assert ledger.claim("b", 10) is None
    now[0] += 2
    taken = ledger.claim("b", 10)
    assert taken is not None
    assert taken.attempts == 2
    assert not ledger.renew(number, "a", 10)
    assert ledger.finish(number, {"loss": 1.0}, 40)  # of the one that was taken for dead
    assert not ledger.finish(number, {"loss": 2.0}, 40)
    assert ledger.balance("sweep").left == 60


def test_a_job_that_kills_its_workers_fails(tmp_path: Path) -> None:
    now = [1000.0]
    ledger = Ledger(tmp_path / "ledger.sqlite", clock=lambda: now[0])
    ledger.fund("sweep", 100)
    ledger.submit("sweep", request(1), 40)
    for _ in range(3):
        assert ledger.claim("a", 10)
        now[0] += 11
    assert ledger.claim("a", 10) is None
    (job,) = ledger.jobs("sweep")
    assert (job.state, job.reason) == ("failed", "its worker died 3 times")
    with pytest.raises(InputError, match="has 60 flops left"):
        ledger.submit("sweep", request(1), 61)
    assert ledger.submit("sweep", request(1), 50).state == "waiting"
    assert ledger.balance("sweep").left == 10  # what was spent in vain is spent


def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "no.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(InputError, match="no.sqlite cannot be used"):
        Ledger(tmp_path / "no.sqlite")
    with pytest.raises(InputError, match="cannot be used"):
        Ledger(Path("/proc/ledger.sqlite"))


def test_a_disk_that_cannot_be_written_to_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path)
    ledger.fund("sweep", 100)
    ledger.submit("sweep", request(1), 40)
    ledger._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(InputError, match="cannot be used .*readonly"):
        ledger.submit("sweep", request(2), 40)
    assert ledger.balance("sweep").left == 60


class Laws(RuleBasedStateMachine):
    """Whatever happens in whatever order, the charges are those of the jobs, and within budget."""

    numbers: Bundle[int] = Bundle("numbers")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.ledger = Ledger(Path(":memory:"), clock=lambda: self.now)
        self.ledger.fund("sweep", 10)
        self.results: dict[int, float] = {}

    @rule(target=numbers, width=st.integers(0, 5), charge=st.integers(1, 4))
    def submit(self, width: int, charge: int) -> int:
        try:
            return self.ledger.submit("sweep", request(width), charge).number
        except InputError:
            return -1

    @rule(worker=st.sampled_from("ab"), seconds=st.integers(1, 5))
    def claim(self, worker: str, seconds: int) -> None:
        self.ledger.claim(worker, seconds)

    @rule(number=numbers, loss=st.floats(0, 9), charge=st.integers(0, 1))
    def finish(self, number: int, loss: float, charge: int) -> None:
        if self.ledger.finish(number, {"loss": loss}, charge):
            assert number not in self.results, "a result is written once"
            self.results[number] = loss

    @rule(number=numbers)
    def fail(self, number: int) -> None:
        self.ledger.fail(number, "it did", 1)

    @rule(seconds=st.integers(1, 9))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @invariant()
    def books_are_right(self) -> None:
        jobs = self.ledger.jobs("sweep")
        balance = self.ledger.balance("sweep")
        assert balance.charged <= balance.amount
        assert balance.charged >= sum(job.charge for job in jobs)  # and of what failed before
        assert len({job.key for job in jobs}) == len(jobs)
        for job in jobs:
            if job.number in self.results:
                assert job.result == {"loss": self.results[job.number]}


Laws.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestLaws = Laws.TestCase


def work(path: Path, name: str, done: Any) -> None:
    ledger = Ledger(path)
    while (job := ledger.claim(name, 30)) is not None:
        ledger.finish(job.number, {"by": name}, job.charge)
        done.put((job.number, name))


def test_two_workers_never_do_one_job(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path)
    ledger.fund("sweep", 1000)
    for number in range(60):
        ledger.submit("sweep", request(number), 1)
    context = multiprocessing.get_context("spawn")
    done = context.Queue()
    workers = [context.Process(target=work, args=(path, name, done)) for name in "ab"]
    for worker in workers:
        worker.start()
    pairs = [done.get(timeout=60) for _ in range(60)]
    for worker in workers:
        worker.join()
    assert sorted(number for number, _ in pairs) == list(range(1, 61))
    assert all(job.state == "done" for job in ledger.jobs("sweep"))
    assert ledger.balance("sweep").charged == 60


def submit_for_ever(path: Path) -> None:
    ledger = Ledger(path)
    number = len(ledger.jobs("sweep"))
    while True:
        ledger.submit("sweep", request(number), 1)
        number += 1


def test_a_process_that_is_killed_leaves_the_books_right(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path)
    ledger.fund("sweep", 1e9)
    context = multiprocessing.get_context("spawn")
    for _ in range(2):
        before = len(ledger.jobs("sweep"))
        process = context.Process(target=submit_for_ever, args=(path,))
        process.start()
        while len(ledger.jobs("sweep")) < before + 5:
            time.sleep(0.005)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    jobs = ledger.jobs("sweep")
    assert [job.request for job in jobs] == [request(number) for number in range(len(jobs))]
    assert ledger.balance("sweep").charged == len(jobs)
    ledger.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
