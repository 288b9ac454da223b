"""What a long step says in the run's log: how far it is, how fast, and how long it will still take."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streetimd_assets.encoders.base import Encoder

# a line now and then: the log is kept with the run
SECONDS_BETWEEN_LINES = 15.0


class Progress:
    """Turns counts of what is done into lines such as "camden: 2,048 of 9,600 images embedded, ...".

    Parameters
    ----------
    say
        Told each line.
    doing
        What is done, said after the counts, such as "images embedded".
    slug
        The local authority, said first.
    clock
        Seconds from some beginning; replaced in tests.
    """

    def __init__(
        self, say: Callable[[str], None], doing: str, slug: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._say = say
        self._doing = doing
        self._slug = slug
        self._clock = clock
        self._started: tuple[float, int] | None = None
        self._told_at = float("-inf")

    def __call__(self, n_done: int, n_all: int) -> None:
        """Say how far it is, if the last line is a while ago or all is done."""
        now = self._clock()
        if self._started is None:
            # what was there already came at no pace
            self._started = (now, n_done)
        if n_done < n_all and now - self._told_at < SECONDS_BETWEEN_LINES:
            return
        self._told_at = now
        self._say(f"{self._slug}: {n_done:,} of {n_all:,} {self._doing}{self._pace(now, n_done, n_all)}")

    def _pace(self, now: float, n_done: int, n_all: int) -> str:
        started, n_before = self._started or (now, n_done)
        seconds, n_new = now - started, n_done - n_before
        if seconds < 1 or n_new <= 0:
            return ""
        pace = n_new / seconds
        left = f", {in_words((n_all - n_done) / pace)} left" if n_done < n_all else f", {in_words(seconds)} in all"
        return f", {pace:,.1f} a second{left}"


def in_words(seconds: float) -> str:
    """Say a length of time in the unit a person would use.

    Examples
    --------
    >>> in_words(42), in_words(130), in_words(9000)
    ('42 s', '2 min', '2 h 30 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


@dataclass
class Pace:
    """Images embedded, and the seconds that reading, decoding and embedding them took."""

    n_images: int = 0
    seconds: float = 0.0

    def add(self, n_images: int, seconds: float) -> None:
        """Count some more."""
        self.n_images += n_images
        self.seconds += seconds

    def described(self, model: Encoder) -> dict[str, Any]:
        """Return images per second and what share that is of the most this machine could do, if any were new."""
        if not self.n_images or self.seconds <= 0:
            return {}
        rate = self.n_images / self.seconds
        return {
            "images_per_second": round(rate, 2),
            "share_of_matrix_multiply_peak": round(rate / model.images_per_second_at_most, 3),
        }
