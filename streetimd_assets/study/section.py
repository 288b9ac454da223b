"""What the sections of a study have in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the study file: no field but those declared, and none changed after it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)
