"""Pages in HTML that need nothing else: elements that escape what they hold, and the frame with its style sheet."""

from collections.abc import Mapping
from html import escape
from typing import Any

# The page may show what it carries and nothing else: no script, no request.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
STYLE = """
body { margin: 0 auto; max-width: 75rem; padding: 0 1rem 3rem; background: #fff; color: #1b1b1b;
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: break-word; }
h1, h2, h3, h4 { line-height: 1.25; margin: 2rem 0 .5rem; }
a { color: #0b57a4; }
p { margin: .5rem 0; max-width: 60rem; }
.quiet, figcaption { color: #555; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .75rem 0; }
th, td { padding: .25rem .75rem .25rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid #ddd; }
thead th, tbody th[colspan] { border-bottom: 2px solid #888; vertical-align: bottom; }
tbody th { font-weight: normal; }
tbody th[colspan], tbody th[scope=rowgroup] { font-weight: bold; padding-top: .75rem; }
td.number, th.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
thead th.number { white-space: normal; }
td table { margin: 0; }
td table tr:last-child > * { border-bottom: 0; }
figure { margin: 1rem 0 2rem; }
img { display: block; max-width: 100%; height: auto; }
summary { cursor: pointer; font-weight: bold; }
.claims { list-style: none; padding: 0; }
.claims li { margin: .5rem 0; padding-left: .75rem; border-left: .3rem solid; }
.claims span { color: #1b1b1b; }
.holds { color: #11682f; } .fails { color: #b3261e; } .undecided { color: #7a5200; }
section.result { border-top: 3px solid #888; margin-top: 3rem; }
@media screen and (prefers-color-scheme: dark) {
  :root { color-scheme: dark; } body, .claims span { background: #16181c; color: #e8e8e8; } a { color: #8ab8f0; }
  .quiet, figcaption { color: #b0b0b0; } th, td { border-color: #3a3f47; } .figure img { background: #fff; }
  .holds { color: #7fd197; } .fails { color: #ff9d94; } .undecided { color: #e3bd6a; }
}
@media (max-width: 45rem) { .figure img { max-width: none; width: 45rem; } body { font-size: .95rem; } }
@media print {
  body { max-width: none; font-size: 9pt; } nav { display: none; } .wide { overflow: visible; }
  .figure img { max-width: 100%; width: auto; }
  figure, tr, li { break-inside: avoid; } h1, h2, h3, h4, h2 + p, h3 + p { break-after: avoid; } section.result { break-before: page; }
}
"""
_VOID = ("img", "input", "meta")
_INLINE = ("a", "span", "strong")  # no line break of the file may stand after these


class Markup(str):
    """Text that is HTML already; every other text is escaped where it enters an element."""


def element(name: str, /, *children: str, **attributes: str | int) -> Markup:
    """Return an element around `children`; "class_" and "http_equiv" stand for "class" and "http-equiv"."""
    opening = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"' for key, value in attributes.items()
    )
    if name in _VOID:
        return Markup(f"<{name}{opening}>")
    return Markup(f"<{name}{opening}>{join(*children)}</{name}>" + ("" if name in _INLINE else "\n"))


def join(*parts: str) -> Markup:
    """Return parts one after the other, escaped unless they are `Markup`."""
    return Markup("".join(part if isinstance(part, Markup) else escape(part) for part in parts))


def link(anchor: str, text: str) -> Markup:
    """Return a link to an element of the same page."""
    return element("a", text, href=f"#{anchor}")


def page(title: str, *body: str, style: str = STYLE, policy: str = POLICY) -> str:
    """Return a whole document in English around `body`, in the look of a style sheet; `policy`: what it may load and run."""
    head = join(
        element("meta", charset="utf-8"), "\n",
        element("meta", http_equiv="Content-Security-Policy", content=policy), "\n",
        element("meta", name="viewport", content="width=device-width, initial-scale=1"), "\n",
        element("title", title),
        element("style", Markup(style)),
    )  # fmt: skip
    return "<!DOCTYPE html>\n" + element("html", element("head", head), element("body", *body), lang="en")


def nested_table(value: Any) -> Markup:
    """Return settings as a table, objects in it as tables in its cells; lists of plain values on one line."""
    if isinstance(value, Mapping) and value:
        rows = [
            element("tr", element("th", str(key), scope="row"), element("td", nested_table(inner)))
            for key, inner in value.items()
        ]
        return element("table", element("tbody", *rows))
    if isinstance(value, list) and any(isinstance(inner, Mapping | list) for inner in value):
        return element("ol", *(element("li", nested_table(inner)) for inner in value))
    if isinstance(value, list):
        return join(", ".join(map(_plain, value)) or "none")
    return join(_plain(value))


def _plain(value: Any) -> str:
    names = {None: "none", True: "yes", False: "no"}
    if value is None or isinstance(value, bool):
        return names[value]
    return "none" if value == {} else str(value)
