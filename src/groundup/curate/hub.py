"""Data sets of a Hugging Face hub, through its public HTTP interface."""

import re
from pathlib import Path, PurePosixPath

from groundup.core.config import load_config, save_config
from groundup.core.errors import DownloadError, InputError
from groundup.core.files import sha256_json
from groundup.curate.download import DEFAULT_PATIENCE, Patience, fetch_json
from groundup.curate.reading import DEFAULT_READING, Reading
from groundup.curate.remote import LISTING, Listing, RemoteFile, RemoteFiles

HUB = "https://huggingface.co"
# A data set often holds the same texts in several formats: the first of these that it has is read.
_PREFERENCE = (".parquet", ".jsonl.zst", ".jsonl.gz", ".jsonl", ".json.gz", ".txt.gz", ".txt")
_PREFERENCE += (".csv.gz", ".csv", ".tsv.gz", ".tsv", ".arrow", ".json", ".md", ".py")
_TRAINING = re.compile(r"(?<![a-z])train")


def open_hub(
    address: str,
    cache: Path,
    *,
    hub: str = HUB,
    reading: Reading = DEFAULT_READING,
    patience: Patience = DEFAULT_PATIENCE,
) -> RemoteFiles:
    """A data set of a hub: `ORG/NAME`, or `ORG/NAME/FOLDER` for the files below a folder of it.

    Of the formats that the data set comes in, one is read (Parquet before JSON lines before text
    before tables), and of its files those whose path says `train`, where any does.
    Raises `InputError` for a data set without files of a kind that is read, `DownloadError` for
    what the hub says.
    """
    directory = cache / "hub" / sha256_json([hub, address])[:16]
    if not (directory / LISTING).exists():
        organisation, name, *folder = PurePosixPath(address).parts
        info = fetch_json(f"{hub}/api/datasets/{organisation}/{name}?blobs=true", patience)
        listing = _hub_listing(info, f"{hub}/datasets/{organisation}/{name}", "/".join(folder))
        if not listing.files:
            kinds = ", ".join(_PREFERENCE)
            raise InputError(f"{hub}/datasets/{address} holds no file that ends in {kinds}.")
        save_config(directory / LISTING, listing)
    listing = load_config(Listing, directory / LISTING)
    return RemoteFiles(address, listing.licence, listing, directory, reading, patience)


def _hub_listing(info: object, base: str, folder: str) -> Listing:
    """From the hub's answer, which names the revision, so that later changes do not matter."""
    try:
        assert isinstance(info, dict)
        licence = (info.get("cardData") or {}).get("license") or "not stated"
        files = [
            RemoteFile(
                name=entry["rfilename"],
                url=f"{base}/resolve/{info['sha']}/{entry['rfilename']}",
                bytes=entry.get("size"),
                sha256=(entry.get("lfs") or {}).get("sha256"),
                version=entry.get("blobId"),
            )
            for entry in sorted(info["siblings"], key=lambda entry: entry["rfilename"])
        ]
    except (AssertionError, AttributeError, KeyError, TypeError) as error:
        raise DownloadError(f"{base} answered with something that is no list of files.") from error
    licence = licence if isinstance(licence, str) else ", ".join(map(str, licence))
    return Listing(licence=licence, files=tuple(_chosen(files, folder)))


def _chosen(files: list[RemoteFile], folder: str) -> list[RemoteFile]:
    below = [
        file
        for file in files
        if PurePosixPath(file.name).is_relative_to(folder)
        and ".." not in PurePosixPath(file.name).parts  # a name must not lead out of the cache
        and not PurePosixPath(file.name).is_absolute()
    ]
    for suffix in _PREFERENCE:
        of_kind = [file for file in below if file.name.lower().endswith(suffix)]
        if of_kind:
            training = [file for file in of_kind if _TRAINING.search(file.name.lower())]
            return training or of_kind
    return []
