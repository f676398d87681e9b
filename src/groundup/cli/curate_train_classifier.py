"""`groundup curate train-classifier`."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from groundup.curate.classify.examples import Example
    from groundup.curate.classify.threshold import Curve
    from groundup.curate.document import Document


@click.command(
    short_help="Train a classifier of documents, and say what it is worth.",
    epilog="""\b
Examples:
  groundup curate train-classifier tweets.csv --text-field tweet --label-field class --out tweets
  groundup curate train-classifier --positive books/ --negative crawl.warc.gz --out quality
  groundup curate train-classifier rated.jsonl --label good --precision 0.9 --out good""",
)
@click.argument(
    "files", metavar="[FILE]...", nargs=-1, type=click.Path(path_type=Path, dir_okay=False)
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The folder for the classifier, report.json and plots.",
)
@click.option("--text-field", default="text", show_default=True, help="Of a FILE.")
@click.option("--label-field", default="label", show_default=True, help="Of a FILE.")
@click.option("--positive", multiple=True, metavar="DATA", help="Like what you want; repeatable.")
@click.option("--negative", multiple=True, metavar="DATA", help="Of any kind; repeatable.")
@click.option(
    "--pieces",
    type=click.IntRange(min=10),
    default=10_000,
    show_default=True,
    help="Of --positive and of --negative, at most.",
)
@click.option("--label", help="Choose a threshold for it. Default: positive, if there is one.")
@click.option("--precision", type=click.FloatRange(0, 1), help="Wanted of the threshold.")
@click.option("--recall", type=click.FloatRange(0, 1), help="Wanted of the threshold instead.")
@click.option(
    "--held-out",
    type=click.FloatRange(0.01, 0.9),
    default=0.2,
    show_default=True,
    help="Share of the documents to measure on.",
)
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Such as epochs=10, balance=0."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def command(
    files: tuple[Path, ...],
    out: Path,
    text_field: str,
    label_field: str,
    positive: tuple[str, ...],
    negative: tuple[str, ...],
    pieces: int,
    label: str | None,
    precision: float | None,
    recall: float | None,
    held_out: float,
    overrides: tuple[str, ...],
    seed: int,
    as_json: bool,
) -> None:
    """Train a classifier on labelled texts, FILE being .jsonl, .csv or .tsv; or to tell documents
    like --positive from those like --negative, each as --data of quickstart.

    It is measured on documents that it has not seen. What is written to --out can be used by the
    steps Classify and Language.
    """
    import dataclasses

    from groundup.core.config import apply_overrides
    from groundup.core.errors import InputError
    from groundup.core.files import write_json, write_text
    from groundup.core.progress import make_console, progress_bar
    from groundup.curate.classify import TrainClassifier, train_classifier
    from groundup.curate.classify.examples import POSITIVE, read_examples, split_examples
    from groundup.curate.classify.judge import CLASSIFIER
    from groundup.curate.classify.report import report
    from groundup.curate.classify.threshold import threshold_curve
    from groundup.report.classifier import calibration_svg, print_classifier, thresholds_svg

    if bool(files) == bool(positive or negative) or bool(positive) != bool(negative):
        raise click.UsageError("give FILEs of labelled texts, or --positive and --negative.")
    if precision is not None and recall is not None:
        raise click.UsageError("--precision and --recall are two wishes: give one.")
    config = apply_overrides(dataclasses.replace(TrainClassifier(), seed=seed), overrides)
    console = make_console()
    if files:
        examples = [row for path in files for row in read_examples(path, text_field, label_field)]
    else:
        examples = _references(positive, negative, pieces, seed, console)
    there = {example.label for example in examples}
    if label is None and POSITIVE in there:
        label = POSITIVE
    if label is not None and label not in there:
        raise InputError(
            f"there is no text of the label {label!r}: there are {', '.join(sorted(there))}."
        )
    if label is None and (precision is not None or recall is not None):
        raise click.UsageError("--precision and --recall are of one label: say which by --label.")
    training, measuring = split_examples(examples, held_out, seed)
    began = time.perf_counter()
    with progress_bar(console, "train", config.epochs) as advance:
        texts, labels = _columns(training)
        classifier = train_classifier(texts, labels, config, advance)
    seconds = time.perf_counter() - began
    classifier.save(out / CLASSIFIER)
    texts, labels = _columns(measuring)
    found = report(classifier, texts, labels)
    curve = threshold_curve(classifier, texts, labels, label) if label else None
    result = {
        "out": str(out),
        "training": {"texts": len(training), "seconds": seconds},
        "held_out": found.facts(),
        "curve": curve and curve.facts(),
        "threshold": curve and _threshold(curve, precision, recall),
    }
    write_json(out / "report.json", result)
    write_text(out / "calibration.svg", calibration_svg(result))
    if curve:
        write_text(out / "thresholds.svg", thresholds_svg(result))
    if as_json:
        click.echo(json.dumps(result))
    else:
        print_classifier(result)
        click.echo(
            f"{out}: a classifier of {len(classifier.labels)} labels, trained on "
            f"{len(training):,} texts in {seconds:.1f} s."
        )


def _columns(examples: "list[Example]") -> tuple[list[str], list[str]]:
    return [example.text for example in examples], [example.label for example in examples]


def _threshold(curve: "Curve", precision: float | None, recall: float | None) -> dict[str, Any]:
    if precision is not None:
        at, wish = curve.for_precision(precision), f"a precision of {precision:g}"
    elif recall is not None:
        at, wish = curve.for_recall(recall), f"a recall of {recall:g}"
    else:
        at, wish = curve.for_f1(), "the best F1"
    reached = dict(zip(("precision", "recall"), curve.at(at), strict=True))
    return {"label": curve.label, "at": at, "for": wish, **reached}


def _references(
    positive: tuple[str, ...], negative: tuple[str, ...], pieces: int, seed: int, console: "Console"
) -> "list[Example]":
    from groundup.cli.corpus import say_rejected
    from groundup.core.progress import progress_bar
    from groundup.curate.classify.examples import reference_examples
    from groundup.curate.sources import open_source

    rejected: dict[str, str] = {}

    def reject(document: "Document", reason: str) -> None:
        rejected[document.id] = reason

    with progress_bar(console, "read", None) as advance:
        wanted, other = (
            [open_source(name).documents(reject, advance) for name in names]
            for names in (positive, negative)
        )
        examples = reference_examples(wanted, other, pieces, seed)
    say_rejected(rejected, console)
    return examples
