"""Which CLIP model a study reads its images with, and how it computes."""

from typing import Annotated, Literal

from pydantic import Field

from streetimd_assets.study.section import Section


class EncoderChoice(Section):
    """Which CLIP model reads the images."""

    model: str = Field(
        default="ViT-B-32-quickgelu", description="open_clip model with 512 dimensions, or streetimd-demo"
    )
    weights: str = Field(
        default="openai", description="open_clip tag, path of a local checkpoint, or 'bundled' for the demo"
    )
    batch_size: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = Field(
        default="auto", description="images embedded together, 1 to 1024; auto: as many as the device likes"
    )
    chunk_size: int = Field(default=2048, ge=1, description="images per resumable chunk file")
    device: str = Field(default="auto", description="auto, cpu or cuda")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto",
        description="bits of the weights: fp32, or bf16, twice as fast where the processor or GPU has it and "
        "alike to a cosine of .9999; auto: as the study's images are embedded already, else what is fast on the "
        "machine that embeds first, and all others follow it",
    )

    @property
    def deciding(self) -> tuple[str, ...]:
        """What decides embeddings; a precision left open is that which the study has, so nothing is stale."""
        return (
            (self.model, self.weights) if self.precision == "auto" else (self.model, self.weights, self.precision)
        )
