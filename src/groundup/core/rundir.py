"""Run directories: `runs/NAME/` belongs to one config and to one process at a time.

config.json    what was asked for, fully resolved, with the plan once it is made
inputs.json    fingerprints of what was read
STAGE/         the artifacts, each finished by its manifest
DONE           written last
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from groundup.core.config import load_config, save_config, to_dict
from groundup.core.errors import ConfigError, InputError

CONFIG = "config.json"
DONE = "DONE"

Config = TypeVar("Config")


@contextmanager
def open_run(directory: Path) -> Iterator[None]:
    """Make the directory and hold it while the context lasts.

    Raises `InputError` where it is a file or another process works in it.
    """
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory} is a file: choose another --name.")
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel frees it when we die
        except BlockingIOError as error:
            raise InputError(
                f"{directory} is in use by another groundup process: wait for it, or choose "
                "another --name."
            ) from error
        yield


def claim_config(directory: Path, config: Config, *, decided_later: str | None = None) -> Config:
    """The config that the run goes on with: the saved one where there is one, else `config`.

    decided_later: the field that the run itself fills in (its plan), which `config` need not have.
    Raises `ConfigError` where the run was made with other settings, and names them.
    """
    path = directory / CONFIG
    if not path.exists():
        save_config(path, config)
        return config
    saved = load_config(type(config), path)
    asked, had = to_dict(config), to_dict(saved)
    if decided_later is not None and asked[decided_later] is None:
        asked[decided_later] = had[decided_later]
    changed = sorted(_differences(asked, had))
    if changed:
        raise ConfigError(
            f"{directory} was made with another {', '.join(changed[:3])}: choose another --name, "
            "or delete that folder."
        )
    return saved


def _differences(a: Any, b: Any, prefix: str = "") -> Iterator[str]:
    """Dotted keys in which two JSON objects differ."""
    for key in a.keys() | b.keys():
        left, right = a.get(key), b.get(key)
        if isinstance(left, dict) and isinstance(right, dict):
            yield from _differences(left, right, f"{prefix}{key}.")
        elif left != right:
            yield prefix + key
