"""The bank's page for payers (3-D Secure): plain HTML, no script, nothing from elsewhere, all text escaped."""

import base64
import hashlib
from datetime import datetime
from html import escape

from cleartill.domain.money import EXPONENTS, written
from cleartill.simulator.challenges import Challenge

_STYLE = """
:root { color-scheme: light dark; --ink: #16202c; --soft: #5b6876; --paper: #fff; --ground: #eef1f5; --line: #d9dfe6;
  --yes: #12694a; --no: #a12b2b }
@media (prefers-color-scheme: dark) { :root { --ink: #eef2f6; --soft: #9aa7b5; --paper: #1a222c; --ground: #10161d;
  --line: #2f3a46; --yes: #3ecf8e; --no: #ff8a80 } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--ground);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif }
main { width: 100%; max-width: 28rem; padding: 2rem; background: var(--paper); border: 1px solid var(--line);
  border-radius: 1rem; box-shadow: 0 1rem 3rem rgb(0 0 0 / .08) }
header { display: flex; justify-content: space-between; color: var(--soft); font-size: .8rem; letter-spacing: .04em }
h1 { margin: 1.5rem 0 0; font-size: 1.15rem; font-weight: 600 }
.amount { margin: .25rem 0 1.25rem; font-size: 2.4rem; font-weight: 650; letter-spacing: -.02em;
  font-variant-numeric: tabular-nums }
dl { display: grid; gap: .4rem; margin: 0 0 1.75rem; padding: .9rem 0; border-block: 1px solid var(--line);
  font-size: .8rem }
dl div { display: flex; justify-content: space-between; gap: 1.5rem }
dt { color: var(--soft); white-space: nowrap }
dd { margin: 0; text-align: right; overflow-wrap: anywhere }
form { display: grid; grid-template-columns: 1fr 1fr; gap: .75rem }
button, a { padding: .8rem 1rem; border: 1px solid var(--line); border-radius: .6rem; font: inherit; font-weight: 600;
  text-align: center; cursor: pointer; color: inherit; background: none; text-decoration: none }
a { display: block }
button:hover, a:hover { border-color: currentcolor }
button:focus-visible, a:focus-visible { outline: 3px solid var(--yes); outline-offset: 2px }
button[value=approve] { background: var(--yes); border-color: var(--yes); color: var(--paper) }
.approved h1 { color: var(--yes) }
.declined h1, .cancelled h1 { color: var(--no) }
p { margin: 0 0 1.5rem; color: var(--soft) }
"""
_ALLOWED = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_ALLOWED}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""What every page is sent with: no script runs, nothing is loaded, nobody may frame it."""

_TITLES = {
    "requires_action": ("Is this you?", ""),
    "approved": ("You approved this payment", "You can go back to the shop now."),
    "declined": ("You refused this payment", "Nothing was taken from your card."),
    "cancelled": ("This payment has lapsed", "Nothing was taken from your card."),
}
_BUTTONS = """<form method="post">
<button name="outcome" value="refuse">Refuse</button>
<button name="outcome" value="approve">Approve</button>
</form>"""


def challenge_page(challenge: Challenge) -> str:
    """What the payer is asked, or what came of it."""
    title, explanation = _TITLES[challenge.status]
    is_open = challenge.status == "requires_action"
    facts = {"Payment": challenge.reference}
    if is_open:
        facts["Answer until"] = f"{datetime.fromisoformat(challenge.expires_at):%H:%M} UTC"
    rows = "".join(f"<div><dt>{name}</dt><dd>{escape(text)}</dd></div>" for name, text in facts.items())
    body = f'<h1>{title}</h1>\n<div class="amount">{escape(_amount(challenge))}</div>\n<dl>{rows}</dl>\n'
    if explanation:
        body += f"<p>{explanation}</p>\n"
    if is_open:
        body += _BUTTONS
    elif challenge.return_url:
        body += f'<a href="{escape(challenge.return_url)}" rel="noreferrer">Back to the shop</a>'
    return _page(title, challenge.status, body)


def unknown_page() -> str:
    """There is no such challenge."""
    return _page("Nothing to confirm", "cancelled", "<h1>Nothing to confirm</h1>\n<p>No payment waits here.</p>")


def _amount(challenge: Challenge) -> str:
    if challenge.currency in EXPONENTS:
        return written(challenge.amount_minor, challenge.currency)
    return f"{challenge.amount_minor} minor units of {challenge.currency}"


def _page(title: str, status: str, body: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<main class="{status}">
<header><span>Your bank</span><span>Test mode</span></header>
{body}
</main>
</body>
</html>
"""
