"""Secrets are struck from whatever a vendor says, however it writes them.

Not here: which strings are secret (each vendor's client).
"""

import base64
import html
import re
from collections.abc import Iterable, Iterator
from functools import cached_property

# what is shorter is no key, and would be found in what says something else
SHORTEST, SHORTEST_IN_ANSWERS = 4, 12
STRUCK = "***"
_NAMED = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
_CODES = re.compile(r"(?:\\+u00|\\+x|%)([0-9a-fA-F]{2})")


class Secrets:
    """Strings that nobody is to see: as they are, and quoted, escaped, in base64 or as hex."""

    def __init__(self, secrets: Iterable[str]) -> None:
        plain = [secret for secret in secrets if len(secret) >= SHORTEST]
        # the longest first: a token may be part of another secret
        self._forms = sorted({f for s in plain for f in _forms(s)}, key=len, reverse=True)
        self._seen = [form.encode() for form in self._forms if len(form) >= SHORTEST_IN_ANSWERS]

    def strike(self, text: str) -> str:
        """The text without secrets; before any cut, which would leave a part of one unknown."""
        return self._pattern.sub(STRUCK, text) if self._forms else text

    def strike_answer(self, body: bytes) -> bytes:
        """The same of an answer, which may be long, and as a rule has none: that is seen fast."""
        seen = body
        if b"\\" in body or b"%" in body or b"&" in body:
            seen = _plain(body.decode("latin-1")).encode("latin-1", "replace")
        if not any(form in seen for form in self._seen):
            return body
        return re.sub(self._pattern.pattern.encode(), STRUCK.encode(), body)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join("".join(map(_written, form)) for form in self._forms))


def _forms(secret: str) -> Iterator[str]:
    """As it is, as hex, and what is sure of it wherever it stands within base64."""
    data = secret.encode()
    yield from (secret, data.hex(), data.hex().upper())
    for before in range(3):
        text = base64.b64encode(bytes(before) + data).decode().rstrip("=")
        # characters that also tell of what stands before or behind
        sure = text[(0, 2, 3)[before] : len(text) - ((before + len(data)) % 3 > 0)]
        yield from (sure, sure.replace("+", "-").replace("/", "_"))


def _written(character: str) -> str:
    """A pattern of one character: itself, or as JSON, an address or HTML may write it."""
    code, named = ord(character), _NAMED.get(character)
    ways = [rf"\\+u00{code:02x}", rf"\\+x{code:02x}", rf"%(?:25)*{code:02x}"]
    ways += [rf"&(?:amp;)*#(?:0*{code}|x0*{code:x});", *([rf"&(?:amp;)*{named};"] if named else [])]
    return rf"(?:\\*{re.escape(character)}|(?i:{'|'.join(ways)}))"


def _plain(text: str) -> str:
    """What is escaped, even twice, as it reads; good enough to see whether a secret is in it."""
    for _ in range(2):
        text = html.unescape(_CODES.sub(lambda code: chr(int(code[1], 16)), text))
    return text.replace("\\", "")
