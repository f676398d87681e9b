import json
import os
import sys
from pathlib import Path

import pytest

from groundup.core.config import from_dict, to_dict
from groundup.core.errors import ConfigError, InputError
from groundup.curate import Curate, curate, open_source, read_corpus
from groundup.curate.document import Document
from groundup.curate.privacy.mask import Mask

SHAKESPEARE = Path(__file__).parents[3] / "shared" / "data" / "text" / "tinyshakespeare.txt"
FILES = ["rejected.jsonl", "train.jsonl", "validation.jsonl"]


def still(amount: float = 1, note: str = "") -> None:
    assert amount == 1
    assert not note


def names_in(directory):
    return sorted(path.name for path in directory.iterdir())


class Texts:
    """A source of given texts; counts how many were asked for."""

    name, licence, fingerprint = "texts", "CC0-1.0", "f"

    def __init__(self, *texts):
        self.texts, self.asked = texts, 0

    def documents(self, reject, _advance, /):
        reject(Document("", "broken", "texts"), "cannot be read")
        for number, text in enumerate(self.texts):
            self.asked += 1
            yield Document(text, f"d{number}", "texts")


def words(number):
    return f"This is document number {number}, and it says {number * 7919}.\n"


def sides(directory):
    return [
        [(document.id, document.text) for document in read_corpus(directory / f"{side}.jsonl")]
        for side in ("train", "validation")
    ]


def test_documents_are_kept_or_rejected_and_counted_at_every_step(tmp_path):
    texts = [words(n) for n in range(40)]
    messy = ["\ufeff" + texts[0].replace("\n", "\r\n"), "x", texts[1] + "\n", *texts]
    moved = []

    def advance(amount: float = 1, note: str = "") -> None:
        moved.append((amount, note))

    facts = curate(Curate(), Texts(*messy), tmp_path, advance)
    train, validation = sides(tmp_path)
    assert sorted(text for _, text in train + validation) == sorted(texts)
    assert train == sorted(train, key=lambda document: int(document[0][1:]))
    assert [row["step"] for row in facts["funnel"]] == [
        *("read", "normalise", "basic quality", "exact duplicates"),
    ]
    counts = {row["step"]: (row["documents"], row["rejected"]) for row in facts["funnel"]}
    assert counts["read"] == (43, {"cannot be read": 1})
    assert counts["basic quality"] == (42, {"characters": 1})
    assert counts["exact duplicates"] == (40, {"has the text of another": 2})
    assert facts["train"]["documents"] + facts["validation"]["documents"] == len(moved) == 40
    assert facts["validation"]["bytes"] == sum(len(text) for _, text in validation)
    assert facts["source"] == "texts"
    assert facts["licence"] == "CC0-1.0"
    json.dumps(facts)


def test_every_reject_is_kept_with_step_and_reason(tmp_path):
    curate(Curate(), Texts("x", words(0), words(0), words(1)), tmp_path, still)
    rejected = map(json.loads, (tmp_path / "rejected.jsonl").read_text().splitlines())
    assert [(line["step"], line["reason"], line["id"], line["text"]) for line in rejected] == [
        ("read", "cannot be read", "broken", ""),
        ("basic quality", "has 2 characters, fewer than 20", "d0", "x\n"),
        ("exact duplicates", "has the text of d1", "d2", words(0)),
    ]


def test_the_result_is_a_function_of_documents_and_config(tmp_path):
    texts = [words(n) for n in range(300)]
    results = []
    for name, config in [("a", Curate()), ("b", Curate()), ("c", Curate(seed=1))]:
        (tmp_path / name).mkdir()
        curate(config, Texts(*texts), tmp_path / name, still)
        assert names_in(tmp_path / name) == FILES
        results.append([(tmp_path / name / file).read_bytes() for file in FILES])
    assert results[0] == results[1] != results[2]


def test_a_document_stays_on_its_side_whatever_it_is_called_and_wherever_it_stands(tmp_path):
    texts = [words(n) for n in range(300)]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    curate(Curate(), Texts(*texts), tmp_path / "a", still)
    curate(Curate(), Texts(*reversed(texts)), tmp_path / "b", still)
    for side in (0, 1):
        one, other = ({text for _, text in sides(tmp_path / name)[side]} for name in "ab")
        assert one == other


@pytest.mark.parametrize("newline", ["\n\n", "\n"])
def test_one_long_text_is_cut_into_parts(tmp_path, newline):
    text = newline.join(words(n).strip() for n in range(2000)) + "\n"
    facts = curate(Curate(), Texts(text), tmp_path, still)
    train, validation = sides(tmp_path)
    parts = sorted(train + validation, key=lambda part: int(part[0].removeprefix("d0#")))
    assert "".join(part for _, part in parts) == text
    assert facts["funnel"][-1]["step"] == "cut"
    share = facts["validation"]["bytes"] / len(text)
    assert share == pytest.approx(0.05, abs=0.01)


def test_equal_parts_of_a_text_do_not_straddle(tmp_path):
    verse = "".join(words(n) for n in range(40)) + "\n"
    refrain = verse + "".join(words(n) for n in range(40, 80)) + "\n" + verse
    curate(Curate(validation_share=0.3), Texts(refrain), tmp_path, still)
    train, validation = ({text for _, text in side} for side in sides(tmp_path))
    assert train
    assert validation
    assert not train & validation


