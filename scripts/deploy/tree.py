"""What is to be released: the commit of this tree, by a name that means the same to everyone."""

import re
import subprocess

from deploy.target import ROOT, Place, Refused


def release_of(place: Place) -> str:
    """The tag at HEAD; for staging, without one, what `git describe` makes of the commit. Raises Refused."""
    if git("status", "--porcelain"):
        raise Refused("the tree has changes that are in no commit: nobody could make this release again")
    tags = git("tag", "--points-at", "HEAD").split()
    if len(tags) > 1:
        raise Refused(f"the commit has several tags ({', '.join(tags)}): a release has one name")
    if not tags and place == "production":
        raise Refused("the commit has no tag: `git tag v1.2.3` names a release")
    name = tags[0] if tags else git("describe", "--tags", "--always").strip()
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", name):
        raise Refused(f"{name} cannot name an image")
    return name


def git(*words: str) -> str:
    """What git says of this tree. Raises Refused."""
    try:
        said = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as failure:
        raise Refused(f"git does not know this tree: {failure}") from None
    return said.stdout
