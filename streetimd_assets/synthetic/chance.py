"""Seeded chance without a state: a number from a key, whoever asks first and in whatever order.

A generator's next number depends on what was drawn before it, so two partitions, or two runs that
stop at different places, would see different worlds. Here every number is the hash of its key.
"""

import hashlib
from statistics import NormalDist

_STANDARD_NORMAL = NormalDist()


def fraction(*key: object) -> float:
    """Return a number uniform on [0, 1), fixed by its key.

    Parameters
    ----------
    key
        Texts and whole numbers that name the number.

    Examples
    --------
    >>> fraction("rain", 1) == fraction("rain", 1)
    True
    >>> fraction("rain", 1) == fraction("rain", 2)
    False
    """
    digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def whole_number(*key: object, below: int) -> int:
    """Return a whole number uniform on 0 to ``below`` - 1, fixed by its key."""
    return int(fraction(*key) * below)


def normal(*key: object) -> float:
    """Return a standard normal number, fixed by its key."""
    # half a step up keeps the argument off zero, where the quantile is infinite
    return _STANDARD_NORMAL.inv_cdf(fraction(*key) + 2.0**-54)


def uniform(low: float, high: float, *key: object) -> float:
    """Return a number uniform on [``low``, ``high``), fixed by its key."""
    return low + (high - low) * fraction(*key)
