"""Makes a skipped test a failure: what was not run was not tested.

Tests that need what this machine cannot have, real servers (``live``) or an NVIDIA GPU (``gpu``), may be skipped.
"""

from collections.abc import Iterator

import pytest

_MAY_BE_SKIPPED = {"live", "gpu"}
_skipped: list[tuple[str, str]] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember a test that was skipped and should not have been."""
    if report.skipped and not hasattr(report, "wasxfail") and not _MAY_BE_SKIPPED & report.keywords.keys():
        _skipped.append((report.nodeid, _reason(report)))


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Remember a whole file that was skipped."""
    if report.skipped:
        _skipped.append((report.nodeid, _reason(report)))


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Fail a session that skipped something and is otherwise content."""
    if _skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was skipped and why."""
    if _skipped:
        terminalreporter.section("skipped, which is a failure here")
    for test, reason in _skipped:
        terminalreporter.write_line(f"{test}: {reason}")


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
