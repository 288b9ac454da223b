"""Only the one known torchvision failure is mended; torch is loaded only when asked for."""

import subprocess
import sys

REPORT = """
from streetimd_assets.encoders import torchvision_shim
try:
    print("imported", torchvision_shim.import_torchvision().__name__)
except RuntimeError as error:
    print("raised", error)
print("declared", len(torchvision_shim._declared))
"""


def run(code, first_on_path=None):
    path = [str(first_on_path)] if first_on_path else []
    prepared = f"import sys; sys.path[:0] = {path + sys.path!r}\n{code}"
    done = subprocess.run([sys.executable, "-c", prepared], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def write_torchvision(folder, code):
    (folder / "torchvision").mkdir()
    (folder / "torchvision" / "__init__.py").write_text(code)


def test_a_torchvision_that_imports_is_left_alone(tmp_path):
    write_torchvision(tmp_path, "")
    assert run(REPORT, tmp_path) == ["imported torchvision", "declared 0"]


def test_any_other_failure_of_torchvision_is_passed_on(tmp_path):
    write_torchvision(tmp_path, "raise RuntimeError('the disk is on fire')")
    assert run(REPORT, tmp_path) == ["raised the disk is on fire", "declared 0"]


def test_missing_operators_are_declared_once(tmp_path):
    write_torchvision(
        tmp_path,
        "import torch\nif not hasattr(torch.ops.torchvision, 'nms'):\n"
        "    raise RuntimeError('operator torchvision::nms does not exist')\n",
    )
    assert run(REPORT, tmp_path) == ["imported torchvision", "declared 1"]


def test_opening_the_room_loads_no_torch():
    code = "import streetimd_assets.encoders, sys; print('torch' in sys.modules, 'open_clip' in sys.modules)"
    assert run(code) == ["False False"]
