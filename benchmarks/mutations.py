"""Plant each bug that R² cannot see, and name the ordinary test that fails.

    python -m benchmarks.mutations

Each bug is one replacement in the source, which has to match exactly once. The project is copied into a
temporary folder, patched there, and its own tests are run against the copy, also in the processes that they
start: first those of the folders that the bug has most to do with, and the rest only if none of them failed.
A test that fails without the bug too has caught nothing. A bug that no test catches fails the command. The
one file of tests left out is that of this list itself.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
OWN_TEST = "streetimd_tests/test_mutations.py"
# a line of pytest's short summary; what a test is given may hold spaces
FAILED_TEST = re.compile(r"^(?:FAILED|ERROR) (\S+::[^\s\[]+(?:\[.*?\])?)(?= - |$)", flags=re.MULTILINE)


@dataclass(frozen=True)
class Mutation:
    """A bug: what it is called, where it is planted, and the tests (folders or files) it has most to do with."""

    bug: str
    name: str
    path: str
    old: str
    new: str
    folders: tuple[str, ...]

    def apply(self, project: Path) -> None:
        """Patch the file in a copy of the project.

        Raises
        ------
        ValueError
            If the text to be replaced does not stand there exactly once: the bug would be another or none.
        """
        file = project / self.path
        source = file.read_text(encoding="utf-8")
        if source.count(self.old) != 1:
            raise ValueError(
                f"{self.path} has {source.count(self.old)} times what '{self.name}' replaces, not once; "
                "write the replacement anew for the source as it is now"
            )
        patched = source.replace(self.old, self.new)
        compile(patched, self.path, "exec")
        file.write_text(patched, encoding="utf-8")


MUTATIONS = (
    Mutation(
        "softmax without logit scale",
        "no_logit_scale",
        "streetimd_assets/science/classification.py",
        "logits = logit_scale * similarity.astype(np.float64)",
        "logits = similarity.astype(np.float64)",
        ("streetimd_tests/science",),
    ),
    Mutation(
        "softmax without logit scale",
        "logit_scale_not_read",
        "streetimd_assets/encoders/clip.py",
        "self.logit_scale = float(network.logit_scale.detach().float().exp())",
        "self.logit_scale = 1.0",
        ("streetimd_tests/encoders",),
    ),
    Mutation(
        "un-normalised embeddings",
        "not_normalised",
        "streetimd_assets/encoders/clip.py",
        "return torch.nn.functional.normalize(vectors.float(), dim=-1)",
        "return vectors.float()",
        ("streetimd_tests/encoders",),
    ),
    Mutation(
        "the same heading four times",
        "same_heading_downloaded",
        "streetimd_assets/sources/imagery/providers/google.py",
        '"heading": _number(heading_deg),',
        '"heading": _number(0.0),',
        ("streetimd_tests/sources/imagery",),
    ),
    Mutation(
        "the same heading four times",
        "same_heading_cut",
        "streetimd_assets/sources/imagery/views.py",
        "(heading_deg - camera_heading_deg)) / 360",
        "(0.0 - camera_heading_deg)) / 360",
        ("streetimd_tests/sources/imagery",),
    ),
    Mutation(
        "category order rotated",
        "categories_rotated",
        "streetimd_assets/science/classification.py",
        'names = offered["category"].to_numpy(dtype=object)',
        'names = np.roll(offered["category"].to_numpy(dtype=object), 1)',
        ("streetimd_tests/science",),
    ),
    Mutation(
        "rank sign flipped",
        "rank_flipped",
        "streetimd_assets/sources/deprivation.py",
        'table[name] = numbers if name.endswith("_score") else numbers.astype("int32")',
        'flipped = numbers.max() + 1 - numbers if name.endswith("_rank") else numbers\n'
        '        table[name] = flipped if name.endswith("_score") else flipped.astype("int32")',
        ("streetimd_tests/sources",),
    ),
    Mutation(
        "rank sign flipped",
        "rank_flipped_in_correlation",
        "streetimd_assets/science/correlation.py",
        "pearson = correlate(vectors, values)",
        'pearson = correlate(vectors, -values if str(measure.name).endswith("_rank") else values)',
        ("streetimd_tests/science",),
    ),
    Mutation(
        "100 m datum shift",
        "no_datum_shift",
        "streetimd_assets/science/geography.py",
        'WGS_84 = "EPSG:4326"',
        'WGS_84 = "EPSG:4277"',
        ("streetimd_tests/science",),
    ),
    Mutation(
        "off-by-one row join",
        "embeddings_of_next_image",
        "streetimd_assets/defs/features.py",
        "functools.partial(house.store.read_embeddings_of, context.partition_key),",
        "lambda names: house.store.read_embeddings_of(context.partition_key, [*names[1:], *names[:1]]),",
        ("streetimd_tests/test_one_local_authority.py",),
    ),
    Mutation(
        "off-by-one row join",
        "target_of_next_lsoa",
        "streetimd_assets/science/matrices.py",
        "    return ordered, known\n",
        "    return ordered, pd.Series(np.roll(known, 1), known.index, name=known.name)\n",
        ("streetimd_tests/science",),
    ),
    Mutation(
        "point-level instead of LSOA-level split",
        "points_split",
        "streetimd_assets/science/matrices.py",
        "    return ordered, known\n",
        # each LSOA as the rows of several points, which land in different folds
        "    return pd.concat([ordered] * 3, ignore_index=True), known\n",
        ("streetimd_tests/science",),
    ),
    Mutation(
        "choosing dimensions outside CV",
        "dimensions_chosen_outside",
        "streetimd_assets/science/matrices.py",
        "    return ordered, known\n",
        '    vectors = np.stack(list(ordered["mean_embedding"]))\n'
        "    r = np.nan_to_num(np.abs(np.corrcoef(vectors.T, known)[-1, :-1]))\n"
        "    chosen = r >= np.quantile(r, 0.9)\n"
        "    return ordered.assign(mean_embedding=list(np.where(chosen, vectors, 0).astype(np.float32))), known\n",
        ("streetimd_tests/science",),
    ),
)


@contextmanager
def copied_project() -> Iterator[Path]:
    """Copy what git knows of the project, and what it does not ignore, into a temporary folder."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        copy = Path(folder, "project")
        for name in filter(None, listed.split("\0")):
            if (PROJECT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(PROJECT / name, copy / name)
        yield copy


@dataclass(frozen=True)
class Run:
    """A run of tests: which failed, and how long it took."""

    failed: list[str]
    seconds: float


def run_tests(copy: Path, arguments: Sequence[str]) -> Run:
    """Run tests of the copy, whose package is found before the installed one by every process they start.

    Raises
    ------
    RuntimeError
        If the tests could not be run at all: that is no test that failed.
    """
    path = os.pathsep.join(filter(None, (str(copy), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path}
    _require_copy_wins(copy, environment)
    command = [sys.executable, "-m", "pytest", "-q", "-rfE", "--tb=no", "-p", "no:cacheprovider"]
    command += [f"--ignore={OWN_TEST}", *arguments]
    started = time.monotonic()
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    failed = FAILED_TEST.findall(done.stdout)
    if done.returncode not in (0, 1) or bool(failed) != (done.returncode == 1):
        raise RuntimeError(f"the tests could not be run:\n{done.stdout[-3000:]}\n{done.stderr[-1000:]}")
    return Run(failed, time.monotonic() - started)


def _require_copy_wins(copy: Path, environment: dict[str, str]) -> None:
    code = "import streetimd_assets; print(streetimd_assets.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=copy.parent, env=environment, capture_output=True, text=True, check=True
    )
    if not Path(found.stdout.strip()).is_relative_to(copy):
        raise RuntimeError(f"{found.stdout.strip()} is imported and not the copy, so no bug would be planted")


def catch(mutation: Mutation, broken: set[str], *, is_first_enough: bool) -> list[str]:
    """Plant a bug in a copy and return the tests that fail because of it.

    Tests that fail where no bug is planted are added to `broken` and left out from then on.
    """
    rest = [f"--ignore={folder}" for folder in mutation.folders]
    with copied_project() as copy:
        mutation.apply(copy)
        for where, chosen in ((" ".join(mutation.folders), ["-n0", *mutation.folders]), ("the rest", rest)):
            run = run_unbroken_tests(copy, [*(["-x"] if is_first_enough else []), *chosen], broken)
            said = f"{len(run.failed)} failed" if run.failed else "none failed"
            print(f"{mutation.bug} ({mutation.name}): {said} in {where}, {run.seconds:,.0f} s", flush=True)
            for test in run.failed:
                print(f"    {test}", flush=True)
            if run.failed:
                return run.failed
    return []


def run_unbroken_tests(copy: Path, arguments: Sequence[str], broken: set[str]) -> Run:
    """Run tests until none is among the failed that would fail without the bug too."""
    while True:
        run = run_tests(copy, [*arguments, *(f"--deselect={test}" for test in sorted(broken))])
        anyway = failing_without_bug(run.failed)
        if not anyway:
            return run
        broken |= anyway
        if len(anyway) < len(run.failed):
            return Run([test for test in run.failed if test not in anyway], run.seconds)


def failing_without_bug(tests: list[str]) -> set[str]:
    if not tests:
        return set()
    with copied_project() as copy:
        return set(run_tests(copy, ["-n0", *tests]).failed)


def check_baseline(mutations: Sequence[Mutation]) -> None:
    """See that the tests of those folders pass where no bug is planted."""
    folders = list(dict.fromkeys(folder for mutation in mutations for folder in mutation.folders))
    with copied_project() as copy:
        run = run_tests(copy, ["-n0", *folders])
    print(f"no bug: {len(run.failed)} failed in {' '.join(folders)}, {run.seconds:,.0f} s", flush=True)
    if run.failed:
        sys.exit("without a bug these should pass: " + ", ".join(run.failed))


def main(arguments: argparse.Namespace) -> None:
    """Plant the bugs one by one, and fail if one is not caught."""
    mutations = [one for one in MUTATIONS if not arguments.bug or one.name in arguments.bug]
    if arguments.baseline:
        check_baseline(mutations)
    broken: set[str] = set()
    uncaught = [one.name for one in mutations if not catch(one, broken, is_first_enough=not arguments.all)]
    if broken:
        print("failed without a bug too, and so caught none: " + ", ".join(sorted(broken)))
    print(f"{len(mutations) - len(uncaught)} of {len(mutations)} bugs are caught by ordinary tests")
    if uncaught:
        sys.exit("no test catches " + ", ".join(uncaught))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    names = [one.name for one in MUTATIONS]
    parser.add_argument("--bug", action="append", choices=names, help="plant this one; may be given several times")
    parser.add_argument("--all", action="store_true", help="name every test that fails, not the first alone")
    parser.add_argument("--baseline", action="store_true", help="first run the same tests where no bug is planted")
    main(parser.parse_args())
