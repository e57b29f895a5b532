"""Terms of a result's page: those that it uses and no other, in the words of docs/glossary.md."""

from pathlib import Path

from mi_keras.reports.glossary import TERMS, terms
from mi_keras.reports.paper_map import load_measured

DOCS = Path(__file__).resolve().parents[3] / "docs"


def test_the_words_are_those_of_the_documents():
    rows = (DOCS / "glossary.md").read_text()
    for symbol, word, meaning in TERMS:
        assert f"| {word} | {'' if symbol == word else symbol + ' '}| {meaning} |" in rows


def test_a_page_explains_what_it_uses():
    measured = load_measured(DOCS / "measured")
    digits = terms(measured["thesis.5.2.quick"])
    assert {
        "O, logits",
        "A^L, last-linear activations",
        "X~, gradient reconstruction",
        "instance gain",
    } <= digits.keys()
    assert "decoder" not in digits
    faces = terms(measured["split.6.quick"])
    assert "decoder" in faces
    assert not {"O, logits", "X~, gradient reconstruction", "instance gain"} & faces.keys()
