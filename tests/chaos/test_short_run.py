"""A short, seeded run of `make chaos`: real processes are killed, frozen and cut off under load, and nothing is lost.

CHAOS_SECONDS sets how long the load lasts (15 by default; the whole test takes some 45 s more or less), CHAOS_SEED
which faults there are: what fails here is repeated with `make chaos ARGS="--seed …"`.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.drill

ROOT = Path(__file__).resolve().parents[2]
SECONDS, SEED = float(os.environ.get("CHAOS_SECONDS", "15")), os.environ.get("CHAOS_SEED", "7")
STARTS_AND_ENDS_S = 280.0
"""For the start of all parts, for becoming final, and for a machine that is busy with other tests."""


@pytest.mark.timeout(SECONDS + STARTS_AND_ENDS_S + 15)
def test_everything_is_killed_and_every_cent_is_where_it_belongs(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "chaos"), "--seed", SEED, "--minutes", str(SECONDS / 60)]
    command += ["--kills", "8", "--payments", "600", "--shoppers", "30", "--report", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as chaos:
        try:
            said, _ = chaos.communicate(timeout=SECONDS + STARTS_AND_ENDS_S)
        except BaseException:
            chaos.send_signal(signal.SIGTERM)
            raise
    assert chaos.returncode == 0, said[-8000:]
    report = json.loads(next(tmp_path.glob("*/report.json")).read_text())
    assert report["kills"] > 0
    assert report["payments"] > 0
    assert report["bank_entries"] > 0
    assert report["timeline"]
