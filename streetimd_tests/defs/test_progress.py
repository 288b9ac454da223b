"""The log of a long step tells how far it is, how fast, and how long it will still take."""

import re
from types import SimpleNamespace

from streetimd_assets.defs.progress import SECONDS_BETWEEN_LINES, Progress, in_words


def told(counts, *, n_all, seconds_each):
    lines, clock = [], SimpleNamespace(now=0.0)
    progress = Progress(lines.append, "images embedded", "camden", lambda: clock.now)
    for n_done in counts:
        progress(n_done, n_all)
        clock.now += seconds_each
    return lines


def test_a_line_now_and_then_says_pace_and_time_left():
    lines = told(range(0, 1001, 10), n_all=1000, seconds_each=1)
    assert len(lines) == 1 + int(100 / SECONDS_BETWEEN_LINES) + 1
    assert lines[0] == "camden: 0 of 1,000 images embedded"
    assert lines[1] == "camden: 150 of 1,000 images embedded, 10.0 a second, 85 s left"
    assert lines[-1] == "camden: 1,000 of 1,000 images embedded, 10.0 a second, 2 min in all"


def test_what_was_there_already_came_at_no_pace():
    lines = told([900, 910, 920], n_all=1000, seconds_each=20)
    assert lines[1] == "camden: 910 of 1,000 images embedded, 0.5 a second, 3 min left"


def test_nothing_to_do_is_one_line_without_a_pace():
    assert told([5], n_all=5, seconds_each=1) == ["camden: 5 of 5 images embedded"]


def test_times_are_said_in_the_unit_a_person_would_use():
    assert [in_words(seconds) for seconds in (0, 89, 90, 3600, 5460)] == [
        "0 s",
        "89 s",
        "2 min",
        "60 min",
        "1 h 31 min",
    ]


def test_the_log_of_a_run_shows_the_progress_of_embedding_and_of_models(tiny):
    from streetimd_tests.graph import new_instance

    with new_instance(tiny.folder / "dagster") as instance:
        said = [
            entry.user_message
            for run in instance.get_runs()
            for entry in instance.all_logs(run.run_id)
            if not entry.is_dagster_event
        ]
    assert any(re.match(r"farrowby: ([\d,]+) of \1 images embedded", line) for line in said)
    assert any(re.match(r"farrowby: ([\d,]+) of \1 images held", line) for line in said)
    assert any(re.match(r"model 1 of \d+: .*, parameters: none$", line) for line in said), said
    assert any(re.match(r"importance 1 of [23]: ", line) for line in said)
