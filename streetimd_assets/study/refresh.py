"""The section of a study that says what is made anew by the calendar, once it has been switched on."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from streetimd_assets.errors import UnknownLocalAuthorityError
from streetimd_assets.study.local_authorities import LocalAuthority, find_local_authority
from streetimd_assets.study.section import Section

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class Refresh(Section):
    """What the schedules in the Dagster UI do. Nothing here switches one on: they are off until you do."""

    local_authorities: tuple[str, ...] = Field(
        default=(),
        description="names, slugs or codes of those asked about anew each month; [] for each collected so far",
    )
    day_of_month: int = Field(
        default=1, ge=1, le=28, description="day on which it is asked which panoramas there are, at 03:00 in London"
    )
    fetch_images: bool = Field(
        default=False,
        description="true: the images that are new may be fetched after that, as far as [budget] allows; false: "
        "only what there is and what it would cost is found out",
    )
    analysis_day: Weekday = Field(
        default="sunday", description="day on which the whole study is analysed, at 05:00 in London"
    )
    panoramas_fresh_days: int = Field(
        default=62, ge=1, description="the UI warns when no panoramas have been asked for in so many days"
    )
    analysis_fresh_days: int = Field(
        default=31, ge=1, description="the UI warns when the analysis is older than so many days"
    )

    def chosen_among(self, authorities: Iterable[LocalAuthority]) -> set[str]:
        """Return the slugs of those named.

        Raises
        ------
        ValueError
            If one is not among them; pydantic makes the study's complaint of it.
        """
        offered = tuple(authorities)
        try:
            return {find_local_authority(name, offered).slug for name in self.local_authorities}
        except UnknownLocalAuthorityError as error:
            raise ValueError(f"refresh.local_authorities: {error}") from None
