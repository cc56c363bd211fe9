"""The watch itself: whatever it must hear of, it hears. One that heard nothing would let everything pass."""

from collections.abc import Callable

import pytest
from console_pages import settled
from console_visitors import Merchant, Watch, eventually
from playwright.sync_api import Page


@pytest.mark.parametrize(
    ("done", "heard"),
    [
        ("window.__xss = 1", "a planted script ran"),
        ("document.body.insertAdjacentHTML('beforeend', '<b>x</b>')", "TrustedHTML"),
        ("document.body.setAttribute('style', 'color: red')", "Content Security Policy"),
        ("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}))", "another host"),
        ("fetch('https://example.com/').catch(() => {})", "Content Security Policy"),
        ("setTimeout(() => { throw new Error('on purpose') })", "on purpose"),
        ("Promise.reject(new Error('and nobody cares'))", "nobody cares"),
        ("console.warn('hm')", "warning: hm"),
        ("fetch('/api/v1/payments/pay_nowhere')", "answered 404"),
        ("setTimeout(() => alert('hello'))", "alert"),
    ],
)
def test_it_hears(visit: Callable[..., Page], fresh: Merchant, watch: Watch, done: str, heard: str) -> None:
    page = visit(fresh)
    settled(page)
    watch.verdict()
    page.evaluate(f"async () => {{ try {{ {done} }} catch {{ }} }}")
    eventually(lambda: page.wait_for_timeout(20) or any(heard in told for told in watch.seen))
    with pytest.raises(AssertionError, match="in the browser"):
        watch.verdict()
    watch.seen.clear()


def test_it_lets_pass_what_was_announced(visit: Callable[..., Page], fresh: Merchant, watch: Watch) -> None:
    page = visit(fresh)
    settled(page)
    watch.allow(404, "/api/v1/payments/")
    watch.ignore("hm")
    with page.expect_console_message(lambda message: message.text == "hm"):
        page.evaluate("async () => { await fetch('/api/v1/payments/pay_nowhere'); console.warn('hm') }")
    watch.verdict()
