"""A run directory belongs to one config and one process."""

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from groundup.core.config import save_config
from groundup.core.errors import ConfigError, InputError
from groundup.core.rundir import CONFIG, claim_config, open_run


@dataclass(frozen=True, kw_only=True)
class Asked:
    budget: str = "5m"
    seed: int = 0
    plan: int | None = None


def test_the_plan_of_a_resumed_run_is_the_saved_one(tmp_path: Path) -> None:
    assert claim_config(tmp_path, Asked(), decided_later="plan").plan is None
    save_config(tmp_path / CONFIG, Asked(plan=7))
    assert claim_config(tmp_path, Asked(), decided_later="plan").plan == 7


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    claim_config(tmp_path, Asked(), decided_later="plan")
    with pytest.raises(ConfigError, match="made with another budget, seed"):
        claim_config(tmp_path, replace(Asked(), budget="9m", seed=1), decided_later="plan")


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from groundup.core.rundir import open_run\n"
        "with open_run(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match="in use by another"), open_run(tmp_path):
            pass
        other.stdin.close()
    with open_run(tmp_path):  # the dead process's lock is gone
        pass


def test_a_file_is_no_run_directory(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(InputError, match="is a file"), open_run(tmp_path / "run"):
        pass
