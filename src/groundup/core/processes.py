"""The processes of a run, and what they send each other.

A run that `torchrun` launched has several; any other is one process, and takes the same path: an
exchange among one does nothing.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import PrefixStore, Store  # pyright: ignore[reportPrivateImportUsage]
from torch.distributed.rendezvous import rendezvous

from groundup.core.errors import InputError, LostProcessError

# A process that waits longer than this for another one gives up.
PATIENCE = timedelta(minutes=10)
_DAY = timedelta(days=1)

_PLACE = re.compile(r"\[[^\]]*\.(cc|cpp|h):\d+\] ")

Wait = Callable[[], None]  # returns when an exchange is over

# Their names from PyTorch 2.13 on, and before.
_all_gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
_reduce_scatter = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor


@dataclass(frozen=True)
class Group:
    """Processes that exchange tensors by torch's collectives, which all of them call in one order.

    rank: this process's place among `size`. handle: torch's own group, and store: what they can all
    look up in; None for a process alone. patience: how long one waits for another.

    Every exchange begins at once and returns what waits for its end, until when its tensors must
    be left alone. They are contiguous. By gloo a process that is gone, or silent for `patience`, is
    a `LostProcessError` of the wait; NCCL's waits only order the GPU's work, and its watchdog ends
    the process.
    """

    rank: int = 0
    size: int = 1
    handle: dist.ProcessGroup | None = None
    store: Store | None = None
    patience: timedelta = PATIENCE
    name: str = "all"  # or of which part of all processes, the same in each
    named: tuple[int, int] | None = None  # rank and size in errors, if not those of this group
    made: dict[tuple[tuple[int, ...], bool], "Group"] = field(
        default_factory=dict, compare=False, repr=False
    )

    @property
    def ring(self) -> float:
        """The share of an array that a process sends while its parts go round once."""
        return (self.size - 1) / self.size

    def sum(self, tensor: Tensor) -> Wait:
        """`tensor` becomes the sum over the processes, the same bits in each."""
        if self.size == 1:
            return _done
        return self._begin(dist.all_reduce, tensor)

    def scatter_sums(self, output: Tensor, parts: Tensor, sizes: Sequence[int]) -> Wait:
        """`output` becomes the sum over the processes of its own part.

        parts: one after the other, of so many elements for each process; flat, as output is.
        """
        if self.size == 1:
            output.copy_(parts)
            return _done
        even = len(set(sizes)) == 1
        if output.is_cuda:
            if even:
                return self._begin(_reduce_scatter, output, parts)
            return self._begin(dist.reduce_scatter, output, list(parts.split(list(sizes))))
        # gloo's own makes the sums of all parts and keeps one: twice the bytes.
        received = output.new_empty(self.size, output.numel())
        own = [output.numel()] * self.size
        wait = self._begin(dist.all_to_all_single, received.view(-1), parts, own, list(sizes))

        def add_up() -> None:
            wait()
            torch.sum(received, 0, out=output)

        return add_up

    def gather(self, parts: Tensor, own: Tensor, sizes: Sequence[int]) -> Wait:
        """`parts` becomes what the processes have as `own`, in their order, of so many elements
        each; both are flat."""
        if self.size == 1:
            parts.copy_(own)
            return _done
        if len(set(sizes)) == 1:
            return self._begin(_all_gather, parts, own)
        if own.is_cuda:
            return self._begin(dist.all_gather, list(parts.split(list(sizes))), own)
        to_each = [own.numel()] * self.size
        sent = own.repeat(self.size)
        return self._begin(dist.all_to_all_single, parts, sent, list(sizes), to_each)

    def broadcast(self, tensor: Tensor, source: int) -> Wait:
        """`tensor` becomes what the process of rank `source` has."""
        if self.size == 1:
            return _done
        return self._begin(dist.broadcast, tensor, group_src=source)

    def redistribute(
        self, received: Tensor, sent: Tensor, from_each: Sequence[int], to_each: Sequence[int]
    ) -> Wait:
        """Each process sends a part of its rows to each, its own included.

        sent: the rows for the first process, for the second, and so on, so many `to_each`;
        received: likewise, `from_each`.
        """
        if self.size == 1:
            received.copy_(sent)
            return _done
        return self._begin(dist.all_to_all_single, received, sent, list(from_each), list(to_each))

    def largest(self, tensor: Tensor) -> Wait:
        """`tensor` becomes the largest of the processes', element by element."""
        if self.size == 1:
            return _done
        return self._begin(dist.all_reduce, tensor, dist.ReduceOp.MAX)

    def send(self, tensor: Tensor, to: int) -> Wait:
        """Give `tensor` to the process of rank `to`, which receives it, and nobody else."""
        return self._call(dist.isend, tensor, group_dst=to)

    def receive(self, tensor: Tensor, source: int) -> Wait:
        """`tensor` becomes what the process of rank `source` sends. Of one source, what was sent
        first comes first."""
        return self._call(dist.irecv, tensor, group_src=source)

    def pass_on(self, received: Tensor, sent: Tensor) -> Wait:
        """Give `sent` to the next process, the last one to the first; `received` becomes what the
        one before gives."""
        if self.size == 1:
            received.copy_(sent)
            return _done
        before, after = (self.rank - 1) % self.size, (self.rank + 1) % self.size
        pair = [
            dist.P2POp(dist.isend, sent, group=self.handle, group_peer=after),
            dist.P2POp(dist.irecv, received, group=self.handle, group_peer=before),
        ]
        with self._losing():  # both at once: on one stream of a GPU, each would wait for the other
            works = dist.batch_isend_irecv(pair)

        def wait() -> None:
            with self._losing():
                for work in works:
                    work.wait()

        return wait

    def total(self, value: float) -> float:
        """The sum over the processes of a number, the same bits in each."""
        total = torch.tensor(value, dtype=torch.float64)
        if self.handle is not None:
            total = total.to(_device_of(self.handle))
        self.sum(total)()
        return float(total)

    def mean(self, value: float) -> float:
        return self.total(value) / self.size

    def any(self, flag: bool) -> bool:
        """Whether it is so in any of the processes."""
        return self.total(float(flag)) > 0

    def of_first(self, value: int) -> int:
        """What the first process has: where each could find something else, it decides."""
        return round(self.total(value if self.rank == 0 else 0))

    def barrier(self) -> None:
        """Until all processes are here."""
        self.total(0.0)

    @contextmanager
    def first_alone(self, name: str) -> Iterator[None]:
        """A context that the first process leaves before the others enter it, however long it
        stays. name: of this one place in a run."""
        if self.store is not None and self.rank:
            try:
                self.store.wait([name], _DAY)
            except RuntimeError as error:
                raise self._lost(error) from error
        yield
        if self.store is not None and not self.rank:
            self.store.set(name, "done")

    def part(self, ranks: Sequence[int], name: str, *, twin: bool = False) -> "Group":
        """The group of some of these processes, in their order, which this one is of. It is made
        once; all of them call this in one order. twin: a second one, whose exchanges do not wait
        for those of the first."""
        if len(ranks) == 1:
            return Group(name=name)
        if len(ranks) == self.size and not twin:
            return self
        key = tuple(ranks), twin
        if key not in self.made:
            with self._losing():
                handle = dist.new_group(
                    [*ranks], timeout=self.patience, use_local_synchronization=True
                )
            assert isinstance(handle, dist.ProcessGroup)
            named = self.named or (self.rank, self.size)
            rank = [*ranks].index(self.rank)
            more = {"patience": self.patience, "name": name, "named": named}
            self.made[key] = Group(rank, len(ranks), handle, **more)
        return self.made[key]

    def let_go(self) -> None:
        """End the threads of torch's groups, which nobody exchanges anything by any more.

        One that still drops the tensors of its last exchange while the interpreter ends would take
        the process with it.
        """
        for part in self.made.values():
            part.let_go()
        object.__setattr__(self, "handle", None)

    def _begin(self, collective: Callable[..., Any], *arguments: Any, **more: Any) -> Wait:
        return self._call(collective, *arguments, async_op=True, **more)

    def _call(self, collective: Callable[..., Any], *arguments: Any, **more: Any) -> Wait:
        with self._losing():
            work = collective(*arguments, group=self.handle, **more)

        def wait() -> None:
            with self._losing():
                work.wait()

        return wait

    @contextmanager
    def _losing(self) -> Iterator[None]:
        """A context in which torch's errors are those of a process that is lost."""
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise self._lost(error) from error

    def _lost(self, error: RuntimeError) -> LostProcessError:
        rank, size = self.named or (self.rank, self.size)
        return LostProcessError(
            f"process {rank} of {size} lost another one ({_reason(error)}): see what "
            "that one said, and run the same command again; it goes on from the last checkpoint."
        )


