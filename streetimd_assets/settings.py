"""Where things are kept: read from the environment, said once.

``STREETIMD_STUDY``
    A bundled study's name or the path of a study file; ``demo`` if unset.
``STREETIMD_DATA``
    The data root; ``data`` below the current folder if unset.
``DAGSTER_HOME``
    Dagster's own folder; ``dagster_home`` in the study's folder if unset.
``STREETIMD_PAGES_URL``
    Where a browser finds the pages that the server of pages shows; ``http://127.0.0.1:3001`` if unset.
``STREETIMD_FAILURE_WEBHOOK``
    An address that is told of each run that fails, once the sensor ``tell_of_failures`` is switched on.

Keys of image providers, and that address, may also stand in a file ``.env`` in the current folder, which is asked
where the environment has nothing.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from streetimd_assets.errors import StudyError


@dataclass(frozen=True)
class Settings:
    """The study chosen and the folders of its data."""

    study: str
    data_root: Path
    pages_url: str = "http://127.0.0.1:3001"

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read the environment variables above."""
        return cls(
            study=os.environ.get("STREETIMD_STUDY") or "demo",
            data_root=Path(os.environ.get("STREETIMD_DATA") or "data").expanduser().resolve(),
            pages_url=(os.environ.get("STREETIMD_PAGES_URL") or cls.pages_url).rstrip("/"),
        )

    def study_folder(self, name: str) -> Path:
        """Folder of one study's tables, images and pages."""
        return self.data_root / name

    def dagster_home(self, name: str) -> Path:
        """Dagster's own folder for a study: runs, event logs, schedules' state.

        Studies share the names of assets and local authorities, so each has a folder of its own.
        """
        # Dagster itself refuses a relative path
        chosen = os.environ.get("DAGSTER_HOME") or self.study_folder(name) / "dagster_home"
        return Path(chosen).expanduser().resolve()


def read_environment() -> Mapping[str, str]:
    """Return the environment, and below it what a file ``.env`` in the current folder says.

    Blanks and line ends around a value are taken off, and a variable without a value is as good as none.

    Raises
    ------
    StudyError
        If there is such a file and it cannot be read as UTF-8.
    """
    path = Path.cwd() / ".env"
    try:
        # some editors of Windows begin a file with a mark, which is no part of the first name
        said = dotenv_values(path, encoding="utf-8-sig")
    except (OSError, UnicodeError) as problem:
        raise StudyError(
            f"'{path}' cannot be read ({type(problem).__name__}); save it as plain text in UTF-8, or remove it"
        ) from None
    below, above = ({name: (value or "").strip() for name, value in each.items()} for each in (said, os.environ))
    return {name: value for name, value in [*below.items(), *above.items()] if value}
