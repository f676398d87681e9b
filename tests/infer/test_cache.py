"""The paged cache: reading in pieces is reading whole, whatever the pieces and the neighbours."""

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.families import CONFIG, KINDS, scrambled
from tests.kernels.oracle import ON_GPU

from groundup.infer.cache import PAGE, PagedCache, Part, page_names
from groundup.infer.pages import Pages
from groundup.infer.passes import Pass
from groundup.kernels import at_hand, cpu
from groundup.models import Decoder, DecoderModel


def cache_of(
    config: Decoder, dtype: torch.dtype = torch.float32, *, rows: int = 4, positions: int = 512
) -> PagedCache:
    device = torch.device("cpu")
    return PagedCache(
        config, rows=rows, positions=positions, at_once=64, dtype=dtype, device=device
    )


def read(model: DecoderModel, cache: PagedCache, texts: dict[int, list[int]], parts: list[Part]):
    """Logits of the parts, by row; texts: by row."""
    for part in parts:
        assert cache.extend(part.row, part.stop)
    ahead = Pass(cache, parts)
    tokens = [t for part in ahead.parts for t in texts[part.row][part.start : part.stop]]
    logits = model(torch.tensor([tokens]), positions=ahead.positions, cache=ahead)[0]
    ahead.settle([0] * len(parts))
    for part in parts:
        row = part.row
        cache.computed(row, part.stop, lambda a, b, row=row: texts[row][a:b])
    counts = [part.stop - part.start for part in ahead.parts]
    return dict(zip((part.row for part in ahead.parts), logits.split(counts), strict=True))


