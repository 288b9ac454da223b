"""CSV files for spreadsheets, which run a text that looks like a formula."""

import re
from typing import Any

import pandas as pd

# names made of letters, digits, "-", "_", "." and "@" alone begin with "-" and are none
_FORMULA = re.compile(r"[=+@\t\r]|-(?![\w.@-]*$)")


def harmless(cells: pd.Series) -> pd.Series:
    """Return cells with an apostrophe before each text that a spreadsheet would run.

    Those are texts that begin with ``=``, ``+``, ``-`` or ``@``. What begins with ``-`` and is made of
    letters, digits, ``-``, ``_``, ``.`` and ``@`` alone stays as it is: the names of panoramas are.
    """
    return cells.map(_harmless)


def _harmless(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell
