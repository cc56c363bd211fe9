"""`python -m cleartill`: the same as the command `cleartill`."""

from cleartill.cli import app

app()
