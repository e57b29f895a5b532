"""What the symbols and words of a result mean, for a reader who has its page alone; docs/glossary.md has the same words."""

import re

from mi_keras.results import METRICS, StoredResult

# Symbol, or the word itself; word; meaning
TERMS = (
    ("M_T", "target", "the model that is attacked"),
    ("M_S", "shadow model", "a model that the adversary trains to imitate the target"),
    ("M_I", "inversion model, inverter", "network that reconstructs an image from an answer, or from inputs derived from it"),
    ("O", "logits", "the output vector before softmax"),
    ("A^L", "last-linear activations", "the input of the last linear layer, recovered from the output"),
    ("X~", "gradient reconstruction", "the image, found by gradient steps, for which the shadow model gives the observed answer"),
    ("D_F", "test images", "the images behind the attacked answers"),
    ("decoder", "decoder", "network that reconstructs an image from feature maps"),
    ("class average", "class average", "the mean of the adversary's images of a class"),
    (
        "class prototype", "class prototype",
        "the one image for a class that has the highest mean SSIM to the adversary's images of it",
    ),
    ("instance gain", "instance gain", "SSIM less the class prototype's on the same image: what is shown beyond the class"),
)  # fmt: skip


def terms(result: StoredResult) -> dict[str, str]:
    """Return the meaning of each term that a result's tables, notes and claims use, by symbol and word."""
    said = [result.measured, *result.notes, *(f"{claim.text} {claim.numbers}" for claim in result.claims)]
    for table in result.tables:
        said += [table.title, *(METRICS[name].label for name in table.metrics if name in METRICS)]
        said += [row.label for row in table.rows]
    text = " ".join(said)
    return {
        symbol if symbol == word else f"{symbol}, {word}": meaning
        for symbol, word, meaning in TERMS
        if re.search(rf"(?<![\w^]){re.escape(symbol)}(?!\w)", text)
    }
