"""Write the README's table of tables from ``schemas.py``: python docs/write_tables.py"""

import re
from pathlib import Path

from streetimd_assets.schemas import TABLES, Column, Table

README = Path(__file__).parents[1] / "README.md"
START, END = "<!-- tables -->", "<!-- /tables -->"


def glossary() -> str:
    """Return one folding section per asset group, each table with its columns, types, units and meaning."""
    groups = dict.fromkeys(table.group for table in TABLES.values())
    return "\n".join(
        _group(group, [table for table in TABLES.values() if table.group == group]) for group in groups
    )


def _group(group: str, tables: list[Table]) -> str:
    names = ", ".join(f"<code>{table.name}</code>" for table in tables)
    return "\n".join(
        [f"<details><summary><b>{group}</b>: {names}</summary>\n", *map(_table, tables), "</details>\n"]
    )


def _table(table: Table) -> str:
    kept = "per local authority" if table.is_partitioned else "study-wide"
    key = ", ".join(f"`{column}`" for column in table.key)
    rows = [
        f"| `{column.name}` | {column.type} | {column.unit} | {column.meaning}{_or_null(column)} |"
        for column in table.columns
    ]
    head = f"**`{table.name}`**: one row is {table.grain}; {kept}; key {key}.\n"
    return "\n".join([head, "| column | type | unit | meaning |", "|---|---|---|---|", *rows, ""])


def _or_null(column: Column) -> str:
    return " (or NULL)" if column.nullable else ""


def with_glossary(text: str) -> str:
    """Return the README with its glossary replaced."""
    return re.sub(f"{START}.*{END}", lambda _: f"{START}\n{glossary()}{END}", text, flags=re.DOTALL)


if __name__ == "__main__":
    README.write_text(with_glossary(README.read_text(encoding="utf-8")), encoding="utf-8")
