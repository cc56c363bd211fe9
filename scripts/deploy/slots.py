"""Blue and green: which one is let in, what runs in each, and what they answer when they are asked."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.engine import Engine, StepFailed
from deploy.target import ROOT, Refused, Target

HERE = Path(__file__).resolve().parent
FILES = {name: str((HERE / name).relative_to(ROOT)) for name in ("edge.yml", "release.yml", "edge.Dockerfile")}
OTHER = {"blue": "green", "green": "blue", "nobody": "blue"}
EDGE = "cleartill-edge"
DOOR = "http://cleartill-edge:8080"
ASK = """
import json, sys, urllib.error, urllib.request
question, key = urllib.request.Request(sys.argv[1]), sys.stdin.readline().strip()
if key:
    question.add_header("Authorization", "Bearer " + key)
try:
    answer = urllib.request.urlopen(question, timeout=5)
    print(json.dumps([answer.status, json.load(answer)]))
except urllib.error.HTTPError as refused:
    said = refused.read().decode(errors="replace")
    try:
        said = json.loads(said)
    except ValueError:
        pass
    print(json.dumps([refused.code, said]))
except (OSError, ValueError) as away:
    print(json.dumps([0, str(away)]))
"""
"""Runs inside an API's container: nothing of the target has to be reachable from here, and the key is in no list of
processes. Prints (status, body); status 0: no answer."""


@dataclass
class State:
    """What is on the target."""

    live: str = "nobody"
    edge: str = ""
    """Which proxy runs; empty: none."""
    tags: dict[str, str] = field(default_factory=dict)
    """Slot → the release in it, running or not."""
    services: dict[str, dict[str, bool]] = field(default_factory=dict)
    """Slot → its services, and whether they run."""
    made: dict[str, str] = field(default_factory=dict)
    """Slot → when its API's container was made; comparable."""

    def running(self, slot: str) -> set[str]:
        return {service for service, runs in self.services.get(slot, {}).items() if runs}


