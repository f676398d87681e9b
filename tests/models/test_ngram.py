"""n-gram models against dictionaries that follow the papers, and against nltk, kenlm and lmplz."""

import itertools
import math
import shutil
import subprocess
from collections import Counter, defaultdict
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.core.errors import ArtifactError, InputError
from groundup.models.ngram import (
    KneserNey,
    NGram,
    NGramModel,
    WittenBell,
    count_ngrams,
    load_ngram,
    read_arpa,
    train_ngram,
    write_arpa,
)

Tokens = tuple[int, ...]


FALLBACK = tuple(
    Fraction(j, 2) for j in range(4)
)  # kenlm's, for counts of counts that are degenerate


class Reference:
    """Chen and Goodman 1998 in dictionaries and fractions, one probability at a time.

    Modified Kneser-Ney is their equations 24 to 26, with pruned n-grams' counts left to the lower
    order (Heafield et al. 2013); Witten-Bell is their section 2.5.
    """

    def __init__(self, config: NGram, documents: list[list[int]]):
        self.config = config
        self.end, self.begin = config.vocab_size, config.vocab_size + 1
        self.raw: Counter[Tokens] = Counter()
        self.before: defaultdict[Tokens, set[int]] = defaultdict(set)
        for document in documents:
            row = [self.begin, *document, self.end] if config.boundaries else document
            for n in range(1, config.order + 1):
                for i in range(len(row) - n + 1):
                    ngram = tuple(row[i : i + n])
                    self.raw[ngram] += 1
                    self.before[ngram[1:]].add(ngram[0])
        if config.boundaries:
            del self.raw[self.begin,]  # a context only
        self.outcomes = range(config.vocab_size + config.boundaries)
        self.followers: defaultdict[Tokens, list[int]] = defaultdict(list)
        for ngram in self.raw:
            self.followers[ngram[:-1]].append(ngram[-1])
        self.discounts = [self._discounts(n) for n in range(1, config.order + 1)]
        self.probability = cache(self._probability)

    def count(self, ngram: Tokens) -> int:
        if isinstance(self.config.smoothing, WittenBell) or len(ngram) == self.config.order:
            return self.raw[ngram]
        if self.config.boundaries and ngram[0] == self.begin:
            return self.raw[ngram]
        return len(self.before[ngram])

    def kept(self, ngram: Tokens) -> bool:
        prune = self.config.prune
        return self.raw[ngram] > prune[min(len(ngram), len(prune)) - 1]

    def mass(self, ngram: Tokens) -> Fraction:
        count = self.count(ngram)
        if isinstance(self.config.smoothing, WittenBell):
            return Fraction(count)
        if self.config.smoothing.discount is not None:
            return max(count - Fraction(self.config.smoothing.discount), Fraction(0))
        return Fraction(count) - self.discounts[len(ngram) - 1][min(count, 3)]

    def _probability(self, token: int, context: Tokens) -> Fraction:
        if not context and not self.config.uniform:
            total = sum(self.count((w,)) for w in self.followers[()])
            if total:  # the papers leave 0 / 0 open; here that is the uniform distribution
                return Fraction(self.count((token,)), total)
        lower = self.probability(token, context[1:]) if context else Fraction(1, len(self.outcomes))
        ngrams = [(*context, w) for w in self.followers[context]]
        total = sum(self.count(g) for g in ngrams)
        if total == 0:
            return lower
        if isinstance(self.config.smoothing, WittenBell):
            total += len(ngrams)
        kept = {g: self.mass(g) / total for g in ngrams if self.kept(g)}
        return kept.get((*context, token), Fraction(0)) + (1 - sum(kept.values())) * lower

    def _discounts(self, n: int) -> tuple[Fraction, ...]:
        n1, n2, n3, n4 = (
            sum(1 for g in self.raw if len(g) == n and self.count(g) == j) for j in (1, 2, 3, 4)
        )
        if 0 not in (n1, n2, n3):
            y = Fraction(n1, n1 + 2 * n2)
            found = 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3
            if min(found) >= 0:
                return Fraction(0), *found
        return FALLBACK

    def logprobs(self, row: list[int], *, begin: bool) -> list[float]:
        lead = [self.begin] if begin and self.config.boundaries else []
        whole = lead + row
        scores = []
        for i in range(len(lead), len(whole)):
            context = tuple(whole[max(0, i - self.config.order + 1) : i])
            p = self.probability(whole[i], context)
            scores.append(math.log(p) if p > 0 else -math.inf)
        return scores


