"""Decontamination: what is found is what a comparison of all rows of words finds."""

import json
import sysconfig
from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from groundup.curate.curation import Curation, run_curation
from groundup.curate.decontaminate.examples import EvaluationSet
from groundup.curate.decontaminate.index import Index, Overlap, write_index
from groundup.curate.decontaminate.scan import Scanner
from groundup.curate.decontaminate.step import Decontaminate, pieces_without
from groundup.curate.document import read_corpus
from groundup.curate.engines.local import Local
from groundup.curate.sources import open_source

DATA = Path(__file__).parents[4] / "shared" / "data"

WORDS = st.lists(st.sampled_from("abcd"), max_size=14)
EXAMPLES = st.lists(st.lists(WORDS, min_size=1, max_size=3), max_size=6)


def scanner_of(sets: list[list[list[str]]], overlap: Overlap, folder: Path) -> Scanner:
    """sets: of examples, each of texts."""
    found = []
    for number, examples in enumerate(sets):
        path = folder / f"set{number}.jsonl"
        path.write_text("".join(f"{json.dumps({'texts': texts})}\n" for texts in examples))
        found.append(EvaluationSet(path=str(path)))
    write_index(found, overlap, folder / "index")
    return Scanner(Index(folder / "index"), overlap)


def held_by_comparison(
    words: list[str], sets: list[list[list[list[str]]]], overlap: Overlap
) -> dict[tuple[str, str], float]:
    """The oracle: the share of each example that a document holds."""
    width = overlap.width

    def grams(text: list[str]) -> list[tuple[str, ...]]:
        return [tuple(text[i : i + width]) for i in range(len(text) - width + 1)]

    there, shares = set(grams(words)), dict[tuple[str, str], float]()
    for number, examples in enumerate(sets):
        having = Counter(g for texts in examples for g in {g for t in texts for g in grams(t)})
        for place, texts in enumerate(examples, start=1):
            for text in texts:
                counted, shared = set[int](), set[int]()
                for i, gram in enumerate(grams(text)):
                    if having[gram] <= overlap.max_examples:
                        counted |= {*range(i, i + width)}
                        shared |= {*range(i, i + width)} if gram in there else set()
                if len(shared) >= overlap.min_words and len(shared) >= overlap.share * len(counted):
                    key = (f"set{number}", f"set{number}.jsonl:{place}")
                    shares[key] = max(shares.get(key, 0), round(len(shared) / len(counted), 3))
    return shares


@settings(max_examples=100)
@given(
    words=st.lists(st.sampled_from("abcd"), max_size=40),
    sets=st.lists(EXAMPLES, min_size=1, max_size=3),
    width=st.integers(1, 4),
    share=st.sampled_from([0, 0.3, 0.5, 1]),
    min_words=st.integers(1, 8),
    max_examples=st.integers(1, 4),
)
def test_what_a_text_holds_is_what_a_comparison_finds(
    words: list[str],
    sets: list[list[list[list[str]]]],
    width: int,
    share: float,
    min_words: int,
    max_examples: int,
) -> None:
    overlap = Overlap(width=width, share=share, min_words=min_words, max_examples=max_examples)
    text = " ".join(words)
    joined = [[[" ".join(text) for text in texts] for texts in examples] for examples in sets]
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        overlaps = scanner_of(joined, overlap, Path(folder)).overlaps(text)
    found = (
        {(held.evaluation, held.example): held.share for held in overlaps.held} if overlaps else {}
    )
    assert found == held_by_comparison(words, sets, overlap)
    if overlaps:
        ends = [place for span in overlaps.spans for place in span]
        assert ends == sorted({*ends})  # apart from each other
        assert all(held.text in text for held in overlaps.held)


QUESTION = (
    "If four keepers row nine boats across the sound in two days, how many boats are left over?"
)
TEMPLATE = "Answer the following question with one number and nothing else at all, please:"
PROSE = " ".join(f"word{n}" for n in range(400))


@pytest.fixture
def evaluation(tmp_path: Path) -> EvaluationSet:
    """Twelve examples behind one template; the last is too short."""
    own = [QUESTION, *(" ".join(f"q{n}w{i}" for i in range(15)) for n in range(10)), "How many?"]
    path = tmp_path / "quiz.jsonl"
    path.write_text("".join(f"{json.dumps({'prompt': f'{TEMPLATE} {text}'})}\n" for text in own))
    return EvaluationSet(path=str(path))


def run(
    config: Decontaminate, texts: list[str], to: Path, shard_bytes: int = 10**6, workers: int = 1
):
    (to / "in").mkdir(parents=True)
    for number, text in enumerate(texts):
        (to / "in" / f"{number}.txt").write_text(text, encoding="utf-8")
    curation = Curation(steps=(config,), shard_bytes=shard_bytes)
    source = open_source(str(to / "in"))
    with Local(workers) as engine:
        facts = run_curation(curation, source, "in", to / "out", engine, Console(quiet=True)).facts
    kept = [d for path in sorted((to / "out/documents").iterdir()) for d in read_corpus(path)]
    lines = (p.read_text() for p in sorted((to / "out/rejected").iterdir()))
    records = [json.loads(line) for text in lines for line in text.splitlines()]
    return kept, records, facts["funnel"][-1]