def test_documents_of_the_users_own_stay_whole_where_they_are_many(tmp_path):
    curate(Curate(), Texts(*(words(n) * 1 for n in range(30))), tmp_path, still)
    train, validation = sides(tmp_path)
    assert validation
    assert not any("#" in name for name, _ in train + validation)


def test_two_small_documents_are_enough(tmp_path):
    facts = curate(Curate(), Texts(words(0), words(12345)), tmp_path, still)
    assert sides(tmp_path) == [[("d1", words(12345))], [("d0", words(0))]]
    assert facts["validation"]["documents"] == 1


@pytest.mark.parametrize("texts", [[words(0)], [words(0), words(0)]])
def test_one_document_is_too_few(tmp_path, texts):
    with pytest.raises(InputError, match="at least two documents"):
        curate(Curate(), Texts(*texts), tmp_path, still)
    assert names_in(tmp_path) == ["rejected.jsonl"]


def test_where_nothing_is_left_the_reasons_are_counted(tmp_path):
    with pytest.raises(
        InputError, match=r"no document of texts .* read: 1, basic quality: 2: .*reject"
    ):
        curate(Curate(), Texts("x", ""), tmp_path, still)
    assert len((tmp_path / "rejected.jsonl").read_text().splitlines()) == 3


def test_max_bytes_stops_reading_and_says_so(tmp_path):
    source = Texts(*(words(n) for n in range(100)))
    size = len(words(0))
    facts = curate(Curate(max_bytes=size * 10), source, tmp_path, still)
    assert source.asked == facts["funnel"][0]["documents"] == 10
    assert facts["complete"] is False
    assert curate(Curate(), source, tmp_path, still)["complete"] is True


def test_a_failure_midway_leaves_nothing_that_looks_finished(tmp_path):
    class Failing(Texts):
        def documents(self, reject, advance, /):
            yield from super().documents(reject, advance)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        curate(Curate(), Failing(words(0)), tmp_path, still)
    assert names_in(tmp_path) == []


def test_documents_that_are_held_out_are_the_validation_side(tmp_path):
    held = Texts(words(3) + "  ", "x")
    held.documents = lambda _reject, _advance: iter(  # what cannot be read is another test's
        [Document(text, f"h{n}", "held") for n, text in enumerate(held.texts)]
    )
    facts = curate(Curate(), Texts(*(words(n) for n in range(9))), tmp_path, still, held)
    train, validation = sides(tmp_path)
    assert validation == [("h0", words(3)), ("h1", "x\n")]
    assert [name for name, _ in train] == [f"d{n}" for n in range(9) if n != 3]
    assert facts["train"]["documents"], facts["validation"]["documents"] == (8, 2)


def test_what_is_held_out_is_not_trained_on_however_long_and_whatever_the_steps_do(tmp_path):
    held = Texts(" ".join(words(n).strip() for n in range(5000)) + "\n\nwrite to ada@example.org")
    assert len(held.texts[0]) > 200_000
    held.documents = lambda _reject, _advance: iter([Document(held.texts[0], "h", "held")])
    source = Texts(held.texts[0].replace("\n", "\r\n"), *(words(n) for n in range(9)))
    config = Curate(steps=(*Curate().steps, Mask()))
    curate(config, source, tmp_path, still, held)
    train, validation = sides(tmp_path)
    assert [name for name, _ in train] == [f"d{n}" for n in range(1, 10)]
    assert len(validation) > 1
    rejected = (tmp_path / "rejected.jsonl").read_text().splitlines()
    assert any('"reason": "is held out"' in line for line in rejected)


def test_held_out_documents_that_cannot_be_used_are_one_sentence(tmp_path):
    texts = Texts(*(words(n) for n in range(3)))
    with pytest.raises(InputError, match="the held-out broken cannot be read: mend it"):
        curate(Curate(), texts, tmp_path, still, Texts(words(1)))
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    "setting", [{"validation_share": 0.0}, {"validation_share": 0.9}, {"max_bytes": 0}]
)
def test_settings_that_make_no_sense_are_refused(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        Curate(**setting)
    with pytest.raises(ConfigError, match=next(iter(setting))):
        from_dict(Curate, {**to_dict(Curate()), **setting})


def test_the_standard_library_keeps_nearly_everything_and_is_split_to_a_point(tmp_path):
    facts = curate(Curate(), open_source("stdlib"), tmp_path, still)
    read, *_, kept = facts["funnel"]
    assert kept["bytes"] > 0.99 * read["bytes"]
    assert facts["validation"]["bytes"] / kept["bytes"] == pytest.approx(0.05, abs=0.01)
    assert facts["validation"]["documents"] > 10


@pytest.mark.skipif(not SHAKESPEARE.exists(), reason="../shared/data/text is not here")
def test_one_real_text_is_split_to_a_point(tmp_path):
    facts = curate(Curate(), open_source(str(SHAKESPEARE)), tmp_path, still)
    total = facts["train"]["bytes"] + facts["validation"]["bytes"]
    assert total == pytest.approx(SHAKESPEARE.stat().st_size, rel=1e-4)
    assert facts["validation"]["bytes"] / total == pytest.approx(0.05, abs=0.01)


def test_no_tensor_library_is_loaded():
    script = (
        "import sys, groundup.curate; sys.exit('torch' in sys.modules or 'httpx' in sys.modules)"
    )
    assert os.spawnl(os.P_WAIT, sys.executable, sys.executable, "-c", script) == 0
