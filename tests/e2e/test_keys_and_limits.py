"""Keys and limits among real processes: what one of them is told, the others know."""

import httpx

from cleartill.domain.merchant import DEMO_MERCHANT_ID
from service import Service, eventually

KEYS = f"/api/v1/merchants/{DEMO_MERCHANT_ID}/keys"


def test_a_key_revoked_at_one_process_is_refused_by_the_other(shared: Service, caller: httpx.Client) -> None:
    made = caller.post(KEYS, json={"name": "for a while", "scopes": ["account:read"]})
    assert made.status_code == 201
    bearer = {"Authorization": f"Bearer {made.json()['api_key']}"}
    for url in shared.apis:
        assert httpx.get(url + KEYS, headers=bearer).status_code == 200

    assert caller.delete(f"{KEYS}/{made.json()['id']}").status_code == 200

    for url in shared.apis:
        eventually(lambda url=url: httpx.get(url + KEYS, headers=bearer).status_code == 401, 3)
    listening = shared.rows(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%%'"
    )
    assert listening == [(len(shared.apis),)]


def test_a_session_begun_at_one_process_is_known_by_the_other_and_ends_with_its_key(
    shared: Service, caller: httpx.Client
) -> None:
    made = caller.post(KEYS, json={"name": "a person's", "scopes": ["account:read"]}).json()
    here, there = shared.apis[0], shared.apis[-1]
    with httpx.Client() as browser:
        answer = browser.post(
            f"{here}/api/v1/auth/login", json={"email": "demo@merchant.example", "api_key": made["api_key"]}
        )
        assert answer.status_code == 200
        assert answer.headers["set-cookie"].startswith("cleartill_session=")
        assert browser.get(there + KEYS).status_code == 200
        assert browser.get(f"{there}/api/v1/auth/session").json() == answer.json()
        without_token = browser.post(f"{there}/api/v1/auth/logout")
        assert (without_token.status_code, without_token.json()["code"]) == (403, "csrf_failed")
        assert caller.delete(f"{KEYS}/{made['id']}").status_code == 200
        for url in (here, there):
            assert browser.get(url + KEYS).status_code == 401
    token = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
    assert token not in str(shared.rows("SELECT * FROM sessions"))


def test_when_a_key_was_last_used_is_written(shared: Service, caller: httpx.Client) -> None:
    assert caller.get(KEYS).status_code == 200
    used = "SELECT 1 FROM api_keys WHERE merchant_id = %s AND last_used_at > now() - interval '2 minutes'"
    eventually(lambda: shared.rows(used, DEMO_MERCHANT_ID))


def test_processes_count_together(shared: Service, caller: httpx.Client) -> None:
    names = ("api7", "api8")
    urls = shared.start_apis(7, 8, RATE_LIMIT_GLOBAL_PER_MIN="4")
    try:
        answers = [httpx.get(url + KEYS, headers=caller.headers) for url in urls * 3]
        assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 2
        assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["3", "2", "1", "0", "0", "0"]
        assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    finally:
        for name in names:
            shared.kill(name, 15)
