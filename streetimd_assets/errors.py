"""The family of errors: one clear sentence each, naming the value and the remedy.

::

    StreetIMDError
    ├── StudyError            the study file, or a value in it
    │   └── UnknownLocalAuthorityError
    ├── SourceError           something outside did not answer as it should
    │   ├── BoundaryError     ONS boundaries
    │   ├── RoadError         OpenStreetMap roads
    │   ├── DeprivationError  the Index of Multiple Deprivation
    │   ├── AreaFeaturesError a table of area features
    │   ├── LabelError        files of labels by people
    │   └── ImageryError      street images, their folder or provider
    │       ├── TermsError    the provider's terms are not accepted, or a key is missing
    │       └── BudgetError   a paid provider without a budget, or a limit that is reached
    ├── EncoderError          CLIP models and their weights
    ├── StoreError            tables and image files on disk
    │   ├── TableMissingError
    │   ├── TableUnreadableError
    │   └── DiskFullError
    ├── ScienceError          too few rows, or rows that must not be pooled
    └── ServiceError          the user interface: a busy port, a server that did not start

What the world gets wrong (a place without imagery, a photograph that does not decode) is a row
with a status, never an exception. These classes are for what must stop a run.
"""

from typing import Self


class StreetIMDError(Exception):
    """Root of the family; its text is one sentence fit to show to a user.

    It may quote what somebody else wrote: a sign that does not print, such as a line break or one that steers
    a terminal, becomes a blank.

    Attributes
    ----------
    may_pass
        True where the same may succeed a little later though nobody has done anything: a server that was
        silent or busy, not one that refused.
    """

    may_pass = False

    def __init__(self, sentence: object = "") -> None:
        super().__init__("".join(sign if sign.isprintable() else " " for sign in str(sentence)))

    def passing(self) -> Self:
        """Say that this may pass by itself, and return it to be raised."""
        self.may_pass = True
        return self


class StudyError(StreetIMDError):
    """The study file cannot be read, or a value in it is not allowed."""


class UnknownLocalAuthorityError(StudyError):
    """A local authority is not one of England's, or not one of the study's."""


class SourceError(StreetIMDError):
    """Something outside did not answer as it should."""


class BoundaryError(SourceError):
    """Boundaries of LSOAs could not be had, or are not what they say."""


class RoadError(SourceError):
    """Roads could not be had, or there are none."""


class DeprivationError(SourceError):
    """The deprivation index could not be had, or does not fit the boundaries."""


class AreaFeaturesError(SourceError):
    """A table of area features cannot be read, or does not fit the study's LSOAs."""


class LabelError(SourceError):
    """A file of labels cannot be read, or a row of it is not the study's."""


class ImageryError(SourceError):
    """Street images could not be had."""


class TermsError(ImageryError):
    """A provider may not be asked: its terms are not accepted, or its key is missing."""


class BudgetError(ImageryError):
    """A paid provider has no budget, or a limit of it is reached."""


class EncoderError(StreetIMDError):
    """A CLIP model or its weights cannot be used."""


class StoreError(StreetIMDError):
    """A table or image cannot be written or read."""


class TableMissingError(StoreError):
    """A table has not been materialised yet."""


class TableUnreadableError(StoreError):
    """A table file is not one, or was written by another version."""


class DiskFullError(StoreError):
    """There is no room left where data are kept."""


class ScienceError(StreetIMDError):
    """The rows given cannot answer the question asked of them."""


class ServiceError(StreetIMDError):
    """The user interface cannot be started."""
