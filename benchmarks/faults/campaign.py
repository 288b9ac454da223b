"""Twelve local authorities, a provider that counts, and the services that run them."""

import contextlib
import hashlib
import io
import json
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg2
from PIL import Image

from streetimd_assets.defs.house import House
from streetimd_assets.errors import StreetIMDError
from streetimd_assets.settings import Settings
from streetimd_assets.store.images import ImageStore
from streetimd_assets.study import load_study
from streetimd_tests.deploy.asking import ENDED, ask, rows, wait_for_location
from streetimd_tests.deploy.compose import REPOSITORY, read_environment_file
from streetimd_tests.deploy.local_services import LocalServices, started
from streetimd_tests.standins.google import Running, serve_google
from streetimd_tests.standins.local_files import write_districts

# tables by local authority and name, and the hash of each picture
Contents = dict[str, pd.DataFrame | str]

KEY = "a-key-that-no-log-may-show"
# copies of one invented district, under names and codes that England has
PLACES = {
    "Barking and Dagenham": "E09000002",
    "Barnet": "E09000003",
    "Bexley": "E09000004",
    "Brent": "E09000005",
    "Bromley": "E09000006",
    "Camden": "E09000007",
    "Croydon": "E09000008",
    "Ealing": "E09000009",
    "Enfield": "E09000010",
    "Greenwich": "E09000011",
    "Hackney": "E09000012",
    "Hammersmith and Fulham": "E09000013",
}
PATIENCE_S = 900
N_CONNECTIONS = 4
BACKFILL = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
RUNS = """query($backfillId: String!) { partitionBackfillOrError(backfillId: $backfillId) {
    ... on PartitionBackfill { status runs(limit: 100) { runId status tags { key value } } } } }"""
EVENTS = (
    "SELECT partition, asset_key, event FROM event_logs "
    "WHERE run_id = %s AND dagster_event_type = 'ASSET_MATERIALIZATION'"
)
FAILURE = (
    "SELECT event FROM event_logs WHERE run_id = %s "
    "AND dagster_event_type IN ('STEP_FAILURE', 'PIPELINE_FAILURE') ORDER BY id"
)
STUDY = """name = "faults"
local_authorities = {places}
category_set = "demo"
{sections}
[sampling]
spacing_m = 100
[encoder]
model = "streetimd-demo"
weights = "bundled"
[imagery]
source = "google"
address = "{address}"
image_size_px = 160
accept_terms = true
retain_images = true
max_connections = {n_connections}
[budget]
max_images_per_month = 1000000
"""


@dataclass
class Run:
    """A run as the UI shows it."""

    run_id: str
    slug: str
    status: str


@dataclass
class Pictures:
    """Images held at a moment, and what the provider had been asked by then."""

    held: set[str]
    asked: Counter[str]