class Slots:
    """The target's two slots and its proxy."""

    def __init__(self, target: Target, engine: Engine) -> None:
        self._target, self._engine = target, engine
        content = b"".join((HERE / name).read_bytes() for name in ("edge.Dockerfile", "haproxy.cfg", "turn"))
        self.edge = hashlib.sha256(content).hexdigest()[:12]

    def look(self) -> State:
        """Raises Refused if the target cannot be asked."""
        state, shown = State(), '{{.Names}}\t{{.State}}\t{{.Image}}\t{{.Label "cleartill.tag"}}\t{{.CreatedAt}}'
        try:
            listed = self._engine.ask("ps", "--all", "--filter", "name=^cleartill-", "--format", shown)
        except StepFailed as away:
            raise Refused(f"{self._target.docker} cannot be asked: {away}") from None
        for line in listed.splitlines():
            name, running, image, tag, made = [*line.split("\t"), "", "", "", ""][:5]
            slot, _, service = name.removeprefix("cleartill-").partition("-")
            if name == EDGE and running == "running":
                state.edge = image.rpartition(":")[2]
            elif slot in ("blue", "green") and service in ("api", "worker"):
                state.tags[slot] = tag
                state.made.setdefault(slot, made)
                state.services.setdefault(slot, {})[service] = running == "running"
        if state.edge:
            state.live = self._let_in()
            if state.live not in OTHER:
                raise Refused(f"the proxy does not say who is let in: {state.live!r}")
        return state

    def _let_in(self) -> str:
        try:
            return self._engine.ask("exec", EDGE, "turn").strip()
        except StepFailed as failure:
            raise Refused(f"the proxy does not answer: {failure}") from None

    def open_edge(self, state: State) -> None:
        """The proxy, if none runs. Raises StepFailed, and Refused when another configuration of it runs."""
        if state.edge == self.edge:
            return
        if state.edge:
            raise Refused(
                "the proxy's configuration has changed: --replace-edge puts the new one in, and closes the door for "
                "the second that takes"
            )
        self.replace_edge()

    def replace_edge(self) -> None:
        tag = f"cleartill-edge:{self.edge}"
        what = f"the proxy: {tag}"
        self._engine.do(
            "build", "--tag", tag, "--file", FILES["edge.Dockerfile"], str(HERE.relative_to(ROOT)), what=what
        )
        more = {"DEPLOY_EDGE": self.edge, "DEPLOY_BIND": self._target.said.bind}
        up = ("up", "--detach", "--wait", "--wait-timeout", "60", "edge")
        self._engine.do("compose", "--file", FILES["edge.yml"], *up, more=more)

    def network(self) -> None:
        if not self._engine.is_there("network", "inspect", "cleartill"):
            self._engine.do("network", "create", "cleartill", what="a network for proxy and slots")

    def compose(self, slot: str, image: str, tag: str, *words: str, what: str) -> None:
        """A command of release.yml in a slot. Raises StepFailed."""
        project = ("--project-name", f"cleartill-{slot}", "--file", FILES["release.yml"])
        self._engine.do("compose", *project, *words, what=what, more=self._told(slot, image, tag))

    def _told(self, slot: str, image: str, tag: str) -> Mapping[str, str]:
        return {
            "DEPLOY_TAGGED": image,
            "DEPLOY_TAG": tag,
            "DEPLOY_SLOT": slot,
            "DEPLOY_ENV": self._target.place,
            "DEPLOY_SETTINGS": str(self._target.settings),
            "DEPLOY_SECRETS": self._target.said.secrets,
            "DEPLOY_STOP_GRACE": f"{self._target.stop_grace_s}s",
        }

    def stop(self, slot: str, state: State, what: str) -> None:
        """Worker first, so that it hands nothing on; each has its stop grace. Raises StepFailed."""
        for service in ("worker", "api"):
            if service in state.running(slot):
                within_s = self._target.stop_grace_s + 60.0
                self._engine.do("stop", f"cleartill-{slot}-{service}", what=what, within_s=within_s)
                what = ""

    def clear(self, slot: str, state: State, what: str) -> None:
        """Nothing is left in it. Raises StepFailed."""
        if slot in state.tags:
            self.stop(slot, state, what)
            names = self._engine.ask("ps", "--all", "--filter", f"name=^cleartill-{slot}-", "--format", "{{.Names}}")
            if names.split():
                self._engine.do("rm", "--force", *names.split())

    def start(self, slot: str, state: State) -> None:
        """What is there, running or stopped. Raises StepFailed."""
        names = [f"cleartill-{slot}-{service}" for service in sorted(state.services.get(slot, {}))]
        self._engine.do("start", *names, what=f"{slot}: runs again")

    def turn(self, slot: str, what: str) -> None:
        """Raises StepFailed."""
        self._engine.do("exec", EDGE, "turn", slot, what=what, within_s=30.0)

    def asked(self, slot: str, url: str, key: str = "") -> tuple[int, Any]:
        """(status, body) as the slot's API hears it; status 0: no answer."""
        if self._engine.dry:
            return 200, {}
        container = f"cleartill-{slot}-api"
        try:
            said = self._engine.ask("exec", "--interactive", container, "python", "-c", ASK, url, told=f"{key}\n")
            status, body = json.loads(said.strip().splitlines()[-1])
        except (StepFailed, ValueError, IndexError) as failure:
            return 0, str(failure)
        return int(status), body

    def await_ready(self, slot: str, paths: Sequence[str] = ("/health/ready", "/health")) -> None:
        """Until it is ready, and says that payments can be taken. Raises StepFailed."""
        end, seen = time.monotonic() + self._target.said.ready_s, "nothing"
        while True:
            for path in paths:
                status, body = self.asked(slot, f"http://127.0.0.1:8000{path}")
                if status != 200:
                    seen = f"{path} said {status or 'nothing'}: {str(body)[:300]}"
                    break
            else:
                return
            if time.monotonic() >= end:
                raise StepFailed(f"{slot} was not ready within {self._target.said.ready_s:.0f} s; {seen}")
            time.sleep(min(1.0, self._target.said.ready_s / 10))

    def await_let_in(self, slot: str, tag: str) -> None:
        """Until the door is answered by that release: the proxy needs a moment to find a new container. Raises
        StepFailed."""
        end, said = time.monotonic() + min(15.0, self._target.said.ready_s), ""
        while True:
            status, body = self.asked(slot, f"{DOOR}/health")
            if self._engine.dry or (isinstance(body, dict) and body.get("version") == tag):
                return
            said = f"{status} {str(body)[:300]}"
            if time.monotonic() >= end:
                raise StepFailed(f"behind the door is not {tag}: {said}")
            time.sleep(min(0.5, self._target.said.ready_s / 10))

    def last_words(self, slot: str) -> str:
        """The API's log, its end; empty if there is none."""
        try:
            return self._engine.ask("logs", "--tail", "20", f"cleartill-{slot}-api").strip()
        except StepFailed:
            return ""
