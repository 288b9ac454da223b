"""Import open_clip where PyPI's torchvision wheel stands beside a CPU build of torch.

open_clip imports torchvision. PyPI's torchvision is built for CUDA; beside CPU torch its compiled
operators cannot load, the failure is swallowed, and the import stops at the first operator that is
registered without a schema: ``RuntimeError: operator torchvision::nms does not exist``
(pytorch/vision #9085). CLIP uses none of these operators. Declaring the two missing schemas and
importing again gives a torchvision that is whole except for them; with a matching wheel (CPU or
CUDA) the first import succeeds and nothing here runs.
"""

import importlib
import sys
from types import ModuleType

_MISSING_OPERATOR = "operator torchvision::nms does not exist"
_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
# torch forgets a library's schemas when it is collected, so it is kept for the life of the process
_declared: list[object] = []


def import_torchvision() -> ModuleType:
    """Import torchvision, declaring its missing operators only if just that stopped it.

    Raises
    ------
    RuntimeError
        Whatever else went wrong in torchvision's import, unchanged.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if _MISSING_OPERATOR not in str(error):
            raise
    _declare_operators()
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    return importlib.import_module("torchvision")


def import_open_clip() -> ModuleType:
    """Import open_clip behind a torchvision that imports."""
    import_torchvision()
    return importlib.import_module("open_clip")


def _declare_operators() -> None:
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for schema in _SCHEMAS:
        library.define(schema)
    _declared.append(library)
