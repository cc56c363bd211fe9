"""The command `cleartill`: run the parts, look after the data, ask how it is going.

Beside a running `cleartill up` the commands find its servers by themselves; with several, CLEARTILL_DATA_DIR says which
one is meant, by its data directory.
"""

import typer

from cleartill.cli import asking, auditing, chain, data, explaining, merchants, metrics, serving, transfers

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
for commands in (serving, data, merchants, asking, metrics, explaining, auditing, chain, transfers):
    app.add_typer(commands.app)
