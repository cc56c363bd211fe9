"""The target's Docker: each command is said, run within a bound, and judged by how it ended."""

import os
import shlex
import subprocess
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.markup import escape

from deploy.target import ROOT, Refused, Target

Execute = Callable[[list[str], Mapping[str, str], str, float], tuple[int, str]]
"""(command, more environment, standard input, seconds) → (exit code, what it wrote). Raises TimeoutExpired."""
SHORT_S, LONG_S = 60.0, 1800.0


class StepFailed(Exception):
    """A command on the target that ended badly; the message holds its last words."""


def execute(command: list[str], more: Mapping[str, str], told: str, within_s: float) -> tuple[int, str]:
    """In the tree's root, where the paths of the compose files begin."""
    ended = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **more},
        input=told,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=within_s,
        check=False,
    )
    return ended.returncode, ended.stdout


class Engine:
    """`ask` learns, `do` changes; a dry run (`dry`) does the first, and says the second."""

    def __init__(self, target: Target, say: Console, *, dry: bool = False, run: Execute = execute) -> None:
        self._target, self._say, self._run, self.dry = target, say, run, dry

    def do(self, *words: str, what: str = "", more: Mapping[str, str] | None = None, within_s: float = LONG_S) -> str:
        """Raises StepFailed; `what` says in one line what it is for."""
        if what:
            self._say.print(f"[bold]{escape(what)}[/]")
        shown = " ".join([f"{name}={shlex.quote(value)}" for name, value in (more or {}).items()])
        self._say.print(
            f"  [dim]{escape(shown)} {escape(shlex.join(self.command(*words)))}[/]".replace("  [dim] ", "  [dim]")
        )
        return "" if self.dry else self._ended(self.command(*words), more or {}, "", within_s)

    def ask(self, *words: str, told: str = "", within_s: float = SHORT_S) -> str:
        """Raises StepFailed. `told` goes to its standard input, and is shown nowhere."""
        return self._ended(self.command(*words), {}, told, within_s)

    def is_there(self, *words: str) -> bool:
        """Whether it ends with 0. Raises Refused if the target does not answer in time."""
        try:
            return self._run(self.command(*words), {}, "", SHORT_S)[0] == 0
        except subprocess.TimeoutExpired:
            raise Refused(f"{self._target.docker} does not answer") from None

    def command(self, *words: str) -> list[str]:
        return [*self._target.words, *words]

    def _ended(self, command: list[str], more: Mapping[str, str], told: str, within_s: float) -> str:
        try:
            code, said = self._run(command, more, told, within_s)
        except subprocess.TimeoutExpired:
            raise StepFailed(f"{shlex.join(command[3:6])} … did not end within {within_s:.0f} s") from None
        if code:
            raise StepFailed(f"{shlex.join(command[3:9])} … ended with {code}:\n{_tail(said)}")
        return said


def _tail(said: str, lines: int = 20) -> str:
    return "\n".join(said.strip().splitlines()[-lines:])
