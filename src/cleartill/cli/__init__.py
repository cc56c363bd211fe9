"""The command `cleartill`: run the parts, look after the data, ask how it is going.

Beside a running `cleartill up` the commands find its servers by themselves, in `.cleartill/up.json`.
"""

import typer

from cleartill.cli import asking, auditing, data, merchants, serving, transfers

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
for commands in (serving, data, merchants, asking, auditing, transfers):
    app.add_typer(commands.app)
