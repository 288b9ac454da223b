"""What assets are handed: the CLIP encoder, loaded once and only when an image or a phrase needs it."""

from functools import cached_property

from streetimd_assets.encoders.base import Encoder, load_encoder
from streetimd_assets.study.model import EncoderChoice


class LazyEncoder:
    """The study's encoder; loading it costs seconds and hundreds of megabytes."""

    def __init__(self, choice: EncoderChoice) -> None:
        self._choice = choice

    @cached_property
    def loaded(self) -> Encoder:
        """The encoder itself."""
        return load_encoder(
            self._choice.model,
            self._choice.weights,
            batch_size=self._choice.batch_size,
            device=self._choice.device,
        )
