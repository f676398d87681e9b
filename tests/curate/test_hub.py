import hashlib
import json

import pytest

from groundup.core.errors import DownloadError, InputError
from groundup.curate.download import Patience
from groundup.curate.hub import open_hub

QUICK = Patience(attempts=2, wait_seconds=0.001, timeout_seconds=5)


@pytest.fixture
def publish(server):
    """Puts a data set on the server as the hub does: a list of files, and the files."""

    def publish(files, licence="mit", *, wrong_checksums=False):
        siblings = []
        for name, text in files.items():
            body = text.encode()
            server.files[f"/datasets/org/set/resolve/abc123/{name}"] = body
            checksum = hashlib.sha256(b"?" if wrong_checksums else body).hexdigest()
            large = {"lfs": {"sha256": checksum, "size": len(body)}} if name[0] != "s" else {}
            siblings.append({"rfilename": name, "size": len(body), "blobId": "f00", **large})
        card = {"license": licence} if licence else None
        info = {"sha": "abc123", "siblings": siblings, "cardData": card}
        server.files["/api/datasets/org/set"] = json.dumps(info).encode()

    return publish


@pytest.fixture
def opened(server, tmp_path):
    def opened(address="org/set"):
        return open_hub(address, tmp_path, hub=server.url, patience=QUICK)

    return opened


def names(source):
    return [file.name for file in source.listing.files]


def texts(source):
    documents = source.documents(lambda *reject: pytest.fail(str(reject)), lambda *_, **__: None)
    return [document.text for document in documents]


def test_the_files_of_a_data_set_are_read_in_order_of_their_names(publish, opened, server):
    publish({"b.txt": "B", "small.txt": "S", "a.txt": "A", "README": "", "pic.png": ""})
    source = opened()
    assert (source.name, source.licence) == ("org/set", "mit")
    assert names(source) == ["a.txt", "b.txt", "small.txt"]
    assert texts(source) == ["A", "B", "S"]
    assert server.requests[0][0] == "/api/datasets/org/set?blobs=true"


def test_files_are_downloaded_one_by_one_as_they_are_needed(publish, opened, server):
    publish({"a.txt": "A", "b.txt": "B"})
    first = next(opened().documents(lambda *_: None, lambda *_, **__: None))
    assert first.text == "A"
    assert [path for path, _ in server.requests[1:]] == ["/datasets/org/set/resolve/abc123/a.txt"]


def test_of_several_formats_one_is_read_and_of_splits_the_training_one(publish, opened):
    files = ["all.txt", "train-0.jsonl", "test-0.jsonl", "data/train-1.jsonl", "strain.jsonl"]
    publish(dict.fromkeys(files, ""))
    assert names(opened()) == ["data/train-1.jsonl", "train-0.jsonl"]


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        (["a.jsonl.gz", "a.csv", "README.md"], "a.jsonl.gz"),
        (["a.txt", "dataset_infos.json"], "a.txt"),
        (["a.csv", "README.md", "load.py"], "a.csv"),
        (["data.json", "README.md"], "data.json"),
    ],
)
def test_what_holds_the_texts_is_read_before_what_is_about_them(publish, opened, files, chosen):
    publish(dict.fromkeys(files, ""))
    assert names(opened()) == [chosen]


def test_a_folder_of_a_data_set_can_be_named(publish, opened):
    publish(dict.fromkeys(["x/y/a.txt", "x/b.txt", "xy/c.txt"], ""))
    assert names(opened("org/set/x")) == ["x/b.txt", "x/y/a.txt"]


def test_the_list_is_asked_for_once(publish, opened, server):
    publish({"a.txt": "A"})
    first = opened()
    publish({"a.txt": "changed", "b.txt": "new"})
    assert opened().fingerprint == first.fingerprint
    assert len(server.requests) == 1


def test_the_hubs_checksum_is_verified(publish, opened):
    publish({"a.txt": "A"}, wrong_checksums=True)
    with pytest.raises(DownloadError, match="does not match its checksum"):
        texts(opened())


@pytest.mark.parametrize(
    ("licence", "shown"), [(None, "not stated"), (["mit", "cc0-1.0"], "mit, cc0-1.0")]
)
def test_the_licence_is_that_of_the_card(publish, opened, licence, shown):
    publish({"a.txt": ""}, licence)
    assert opened().licence == shown


@pytest.mark.parametrize("name", ["../../evil.txt", "/etc/evil.txt", "a/../../evil.txt"])
def test_a_name_cannot_lead_out_of_the_cache(publish, opened, name):
    publish({name: ""})
    with pytest.raises(InputError, match="holds no file that ends in"):
        opened()


def test_a_data_set_without_texts_is_named(publish, opened):
    publish({"a.png": ""})
    with pytest.raises(InputError, match=r"/datasets/org/set holds no file that ends in .parquet"):
        opened()


@pytest.mark.parametrize("answer", ["[]", "{}", '{"sha": "a", "siblings": [{}]}', "null"])
def test_an_answer_of_another_form_is_named(server, opened, answer):
    server.files["/api/datasets/org/set"] = answer.encode()
    with pytest.raises(DownloadError, match="no list of files"):
        opened()


def test_a_data_set_that_does_not_exist_is_named(server, opened):
    server.statuses = [401]  # what the hub answers to strangers
    with pytest.raises(DownloadError, match="does not exist or is not public"):
        opened()