ONE = Group()  # process, alone


def launched() -> bool:
    """Whether `torchrun`, or what stands for it, has launched this process as one of several."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def comes_first() -> bool:
    """Whether this process is alone, or the first of several: the one that speaks for them."""
    return not launched() or os.environ["RANK"] == "0"


@contextmanager
def joined(device: torch.device, patience: timedelta = PATIENCE) -> Iterator[Group]:
    """A context with the group of all processes of this run.

    device: what they compute on; GPUs talk by NCCL, processors by gloo.
    Raises `InputError` where the environment that torchrun sets is not whole, and
    `LostProcessError` where the others do not come.
    """
    if not launched():
        yield Group()
        return
    if missing := [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in os.environ]:
        raise InputError(
            f"RANK and WORLD_SIZE are set and {missing[0]} is not: start the processes by "
            "torchrun --nproc-per-node N -m groundup …, or unset them all."
        )
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    backend = "nccl" if device.type == "cuda" else "gloo"
    try:
        shared, _, _ = next(rendezvous("env://", timeout=patience))
        attempt = os.environ.get(
            "TORCHELASTIC_RESTART_COUNT", "0"
        )  # an earlier one has left its own
        store = PrefixStore(f"attempt-{attempt}", shared)
        where = {"store": store, "rank": rank, "world_size": size}
        dist.init_process_group(backend, timeout=patience, **where)
    except (RuntimeError, ValueError) as error:
        raise LostProcessError(
            f"process {rank} of {size} could not meet the others ({_reason(error)}): start all "
            f"{size} of them, with one MASTER_ADDR and MASTER_PORT."
        ) from error
    group = Group(rank, size, cast(dist.ProcessGroup, dist.group.WORLD), store, patience)
    try:
        yield group
    finally:
        dist.destroy_process_group()
    group.let_go()


def _device_of(handle: dist.ProcessGroup) -> torch.device:
    backend = dist.get_backend(handle)
    return torch.device("cuda" if backend == "nccl" else "cpu")


def _reason(error: Exception) -> str:
    """What torch says, without the place in its sources and its advice."""
    first = str(error).strip().splitlines()[0]
    return _PLACE.sub("", first).split(". ")[0].rstrip(".")


def _done() -> None:
    """There is nothing to wait for."""
