"""A target's Docker that keeps its containers in a file and writes down what it is told: `docker` on PATH, for tests.

As a program it is started anew for each command, as the real one is; in a test's own process `Told.run` does the same.
"""

import json
import os
import signal
import stat
import sys
import time
from pathlib import Path
from typing import Any

COMMAND = (
    "#!{python} -SE\nimport sys; sys.path.insert(0, {here!r}); import docker_engine; docker_engine.main({file!r})\n"
)


class Told:
    """What there is, what was said, and what shall go wrong (`wrong`: a word of the command → how often)."""

    def __init__(self, file: Path) -> None:
        self.file = file
        if not file.exists():
            self._write({"containers": {}, "live": "nobody", "said": [], "wrong": {}, "errors": {}, "network": False})

    def _write(self, state: dict[str, Any]) -> None:
        beside = self.file.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps(state))
        beside.replace(self.file)

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.file.read_text())
        return found

    def change(self, **parts: Any) -> None:
        self._write({**self.state, **parts})

    @property
    def said(self) -> list[str]:
        """Commands, without whose engine is meant."""
        return [" ".join(one) for one in self.state["said"]]

    def running(self) -> dict[str, str]:
        """Container → release, of those that run."""
        return {name: one["tag"] for name, one in self.state["containers"].items() if one["runs"]}

    def run(self, command: list[str], more: dict[str, str], told: str, _within_s: float) -> tuple[int, str]:
        """One command; (exit code, output)."""
        words, state = command[3:], self.state
        state["said"].append(words)
        shown = " ".join(words)
        hit = next((key for key, times in state["wrong"].items() if key in shown and times), None)
        if hit is not None:
            state["wrong"][hit] -= 1
            self._write(state)
            return 1, f"made to fail: {hit}"
        try:
            answer = _Doing(state, more, told).do(words)
        finally:
            self._write(state)
        return answer


class _Doing:
    """One command on a state."""

    def __init__(self, state: dict[str, Any], more: dict[str, str], told: str) -> None:
        self._state, self._more, self._told = state, more, told
        self._containers = state["containers"]

    def do(self, words: list[str]) -> tuple[int, str]:
        return getattr(self, f"_{words[0]}")(words[1:])

    def _ok(self, _words: list[str]) -> tuple[int, str]:
        return 0, ""

    _build = _pull = _ok

    def _network(self, words: list[str]) -> tuple[int, str]:
        if words[0] == "create":
            self._state["network"] = True
        return (0 if self._state["network"] else 1), ""

    def _ps(self, words: list[str]) -> tuple[int, str]:
        prefix, names_only = words[2].removeprefix("name=^"), words[-1] == "{{.Names}}"
        rows = [
            name
            if names_only
            else "\t".join((name, ("exited", "running")[one["runs"]], one["image"], one["tag"], one["made"]))
            for name, one in self._containers.items()
            if name.startswith(prefix)
        ]
        return 0, "\n".join(rows) + "\n"

    def _compose(self, words: list[str]) -> tuple[int, str]:
        service = words[-1]
        if "run" in words:
            return 0, ""
        name = "cleartill-edge" if service == "edge" else f"cleartill-{self._more['DEPLOY_SLOT']}-{service}"
        if name not in self._containers or "--no-recreate" not in words:
            self._state["count"] = self._state.get("count", 0) + 1
            image = f"cleartill-edge:{self._more['DEPLOY_EDGE']}" if service == "edge" else self._more["DEPLOY_TAGGED"]
            tag, made = self._more.get("DEPLOY_TAG", ""), f"2026-01-01 {self._state['count']:04}"
            self._containers[name] = {"image": image, "tag": tag, "made": made}
        self._containers[name]["runs"] = True
        return 0, ""

    def _set(self, words: list[str], runs: bool) -> tuple[int, str]:
        for name in words:
            if name not in self._containers:
                return 1, f"No such container: {name}"
            self._containers[name]["runs"] = runs
        return 0, ""

    def _start(self, words: list[str]) -> tuple[int, str]:
        return self._set(words, True)

    def _stop(self, words: list[str]) -> tuple[int, str]:
        return self._set(words, False)

    def _rm(self, words: list[str]) -> tuple[int, str]:
        for name in words[1:]:
            del self._containers[name]
        return 0, ""

    def _logs(self, words: list[str]) -> tuple[int, str]:
        return (0, f"the last words of {words[-1]}") if words[-1] in self._containers else (1, "No such container")

    def _exec(self, words: list[str]) -> tuple[int, str]:
        if words[:2] == ["cleartill-edge", "turn"]:
            if not self._containers.get("cleartill-edge", {}).get("runs"):
                return 1, "the proxy does not run"
            if words[2:]:
                self._state["live"] = words[2]
            return 0, self._state["live"] + "\n"
        container, url = words[1], words[-1]
        if not self._containers.get(container, {}).get("runs"):
            return 1, "is not running"
        return 0, json.dumps(self._asked(container, url)) + "\n"

    def _asked(self, container: str, url: str) -> list[Any]:
        """What an API says: its release is unwell, and fails, as `errors` and `unready` say."""
        if "cleartill-edge:8080" in url:
            container = f"cleartill-{self._state['live']}-api"
        tag = self._containers.get(container, {}).get("tag", "")
        if "/api/v1/operations" in url:
            if self._told.strip() != "the admin's key":
                return [401, {"title": "Unauthorized"}]
            live = self._containers.get(f"cleartill-{self._state['live']}-api", {}).get("tag", "")
            return [200, {"http": {"by_class": {"2xx": 100, "5xx": self._state["errors"].get(live, 0)}}}]
        if url.endswith("/health/ready"):
            return [503, {"status": "draining"}] if tag in self._state.get("unready", ()) else [200, {"status": "ok"}]
        unwell = tag in self._state.get("unwell", ())
        return [503 if unwell else 200, {"status": "unavailable" if unwell else "ok", "version": tag}]


def put_on_path(folder: Path, file: Path) -> None:
    """A program `docker` in a folder that belongs on PATH."""
    program = folder / "docker"
    program.write_text(COMMAND.format(python=sys.executable, here=str(Path(__file__).parent), file=str(file)))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def main(file: str) -> None:
    told, words = Told(Path(file)), sys.argv
    if words[3] == "run":
        told.change(said=[*told.state["said"], words[3:]])
        _keep_lease(Path(file).with_suffix(".lease"))
    state = told.state
    if (fatal := state.get("kill_at")) and fatal in " ".join(words):
        told.change(kill_at="")
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(0.05)
    needs_input = "--interactive" in words
    code, said = told.run(words, dict(os.environ), sys.stdin.read() if needs_input else "", 0)
    sys.stdout.write(said)
    raise SystemExit(code)


def _keep_lease(lease: Path) -> None:
    try:
        lease.touch(exist_ok=False)
    except FileExistsError:
        sys.stdout.write('Conflict. The container name "/cleartill-release" is already in use\n')
        raise SystemExit(125) from None
    sys.stdout.write("held\n")
    sys.stdout.flush()
    sys.stdin.read()
    lease.unlink()
    raise SystemExit(0)
