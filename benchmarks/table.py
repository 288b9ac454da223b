"""Write the table of README.md here from the figures that the commands kept in results/.

python -m benchmarks.table
"""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.findings import RESULTS, Finding, read, rounded

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- table: python -m benchmarks.table -->\n", "<!-- /table -->"


def main() -> None:
    """Replace what stands between the marks."""
    text = README.read_text()
    before, rest = text.split(BEGIN)
    README.write_text(before + BEGIN + table() + END + rest.split(END)[1])


def table() -> str:
    """One section per command, a row per finding."""
    return "".join(section for path in sorted(RESULTS.glob("*.json")) for section in lines_of(path))


def lines_of(path: Path) -> Iterator[str]:
    """Yield the lines of one command's findings."""
    kept, findings = read(path)
    machine = kept["machine"]
    on = f"{machine['measured_on']}, {machine['cores']} cores of {machine['processor']}"
    yield f"\n**`{kept['command']}`**, {on}\n\n"
    yield "| what | ours | beside | | ratio | wanted | |\n|---|---|---|---|---|---|---|\n"
    yield from map(row, findings)


def row(finding: Finding) -> str:
    """One line of the table."""
    if finding.value is None:
        return f"| {finding.what} | not measured | {finding.why} | | | {finding.wanted} | |\n"
    other = f"{rounded(finding.other)} {finding.unit}" if finding.other is not None else ""
    ratio = f"× {finding.ratio:.2f}" if finding.ratio is not None else ""
    judged = {True: "met", False: "**not met**", None: ""}[finding.is_met]
    ours = f"{rounded(finding.value)} {finding.unit}"
    return f"| {finding.what} | {ours} | {finding.beside} | {other} | {ratio} | {finding.wanted} | {judged} |\n"


if __name__ == "__main__":
    main()