@pytest.mark.parametrize("kind", ["shifted", "windowed", "latent", "capped with sinks"])
# PyTorch's builds for CPUs bring no Triton, and there is none for some systems.
@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
@pytest.mark.skipif(ON_GPU, reason="a GPU interprets nothing; see test_recorded.py")
def test_a_gpu_s_kernels_read_the_pages(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under Triton's interpreter, where the compiled core would read them."""
    monkeypatch.setattr(cpu, "takes", lambda *_: False)
    monkeypatch.setattr(at_hand, "has_kernels", lambda _: True)
    assert_pieces_are_the_whole(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_reading_in_pieces_is_reading_whole(kind: str) -> None:
    assert_pieces_are_the_whole(kind)


@torch.no_grad()
def assert_pieces_are_the_whole(kind: str) -> None:
    """Three texts, whose pieces of one and of several tokens meet in all ways."""
    model = scrambled(KINDS[kind])
    generator = torch.Generator().manual_seed(2)
    cache = cache_of(model.config)
    steps = {0: [30, 1, 1, 9, 5], 1: [1, 1, 17, 1, 1], 2: [0, 23, 1, 1, 20]}
    texts, found, at = {}, {}, {}
    for lengths in steps.values():
        text = torch.randint(61, (sum(lengths),), generator=generator).tolist()
        row, computed = cache.admit([], len(text), shareable=0)
        assert computed == 0
        texts[row], found[row], at[row] = text, [], 0
    for turn in range(5):
        parts = []
        for row, lengths in zip(texts, steps.values(), strict=True):
            if lengths[turn]:
                parts.append(Part(row, at[row], at[row] + lengths[turn]))
                at[row] += lengths[turn]
        for row, logits in read(model, cache, texts, parts).items():
            found[row].append(logits)
    for row, text in texts.items():
        whole = model(torch.tensor([text]))[0]
        torch.testing.assert_close(torch.cat(found[row]), whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [2 * PAGE, 2 * PAGE + 5])
@torch.no_grad()
def test_a_text_that_begins_like_another_shares_its_pages(kind: str, length: int) -> None:
    model = scrambled(KINDS[kind])
    cache = cache_of(model.config)
    generator = torch.Generator().manual_seed(3)
    text = torch.randint(61, (length,), generator=generator).tolist()
    names = page_names(text) if cache.shares else []
    row, computed = cache.admit(names, length, shareable=length)
    assert computed == 0
    read(model, cache, {row: text}, [Part(row, 0, length)])
    for _ in range(2):  # while the first is still there, and after both have gone
        again, computed = cache.admit(names, length, shareable=length)
        once_more = cache.shifts or length % PAGE == 0
        assert computed == (2 * PAGE - once_more if cache.shares else 0)
        before = {layer: pool.clone() for layer, pool in cache.keys.items()}
        logits = read(model, cache, {again: text}, [Part(again, computed, length)])[again]
        whole = model(torch.tensor([text]))[0, computed:]
        first = 1 if once_more and cache.shares else 0
        torch.testing.assert_close(logits[first:], whole[first:], rtol=1e-4, atol=1e-4)
        if not cache.shifts:
            torch.testing.assert_close(logits, whole, rtol=1e-4, atol=1e-4)
        for layer in before if cache.shares else ():  # nothing that others see was written
            slots = cache.kinds[cache.kind_of[layer]].table[again, :2].astype(np.int64)
            shared = torch.from_numpy(slots[slots > 0][:, None] * PAGE + np.arange(PAGE)).flatten()
            assert torch.equal(cache.keys[layer][shared], before[layer][shared])
        cache.release(again)
        if row >= 0:
            cache.release(row)
            row = -1


@pytest.mark.parametrize("frugal", [False, True])
def test_pages_that_are_kept_are_bounded(frugal: bool) -> None:
    """One after the other, texts of three pages each: kept are all that there are, or no more than
    are used."""
    pages = Pages(100, frugal=frugal)
    touched = set()
    for text in range(60):
        taken = [pages.take() for _ in range(3)]
        touched.update(taken)
        for i, page in enumerate(taken):
            pages.name(page, f"{text} {i}".encode())
            pages.give_back(page)
    assert len(touched) <= 6 if frugal else len(touched) == 100
    assert pages.free == 100
    assert pages.named(b"59 2")


def test_a_name_says_what_is_in_a_page_and_in_all_before_it() -> None:
    text = list(range(3 * PAGE))
    names = page_names(text)
    assert len(set(names)) == 3
    assert page_names(text[: 2 * PAGE + 3]) == names[:2]
    assert page_names(text[PAGE:], names[0]) == names[1:]
    other = [9, *text[1:]]
    assert not set(page_names(other)) & set(names)


def test_a_window_gives_back_what_has_left_it() -> None:
    """However long a row is, its windowed layers hold one page more than the window at the most."""
    cache = cache_of(KINDS["windowed"])
    kinds = {kind.window: kind for kind in cache.kinds}
    free = kinds[5].pages.free
    row, _ = cache.admit([], 48, shareable=0)
    for stop in range(1, 49):
        assert cache.extend(row, stop)
        cache.computed(row, stop, lambda a, b: [0] * (b - a))
        assert free - kinds[5].pages.free <= 2
        assert kinds[None].pages.count - kinds[None].pages.free == -(-stop // PAGE)
    cache.release(row)
    assert kinds[5].pages.free == free


def test_latents_are_kept_once_and_borrowed_keys_not_at_all() -> None:
    latent = cache_of(KINDS["latent"])
    assert latent.keys[0].shape[1:] == (1, 12 + 4)
    assert latent.values[0] is None
    assert sorted(cache_of(KINDS["borrowing"]).keys) == [0, 2]


@torch.no_grad()
def test_absorbed_latent_attention_is_the_expanded_one() -> None:
    """DeepSeek-V2, section 2.1.2: in float64."""
    model = scrambled(KINDS["latent"]).double()
    cache = cache_of(model.config, torch.float64)
    text = torch.randint(61, (17,), generator=torch.Generator().manual_seed(2)).tolist()
    row, _ = cache.admit([], 17, shareable=0)
    logits = read(model, cache, {row: text}, [Part(row, 0, 17)])[row]
    torch.testing.assert_close(logits, model(torch.tensor([text]))[0], rtol=1e-6, atol=1e-6)


def test_a_pass_with_a_cache_needs_positions() -> None:
    model = scrambled(CONFIG)
    cache = cache_of(CONFIG)
    row, _ = cache.admit([], 3, shareable=0)
    cache.extend(row, 3)
    ahead = Pass(cache, [Part(row, 0, 3)])
    with pytest.raises(ValueError, match="positions are to be given"):
        model(torch.zeros(1, 3, dtype=torch.int64), cache=ahead)


class Rows(RuleBasedStateMachine):
    """Rows come, grow and go in any order; pages are never lost, nor given to two that differ."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = cache_of(KINDS["windowed"], rows=3, positions=6 * PAGE)
        for kind in self.cache.kinds:
            kind.pages.frugal = True
        self.texts: dict[int, list[int]] = {}
        self.at: dict[int, int] = {}

    @precondition(lambda self: self.cache.free_rows)
    @rule(kind=st.integers(0, 1), length=st.integers(1, 44))
    def admit(self, kind: int, length: int) -> None:
        text = ([7] * PAGE + [kind] * 60)[:length]
        row, computed = self.cache.admit(page_names(text), length, shareable=length)
        assert computed < length
        self.texts[row], self.at[row] = text + [kind] * (48 - length), computed

    @precondition(lambda self: self.texts)
    @rule(data=st.data(), more=st.integers(1, 20))
    def grow(self, data: st.DataObject, more: int) -> None:
        row = data.draw(st.sampled_from(sorted(self.texts)))
        stop = min(48, self.at[row] + more)
        free = [kind.pages.free for kind in self.cache.kinds]
        if self.cache.extend(row, stop):
            self.at[row] = stop
            self.cache.computed(row, stop, lambda a, b: self.texts[row][a:b])
        else:
            assert [kind.pages.free for kind in self.cache.kinds] == free

    @precondition(lambda self: self.texts)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        row = data.draw(st.sampled_from(sorted(self.texts)))
        self.cache.release(row)
        del self.texts[row], self.at[row]

    @invariant()
    def pages_are_used_or_free(self) -> None:
        for kind in self.cache.kinds:
            used: dict[int, set[tuple[int, ...]]] = {}
            for row, text in self.texts.items():
                for column in kind.table[row].nonzero()[0]:
                    page = int(kind.table[row, column])
                    used.setdefault(page, set()).add(tuple(text[: (column + 1) * PAGE]))
                # all that the next position sees is there
                for position in range(kind.first_seen(self.at[row]), self.at[row]):
                    assert kind.table[row, position // PAGE]
            assert len(used) + kind.pages.free == kind.pages.count
            assert all(len(texts) == 1 for texts in used.values())


TestRows = Rows.TestCase
TestRows.settings = settings(max_examples=60, stateful_step_count=30)


@given(st.lists(st.integers(0, 5), max_size=80), st.integers(0, 80))
@settings(max_examples=50)
def test_names_of_a_beginning_are_the_first_names(text: list[int], length: int) -> None:
    assert page_names(text[:length]) == page_names(text)[: min(length, len(text)) // PAGE]
