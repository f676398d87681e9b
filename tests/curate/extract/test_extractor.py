"""The main text of pages: one of our own, and those of a benchmark where it is here."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from groundup.core.errors import ArtifactError, InputError, MissingExtraError
from groundup.curate.extract import default_extractor, extractor_of, load_extractor
from groundup.curate.extract.page import read_page
from groundup.curate.extract.training import MarkedPage, mark_blocks, score, train_extractor
from groundup.curate.extract.trees import TrainTrees

pytest.importorskip("resiliparse")

ARTICLES = Path(__file__).parents[4] / "shared" / "data" / "html-articles"

PARAGRAPHS = [
    "The ferry leaves the old harbour at seven, when the fog still lies on the water, and the "
    "few people on board stand at the rail and say nothing.",
    "Nobody knows who built the lighthouse on the island. The oldest papers, which the parish "
    "keeps in a chest, speak of it as of something that has always been there.",
    "In summer, twice a week, a boat brings bread, letters and the newspapers of three days. "
    "That is enough, says the keeper, who has lived here for thirty years.",
]
PAGE = f"""<!doctype html><html><head><title>The keeper of the lighthouse - Harbour News</title>
</head><body><nav><ul><li><a href=/>Home</a><li><a href=/p>Politics</a><li><a href=/s>Sports</a>
</ul></nav>
<div class="cookie-banner"><p>We use cookies to make this page better. <a href=/c>More</a></div>
<main><article class="story"><h1>The keeper of the lighthouse</h1>
<div class="article-body"><p>{PARAGRAPHS[0]}</p><p>{PARAGRAPHS[1]}</p>
<div class="ad"><p>Advertisement</p></div><p>{PARAGRAPHS[2]}</p></div></article></main>
<aside class="related"><h3>Read more</h3><ul><li><a href=/1>Ten islands that you should see</a>
<li><a href=/2>Why the ferry was late again</a></ul></aside>
<footer><p>© 2026 Harbour News. <a href=/i>Imprint</a> <a href=/d>Privacy</a></p></footer>
</body></html>"""


def test_the_text_of_a_page_without_what_stands_round_it() -> None:
    text = default_extractor().text(PAGE)
    for paragraph in PARAGRAPHS:
        assert paragraph in text
    for furniture in ("Politics", "cookies", "Ten islands", "Imprint", "Advertisement"):
        assert furniture not in text


@pytest.mark.parametrize("html", ["", "   ", "<p></p>", "\0", "<script>x</script>"])
def test_a_page_that_says_nothing_has_no_text(html: str) -> None:
    assert default_extractor().text(html) == ""


@pytest.mark.parametrize("opens", ["<div>word ", "<table><tr><td>word ", "<ul><li>word ", "<b>"])
def test_elements_in_each_other_by_the_thousand_are_read(opens: str) -> None:
    """The time is that of the elements, and not of their square."""
    assert isinstance(default_extractor().text(opens * 20_000), str)


def test_an_extractor_is_the_same_again_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "extractor.safetensors"
    default_extractor().save(path)
    assert load_extractor(path).text(PAGE) == default_extractor().text(PAGE)
    path.write_bytes(b"{}")
    with pytest.raises(ArtifactError, match="is no extractor"):
        load_extractor(path)


def test_one_learns_from_marked_pages() -> None:
    pages = [
        MarkedPage(PAGE.replace("harbour", word), "\n\n".join(PARAGRAPHS).replace("harbour", word))
        for word in ("port", "town", "bay")
    ]
    own = train_extractor(pages, TrainTrees(trees=20, depth=2, penalty=0.1))
    assert own.text(PAGE) == "\n\n".join(PARAGRAPHS)


def test_pages_without_main_text_teach_nothing() -> None:
    with pytest.raises(InputError, match="have not both"):
        train_extractor([MarkedPage(PAGE, "another text")], TrainTrees())
    with pytest.raises(InputError, match="have not both"):
        train_extractor([], TrainTrees())


def test_blocks_are_marked_by_the_text() -> None:
    page = read_page("<p>one two three four five<p>Home<p>one<p>something else than all of that")
    labels, weights = mark_blocks(page, "one two three four five\nHome")
    assert labels.tolist() == [1, 1, 0, 0]
    assert weights[2] < weights[1]


def test_the_score_is_that_of_rows_of_four_words() -> None:
    wanted = ["a b c d e", "a b"]
    assert score(wanted, wanted) == (1, 1, 1)
    f1, precision, recall = score(["a b c d x", ""], wanted)
    assert (precision, recall) == (0.5, 0.25)  # the second page has nothing, and no precision
    assert f1 == pytest.approx(2 * 0.5 * 0.25 / 0.75)


def test_the_extractors_of_others_take_the_same_call() -> None:
    assert PARAGRAPHS[0] in extractor_of("resiliparse")(PAGE)
    assert extractor_of("groundup")(PAGE) == default_extractor().text(PAGE)
    with pytest.raises(InputError, match="no extractor other"):
        extractor_of("other")


def test_a_missing_extractor_names_what_to_install() -> None:
    try:
        import trafilatura  # noqa: F401
    except ImportError:
        with pytest.raises(MissingExtraError, match=r"groundup\[trafilatura\]"):
            extractor_of("trafilatura")
    else:
        assert PARAGRAPHS[0] in extractor_of("trafilatura")(PAGE)


@pytest.mark.skipif(not ARTICLES.exists(), reason="../shared/data/html-articles is not here")
def test_articles_that_it_has_not_seen() -> None:
    """Trained on every second page of the benchmark, measured on the others, and the reverse."""
    truth = json.loads((ARTICLES / "ground-truth.json").read_text(encoding="utf-8"))
    pages = []
    for path in sorted((ARTICLES / "html").glob("*.html.gz")):
        html = gzip.decompress(path.read_bytes()).decode("utf-8", "replace")
        pages.append(MarkedPage(html, truth[path.name.removesuffix(".html.gz")]["articleBody"]))
    scores = []
    for seen, unseen in ((pages[::2], pages[1::2]), (pages[1::2], pages[::2])):
        extractor = train_extractor(seen, TrainTrees())
        scores.append(score([extractor.text(p.html) for p in unseen], [p.text for p in unseen]).f1)
    assert np.mean(scores) > 0.92
