"""How much is borne of a vendor before it is left alone: the same for all, each a setting."""

from dataclasses import dataclass

from pipelines.settings import byte_count, positive, setting


@dataclass(frozen=True)
class Limits:
    """What hangs, floods or never ends stops here, and the run goes on with the next."""

    request_seconds: int = setting(
        "LIMIT_REQUEST_SECONDS",
        "120",
        "a request with all of its tries, but for the waits that a vendor asks for",
        positive,
    )
    lost_seconds: int = setting(
        "LIMIT_LOST_SECONDS",
        "300",
        "what a vendor leaves without an answer in a run; then it is asked no further",
        positive,
    )
    retry_after_seconds: int = setting(
        "LIMIT_RETRY_AFTER_SECONDS",
        "300",
        "waits that a vendor asks for; beyond, it is asked no further, and the run says when to "
        "come back",
        positive,
    )
    clock_seconds: int = setting(
        "LIMIT_CLOCK_SECONDS",
        "300",
        "how far the clock of this machine may be off from a vendor's; beyond, it is asked no "
        "further",
        positive,
    )
    answer_bytes: int = setting("LIMIT_ANSWER_SIZE", "64MB", "an answer as it is sent", byte_count)
    unpacked_bytes: int = setting(
        "LIMIT_UNPACKED_SIZE", "256MB", "the same answer when it is unpacked", byte_count
    )
    pages: int = setting("LIMIT_PAGES", "1000", "pages of one walk", positive)
