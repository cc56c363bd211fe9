"""The README's shell blocks, run one after the other in one shell as if they were pasted, and what each must print."""

import re
import subprocess
import time
from collections.abc import Callable

from smoke_calls import ROOT, Smoke

from cleartill.embedded.scratch import free_port

API_AS_WRITTEN, RECEIVER_PORT_AS_WRITTEN = "http://127.0.0.1:8000", "9009"
BLOCK = re.compile(r"^```sh (?P<name>[a-z-]+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
"""A block to run has a name after `sh`, which nobody sees on the page."""

EXPECTED: dict[str, Callable[[str], bool]] = {
    "first-payment": lambda out: "201 Created" in out and '"status":"captured"' in out,
    "words": lambda out: out == "",
    "replay": lambda out: out.count('"status":"captured"') == 2 and out.count("idempotent-replayed: true") == 1,
    "declined": lambda out: '"status":"failed"' in out and '"code":"insufficient_funds"' in out,
    "refund": lambda out: out.count('"status":"succeeded"') == 2 and '"status":"refunded"' in out,
    "doubt": lambda out: '"status":"in_doubt"' in out,
    "doubt-resolved": lambda out: '"status":"captured"' in out,
    "timeline": lambda out: '"name": "payment.resolved"' in out,
    "events": lambda out: "payment.created" in out and "refund.succeeded" in out,
    "health": lambda out: '"status":"ok"' in out,
    "hold": lambda out: '"status":"authorized"' in out and '"amount_captured_minor":9000' in out,
    "void": lambda out: '"status":"voided"' in out and "Cannot capture a payment that is voided" in out,
    "stored": lambda out: '"status":"captured"' in out and '"amount_minor":1500' in out,
    "providers": lambda out: out.count('"status":"captured"') == 2 and '"provider":"internal"' in out,
    "challenge": lambda out: '"amount_minor":6000' in out,
    "challenge-met": lambda out: '"status":"captured"' in out,
    "lists": lambda out: '"order_id":4712' in out and '"has_more":' in out,
    "deposit": lambda out: '"amount_minor":50000' in out and '"reserved_minor":' in out,
    "deposit-ended": lambda out: '"status":"succeeded"' in out or '"code":"bank_refused"' in out,
    "withdrawal": lambda out: out.count('"code": "insufficient_funds"') == 1 and '"reserved_minor":' in out,
    "transactions": lambda out: '"type":"deposit"' in out and '"type":"withdrawal"' in out,
    "callback": lambda out: "401 Unauthorized" in out and "200 OK" in out and "names another amount" in out,
    "dead-letters": lambda out: "No dead letters." in out or "dep_" in out or "wdr_" in out,
    "webhook": lambda out: out.count('"status":"pending"') == 1 and '"amount_minor":1200' in out,
    "webhook-heard": lambda out: "webhook_endpoint.test we_" in out and "payment.captured pay_" in out,
    "webhook-tries": lambda out: (
        '"status":"delivered"' in out and '"response":"heard"' in out and "202 Accepted" in out
    ),
    "webhook-secret": lambda out: '"secret":"whsec_' in out and '"deleted":true' in out,
    "reconcile": lambda out: "I7" in out and "holds" in out,
}
PATIENT = ("doubt-resolved", "challenge-met", "deposit-ended", "webhook-heard")
"""Blocks that look at what comes by itself."""


def readme_blocks() -> dict[str, str]:
    """Name → code, in the README's order."""
    return {found["name"]: found["code"] for found in BLOCK.finditer((ROOT / "README.md").read_text())}


class ReadmeShell:
    def __init__(self, url: str) -> None:
        self._url, self._receiver_port = url, str(free_port())
        self._shell = subprocess.Popen(
            ["sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT, text=True
        )

    def run(self, code: str) -> str:
        """What it prints."""
        assert self._shell.stdin
        assert self._shell.stdout
        end = f"--- {time.monotonic_ns()} ---"
        code = code.replace(API_AS_WRITTEN, self._url).replace(RECEIVER_PORT_AS_WRITTEN, self._receiver_port)
        # Nothing in a block may read what is still to come on standard input.
        self._shell.stdin.write(f"{{\n{code}\n}} </dev/null\necho '{end}'\n")
        self._shell.stdin.flush()
        printed = ""
        for line in self._shell.stdout:
            printed += line
            if end in line:
                break
        return printed.partition(end)[0]

    def close(self) -> None:
        assert self._shell.stdin
        self._shell.stdin.close()
        self._shell.wait()


def readme(smoke: Smoke, mockserver: bool, hooked: bool, resolved_within_s: float) -> None:
    """Runs every block. What comes by itself is looked at again until it is there. `hooked`: whether webhooks of the
    stack reach this machine."""
    smoke.section("The README, as pasted")
    blocks, expected = readme_blocks(), dict(EXPECTED)
    if mockserver:
        expected["doubt-resolved"] = lambda out: '"code":"not_charged"' in out
        expected["challenge-met"] = lambda out: '"status":"requires_action"' in out
        expected["reconcile"] = lambda out: "Could not reconcile" in out
    if not hooked:
        expected["webhook"] = lambda out: '"amount_minor":1200' in out
        for name in ("webhook-heard", "webhook-tries", "webhook-secret"):
            expected[name] = lambda out: True
    if list(blocks) != list(expected):
        smoke.note("the README's blocks", [f"are {list(blocks)}, expected {list(expected)}"])
        return
    shell = ReadmeShell(smoke.url)
    for name, well in expected.items():
        begin = time.monotonic()
        printed = shell.run(blocks[name])
        while name in PATIENT and not well(printed) and time.monotonic() < begin + resolved_within_s:
            time.sleep(1)
            printed = shell.run(blocks[name])
        why = [] if well(printed) else [f"it printed: {printed[-600:]}"]
        smoke.note(name, why, ms=(time.monotonic() - begin) * 1000)
    shell.close()
