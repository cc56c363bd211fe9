"""The order of things: a release in, or back; and what is left when it goes wrong."""

from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape

from deploy.engine import Engine, StepFailed
from deploy.lease import lease
from deploy.slots import OTHER, Slots, State
from deploy.target import Refused, Target
from deploy.watch import Errors, errors_at, first_minute

LIVE, UNCHANGED, TAKEN_BACK, BROKEN = 0, 1, 1, 3
"""How it ends: the release is in; nothing has changed; the one before is in again; nobody knows, a person is needed."""


@dataclass
class Release:
    """One release to one place. `deploy` and `back` answer how it ended, and raise Refused before anything was done."""

    target: Target
    tag: str
    engine: Engine
    slots: Slots
    say: Console

    @property
    def image(self) -> str:
        return f"{self.target.said.image or 'cleartill'}:{self.tag}"

    def deploy(self, *, again: bool = False, replace_edge: bool = False) -> int:
        """`again`: though it is in already, with settings of today."""
        self.slots.look()
        try:
            self._image()
        except StepFailed as failure:
            return self._unchanged(f"there is no image: {failure}")
        with lease(self.engine, self.image):
            state = self.slots.look()
            if state.tags.get(state.live) == self.tag and not again:
                if state.running(OTHER[state.live]) or state.running(state.live) != {"api", "worker"}:
                    return self._go_on(state)
                self.say.print(f"{escape(self.tag)} is in already, in {state.live}; nothing was done")
                return LIVE
            return self._new(state, replace_edge)

    def back(self) -> int:
        """The release before, in again."""
        state = self.slots.look()
        old, now = OTHER[state.live], state.live
        if now == "nobody" or old not in state.tags:
            raise Refused("there is no release before this one")
        if state.made[old] > state.made[now] and not state.running(old):
            raise Refused(
                f"{state.tags[old]} is newer than {state.tags[now]}, which is in: deploy it, if you mean that"
            )
        with lease(self.engine, f"{self.target.said.image or 'cleartill'}:{state.tags[now]}"):
            if state.made[old] > state.made[now]:
                self.slots.turn(now, f"the door: {now} is let in; the way back was made already")
                self.slots.stop(old, state, f"{old}: drains")
                return LIVE
            self.say.print(f"back from {escape(state.tags[now])} to {escape(state.tags[old])}")
            ended = self._take_back(now, state, "asked for", remove=False)
        return LIVE if ended == TAKEN_BACK else ended

    def _new(self, state: State, replace_edge: bool) -> int:
        slot = OTHER[state.live]
        try:
            self._prepare(slot, state, replace_edge)
        except StepFailed as failure:
            return self._unchanged(str(failure))
        try:
            self.slots.clear(slot, state, f"{slot}: what is left there goes")
            self._compose(slot, "up", "--detach", "--no-build", "api", what=f"{slot}: the API, beside {state.live}")
            self.say.print(f"{slot}: is it ready?")
            self.slots.await_ready(slot)
            before = self._before(slot)
        except StepFailed as failure:
            self.say.print(escape(self.slots.last_words(slot)), style="dim")
            return self._unchanged(str(failure), slot)
        if self.engine.dry:
            state = State(state.live, self.slots.edge, {**state.tags, slot: self.tag}, state.services)
        try:
            self.slots.turn(slot, f"the door: {slot} is let in")
            self.slots.await_let_in(slot, self.tag)
            self._compose(slot, "up", "--detach", "--no-build", "worker", what=f"{slot}: the worker")
        except StepFailed as failure:
            return self._take_back(slot, state, str(failure))
        return self._watched(slot, state, before)

    def _prepare(self, slot: str, state: State, replace_edge: bool) -> None:
        """What can be done before anything new runs."""
        self.slots.network()
        if replace_edge and state.edge:
            self.slots.replace_edge()
        else:
            self.slots.open_edge(state)
        one_off = ("run", "--rm", "--no-deps", "--no-TTY")
        self._compose(slot, *one_off, "check", what=f"its settings, under ENV={self.target.place}")
        self._compose(slot, *one_off, "migrate", what="migrations, under the release that serves")

    def _go_on(self, state: State) -> int:
        """A release that was let in, and whose end nobody saw."""
        slot = state.live
        self.say.print(f"{escape(self.tag)} was let in, and then somebody was stopped: going on")
        try:
            self.slots.start(slot, state)
            self.slots.await_ready(slot)
            self.slots.turn(slot, f"the door: {slot} is let in")
            self.slots.await_let_in(slot, self.tag)
            self._compose(slot, "up", "--detach", "--no-build", "--no-recreate", "worker", what=f"{slot}: the worker")
        except StepFailed as failure:
            return self._take_back(slot, state, str(failure))
        return self._watched(slot, state, Errors(0, 0))

    def _watched(self, slot: str, state: State, before: Errors) -> int:
        self.say.print(f"{slot}: watched for {self.target.said.watch_s:.0f} s")
        if not self.target.admin_key:
            self.say.print("  (its health only: without an admin key the error rate cannot be read)")
        wrong = "" if self.engine.dry else first_minute(self.slots, slot, self.target, before)
        if wrong:
            return self._take_back(slot, state, wrong)
        old = OTHER[slot]
        try:
            self.slots.stop(old, state, f"{old}: drains, within {self.target.stop_grace_s} s each")
        except StepFailed as failure:
            self.say.print(f"[yellow]{escape(self.tag)} is in, but {old} did not stop: {escape(str(failure))}[/]")
            return UNCHANGED
        self.say.print(f"[green]{escape(self.tag)} is in, in {slot}[/]; {old} is kept for --back")
        return LIVE

    def _before(self, slot: str) -> Errors:
        """How often the release that serves fails. Raises StepFailed: whom nobody can watch is not let in."""
        if self.engine.dry:
            return Errors(0, 0)
        before = errors_at(self.slots, slot, self.target)
        if isinstance(before, str):
            raise StepFailed(before)
        return before

    def _take_back(self, slot: str, state: State, why: str, *, remove: bool = True) -> int:
        """The other slot is let in again, and what was new stops."""
        old = OTHER[slot]
        self.say.print(f"[yellow]{escape(self.tag)}: {escape(why)}[/]")
        try:
            if old in state.tags and (state.live == old or state.running(old) or not remove):
                self.slots.start(old, state)
                # Its process only: should the bank be away, that is no reason to leave callers with the new one.
                self.slots.await_ready(old, ("/health/ready",))
                self.slots.turn(old, f"the door: {old} is let in again")
                self.slots.await_let_in(old, state.tags[old])
            else:
                self.slots.turn("nobody", "the door: there is no release before; nobody is let in")
            now = State() if self.engine.dry else self.slots.look()
            if remove:
                self.say.print(escape(self.slots.last_words(slot)), style="dim")
                self.slots.clear(slot, now, f"{slot}: goes")
            else:
                self.slots.stop(slot, now, f"{slot}: drains")
        except (StepFailed, Refused) as failure:
            return self._broken(slot, old, state, str(failure))
        self.say.print(f"[yellow]{escape(state.tags.get(old, 'nobody'))} is in[/]")
        return TAKEN_BACK

    def _broken(self, slot: str, old: str, state: State, why: str) -> int:
        docker = " ".join(self.target.words)
        self.say.rule("[bold red]THE WAY BACK FAILED", style="red")
        self.say.print(
            f"[red]{escape(why)}[/]", f"{escape(self.tag)} is in {slot}, {state.tags.get(old, 'nobody')} in {old}."
        )
        self.say.print("Nobody knows who is let in. Look, and do by hand what is missing:")
        for words in (
            "exec cleartill-edge turn",
            f"start cleartill-{old}-api cleartill-{old}-worker",
            f"exec cleartill-edge turn {old}",
            f"stop cleartill-{slot}-worker cleartill-{slot}-api",
        ):
            self.say.print(f"  {escape(docker)} {words}")
        self.say.rule(style="red")
        return BROKEN

    def _unchanged(self, why: str, slot: str = "") -> int:
        self.say.print(f"[red]{escape(why)}[/]")
        try:
            if slot and not self.engine.dry:
                self.slots.clear(slot, self.slots.look(), f"{slot}: goes")
        except (StepFailed, Refused) as failure:
            self.say.print(f"[yellow]{slot} was not cleared; the next release does that: {escape(str(failure))}[/]")
        self.say.print("nothing has changed for callers")
        return UNCHANGED

    def _image(self) -> None:
        if self.target.said.image:
            self.engine.do("pull", self.image, what="the image")
        else:
            self.engine.do("build", "--tag", self.image, ".", what="the image, built there")

    def _compose(self, slot: str, *words: str, what: str) -> None:
        self.slots.compose(slot, self.image, self.tag, *words, what=what)