@dataclass
class Campaign:
    """The study that is run again and again, and what is known of it."""

    services: LocalServices
    google: Running
    seed: int
    # tables and pictures of a study that nothing disturbed
    whole: Contents = field(default_factory=dict)
    n_restarts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.study = load_study(self.services.data / "faults.toml")
        self.house = House(self.study, Settings("faults", self.services.data))
        self.random = random.Random(self.seed)

    @property
    def slugs(self) -> tuple[str, ...]:
        """Partitions of the study."""
        return self.study.slugs

    def reset(self) -> None:
        """Begin with nothing collected."""
        shutil.rmtree(self.house.folder, ignore_errors=True)

    def launch(self, slugs: Sequence[str]) -> list[Run]:
        """Launch job collect for local authorities as the UI does, and return the runs once all are there."""
        params = {
            "selector": {
                "partitionSetName": "collect_partition_set",
                "repositorySelector": {
                    "repositoryLocationName": "streetimd",
                    "repositoryName": "__repository__",
                },
            },
            "partitionNames": list(slugs),
        }
        launched = ask(self.services, BACKFILL, params=params)["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        self.backfill = launched["backfillId"]
        return self.until(lambda: found if len(found := self.runs()) == len(slugs) else None, "the runs")

    def runs(self) -> list[Run]:
        """Return the runs of the latest launch."""
        told = ask(self.services, RUNS, backfillId=self.backfill)["partitionBackfillOrError"]["runs"]
        tags = [{tag["key"]: tag["value"] for tag in run["tags"]} for run in told]
        return [
            Run(run["runId"], of["dagster/partition"], run["status"]) for run, of in zip(told, tags, strict=True)
        ]

    def wait_until_ended(self) -> list[Run]:
        """Return the runs once the UI shows each as ended."""

        def ended() -> list[Run] | None:
            found = self.runs()
            return found if all(run.status in ENDED for run in found) else None

        return self.until(ended, "the runs to end")

    def until(self, answer: Callable[[], Any], what: str) -> Any:
        """Ask until there is an answer, restarting what has ended meanwhile as Docker would."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self.n_restarts.update(self.services.revive())
            # while the database or the code server is away, the webserver has no answer
            with contextlib.suppress(OSError, KeyError, TypeError, psycopg2.Error):
                if (given := answer()) is not None:
                    return given
            assert time.monotonic() < deadline, f"waited {PATIENCE_S} s for {what}"
            time.sleep(0.5)

    def wait_for_progress(self, share: float) -> float:
        """Return once so much of the study is there, by tables and pictures."""
        return self.until(lambda: done if (done := self.progress()) >= share else None, f"{share:.0%} of progress")

    def progress(self) -> float:
        """Mean of the shares of tables and of pictures that are there, of those of an undisturbed study."""
        n_tables = len([path for path in self.table_files() if path.parts[-3] in self.tables_of_one()])
        n_pictures = sum(len(self.held(slug)) for slug in self.slugs)
        all_pictures = sum(name.endswith(".jpg") for name in self.whole)
        return (n_tables / (len(self.whole) - all_pictures) + n_pictures / all_pictures) / 2

    def table_files(self) -> list[Path]:
        return list((self.house.folder / "tables").glob("*/local_authority=*/part.duckdb"))

    def held(self, slug: str) -> dict[str, dict[str, Any]]:
        """Images that are held, by name."""
        recorded = ImageStore(self.house.folder, slug).recorded()
        return {name: row for name, row in recorded.items() if row["status"] == "ok"}

    def pictures(self) -> "Pictures":
        """Names of all images that are held now, and how often each has been asked for."""
        held = {name for slug in self.slugs for name in self.held(slug)}
        return Pictures(held, self.asked())

    def asked_again(self, before: "Pictures") -> list[str]:
        """Images that were held then and have been asked for since."""
        return sorted(name for name in self.asked() - before.asked if name in before.held)

    def asked(self) -> Counter[str]:
        """How often the provider has been asked for each image."""
        return Counter(self.google.counts()["asked"])

    def contents(self) -> Contents:
        """Read every table of every local authority, and hash each picture.

        The plan of images is left out: it says what was held when it was made.

        Raises
        ------
        StreetIMDError
            If one cannot be read: it is torn.
        """
        found: Contents = {}
        for path in self.table_files():
            name, slug = path.parts[-3], path.parts[-2].partition("=")[2]
            if name != "imagery_plan":
                found[f"{slug}/{name}"] = self.house.store.read(name, slug)
        for slug in self.slugs:
            for name, row in self.held(slug).items():
                data = (self.house.folder / row["image_path"]).read_bytes()
                found[f"{slug}/{name}.jpg"] = hashlib.sha256(data).hexdigest()
        return found

    def torn(self) -> list[str]:
        """Tables that cannot be read and pictures that are not what was recorded of them."""
        found = []
        for path in self.table_files():
            try:
                self.house.store.read(path.parts[-3], path.parts[-2].partition("=")[2])
            except StreetIMDError as error:
                found.append(str(error))
        for slug in self.slugs:
            for name, row in self.held(slug).items():
                data = (self.house.folder / row["image_path"]).read_bytes()
                if hashlib.sha256(data).hexdigest() != row["sha256"] or not is_picture(data):
                    found.append(f"{slug}/{name}")
        return found

    def untruths(self, runs: Sequence[Run]) -> list[str]:
        """What the UI says of runs and the files do not bear out."""
        found = []
        for run in runs:
            told = self.materialised(run)
            if run.status == "SUCCESS" and set(told) != set(self.tables_of_one()):
                found.append(f"{run.slug} succeeded without {sorted(set(self.tables_of_one()) - set(told))}")
            if run.status == "FAILURE" and not self.reasons(run):
                found.append(f"{run.slug} failed and does not say why")
            for name, n_rows in told.items():
                if n_rows is not None and len(self.house.store.read(name, run.slug)) != n_rows:
                    found.append(f"{name} of {run.slug} has not the {n_rows} rows that are shown")
        return found

    def lacks_answers(self, slug: str) -> bool:
        """Return whether something was not answered, as ``n_failed`` of panoramas and images tells in the UI."""
        tables = (self.house.store.read(name, slug, ["status"]) for name in ("panoramas", "street_images"))
        return any(bool((table["status"] == "failed").any()) for table in tables)

    def tables_of_one(self) -> list[str]:
        """Tables that a run of one local authority leaves."""
        return sorted({name.split("/")[1] for name in self.whole if not name.endswith(".jpg")})

    def materialised(self, run: Run) -> dict[str, int | None]:
        """Tables that a run says it has made, and their rows."""
        found: dict[str, int | None] = {}
        for _, key, event in rows(self.services, EVENTS, run.run_id):
            (name,) = json.loads(key)
            data = json.loads(event)["dagster_event"]["event_specific_data"]["materialization"]
            counts = [
                entry["entry_data"]["value"]
                for entry in data["metadata_entries"]
                if entry["label"] == "dagster/row_count"
            ]
            if name in self.tables_of_one():
                found[name] = counts[0] if counts else None
        return found

    def reasons(self, run: Run) -> list[str]:
        """Why a run failed, as its events say."""
        texts = []
        for (event,) in rows(self.services, FAILURE, run.run_id):
            told = json.loads(event)["dagster_event"]
            data = told["event_specific_data"] or {}
            ours = (data.get("user_failure_data") or {}).get("description")
            theirs = (data.get("error") or {}).get("message")
            texts.append(ours or theirs or told["message"] or "")
        return [text for text in texts if text]

    def kill(self, *names: str) -> None:
        """End services by SIGKILL, and start them again a little later, as Docker does."""
        self.services.stop(*names, sign=signal.SIGKILL)
        # the database's own processes notice after a moment that their first one is gone
        time.sleep(3)
        for name in names:
            self.services.start(name)


def differences(whole: Contents, found: Contents) -> list[str]:
    """Name the tables and pictures that are missing, too many, or of other contents.

    An embedding differs in its last digit with the pictures that it shared a batch with, and those are others
    after a run was stopped: numbers are the same within a millionth.
    """
    return sorted(name for name in whole | found if not _is_same(whole.get(name), found.get(name)))


def _is_same(one: pd.DataFrame | str | None, other: pd.DataFrame | str | None) -> bool:
    if not isinstance(one, pd.DataFrame) or not isinstance(other, pd.DataFrame):
        return isinstance(one, str) and one == other
    try:
        pd.testing.assert_frame_equal(one, other, check_exact=False, rtol=0, atol=1e-6)
    except AssertionError:
        return False
    return True


def is_picture(data: bytes) -> bool:
    """Return whether a picture can be read to its end."""
    try:
        Image.open(io.BytesIO(data)).load()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def campaign(folder: Path, seed: int) -> Iterator[Campaign]:
    """Start the provider and the services, with a study of twelve local authorities."""
    variables = read_environment_file(REPOSITORY / "deploy" / "env.example")
    variables |= {"POSTGRES_PASSWORD": "of-this-campaign", "STREETIMD_STUDY": "/data/faults.toml"}
    variables["GOOGLE_MAPS_API_KEY"] = KEY
    sections = write_districts(folder / "places", list(PLACES.values()))
    with serve_google(key=KEY, latency_s=0.05, seed=seed % 1000) as google:
        study = STUDY.format(
            places=json.dumps([*PLACES]), sections=sections, address=google.address, n_connections=N_CONNECTIONS
        )
        with started(folder, variables, {"faults.toml": study}) as services:
            wait_for_location(services)
            yield Campaign(services, google, seed)
