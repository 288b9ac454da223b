"""Plant faults while twelve local authorities run through the services, and tell what became of them.

    python -m benchmarks.faults
    python -m benchmarks.faults --only run db --seed 7

Starts the services of docker-compose.yml as processes, with a real PostgreSQL, and a provider of images that
counts what it is asked. Twelve local authorities are collected once undisturbed; then again for each fault,
which comes at a random moment between 10% and 90% of progress, or into the complete study before it is run
once more. What was killed is started again after three seconds, as Docker would. Wanted each time: no image
that was held is asked for again, no table or picture is torn, every run ends in a state that the UI shows and
the files bear out, and launching again what failed, or what says that it lacks answers, leaves the tables and
pictures of the undisturbed study: pictures byte for byte, numbers within a millionth. Exits 1 if anything
else is found. Takes about an hour on two cores.
"""

import argparse
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.faults.campaign import Campaign, Run, campaign, differences
from benchmarks.faults.planting import FAULTS, Fault

DISK_MIB = 1_024
HEAD = (
    f"{'fault':44}{'at':>5}{'runs':>6}{'failed':>8}{'restarts':>10}{'asked again':>13}{'torn':>6}{'untrue':>8}"
    f"{'left out':>10}{'minutes':>9}"
)


@dataclass
class Outcome:
    """What became of one fault."""

    title: str
    at: float | None = None
    runs: list[Run] = field(default_factory=list)
    asked_again: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    untrue: list[str] = field(default_factory=list)
    # after what failed was launched again
    differs: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    n_restarts: int = 0
    minutes: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        at = "" if self.at is None else f"{self.at:.0%}"
        n_failed = sum(run.status != "SUCCESS" for run in self.runs)
        found = (self.asked_again, self.torn, self.untrue, self.differs)
        counts = "".join(f"{len(what):>{width}}" for what, width in zip(found, (13, 6, 8, 10), strict=True))
        return (
            f"{self.title:44}{at:>5}{len(self.runs):>6}{n_failed:>8}{self.n_restarts:>10}{counts}"
            f"{self.minutes:9.1f}"
        )

    def faults(self) -> list[str]:
        """All that is not as it should be."""
        return [*self.asked_again, *self.torn, *self.untrue, *self.differs, *self.wrong]


def plant(here: Campaign, fault: Fault) -> Outcome:
    """Run all local authorities with a fault, launch again what failed, and tell what was found."""
    outcome, began = Outcome(fault.title), time.monotonic()
    here.n_restarts.clear()
    if fault.during is not None:
        here.reset()
    asked_first = here.asked()
    with fault.before(here) if fault.before else nullcontext(here.slugs) as places:
        before = here.pictures()
        here.launch(places)
        if fault.during is not None and here.whole:
            outcome.at = here.wait_for_progress(here.random.uniform(0.1, fault.latest))
            before = here.pictures()
            fault.during(here)
        judge(here, outcome, here.wait_until_ended())
        outcome.asked_again = here.asked_again(before)
        if fault.during is not None:
            outcome.torn = here.torn()
    if missing := [run.slug for run in outcome.runs if run.status != "SUCCESS" or here.lacks_answers(run.slug)]:
        launch_again(here, outcome, missing)
    # what was spoilt on purpose has been made whole by now
    outcome.torn += here.torn()
    twice = [name for name, n in (here.asked() - asked_first).items() if n > 1]
    if fault.most_twice is not None and len(twice) > fault.most_twice:
        outcome.wrong.append(f"{len(twice)} images were asked for twice, beyond the {fault.most_twice} under way")
    here.whole = here.whole or here.contents()
    outcome.differs = differences(here.whole, here.contents())
    outcome.n_restarts, outcome.minutes = here.n_restarts.total(), (time.monotonic() - began) / 60
    n_failed, (fewest, most) = sum(run.status != "SUCCESS" for run in outcome.runs), fault.failed
    if not fewest <= n_failed <= most:
        outcome.wrong.append(f"{n_failed} runs failed, and {fewest} to {most} should have")
    return outcome


def launch_again(here: Campaign, outcome: Outcome, missing: list[str]) -> None:
    """Launch what failed, and what says that it lacks answers, and see that it completes."""
    before = here.pictures()
    here.launch(missing)
    failed = [run for run in here.wait_until_ended() if run.status != "SUCCESS"]
    outcome.wrong += [f"{run.slug} failed again: {here.reasons(run)}" for run in failed]
    outcome.asked_again += here.asked_again(before)


def judge(here: Campaign, outcome: Outcome, runs: list[Run]) -> None:
    """Look at the files and at the UI once every run has ended."""
    outcome.runs = runs
    if here.whole:
        outcome.untrue = here.untruths(runs)
    outcome.reasons = [reason for run in runs if run.status != "SUCCESS" for reason in here.reasons(run)[:1]]


def main() -> int:
    """Plant each fault, print the table, and return 1 if anything is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--only", nargs="+", choices=[*FAULTS], default=[*FAULTS], metavar="FAULT")
    chosen = parser.parse_args()
    # so that the services are ended, whoever ends this
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    print(f"seed {chosen.seed}\n{HEAD}", flush=True)
    outcomes = []
    with (
        tempfile.TemporaryDirectory(prefix="streetimd-faults-") as name,
        small_disk(Path(name)) as is_small,
        campaign(Path(name), chosen.seed) as here,
    ):
        for key in dict.fromkeys(["none", *chosen.only]):
            if key == "disk" and not is_small:
                print(f"{FAULTS[key].title:44} not tried: a small disk needs root and leave to mount", flush=True)
                continue
            outcomes.append(plant(here, FAULTS[key]))
            tell(outcomes[-1])
    n_wrong = sum(bool(outcome.faults()) for outcome in outcomes)
    print("all as it should be" if not n_wrong else f"{n_wrong} NOT AS IT SHOULD BE")
    return int(n_wrong > 0)


def tell(outcome: Outcome) -> None:
    """Print a row, why runs failed, and what is wrong."""
    print(outcome, flush=True)
    for reason, n in Counter(map(first_line, outcome.reasons)).most_common(3):
        print(f"    {n} failed: {reason}", flush=True)
    for wrong in outcome.faults()[:10]:
        print(f"    WRONG: {wrong}", flush=True)


def first_line(text: str) -> str:
    """Cut a reason to what runs have in common: Dagster names the run in each."""
    return re.sub(r"\. Marking run .*", "", text.strip().splitlines()[0])[:150]


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Give the volumes a disk of their own, which can be filled; yield whether that was allowed."""
    volumes = folder / "volumes"
    volumes.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "streetimd-faults", str(volumes)]
    is_small = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield is_small
    finally:
        if is_small:
            subprocess.run(["umount", "--lazy", str(volumes)], check=True)


if __name__ == "__main__":
    sys.exit(main())
