"""Style sheet of an audit's page: light and dark, wide and narrow, on its own or in a notebook."""

from collections.abc import Mapping

# Every colour stands here under a name, with a contrast of 4.5 at least where it carries text. No verdict is green:
# an audit never says that all is well.
LIGHT = {
    "paper": "#ffffff", "panel": "#f3f4f6", "ink": "#1b1b1b", "quiet": "#545454", "line": "#cfd2d6", "link": "#0b57a4",
    "leaks": "#b3261e", "inconclusive": "#7a4f00", "below": "#34507a", "void": "#1b1b1b",
}  # fmt: skip
DARK = {
    "paper": "#15171a", "panel": "#202327", "ink": "#ececec", "quiet": "#b4b8be", "line": "#43484f", "link": "#8ab8f0",
    "leaks": "#ff8a80", "inconclusive": "#f0b95a", "below": "#a9c3ea", "void": "#ececec",
}  # fmt: skip
CLASSES = {"LEAKS": "leaks", "INCONCLUSIVE": "inconclusive", "BELOW TOLERANCE": "below", "VOID": "void"}
_RULES = """
.audit { box-sizing: border-box; max-width: 76rem; margin: 0 auto; padding: 1rem; background: var(--mi-paper);
  color: var(--mi-ink); font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  overflow-wrap: anywhere; container-type: inline-size; text-align: left; }
.audit h1, .audit h2, .audit h3, .audit h4 { line-height: 1.25; margin: 2rem 0 .5rem; color: inherit; }
.audit h1 { font-size: 1.6rem; margin-top: .5rem; } .audit h2 { font-size: 1.3rem; } .audit h3 { font-size: 1.05rem; }
.audit p { margin: .4rem 0; max-width: 64rem; }
.audit dl { display: grid; grid-template-columns: 11rem 1fr; gap: .25rem 1rem; max-width: 64rem; margin: .75rem 0; }
.audit dt { font-weight: bold; } .audit dd { margin: 0; }
.audit a { color: var(--mi-link); }
.audit nav a { display: inline-block; padding: .25rem .75rem .25rem 0; }
.audit .quiet, .audit figcaption, .audit .label { color: var(--mi-quiet); }
.audit .alert { border-left: .3rem solid var(--mi-leaks); padding: .25rem .75rem; background: var(--mi-panel); }
.audit .points { list-style: none; margin: 1rem 0; padding: 0; }
.audit .points li { display: grid; grid-template-columns: 10.5rem 1fr; gap: .25rem 1rem; padding: .5rem 0;
  border-top: 1px solid var(--mi-line); }
.audit .points li:last-child { border-bottom: 1px solid var(--mi-line); }
.audit .badge { align-self: start; justify-self: start; padding: .1rem .5rem; border-radius: .2rem; font-weight: bold;
  font-size: .85rem; white-space: nowrap; color: var(--mi-paper); background: var(--mi-ink); }
.audit .badge.leaks { background: var(--mi-leaks); } .audit .badge.inconclusive { background: var(--mi-inconclusive); }
.audit .badge.below { background: var(--mi-below); }
.audit .badge.void { background: var(--mi-paper); color: var(--mi-void); outline: 2px dashed var(--mi-void); outline-offset: -2px; }
.audit table { border-collapse: collapse; margin: .75rem 0; width: 100%; font-size: .95rem; background: none; }
.audit table.facts { width: auto; }
.audit th, .audit td { padding: .35rem .9rem .35rem 0; text-align: left; vertical-align: top; font-weight: normal;
  border-bottom: 1px solid var(--mi-line); background: none; color: inherit; white-space: normal; }
.audit thead th { font-weight: bold; border-bottom: 2px solid var(--mi-quiet); vertical-align: bottom; }
.audit tbody th, .audit tbody td:not(.number) { min-width: 7rem; }
.audit td.number, .audit th.number { text-align: right; font-variant-numeric: tabular-nums; }
.audit thead th { overflow-wrap: normal; } .audit td.number > span { white-space: nowrap; }
.audit .n { white-space: nowrap; }
.audit .examples { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr)); gap: 1rem 2rem;
  max-width: 72rem; }
.audit figure { margin: .5rem 0; max-width: 27rem; }
.audit .three { display: grid; grid-template-columns: repeat(3, 1fr); gap: .5rem; }
.audit .three p { margin: .15rem 0 0; font-size: .85rem; text-align: center; }
.audit .three img { display: block; width: 100%; height: auto; margin: 0; image-rendering: pixelated;
  outline: 1px solid var(--mi-line); background: none; }
.audit .plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); gap: 1rem 2rem; }
.audit svg { display: block; width: 100%; max-width: 26rem; height: auto; font: 13px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
/* A rim of paper keeps letters clear of lines behind them */
.audit svg text { fill: var(--mi-ink); stroke: var(--mi-paper); stroke-width: 4px; paint-order: stroke; }
.audit svg .title { font-weight: bold; } .audit svg .soft { fill: var(--mi-quiet); }
.audit svg line, .audit svg path { stroke: var(--mi-ink); stroke-width: 1.5; fill: none; }
.audit svg .grid { stroke: var(--mi-line); stroke-width: 1; } .audit svg .chance { stroke: var(--mi-quiet); stroke-dasharray: 4 3; }
.audit svg .limit { stroke: var(--mi-ink); stroke-width: 1.5; }
.audit svg .bar { fill: var(--mi-quiet); }
.audit svg .leaks { stroke: var(--mi-leaks); } .audit svg .inconclusive { stroke: var(--mi-inconclusive); }
.audit svg .below { stroke: var(--mi-below); } .audit svg .void { stroke: var(--mi-void); }
.audit svg .dot { stroke-width: 2.5; fill: var(--mi-paper); } .audit svg .dot.leaks { fill: var(--mi-leaks); }
.audit svg .whisker { stroke-width: 3; }
.audit details { margin: .75rem 0; } .audit summary { cursor: pointer; font-weight: bold; }
.audit ol.key { columns: 2 14rem; column-gap: 2.5rem; padding-left: 1.75rem; }
@container (max-width: 46rem) { .audit .points li, .audit dl { grid-template-columns: 1fr; } }
@media print { .audit { max-width: none; } .audit nav { display: none; }
  .audit figure, .audit tr, .audit li { break-inside: avoid; } .audit h2, .audit h3 { break-after: avoid; } }
"""


