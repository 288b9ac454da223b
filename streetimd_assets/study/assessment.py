"""The section of a study that says how many images people are shown, and what is tried on the categories."""

from pydantic import Field, field_validator

from streetimd_assets.study.section import Section


class Assessment(Section):
    """How many images are chosen for people to look at."""

    n_per_category: int = Field(default=12, ge=1, le=200, description="images per category and reason")
    n_least_decisive: int = Field(default=24, ge=1, le=500, description="least decisive images")
    control_prompts: tuple[str, ...] = Field(
        default=("a cucumber",),
        description="what no street shows: as a category it should take under 0.5% of the images; [] for none",
    )
    rewordings: tuple[str, ...] = Field(
        default=("{}", "a picture of {}.", "{} seen from the road."),
        description="sentences the prompts are put into to see which images change category; [] for none",
    )
    n_labels_per_group: int = Field(
        default=50, ge=1, le=1000, description="images to label per predicted category and half of its confidence"
    )
    n_labels_at_random: int = Field(default=300, ge=0, le=10_000, description="images to label at random besides")
    n_example_features: int = Field(
        default=8,
        ge=1,
        le=50,
        description="leading features shown by example; beside them the direction of the model, and of at most "
        "three texts",
    )
    n_examples: int = Field(default=6, ge=1, le=50, description="example images at each end of a feature")
    seed: int = Field(default=1, ge=0, description="seed of the random choices")

    @field_validator("rewordings")
    @classmethod
    def _rewordings_hold_a_place(cls, rewordings: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [sentence for sentence in rewordings if sentence.count("{}") != 1]
        if wrong:
            raise ValueError(f"'{wrong[0]}' must hold {{}} once, where the prompt goes")
        return rewordings
