"""A result as one page in Markdown: every table, the claims, the figures beside it."""

from mi_keras.reports.glossary import terms
from mi_keras.reports.tables import claims_markdown, markdown_table
from mi_keras.reports.text import escape_markdown, provenance, section_title
from mi_keras.results import StoredResult


def markdown_page(result: StoredResult) -> str:
    """Return the page; it links to the figures and to `<file>.csv` of each table in its folder."""
    parts = [f"# {escape_markdown(section_title(result))}", escape_markdown(provenance(result))]
    if result.measured:
        parts.append(f"Measured: {escape_markdown(result.measured)}")
    for table in result.tables:
        parts += [f"## {escape_markdown(table.title)}", markdown_table(result, table)]
        parts.append(f"The same at full precision: [{table.file}.csv]({table.file}.csv)")
    if result.notes:
        parts += ["## Notes", *map(escape_markdown, result.notes)]
    parts += ["## Claims", claims_markdown(result)]
    if result.figures:
        parts.append("## Figures")
    for spec in result.figures:
        title = escape_markdown(spec.title)
        parts += [f"### {title}", f"![{title}]({spec.file})", escape_markdown(spec.caption)]
    if words := terms(result):
        listed = [f"- **{escape_markdown(word)}**: {meaning}" for word, meaning in words.items()]
        parts += ["## Words", "\n".join(listed)]
    return "\n\n".join(part.rstrip() for part in parts if part) + "\n"
