"""A secret is struck from what a vendor says, in whatever way that is written."""

import base64
import html
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from pipelines.http.secrets import Secrets
from tests.test_http import answering, neon_at

KEY = 'napi_s3cr3t/k+y&"<=' + "0123456789abcdef"
WAYS: dict[str, Callable[[str], str]] = {
    "as it is": lambda key: key,
    "quoted": lambda key: quote(key, safe=""),
    "quoted in small letters": lambda key: quote(key, safe="").lower(),
    "quoted twice": lambda key: quote(quote(key, safe=""), safe=""),
    "all of it quoted": lambda key: "".join(f"%{ord(c):02X}" for c in key),
    "JSON": lambda key: json.dumps(key)[1:-1],
    "JSON with escaped slashes": lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
    "JSON in JSON": lambda key: json.dumps(json.dumps(key))[1:-1],
    "JSON by code": lambda key: "".join(f"\\u{ord(c):04x}" for c in key),
    "JSON by code in capitals": lambda key: "".join(f"\\u{ord(c):04X}" for c in key),
    "HTML": html.escape,
    "HTML by number": lambda key: "".join(f"&#{ord(c)};" for c in key),
    "HTML by hex": lambda key: "".join(f"&#x{ord(c):X};" for c in key),
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 of addresses": lambda key: base64.urlsafe_b64encode(key.encode()).decode(),
    "base64 of a header": lambda key: base64.b64encode(f"Bearer {key}".encode()).decode(),
    "base64 with something before": lambda key: base64.b64encode(f"a:{key}\n".encode()).decode(),
    "base64 with more before": lambda key: base64.b64encode(f"ab:{key}..".encode()).decode(),
    "base64, quoted": lambda key: quote(base64.b64encode(key.encode()).decode(), safe=""),
    "hex": lambda key: key.encode().hex(),
    "hex in capitals": lambda key: key.encode().hex().upper(),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_secret_is_struck(way: str) -> None:
    """From a text and from an answer alike; what stands around it stays."""
    secrets, written = Secrets([KEY]), WAYS[way](KEY)
    text = secrets.strike(f'before {written}" after')
    assert text.startswith("before ")
    assert text.endswith(" after")
    assert "***" in text
    for length in range(12, len(written)):
        assert written[:length] not in text
        assert written[-length:] not in text
    assert secrets.strike_answer(f'before {written}" after'.encode()).decode() == text


def test_what_is_no_secret_stays() -> None:
    """To the byte, whatever is escaped in it."""
    body = b'{"a": "50 % of \\u00e9\\/\\"", "b": "&amp; napi_s3cr3t"}'
    assert Secrets([KEY]).strike_answer(body) == body
    assert Secrets([]).strike_answer(body) == body
    assert Secrets(["abc", ""]).strike("abc") == "abc"


def test_a_secret_within_another_is_struck_as_a_whole() -> None:
    """A token, and the credential that it is a part of."""
    token = "token-" + "9" * 20
    basic = base64.b64encode(f"me@example.com:{token}".encode()).decode()
    for secrets in (Secrets([token, basic]), Secrets([basic, token])):
        assert secrets.strike(f"Basic {basic}!") == "Basic ***!"


def test_an_answer_that_echoes_the_key_lands_without_it(tmp_path: Path) -> None:
    """In a field that nobody knows, as in one that everybody does."""
    said = {"id": "org-1", "name": f"of {KEY}", "headers": {"authorization": [f"Bearer {KEY}"]}}
    body = json.dumps({"organizations": [said]}).encode()
    with answering(200, "application/json", body) as base_url:
        client = neon_at(base_url, tmp_path, KEY)
        (page,) = client.organizations()
        client.close()
    (row,) = page.to_pylist()
    assert row["org_id"] == "org-1"
    assert row["name"] == "of ***"
    assert json.loads(row["extra"]) == {"item.headers": {"authorization": ["Bearer ***"]}}