# Where a table is wider than its place, each row becomes a block, a line for each cell behind its heading
_BLOCKS = """
@container (max-width: WIDTH) {
  TABLE, TABLE tbody, TABLE tr, TABLE th, TABLE td { display: block; }
  TABLE thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  TABLE tr { display: flex; flex-direction: column; padding: .5rem 0; border-bottom: 1px solid var(--mi-line); }
  TABLE th, TABLE td { border: 0; padding: .1rem 0; }
  TABLE tbody th { font-weight: bold; order: -1; text-align: left; }
  TABLE td { display: flex; justify-content: space-between; gap: 1rem; }
  TABLE td::before { content: attr(data-label); color: var(--mi-quiet); flex: 0 1 50%; text-align: left;
    overflow-wrap: break-word; }
  TABLE td > span { white-space: normal; text-align: right; }
}
"""


def sheet(root: str) -> str:
    """Return the style sheet, in which the element that `root` selects carries the colours."""
    print_light = f"@media print {{ {root} {{ {_variables(LIGHT)} }} }}\n"
    dark = f"@media (prefers-color-scheme: dark) {{ {root} {{ {_variables(DARK)} color-scheme: dark; }} }}\n"
    light = f"{root} {{ {_variables(LIGHT)} color-scheme: light; }}\n"
    narrow = {".audit .cards": "60rem", ".audit .many": "70rem"}
    blocks = [_BLOCKS.replace("TABLE", table).replace("WIDTH", width) for table, width in narrow.items()]
    return f"\n{light}{dark}{print_light}{_RULES}{''.join(blocks)}"


def page_sheet() -> str:
    """Return the style sheet of a page of its own: paper to the edges of the window."""
    return sheet(":root") + "body { margin: 0; background: var(--mi-paper); }\n"


def _variables(colours: Mapping[str, str]) -> str:
    return " ".join(f"--mi-{name}: {value};" for name, value in colours.items())
