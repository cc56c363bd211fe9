"""The README against the code: its tables, its commands, its paths, and the shell blocks that `make test-api` runs."""

import re
import subprocess
import sys
from pathlib import Path

import typer

from cleartill.cli import app
from cleartill.domain.merchant import DEMO_API_KEY

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
EXPECTATIONS = (ROOT / "scripts" / "smoke_readme.py").read_text()


def test_its_tables_are_those_of_the_code() -> None:
    checked = subprocess.run(
        [sys.executable, ROOT / "scripts" / "readme_tables", "--check"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_every_shell_block_is_run_by_the_smoke_test() -> None:
    fences = re.findall(r"^```(\w+)(?: ([a-z-]+))?$", README, re.MULTILINE)
    unnamed = [language for language, name in fences if language in ("sh", "bash", "shell", "console") and not name]
    assert not unnamed, "name the block (```sh its-name) and say in scripts/smoke_readme.py what it prints"
    names = [name for language, name in fences if language == "sh"]
    run = re.findall(r'^    "([a-z-]+)": lambda', EXPECTATIONS, re.MULTILINE)
    assert names == run, "the blocks of the README and those of scripts/smoke_readme.py, in order"


def test_the_key_is_the_demo_merchants() -> None:
    assert set(re.findall(r"sk_test_\w+", README)) == {DEMO_API_KEY}


def test_every_make_target_and_command_exists() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^    )make ([a-z][a-z-]*)", README, re.MULTILINE))
    assert named
    assert named <= targets, f"no such targets: {named - targets}"
    commands = typer.main.get_command(app)
    for line in re.findall(r"(?:`|/bin/)cleartill ([a-z ]+)", README):
        command = commands
        for word in line.split():
            assert word in command.commands, f"no such command: cleartill {line}"
            command = command.commands[word]
            if not hasattr(command, "commands"):
                break


def test_every_path_exists() -> None:
    paths = re.findall(r"`((?:\w+/)+[\w.<>]*|\w+\.py|scripts/\w+)`", README)
    missing = [
        path
        for path in paths
        if "<" not in path and not (ROOT / path).exists() and not (ROOT / "src" / "cleartill" / path).exists()
    ]
    assert not missing, f"no such file or folder: {missing}"
