"""Erne's web inspector with one profile. Every method may be called from any thread; long work lets go of the GIL."""

#: Changes whenever a signature here does.
API: int
VERSION: str

class Guard:
    """A compiled profile; its JSON is that of ``POST /api/v1/agent/hello``. ``ValueError`` says what is wrong with it."""

    def __new__(cls, profile: bytes) -> Guard: ...
    @property
    def notes(self) -> list[str]:
        """What of the profile has no effect in this version."""

    def mode(self, target: str) -> str:
        """``off``, ``lite``, ``monitor`` or ``protection``, for a path as it came."""

    def banned(self, ip: str, now: float) -> str | None:
        """The reason of a ban that holds at ``now``, in seconds since 1970."""

    def take(self, ip: str, now: float) -> int:
        """Counts a request of a client: 0, or the seconds to wait. ``now`` may be of any clock that does not go back."""

    def inspect(
        self,
        method: str,
        target: str,
        headers: list[tuple[str, str]],
        body: bytes,
        truncated: bool,
        http_version: str,
        ip: str,
        now: float,
        id: str | None,
        route: str | None,
    ) -> tuple[bool, bytes | None]:
        """Whether to block, and the verdict's JSON as the gateway tells it if anything was found."""
