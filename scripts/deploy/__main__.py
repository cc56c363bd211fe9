"""`make deploy-staging`, `make deploy-prod`, `make rollback-staging`, `make rollback-prod`.

    scripts/deploy staging|production [--dry-run] [--back] [--yes] [--again] [--replace-edge]

Ends with 0 when the release is in, with 1 when what was in before is in still or again, with 2 when it was refused
before anything was done, and with 3, loudly, when a person has to look. Killed in the middle, it is run again.
"""

import argparse
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pydantic import ValidationError
from rich.console import Console

from deploy.engine import Engine
from deploy.release import Release
from deploy.slots import Slots
from deploy.target import Place, Refused, Target
from deploy.tree import release_of

say = Console(highlight=False, soft_wrap=True)
REFUSED, STOPPED = 2, 130


def confirmed(tag: str, place: Place) -> bool:
    """Production asks for the release's name."""
    if place != "production":
        return True
    try:
        return say.input(f"Type {tag} to change production: ").strip() == tag
    except EOFError:
        return False


def release(wanted: argparse.Namespace) -> int:
    """Raises Refused."""
    target = Target.read(wanted.place)
    engine = Engine(target, say, dry=wanted.dry_run)
    slots = Slots(target, engine)
    state = slots.look()
    tag = state.tags.get(state.live, "") if wanted.back else release_of(wanted.place)
    say.print(f"[bold]{target.place}[/] ({target.docker}): {'back from ' if wanted.back else ''}{tag or 'nothing'}")
    if not (wanted.yes or wanted.dry_run or confirmed(tag, wanted.place)):
        raise Refused("not confirmed")
    one = Release(target, tag, engine, slots, say)
    return one.back() if wanted.back else one.deploy(again=wanted.again, replace_edge=wanted.replace_edge)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", choices=("staging", "production"))
    parser.add_argument("--dry-run", action="store_true", help="ask the target, print every step, change nothing")
    parser.add_argument("--back", action="store_true", help="let the release before in again")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--again", action="store_true", help="though this release is in already: with today's settings")
    parser.add_argument("--replace-edge", action="store_true", help="with a new proxy; the door is shut for a second")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return release(parser.parse_args())
    except Refused as why:
        say.print(f"[red]refused:[/] {why}", markup=True)
        return REFUSED
    except ValidationError as wrong:
        say.print(f"[red]refused:[/] {wrong}")
        return REFUSED
    except KeyboardInterrupt:
        say.print("stopped; the same command goes on, --back goes back")
        return STOPPED


if __name__ == "__main__":
    sys.exit(main())
