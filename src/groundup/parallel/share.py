"""Some parameters of which each process keeps a share: what goes round of them, and how it is
packed (see `parallel.layout`).
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from groundup.core.processes import Group, Wait
from groundup.core.regions import Region
from groundup.optim.optimizer import OptimizerConfig
from groundup.parallel.layout import Layout, Part, arrange


class Share:
    """See `buckets.Bucket`: gradients are sent in sections, one for each process, and at the end
    of each section stands of each of its parts whether it exists here.

    own: the rows that this process updates, by name, that of a part with its rows. They are views
    of the parameters; apart: of memory of their own there, `kept`, so that the parameters can go.
    sent:
    the format in which weights go round, by default the parameters'. before: elements that each
    process has of other shares.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        optimizer: OptimizerConfig,
        group: Group,
        before: Sequence[int],
        *,
        apart: torch.device | None = None,
        sent: torch.dtype | None = None,
    ):
        self.parameters: list[Tensor] = list(parameters.values())
        self._group = group
        self._names: dict[Tensor, str] = {p: name for name, p in parameters.items()}
        shapes = {name: p.shape for name, p in parameters.items()}
        whole = {name: optimizer.whole(name, p) for name, p in parameters.items()}
        self.layout = arrange(shapes, whole, before)
        self._parts = self.layout.sections[group.rank]
        flags = max(map(len, self.layout.sections))
        self._gradient_sizes = [length + flags for length in self.layout.lengths]
        self._places = _places(self.layout, self._gradient_sizes)
        rows = [part.of(parameters[part.name].data) for part in self._parts]
        self.kept = None if apart is None else self._packed(rows).to(apart)
        if self.kept is not None:
            rows = [
                self.kept[part.at : part.end].view_as(some)
                for part, some in zip(self._parts, rows, strict=True)
            ]
        self._like = self.parameters[0].detach() if self.kept is None else self.kept
        self._sent = sent or self._like.dtype
        names = [_name(part, shapes[part.name][0]) for part in self._parts]
        self.own = dict(zip(names, rows, strict=True))
        self._sections: Tensor | None = None  # of all processes, while gradients arrive
        self._latest: Tensor | None = None  # one section: the sums of a backward pass
        self._sums: Tensor | None = None  # and of a step's passes

    @property
    def weight_bytes(self) -> int:
        """Of all sections of weights, as they go round."""
        return sum(self.layout.lengths) * self._sent.itemsize

    @property
    def gradient_bytes(self) -> int:
        """Of all sections of gradients."""
        return sum(self._gradient_sizes) * self._like.itemsize

    @torch.no_grad()
    def take(self, parameter: Tensor) -> None:
        if self._sections is None:
            self._sections = self._like.new_zeros(sum(self._gradient_sizes))
        if parameter.grad is None:
            return
        for part, start, flag in self._places[self._names[parameter]]:
            rows = part.of(parameter.grad)
            self._sections[start + part.at : start + part.end].view_as(rows).copy_(rows)
            self._sections[flag] = 1
        parameter.grad = None

    def send(self) -> Wait:
        assert self._sections is not None
        self._latest = self._sections.new_empty(self._gradient_sizes[self._group.rank])
        return self._group.scatter_sums(self._latest, self._sections, self._gradient_sizes)

    @torch.no_grad()
    def receive(self) -> None:
        assert self._latest is not None
        latest = self._latest.float()  # as sums in bfloat16 would lose what is small
        self._sums = latest if self._sums is None else self._sums.add_(latest)
        self._sections = self._latest = None

    def hand_over(self) -> None:
        """The sums become the gradients of this process's rows."""
        assert self._sums is not None
        exist = self._sums[self.layout.lengths[self._group.rank] :].tolist()
        for part, rows, exists in zip(self._parts, self.own.values(), exist, strict=False):
            sums = self._sums[part.at : part.end].view_as(rows)
            rows.grad = sums.to(rows.dtype) if exists else None

    def clear(self) -> None:
        self._sums = None
        for rows in self.own.values():
            rows.grad = None

    @torch.no_grad()
    def send_weights(self, dtype: torch.dtype | None = None) -> tuple[Tensor, Wait]:
        """All sections of weights, flat, once the wait is over. dtype: by default `sent`."""
        own = self._packed(list(self.own.values())) if self.kept is None else self.kept
        own = own.to(dtype or self._sent)
        sections = own.new_empty(sum(self.layout.lengths))
        return sections, self._group.gather(sections, own, self.layout.lengths)

    @torch.no_grad()
    def unpack(self, sections: Tensor) -> None:
        """Take the weights of others into the parameters; apart, one's own, too."""
        by_name = {name: p.data for p, name in self._names.items()}
        split = sections.split(list(self.layout.lengths))
        for rank, (parts, section) in enumerate(zip(self.layout.sections, split, strict=True)):
            if rank == self._group.rank and self.kept is None:
                continue
            for part in parts:
                rows = part.of(by_name[part.name])
                rows.copy_(section[part.at : part.end].view_as(rows))

    def _packed(self, rows: Sequence[Tensor]) -> Tensor:
        """This process's section of weights."""
        section = self.parameters[0].detach().new_zeros(self.layout.lengths[self._group.rank])
        for part, some in zip(self._parts, rows, strict=True):
            section[part.at : part.end].view_as(some).copy_(some)
        return section


def held_by_each(shares: Iterable[Share], group: Group) -> list[int]:
    """Elements that each process has of some shares together."""
    held = (share.layout.held for share in shares)
    return [sum(sizes) for sizes in zip([0] * group.size, *held, strict=True)]


def _places(layout: Layout, sizes: Sequence[int]) -> dict[str, list[tuple[Part, int, int]]]:
    """By parameter: each of its parts, where its section begins, and where its flag is."""
    places: dict[str, list[tuple[Part, int, int]]] = {}
    starts = [0, *itertools.accumulate(sizes)]
    for parts, start, length in zip(layout.sections, starts, layout.lengths, strict=False):
        for index, part in enumerate(parts):
            places.setdefault(part.name, []).append((part, start, start + length + index))
    return places


def _name(part: Part, rows: int) -> str:
    """Of what a process holds of a parameter."""
    return Region.parse(part.name).cut(0, part.first, part.last, rows).key
