"""What assets are handed: the CLIP encoder, loaded once and only when an image or a phrase needs it."""

from functools import cached_property

from streetimd_assets.encoders.base import Encoder, load_encoder
from streetimd_assets.store.tables import TableStore
from streetimd_assets.store.vintage import record_encoder, settle_encoder
from streetimd_assets.study.encoder import EncoderChoice


class LazyEncoder:
    """The study's encoder; loading it costs seconds and hundreds of megabytes.

    Where the study leaves the precision open, it is that of the embeddings in the store, on whatever machine.
    """

    def __init__(self, choice: EncoderChoice, store: TableStore) -> None:
        self._choice = choice
        self._store = store

    @cached_property
    def loaded(self) -> Encoder:
        """The encoder itself."""
        choice = self._choice
        return load_encoder(
            choice.model,
            choice.weights,
            batch_size=choice.batch_size,
            device=choice.device,
            precision=choice.precision,
            settle=lambda identity: settle_encoder(self._store, identity),
        )

    def lead(self) -> None:
        """Let a precision that the study asks for be what it is embedded in from now on.

        Called once images have been embedded in it; what only reads embeddings leaves the study's as it is.
        """
        if self._choice.precision != "auto":
            record_encoder(self._store, self.loaded.identity)