def scores(model: NGramModel, row: list[int], *, begin: bool) -> np.ndarray:
    """Of every token of a row, after the begin token or with nothing before it."""
    if begin and model.boundaries:
        return model.logprobs(np.array([model.begin, *row]))
    first = model.next_logprobs(np.array([], dtype=int))[row[:1]]
    return np.concatenate([first, model.logprobs(np.array(row))])


def arrays(documents: list[list[int]]) -> list[np.ndarray]:
    return [np.array(document, dtype=np.uint16) for document in documents]


def zipf(size: int, vocab_size: int = 40, seed: int = 0) -> list[list[int]]:
    """Text whose next token depends on the one before it; it has n-grams of every rarity."""
    generator = np.random.default_rng(seed)
    documents = []
    for length in generator.integers(5, 60, size // 30):
        draws = generator.zipf(1.4, length) % vocab_size
        documents.append(((np.cumsum(draws) // 2) % vocab_size).tolist())
    return documents


configs = st.builds(
    NGram,
    order=st.integers(1, 4),
    vocab_size=st.just(5),
    smoothing=st.sampled_from(
        [KneserNey(), KneserNey(discount=0.75), KneserNey(discount=0.0), WittenBell()]
    ),
    boundaries=st.booleans(),
    uniform=st.booleans(),
).flatmap(
    lambda config: (
        st.sampled_from([(0,), (0, 1), (0, 0, 1), (0, 0, 1, 2)])
        .filter(lambda prune: len(prune) <= config.order)
        .map(lambda prune: NGram(**{**vars(config), "prune": prune}))
    )
)
corpora = st.lists(st.lists(st.integers(0, 3), max_size=12), min_size=1, max_size=6).filter(any)


@settings(max_examples=150)
@given(config=configs, documents=corpora, row=st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_every_probability_is_the_papers(
    config: NGram, documents: list[list[int]], row: list[int]
) -> None:
    model, reference = train_ngram(config, arrays(documents)), Reference(config, documents)
    if config.boundaries:
        row = [*row, config.vocab_size]
    for begin in (True, False):
        ours = scores(model, row, begin=begin)
        np.testing.assert_allclose(ours, reference.logprobs(row, begin=begin), atol=2e-5)


@settings(max_examples=100)
@given(config=configs, documents=corpora)
def test_after_every_context_the_probabilities_sum_to_one(
    config: NGram, documents: list[list[int]]
) -> None:
    model = train_ngram(config, arrays(documents))
    for length in range(min(config.order, 3)):
        for context in itertools.product(range(config.vocab_size), repeat=length):
            for lead in ((), (model.begin,)) if config.boundaries else ((),):
                logprobs = model.next_logprobs(np.array([*lead, *context], dtype=int))
                assert np.exp(logprobs.astype(float)).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("smoothing", [KneserNey(), KneserNey(discount=0.6), WittenBell()])
@pytest.mark.parametrize("prune", [(0,), (0, 0, 1), (0, 1, 2, 2)])
def test_a_larger_corpus_has_the_papers_probabilities(
    smoothing: KneserNey | WittenBell, prune: tuple[int, ...]
) -> None:
    documents = zipf(6000)
    config = NGram(order=5, vocab_size=41, smoothing=smoothing, prune=prune)
    model, reference = train_ngram(config, arrays(documents)), Reference(config, documents)
    assert FALLBACK not in reference.discounts[1:]
    for row in [*documents[:3], *zipf(100, seed=1), [40, 0, 40]]:
        ours = scores(model, [*row, 41], begin=True)
        np.testing.assert_allclose(ours, reference.logprobs([*row, 41], begin=True), atol=2e-5)


def test_all_next_tokens_score_as_one_does() -> None:
    documents = zipf(2000)
    model = train_ngram(NGram(order=4, vocab_size=41, prune=(0, 0, 1)), arrays(documents))
    for row in documents[:5]:
        for whole in (row, [model.begin, *row]):
            one_by_one = model.logprobs(np.array(whole))
            for i, token in enumerate(whole[1:]):
                found = model.next_logprobs(np.array(whole[: i + 1]))[token]
                assert found == pytest.approx(one_by_one[i])


@given(documents=corpora, batch_tokens=st.integers(1, 9), boundaries=st.booleans())
def test_counts_are_those_of_a_dictionary_however_the_stream_is_cut(
    documents: list[list[int]], batch_tokens: int, boundaries: bool
) -> None:
    config = NGram(order=3, vocab_size=4, boundaries=boundaries)
    rows = [[5, *d, 4] if boundaries else d for d in documents]
    counts = count_ngrams(config, iter(arrays(documents)), batch_tokens=batch_tokens)
    unigrams = Counter(itertools.chain(*rows))
    assert counts.counts[0].tolist() == [unigrams[i] for i in range(4 + 2 * boundaries)]
    ids: dict[Tokens, int] = {(i,): i for i in range(6)}
    for n in (2, 3):
        found = Counter(tuple(r[i : i + n]) for r in rows for i in range(len(r) - n + 1))
        packed = [ids[gram[:-1]] << 32 | gram[-1] for gram in sorted(found)]
        assert counts.keys[n - 2].tolist() == packed
        assert counts.counts[n - 1].tolist() == [found[gram] for gram in sorted(found)]
        ids = {gram: i for i, gram in enumerate(sorted(found))}


def test_rows_of_a_batch_do_not_see_each_other() -> None:
    documents = zipf(3000)
    model = train_ngram(NGram(order=5, vocab_size=41), arrays(documents))
    row = np.array(list(itertools.chain(*documents[:10]))[:200])
    batch = np.stack([row, row[::-1]])
    begun = np.concatenate([np.full((2, 1), model.begin), batch], axis=1)
    for rows in (batch, begun):
        expected = np.stack([model.logprobs(r) for r in rows])
        np.testing.assert_array_equal(model.logprobs(rows), expected)
        many = model.logprobs(np.tile(rows, (2700, 1)))  # more than one chunk
        np.testing.assert_array_equal(many, np.tile(expected, (2700, 1)))
    long = model.logprobs(np.tile(row, 5400))  # more than one chunk in a row
    np.testing.assert_array_equal(long[200:], np.tile(long[200:400], 5399)[:-1])


# nltk's textbook example: the characters of two sentences, with order − 1 tokens at each border.

LETTERS = ("abcd", "egadbe")
PUBLISHED = {
    ("kneser-ney", 2): (3.906875, 6.062866),
    ("kneser-ney", 3): (2.142205, 5.149641),
    ("witten-bell", 2): (2.839034, 7.670842),
}


def padded(sentence: str, order: int) -> list[str]:
    return ["<s>"] * (order - 1) + list(sentence) + ["</s>"] * (order - 1)


def textbook(
    name: str, order: int, vocabulary: list[str], *, normalized: bool = False
) -> NGramModel:
    """As nltk has it: letters that are not in the vocabulary are the token <UNK>."""
    config = NGram(
        order=order,
        vocab_size=len(vocabulary),
        boundaries=False,
        uniform=False,
        smoothing=WittenBell()
        if name == "witten-bell"
        else KneserNey(discount=0.75, normalized=normalized),
    )
    rows = [[number(letter, vocabulary) for letter in padded(s, order)] for s in LETTERS]
    return train_ngram(config, arrays(rows))


def number(letter: str, vocabulary: list[str]) -> int:
    return vocabulary.index(letter if letter in vocabulary else "<UNK>")


def textbook_perplexity(
    model: NGramModel, sentence: str, order: int, vocabulary: list[str]
) -> float:
    """Of every token that has order − 1 tokens before it."""
    row = [number(letter, vocabulary) for letter in padded(sentence, order)]
    found = model.logprobs(np.array(row))[order - 2 :]
    return math.exp(-float(found.mean(dtype=np.float64)))


FROM_TRAINING_TEXT = [*"abcdeg", "<s>", "</s>", "<UNK>"]  # nltk: padded_everygram_pipeline
FROM_NLTKS_TESTS = [*"abcdz", "<s>", "</s>", "<UNK>"]  # test_models.py: e and g are <UNK>


@pytest.mark.parametrize(("name", "order"), PUBLISHED)
def test_nltks_textbook_perplexities(name: str, order: int) -> None:
    model = textbook(name, order, FROM_TRAINING_TEXT)
    found = [
        textbook_perplexity(model, sentence, order, FROM_TRAINING_TEXT)
        for sentence in ("abcd", "bade")
    ]
    assert found == pytest.approx(PUBLISHED[name, order], abs=1e-6)


def test_only_contexts_that_begin_a_row_differ_from_nltk_when_normalized() -> None:
    """After <s> nltk's trigram model sums to 1.375, and so to 1.28125 after <s> <s>."""
    theirs = textbook("kneser-ney", 3, FROM_TRAINING_TEXT)
    ours = textbook("kneser-ney", 3, FROM_TRAINING_TEXT, normalized=True)
    sums = {}
    for context in itertools.chain.from_iterable(
        itertools.product(range(9), repeat=n) for n in range(3)
    ):
        row = np.array(context, dtype=int)
        assert np.exp(ours.next_logprobs(row)).sum() == pytest.approx(1)
        sums[context] = float(np.exp(theirs.next_logprobs(row)).sum())
    begin = FROM_TRAINING_TEXT.index("<s>")
    assert sums[begin,] == pytest.approx(1.375)
    assert sums[begin, begin] == pytest.approx(1.28125)
    assert all(total == pytest.approx(1) for context, total in sums.items() if begin not in context)


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("name", ["kneser-ney", "witten-bell"])
@pytest.mark.parametrize("vocabulary", [FROM_TRAINING_TEXT, FROM_NLTKS_TESTS])
def test_nltk_itself_gives_every_next_token_the_same_probability(
    name: str, order: int, vocabulary: list[str]
) -> None:
    lm = pytest.importorskip("nltk.lm")
    preprocessing = pytest.importorskip("nltk.lm.preprocessing")
    given = lm.Vocabulary([w for w in vocabulary if w != "<UNK>"], unk_cutoff=1)
    theirs = (
        lm.KneserNeyInterpolated(order, discount=0.75, vocabulary=given)
        if name == "kneser-ney"
        else lm.WittenBellInterpolated(order, vocabulary=given)
    )
    theirs.fit([preprocessing.padded_everygrams(order, list(s)) for s in LETTERS])
    ours = textbook(name, order, vocabulary)
    for sentence in (*LETTERS, "bade", "zzq"):
        row = padded(sentence, order)
        for i in range(order - 1, len(row)):
            context = row[i - order + 1 : i]
            expected = [theirs.score(word, context) for word in vocabulary]
            ids = np.array([number(letter, vocabulary) for letter in context])
            np.testing.assert_allclose(np.exp(ours.next_logprobs(ids)), expected, rtol=1e-5)


# ARPA, kenlm and lmplz


def names_of(size: int) -> list[str]:
    return ["<unk>", *(f"w{i}" for i in range(1, size))]


@pytest.mark.parametrize("prune", [(0,), (0, 0, 1)])
@pytest.mark.parametrize("smoothing", [KneserNey(), WittenBell()])
def test_kenlm_scores_our_arpa_file_as_we_do(
    tmp_path: Path, smoothing: KneserNey | WittenBell, prune: tuple[int, ...]
) -> None:
    kenlm = pytest.importorskip("kenlm")
    config = NGram(order=4, vocab_size=41, smoothing=smoothing, prune=prune)
    model, names = train_ngram(config, arrays(zipf(4000))), names_of(41)
    write_arpa(model, tmp_path / "model.arpa", names)
    theirs = kenlm.Model(str(tmp_path / "model.arpa"))
    for row in zipf(600, seed=1):
        text = " ".join(names[token] for token in row)
        for begin in (True, False):
            expected = [s for s, _, _ in theirs.full_scores(text, bos=begin, eos=True)]
            ours = scores(model, [*row, 41], begin=begin) / math.log(10)
            np.testing.assert_allclose(ours, expected, atol=1e-5)


@pytest.mark.parametrize("prune", [(0,), (0, 0, 1)])
def test_lmplz_estimates_the_same_model(tmp_path: Path, prune: tuple[int, ...]) -> None:
    lmplz = shutil.which("lmplz")
    if lmplz is None:
        pytest.skip("kenlm's lmplz is not on the PATH")
    documents, names = [[t + 1 for t in d] for d in zipf(4000)], names_of(41)
    assert {token for document in documents for token in document} == set(range(1, 41))
    text = "".join(" ".join(names[token] for token in d) + "\n" for d in documents)
    options = ["-o", "4", "-S", "64M", "-T", str(tmp_path), "--discount_fallback"]
    arpa = subprocess.run(
        [lmplz, *options, "--prune", *map(str, prune)],
        input=text.encode(),
        capture_output=True,
        check=True,
    ).stdout
    (tmp_path / "theirs.arpa").write_bytes(arpa)
    theirs, their_names = read_arpa(tmp_path / "theirs.arpa")
    ours = train_ngram(NGram(order=4, vocab_size=41, prune=prune), arrays(documents))
    assert ours.sizes == theirs.sizes
    for row in zipf(600, seed=1):
        row = [token + 1 for token in row]
        their_row = [*(their_names.index(names[token]) for token in row), 41]
        expected = scores(theirs, their_row, begin=True)
        np.testing.assert_allclose(scores(ours, [*row, 41], begin=True), expected, atol=1e-4)


def score_arpa_by_hand(text: str, words: list[str]) -> list[float]:
    """log10 p of each word after the first, by the definition of back-off."""
    entries: dict[tuple[str, ...], tuple[float, float]] = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) >= 2:
            backoff = float(fields[2]) if len(fields) > 2 else 0.0
            entries[tuple(fields[1].split())] = float(fields[0]), backoff
    order = max(map(len, entries))

    def score(ngram: tuple[str, ...]) -> float:
        if ngram in entries:
            return entries[ngram][0]
        return entries.get(ngram[:-1], (0.0, 0.0))[1] + score(ngram[1:])

    return [score(tuple(words[max(0, i - order + 1) : i + 1])) for i in range(1, len(words))]


def test_an_arpa_file_says_what_the_model_says_and_reads_back(tmp_path: Path) -> None:
    path, names = tmp_path / "model.arpa", names_of(41)
    model = train_ngram(NGram(order=3, vocab_size=41), arrays(zipf(3000)))
    write_arpa(model, path, names)
    again, names_again = read_arpa(path)
    assert names_again == names
    for row in zipf(300, seed=2):
        expected = scores(model, [*row, 41], begin=True)
        words = ["<s>", *(names[token] for token in row), "</s>"]
        by_hand = score_arpa_by_hand(path.read_text(), words)
        np.testing.assert_allclose(expected, np.array(by_hand) * math.log(10), atol=1e-5)
        np.testing.assert_allclose(scores(again, [*row, 41], begin=True), expected, atol=1e-6)


def test_a_damaged_arpa_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.arpa"
    write_arpa(
        train_ngram(NGram(order=2, vocab_size=3), arrays([[0, 1, 2]])), path, ["a", "b", "c"]
    )
    whole = path.read_text()
    for damaged in (
        "no header",
        whole.replace("ngram 2=4", "ngram 2=5"),
        whole.replace("\\end\\\n", ""),
        whole.replace("\ta b", "\ta q"),
        whole[: len(whole) // 2],
    ):
        path.write_text(damaged)
        with pytest.raises(InputError):
            read_arpa(path)
    with pytest.raises(InputError, match="not one word"):
        write_arpa(read_arpa_text(path, whole), path, ["a", "b c", "d"])


def read_arpa_text(path: Path, text: str) -> NGramModel:
    path.write_text(text)
    return read_arpa(path)[0]


# Files and errors


def test_a_saved_model_is_memory_mapped_and_scores_the_same(tmp_path: Path) -> None:
    documents = zipf(3000)
    model = train_ngram(NGram(order=4, vocab_size=41, prune=(0, 0, 1)), arrays(documents))
    model.save(tmp_path / "model")
    model.save(tmp_path / "model")
    loaded = load_ngram(tmp_path / "model")
    assert all(isinstance(keys, np.memmap) for keys in loaded.keys)
    row = np.array(documents[0])
    np.testing.assert_array_equal(loaded.logprobs(row), model.logprobs(row))
    np.testing.assert_array_equal(loaded.next_logprobs(row), model.next_logprobs(row))


def test_an_unfinished_or_cut_off_model_is_refused(tmp_path: Path) -> None:
    model = train_ngram(NGram(order=3, vocab_size=41), arrays(zipf(500)))
    with pytest.raises(ArtifactError, match="holds no finished ngram"):
        load_ngram(tmp_path / "model")
    model.save(tmp_path / "model")
    path = tmp_path / "model" / "keys-3.npy"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ArtifactError, match="keys-3.npy cannot be read"):
        load_ngram(tmp_path / "model")


def test_wrong_input_is_refused_in_a_sentence() -> None:
    config = NGram(order=2, vocab_size=4)
    with pytest.raises(InputError, match="no documents"):
        train_ngram(config, [])
    with pytest.raises(InputError, match="document 2 has a token id outside 0 … 3"):
        train_ngram(config, arrays([[0], [4]]))
    with pytest.raises(InputError, match="float64"):
        train_ngram(config, [np.zeros(3)])
    with pytest.raises(InputError, match="2 axes"):
        train_ngram(config, [np.zeros((2, 2), dtype=int)])
    model = train_ngram(config, arrays([[0, 1]]))
    with pytest.raises(InputError, match="outside 0 … 5"):
        model.logprobs(np.array([6]))
    with pytest.raises(InputError, match="outside 0 … 4"):
        model.logprobs(np.array([0, model.begin]))  # it can only be the first
    with pytest.raises(InputError, match="outside 0 … 4"):
        model.next_logprobs(np.array([0, model.begin]))


@pytest.mark.parametrize(
    "fields",
    [
        {"order": 0},
        {"vocab_size": 0},
        {"prune": (1,)},
        {"prune": (0, 2, 1)},
        {"prune": (0, 0, 0, 0), "order": 3},
        {"prune": (0, 1), "smoothing": KneserNey(discount=0.5, normalized=False)},
    ],
)
def test_a_config_that_makes_no_sense_is_refused(fields: dict) -> None:
    with pytest.raises(ValueError, match="must|more|cannot"):
        NGram(**{"vocab_size": 4, **fields})


def test_a_discount_is_a_share_of_one_occurrence() -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        KneserNey(discount=1.5)
    with pytest.raises(ValueError, match="needs a discount"):
        KneserNey(normalized=False)
