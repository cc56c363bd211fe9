"""A text, and how far it has been read."""

import re


class Refused(ValueError):
    """Not a query of ours. `at` is the place in `query`, counted in characters from zero."""

    def __init__(self, why: str, query: str, at: int) -> None:
        super().__init__(f"{why}, at character {at}: {query[:at]}»{query[at:]}")
        self.why, self.query, self.at = why, query, at


class Scanner:
    """Goes through `text` from left to right; `at` is the next character."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def sees(self, pattern: str | re.Pattern[str]) -> bool:
        return re.compile(pattern).match(self.text, self.at) is not None

    def take(self, pattern: str | re.Pattern[str]) -> str | None:
        """What matches here, behind which the reader then stands; None, unmoved, if nothing does."""
        found = re.compile(pattern).match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found[0]

    def need(self, pattern: str | re.Pattern[str], what: str) -> str:
        taken = self.take(pattern)
        if taken is None:
            raise self.refusal(f"{what} expected")
        return taken

    def refusal(self, why: str) -> Refused:
        return Refused(why, self.text, self.at)

    def space(self) -> None:
        self.take(" *")

    def end(self) -> None:
        self.space()
        if self.at != len(self.text):
            raise self.refusal("the end expected")
