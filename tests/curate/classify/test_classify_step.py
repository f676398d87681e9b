"""The step that keeps or drops documents by a classifier."""

from pathlib import Path
from typing import Any

import pytest
from tests.curate.classify.fasttext_bytes import Model

from groundup.core.config import from_dict, to_dict
from groundup.core.errors import ArtifactError, ConfigError
from groundup.curate.batches import in_batches
from groundup.curate.classify import Classify, Ngrams, TrainClassifier, train_classifier
from groundup.curate.classify.judge import CLASSIFIER, load_judge
from groundup.curate.document import Document
from groundup.curate.notes import Notes

FISH, BIRD = "a trout swims in the river", "a swallow flies over the roof"


def still(amount: float = 1, note: str = "") -> None:
    """Nobody is told."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    config = TrainClassifier(ngrams=Ngrams(bits=12), epochs=20)
    classifier = train_classifier([FISH, BIRD, "cold", "warm"], ["fish", "bird"] * 2, config, still)
    classifier.save(tmp_path / CLASSIFIER)
    return tmp_path / CLASSIFIER


def run(step: Classify, *texts: str) -> tuple[list[Document], list[dict[str, Any]], Notes]:
    rejected: list[dict[str, Any]] = []
    notes = Notes(step.title, rejected.append)
    documents = [Document(text, f"d{n}", "s") for n, text in enumerate(texts)]
    return list(step.apply(documents, notes)), rejected, notes


def test_documents_below_the_least_probability_are_rejected(path: Path) -> None:
    kept, rejected, notes = run(Classify(model=str(path), label="fish", least=0.5), FISH, BIRD)
    assert [document.id for document in kept] == ["d0"]
    probability = load_judge(path).probabilities([FISH, BIRD])[:, 1]
    assert kept[0].metadata["fish"] == pytest.approx(probability[0], abs=1e-4)
    said = f"is 'fish' with a probability of {probability[1]:.3g}, less than 0.5"
    assert rejected[0]["reason"] == said
    assert notes.rejected == {"fish": 1}
    assert sum(notes.values["fish"].values()) == 2


def test_documents_above_the_most_are_rejected_under_a_name(path: Path) -> None:
    step = Classify(model=str(path.parent), label="bird", most=0.5, name="of birds")
    kept, rejected, notes = run(step, FISH, BIRD)
    assert [document.id for document in kept] == ["d0"]
    assert "of birds" in kept[0].metadata
    assert rejected[0]["reason"].endswith(", more than 0.5")
    assert notes.rejected == {"of birds": 1}


def test_without_limits_the_probability_is_written_down(path: Path) -> None:
    kept, rejected, _ = run(Classify(model=str(path), label="bird"), FISH, BIRD, "")
    assert len(kept) == 3
    assert not rejected


def test_a_model_of_fasttext_judges(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(Model().bytes())
    step = Classify(model=str(tmp_path / "model.bin"), label="yes", least=0.5)
    kept, rejected, _ = run(step, "", "the cat")
    assert kept[0].metadata == {"yes": 0.7221}
    assert rejected[0]["metadata"] == {"yes": 0.41}


def test_what_cannot_be_used_is_one_sentence(path: Path) -> None:
    with pytest.raises(ConfigError, match="has no label 'cat': it has bird, fish"):
        run(Classify(model=str(path), label="cat"), FISH)
    with pytest.raises(ArtifactError, match="groundup curate train-classifier"):
        run(Classify(model=str(path.parent / "none"), label="cat"), FISH)
    with pytest.raises(ConfigError, match="0 ≤ least ≤ most ≤ 1 is not so"):
        from_dict(Classify, {"model": "m", "label": "fish", "least": 0.8, "most": 0.2})
    step = Classify(model="m", label="fish", least=0.2)
    assert from_dict(Classify, to_dict(step)) == step


def test_batches_hold_so_many_documents_or_characters() -> None:
    """256 documents, or 2²⁰ characters; one longer document stands alone."""
    sizes = [*[1] * 300, 1 << 21, 5, 1 << 20, 7]
    documents = [Document("x" * size, str(n), "s") for n, size in enumerate(sizes)]
    batches = list(in_batches(documents))
    assert [len(batch) for batch in batches] == [256, 44, 1, 1, 1, 1]
    assert [document for batch in batches for document in batch] == documents
