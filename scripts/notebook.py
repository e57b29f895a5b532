"""The tutorial as a notebook: its text and its code, cell by cell."""

import json
import re

FENCE = re.compile(r"^```python\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
GENERATED = re.compile(
    r"<!-- audit .*?<!-- end -->\n*", re.DOTALL
)  # what a cell prints is not in the text of a notebook


def notebook_document(markdown: str) -> str:
    """Return a page with code in Python as a notebook (nbformat 4.5), not run."""
    cells = []
    for place, part in enumerate(FENCE.split(GENERATED.sub("", markdown))):
        is_code = place % 2 == 1
        if not part.strip():
            continue
        cell = {
            "cell_type": "code" if is_code else "markdown", "id": f"cell-{place}", "metadata": {},
            "source": part.strip().splitlines(keepends=True),
        }  # fmt: skip
        cells.append(cell | {"execution_count": None, "outputs": []} if is_code else cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    document = {
        "cells": cells, "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}}, "nbformat": 4,
        "nbformat_minor": 5,
    }  # fmt: skip
    return json.dumps(document, indent=1, sort_keys=True) + "\n"
