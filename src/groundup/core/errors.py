"""The errors a user can cause. Each message is one sentence: what, where, and what to do.

The command line prints the sentence and exits with code 2; anything that is not a `GroundupError`
(or an operating-system error) is a defect of ours and keeps its traceback.
"""

import errno


class GroundupError(Exception):
    """Base of all errors whose message is meant for the user as it stands."""


class InputError(GroundupError):
    """The documents, files or arguments that the user gave cannot be used."""


class ConfigError(GroundupError):
    """A configuration key, value or recipe is wrong."""


class ArtifactError(GroundupError):
    """A file that groundup wrote earlier is missing, damaged, or of another kind or version."""


class DownloadError(GroundupError):
    """Something on the network could not be had."""


class DivergedError(GroundupError):
    """Training has left the range of numbers."""


class LostProcessError(GroundupError):
    """Another process of the run is gone, or silent."""


class MissingExtraError(GroundupError):
    """A feature needs an optional dependency that is not installed."""

    def __init__(self, feature: str, extra: str):
        super().__init__(
            f"{feature} needs an optional dependency: run pip install 'groundup[{extra}]'."
        )
        self._made_of = feature, extra

    def __reduce__(self) -> tuple[type["MissingExtraError"], tuple[str, str]]:
        """As processes send it to each other."""
        return type(self), self._made_of


_OS_SENTENCES = {
    errno.ENOSPC: "the disk is full: free some space and run the same command again; "
    "finished stages and the last checkpoint are kept",
    errno.EDQUOT: "the disk quota is used up: free some space and run the same command again; "
    "finished stages and the last checkpoint are kept",
    errno.EFBIG: "the file would be larger than the system allows: raise the limit (ulimit -f), or "
    "choose a folder on another file system, and run the same command again",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.EACCES: "permission denied: check the folder's owner and mode, or choose another folder",
    errno.EPERM: "permission denied: check the folder's owner and mode, or choose another folder",
}


def os_error_sentence(error: OSError) -> str:
    """One sentence for an operating-system error: where it happened and what to do."""
    reason = _OS_SENTENCES.get(error.errno or 0, error.strerror or str(error))
    return f"{error.filename}: {reason}." if error.filename else f"{reason}."
