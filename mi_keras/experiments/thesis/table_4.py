"""Thesis Table 4: what the text has in it, and what it says of it held against our rows, once for each reading of A^L."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from mi_keras.experiments.bench import SHADOW
from mi_keras.experiments.thesis.rows import (
    EXTRACTED,
    KNOWN_WORDS,
    MATCHED,
    OBJECTIVE_WORDS,
    ONE_HOT,
    PROTOTYPE,
    SOLVED,
    Name,
    published,
)  # fmt: skip
from mi_keras.results import Claim, Row
from mi_keras.results.claims import ahead
from mi_keras.settings import COMBINATIONS, KNOWN

ALONE = "gradient_reconstruction"  # the method of X~ without M_I
JUDGED = {Name("o"): "M_I(O)", Name("x"): "M_I(X~)"}  # where M_S answers too
SYMBOLS = {"o": "O", "a": "A^L", "x": "X~"}
WITH_A = tuple(name for name in COMBINATIONS if "a" in name.split("+"))
WITH_X = tuple(name for name in COMBINATIONS if "x" in name.split("+"))

PUBLISHED = {
    "o": published("Table 4", (0.2298, 0.0041), (0.0966, 0.0011)),
    "a": published("Table 4", (0.1218, 0.0043), (0.1077, 0.0014)),
    "x": published("Table 4", (0.3727, 0.0030), (0.0649, 0.0009)),
    "o+a": published("Table 4", (0.1619, 0.0027), (0.1055, 0.0016)),
    "o+x": published("Table 4", (0.2467, 0.0013), (0.0904, 0.0013)),
    "a+x": published("Table 4", (0.1822, 0.0051), (0.0961, 0.0012)),
    "o+a+x": published("Table 4", (0.2194, 0.0016), (0.0927, 0.0011)),
    ALONE: published("Table 3", (0.2409, 0.0068), (0.0672, 0.0021)),
}


def own(name: Name) -> Name:
    """Return the name of a row of Table 4 where M_S answers."""
    return replace(name, at=SHADOW)


def measured_by(names: Sequence[Name]) -> str:
    """Return rows that a run left out, as its tables call them, and the settings that add them to a run."""
    methods: dict[str, list[str]] = {}
    for name in names:
        if name.method in COMBINATIONS:
            methods.setdefault(_setting(name), []).append(name.method)
    added = [f"add {', '.join(each)} to `--set {setting}=...`" for setting, each in methods.items()]
    return ", ".join(map(_label, names)) + (f" ({'; '.join(added)})" if added else "")


def _setting(name: Name) -> str:
    if name.at == SHADOW:
        return "own_answers"
    if name.known == EXTRACTED:
        return "extracted_combinations"
    return "second_combinations" if name.objective == ONE_HOT else "combinations"


def _label(name: Name) -> str:
    label = "X~ alone" if name.method == ALONE else name.method.replace("_", " ")
    if name.method in COMBINATIONS:
        label = f"M_I({' + '.join(SYMBOLS[letter] for letter in name.method.split('+'))})"
    readings = [words[key] for words, key, usual in (
        (KNOWN_WORDS, name.known, SOLVED), (OBJECTIVE_WORDS, name.objective, MATCHED)
    ) if key != usual]  # fmt: skip
    answered = " answered by the shadow model" if name.at == SHADOW else ""
    return label + answered + (f" with {', '.join(readings)}" if readings else "")


def claims(rows: Mapping[Name, Row]) -> list[Claim]:
    """Hold the section's sentences and its table, and the question they leave open, against the rows.

    Where a sentence speaks of X~ it is judged on the plain rows (logit MSE); the two that compare M_I(X~) with the
    plain methods also on formula 2's one-hot rows. What needs rows with A^L is judged once for each of its readings.
    """
    x, o, alone = Name("x"), Name("o"), Name(ALONE)
    attacks = [name for name, row in rows.items() if row.group == "attack"]
    best = max(attacks, key=lambda name: rows[name].mean("ssim"))
    one_hot, alone_one_hot = Name("x", objective=ONE_HOT), Name(ALONE, objective=ONE_HOT)
    claim = partial(ahead, rows, source="thesis 5.2", describe=measured_by)
    with_a = [each for known in KNOWN for each in _claims_with_a(rows, known)]
    return [
        *with_a[:3],
        claim("M_I(X~) has a higher SSIM than X~ alone", x, [alone], published="+54.73 %"),
        claim("M_I(X~) has a higher SSIM than M_I(O)", x, [o], published="+62.19 %"),
        claim("The same against X~ alone, both with one-hot cross-entropy", one_hot, [alone_one_hot], published="+54.73 %"),
        claim("The same against M_I(O), with one-hot cross-entropy", one_hot, [o], published="+62.19 %"),
        claim(
            "Even the best row of M_I, chosen on the test images, shows more than the class: it beats the class prototype",
            best, [Name(PROTOTYPE)], source="not in the text",
        ),
        *with_a[3:],
    ]  # fmt: skip


def _claims_with_a(rows: Mapping[Name, Row], known: str) -> list[Claim]:
    """Hold what the text says of all seven rows of Table 4 against them, with one reading of A^L."""
    named = {name: Name(name, known=known if name in WITH_A else SOLVED) for name in COMBINATIONS}
    reading = {SOLVED: "", EXTRACTED: ", own A^L extracted"}[known]
    with_a = [named[name] for name in WITH_A]
    best = max(with_a, key=lambda name: rows[name].mean("ssim") if name in rows else 1.0)
    claim = partial(ahead, rows, source="thesis 5.2", describe=measured_by)
    in_table = partial(claim, source="thesis Table 4", sign=-1)

    def but(*left: str) -> list[Name]:
        return [name for method, name in named.items() if method not in left]

    return [
        claim(f"M_I(X~) gives the highest SSIM of the seven combinations{reading}", named["x"], but("x")),
        claim(f"Adding inputs to X~ lowers SSIM{reading}", named["x"], [named[name] for name in WITH_X if name != "x"]),
        in_table(f"M_I(A^L) gives the lowest SSIM of the seven combinations{reading}", named["a"], but("a")),
        in_table(f"Adding A^L to O lowers SSIM{reading}", named["o+a"], [named["o"]]),
        in_table(f"Every row with A^L stays below every row without it{reading}", best, but(*WITH_A)),
    ]  # fmt: skip


def own_claims(rows: Mapping[Name, Row]) -> list[Claim]:
    """Say where the score of M_I(O) and M_I(X~) is lost: nothing but the model that answers differs from Table 4."""
    claim = partial(ahead, rows, source="not in the text", describe=measured_by)
    claims: list[Claim] = []
    for name, label in JUDGED.items():
        beats = (
            f"Answered by the shadow model, {label} shows more than the class: it beats the class prototype"
        )
        loses = f"{label} loses SSIM from the shadow model's answers to the target's"
        claims += [
            claim(beats, own(name), [own(Name(PROTOTYPE))]),
            claim(loses, name, [own(name)], sign=-1),
        ]
    return claims
