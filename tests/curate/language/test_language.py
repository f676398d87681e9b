"""The language of documents: by the bundled library, and by models of the user's."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.curate.classify.fasttext_bytes import Model

from groundup.core.config import from_dict, to_dict
from groundup.core.errors import ConfigError, InputError, MissingExtraError
from groundup.curate.classify import Ngrams, TrainClassifier, train_classifier
from groundup.curate.document import Document
from groundup.curate.language import Language, load_identifier
from groundup.curate.language.identifier import _bundled
from groundup.curate.language.names import language_name
from groundup.curate.notes import Notes

SENTENCES = Path(__file__).parents[4] / "shared" / "data" / "langid"

ENGLISH = "The keeper lives on the island all year, and a boat brings letters twice a week."
GERMAN = "Der Wärter wohnt das ganze Jahr auf der Insel, und zweimal in der Woche kommt ein Boot."


def run(step: Language, *texts: str) -> tuple[list[Document], list[dict[str, Any]], Notes]:
    rejected: list[dict[str, Any]] = []
    notes = Notes(step.title, rejected.append)
    documents = [Document(text, f"d{n}", "s") for n, text in enumerate(texts)]
    return list(step.apply(documents, notes)), rejected, notes


def still(amount: float = 1, note: str = "") -> None:
    """Nobody is told."""


def test_other_languages_are_rejected_by_name() -> None:
    kept, rejected, notes = run(Language(), ENGLISH, GERMAN, "89 ab", ENGLISH)
    assert [document.id for document in kept] == ["d0", "d3"]
    assert kept[0].metadata["language"] == "en"
    assert kept[0].metadata["language_probability"] > 0.9
    assert rejected[0]["reason"] == "is in German (1.00)"
    assert rejected[0]["metadata"]["language"] == "de"
    assert rejected[1]["reason"].startswith("is most likely in ")
    assert rejected[1]["reason"].endswith("with less than 0.65")
    assert notes.rejected == {"language": 2}
    assert notes.counts["in English"] == 2
    assert sum(notes.values["language probability"].values()) == 4


def test_several_languages_or_all_may_pass() -> None:
    assert len(run(Language(keep=("de", "en")), ENGLISH, GERMAN)[0]) == 2
    kept, rejected, _ = run(Language(keep=()), ENGLISH, GERMAN, "")
    assert [document.metadata["language"] for document in kept[:2]] == ["en", "de"]
    assert not rejected


def test_of_a_long_document_beginning_middle_and_end_are_looked_at() -> None:
    """A notice in another language at its beginning does not decide."""
    long = GERMAN + "\n" + (ENGLISH + "\n") * 1000
    assert run(Language(chars=300), long)[0]
    assert not run(Language(chars=300), long[:120])[0]


def test_a_language_that_the_model_does_not_know_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match="names the language 'english', and the model knows ace"):
        run(Language(keep=("english",)), ENGLISH)


def test_a_model_of_the_users_own_decides(tmp_path: Path) -> None:
    texts = [ENGLISH, GERMAN, "letters on the island", "Briefe auf der Insel"]
    config = TrainClassifier(ngrams=Ngrams(bits=12), epochs=20)
    classifier = train_classifier(texts, ["en", "de"] * 2, config, still)
    path = tmp_path / "languages.safetensors"
    classifier.save(path)
    kept, rejected, _ = run(Language(model=str(path), least=0.5), "the boat", "das Boot")
    assert [document.id for document in kept] == ["d0"]
    assert rejected[0]["reason"].startswith("is in German (0.")


def test_a_model_of_fasttext_decides(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(Model(labels=("en", "de", "fr", "sv", "eng_Latn")).bytes())
    kept, _, _ = run(Language(model=str(path), keep=(), least=0), "the cat")
    assert kept[0].metadata == {"language": "en", "language_probability": 0.41}
    with pytest.raises(InputError, match="No such file"):
        run(Language(model=str(tmp_path / "none.ftz")), ENGLISH)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    _bundled.cache_clear()
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'groundup\[curate\]'"):
        load_identifier("auto")
    _bundled.cache_clear()


def test_the_step_is_a_config() -> None:
    step = Language(keep=("en", "de"), least=0.8)
    assert from_dict(Language, to_dict(step)) == step
    with pytest.raises(ConfigError, match="least is 0 to 1"):
        from_dict(Language, {"least": 65})


def test_every_language_of_the_library_has_a_name() -> None:
    codes = load_identifier("auto").labels
    assert not [code for code in codes if language_name(code) == code]
    assert language_name("eng_Latn") == "eng_Latn"


@pytest.mark.skipif(not SENTENCES.exists(), reason="../shared/data/langid is not here")
def test_sentences_of_14_languages_are_told_apart() -> None:
    right: Counter[str] = Counter()
    for path in sorted(SENTENCES.glob("*.sentences.txt")):
        texts = path.read_text("utf-8").splitlines()[:100]
        found = load_identifier("auto").identify(texts)
        right[path.name[:2]] = sum(language == path.name[:2] for language, _ in found)
    assert len(right) == 14
    assert min(right.values()) >= 90
    assert right.total() >= 0.97 * 1400