def test_a_document_with_an_example_is_rejected(evaluation: EvaluationSet, tmp_path: Path) -> None:
    edited = QUESTION.replace("sound", "channel").replace(",", " -").upper()
    texts = [PROSE, f"{PROSE} {QUESTION} {PROSE}", f"{TEMPLATE} {PROSE}", f"{edited} {PROSE}"]
    kept, records, funnel = run(Decontaminate(against=(evaluation,)), texts, tmp_path)
    assert [document.id for document in kept] == ["0.txt", "2.txt"]  # a template is no example
    assert [record["rule"] for record in records] == ["quiz", "quiz"]
    # all 18 words of 25: n-grams reach over seven of the template as well
    assert records[0]["reason"] == "holds 72% of quiz, quiz.jsonl:1"
    (held,) = records[0]["metadata"]["contamination"]
    assert held["example"] == "quiz.jsonl:1"
    assert held["text"] == QUESTION.removesuffix("?")
    (held,) = records[1]["metadata"]["contamination"]
    assert held["share"] == 0.68  # but for "across the sound", 17
    assert funnel["rejected"] == {"quiz": 2}
    assert funnel["counts"] == {"quiz, examples": 12, "quiz, found": 1, "quiz, too short": 1}


def test_shards_and_processes_make_no_difference(evaluation: EvaluationSet, tmp_path: Path) -> None:
    texts = [f"{QUESTION} {PROSE}" if n % 3 else PROSE for n in range(8)]
    config = Decontaminate(against=(evaluation,))
    one = run(config, texts, tmp_path / "one")
    assert run(config, texts, tmp_path / "many", shard_bytes=1, workers=2) == one
    assert one[2]["counts"]["quiz, found"] == 1


def test_what_a_document_holds_is_cut_out(evaluation: EvaluationSet, tmp_path: Path) -> None:
    config = Decontaminate(against=(evaluation,), action="cut")
    texts = [f"{PROSE} {QUESTION} {PROSE}", PROSE, f"{QUESTION} {PROSE[:390]}"]
    kept, records, funnel = run(config, texts, tmp_path)
    assert [document.id for document in kept] == ["0.txt#1", "0.txt#2", "1.txt"]
    first, second, _ = kept
    assert first.text == PROSE[: len(PROSE) + 1 - 200].strip() + "\n"
    assert second.text == PROSE[200 - len("? ") :].strip() + "\n"
    assert first.metadata["contamination"][0]["example"] == "quiz.jsonl:1"
    assert first.metadata is not second.metadata
    assert [record["id"] for record in records] == ["2.txt"]  # of which nothing is left
    assert funnel["counts"]["documents cut"] == 1
    cut = len(texts[0]) - len(first.text) - len(second.text)
    assert funnel["counts"]["bytes cut"] == cut


def test_a_document_that_would_fall_into_many_pieces_is_rejected(
    evaluation: EvaluationSet, tmp_path: Path
) -> None:
    config = Decontaminate(against=(evaluation,), action="cut")
    texts = [f"{PROSE} {QUESTION} " * 9 + PROSE, f"{PROSE} {QUESTION} " * 10 + PROSE]
    kept, records, _ = run(config, texts, tmp_path)
    assert [document.id for document in kept] == [f"0.txt#{n}" for n in range(1, 11)]
    assert [record["id"] for record in records] == ["1.txt"]


@pytest.mark.parametrize(
    ("size", "spans", "pieces"),
    [
        (1000, [(500, 600)], [300, 200]),
        (1000, [(399, 600), (601, 602)], []),
        (1000, [(0, 1)], [799]),
        (2000, [(900, 910), (1000, 1100)], [700, 700]),
        (500, [], [500]),
    ],
)
def test_pieces_are_what_is_far_from_spans_and_long(
    size: int, spans: list[tuple[int, int]], pieces: list[int]
) -> None:
    assert [len(piece) - 1 for piece in pieces_without("x" * size, spans)] == pieces


def test_what_cannot_be_is_refused(evaluation: EvaluationSet) -> None:
    with pytest.raises(ValueError, match="names no evaluation set"):
        Decontaminate(against=())
    with pytest.raises(ValueError, match="the same name"):
        Decontaminate(against=(evaluation, replace(evaluation, fields=("prompt",))))
    with pytest.raises(ValueError, match="at least 1"):
        Decontaminate(against=(evaluation,), width=0)
    with pytest.raises(ValueError, match="from 0 to 1"):
        Decontaminate(against=(evaluation,), share=2)


@pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not here")
def test_real_examples_are_found_among_real_texts(tmp_path: Path) -> None:
    """Whole, and with one word of twenty changed; and nothing in an encyclopedia and in programs
    that are older than the tests."""
    path = DATA / "gsm8k/grade_school_math/data/test.jsonl"
    code = DATA / "humaneval/data/HumanEval.jsonl.gz"
    sets = (
        EvaluationSet(path=str(path), name="gsm8k"),
        EvaluationSet(path=str(code), name="humaneval"),
    )
    write_index(sets, Overlap(), tmp_path / "index")
    scanner = Scanner(Index(tmp_path / "index"), Overlap())
    questions = [json.loads(line)["question"] for line in path.read_text("utf-8").splitlines()]
    for every, recall in ((10**6, 1), (20, 0.97)):
        found = 0
        for number, question in enumerate(questions, start=1):
            words = question.split(" ")
            words[number % every :: every] = ["changed"] * len(words[number % every :: every])
            overlaps = scanner.overlaps(f"{PROSE} {' '.join(words)} {PROSE}")
            found += overlaps is not None and f"test.jsonl:{number}" in {
                held.example for held in overlaps.held
            }
        assert found >= recall * len(questions)
    for text in (DATA / "text/wikitext-2").glob("*.txt"):
        assert scanner.overlaps(text.read_text(encoding="utf-8")) is None
    for module in Path(sysconfig.get_path("stdlib")).glob("*.py"):
        assert scanner.overlaps(module.read_text(encoding="utf-8")) is None
