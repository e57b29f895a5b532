"""Tables of `torch_rows`, put into docs/ by `update_docs.py`."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from mi_keras.experiments.thesis.table_4 import ALONE
from mi_keras.reports.text import MISSING
from mi_keras.results import StoredResult
from mi_keras.tuning import step_size
from scripts.torch_rows import (
    LINES,
    PAPER,
    QUICK,
    TABLE_3,
    WAYS,
    Line,
    Pair,
    Row,
    both,
    chosen,
    counted,
    finished,
    finished_shadows,
    mean_of,
    measured,
    of_package,
    of_thesis,
    over_pairs,
    scores_of,
    span,
)

# The one search that meets both of Table 3's rows within section 5.2-search's NEAR; the rule leaves out Table 4
SHORT = {"optimizer": "adam", "rate": 0.03, "steps": 30}


def summary(results: Mapping[str, StoredResult]) -> str:
    """Return Table 4 as the thesis has it, over pairs of models in PyTorch, with a short search of X~, and in the package."""
    study, searched = measured()["pairs"], measured()["search"]
    lines = [
        "| input | thesis | pairs, mean | pairs, SSIM | thesis's SSIM is | short search | "
        "package, `paper` | package, `quick` |",
        "|---|--:|--:|--:|---|--:|--:|--:|",
    ]
    for line in LINES:
        pairs = over_pairs(study["rows"], line.wanted)
        ssim = [each[0] for each in pairs]
        below = sum(each < (line.published or (0,))[0] for each in ssim)
        place = {0: "below", len(ssim): "above"}.get(below, f"among: {below} of {len(ssim)} below")
        cells = [
            line.label,
            both(line.published),
            both((fmean(ssim), fmean(each[1] for each in pairs))),
            span(ssim),
            place if line.published else MISSING,
            both(mean_of(short) if (short := short_search(searched["rows"], line)) else None),
            *(both(of_package(results.get(name), line.name)) for name in (PAPER, QUICK)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    settings, shadows = study["settings"], finished_shadows(study["rows"])
    lines += [
        "",
        f"SSIM / MSE on the {1334:,} test images. A^L extracted, solved: that of the adversary's own images. Pairs: PyTorch at the thesis's sizes, "
        f"{len(shadows)} shadow models against {settings['targets']} target models, X\\~ by Adam with steps of {settings['rate']}; SSIM from the "
        f"lowest pair to the highest. Short search: the same, but X\\~ by {SHORT['steps']} steps of {SHORT['rate']}, one shadow model against "
        f"{searched['settings']['targets']} target models, other ones. {_package(results)} A dash: not measured.",
    ]
    return "\n".join(lines) + "\n"


def short_search(rows: Sequence[Row], line: Line) -> list[Pair]:
    """Return a row of the thesis with X~ of the short search, by target model."""
    if not line.published:
        return []
    inputs = line.wanted.get("inputs", "x")
    way = SHORT if "x" in inputs.split("+") else {"optimizer": None}
    alone = {"images": "test"} if line.wanted["kind"] == "alone" else {}
    return list(map(scores_of, chosen(rows, {"kind": line.wanted["kind"], "inputs": inputs, **way, **alone})))


def short() -> str:
    """Return the rows of the thesis with the short search, by target model."""
    rows = measured()["search"]["rows"]
    lines = [line for line in LINES if line.published]
    labels = [line.label.replace(", A^L extracted", "") for line in lines]
    found = [short_search(rows, line) for line in lines]
    table = [
        f"| | {' | '.join(labels)} |",
        f"|---|{'--:|' * len(lines)}",
        f"| *thesis* | {' | '.join(both(line.published) for line in lines)} |",
    ]
    for target, pairs in enumerate(zip(*found, strict=True), 1):
        table.append(f"| target model {target} | {' | '.join(map(both, pairs))} |")
    return "\n".join(table) + "\n"


def _package(results: Mapping[str, StoredResult]) -> str:
    """Say what the package's columns were measured with."""
    words = []
    for result in (results[name] for name in (PAPER, QUICK) if name in results):
        precision = ", bfloat16" if any("bfloat16" in each for each in result.changed) else ""
        rate = result.settings["gradient"]["learning_rate"]
        words.append(f"`{result.preset}`: {counted(result.runs, 'pair')}, steps of {rate:g}{precision}.")
    return " ".join(words)


def own_answers() -> str:
    """Return what the same inversion models draw where the shadow model answers, and how little repeating them moves."""
    rows = measured()["pairs"]["rows"]
    lines = [
        "| input | M_S answers | M_T answers | M_I repeated on one pair: standard deviation of SSIM |",
        "|---|--:|--:|--:|",
    ]
    for line in LINES:
        if line.wanted["kind"] != "inverter":
            continue
        own = [scores_of(row) for row in finished(rows, line.wanted) if row.get("answered_by")]
        again: defaultdict[tuple[int, int], list[float]] = defaultdict(list)
        for row in finished(rows, dict(line.wanted) | {"repeat": ...}):
            if row.get("target"):
                again[row["shadow"], row["target"]].append(row["ssim"])
        spreads = [stdev(ssim) for ssim in again.values() if len(ssim) > 1]
        spread = (
            f"{min(spreads):.4f} to {max(spreads):.4f} ({counted(len(spreads), 'pair')})"
            if spreads
            else MISSING
        )
        pairs = both(mean_of(over_pairs(rows, line.wanted)))
        lines.append(f"| {line.label} | {both(mean_of(own))} | {pairs} | {spread} |")
    return "\n".join(lines) + "\n"


MIXED = {"x": "X\\~", "o+x": "O + X\\~", "a+x": "A^L + X\\~", "o+a+x": "O + A^L + X\\~"}


def searches() -> str:
    """Return the rows with X~, and X~ alone, for every search, below what the thesis has."""
    study = measured()["search"]
    rows = study["rows"]
    lines = [
        "| search of X\\~ | steps | X\\~ alone, validation | X\\~ alone, test | "
        + " | ".join(f"M_I({label})" for label in MIXED.values())
        + " |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
        f"| *thesis* | | {both(TABLE_3['class_average'])} | {both(of_thesis(ALONE))} | "
        + " | ".join(both(of_thesis(inputs)) for inputs in MIXED)
        + " |",
    ]
    ways: dict[tuple[str, float, int], None] = {}
    for row in rows:
        if row.get("inputs") == "x":
            ways[row["optimizer"], row["rate"], row["steps"]] = None
    for optimizer, rate, steps in ways:
        same = {"optimizer": optimizer, "rate": rate, "steps": steps}
        alone = [
            chosen(rows, {"kind": "alone", "images": images, **same}) for images in ("validation", "test")
        ]
        drawn = [chosen(rows, {"kind": "inverter", "inputs": inputs, **same}) for inputs in MIXED]
        if not drawn[0]:
            continue  # cut off before it was trained
        name = f"{WAYS[optimizer]}, {rate}" if steps else "class average"
        means = [both(mean_of(map(scores_of, each)) if each else None) for each in (*alone, *drawn)]
        lines.append(f"| {name} | {steps} | {' | '.join(means)} |")
    without = {
        inputs: chosen(rows, {"kind": "inverter", "inputs": inputs, "optimizer": None})
        for inputs in ("o", "a", "o+a")
    }
    others = ", ".join(
        f"M_I({inputs.upper().replace('A', 'A^L').replace('+', ' + ')}) {both(mean_of(map(scores_of, each)))}"
        for inputs, each in without.items()
    )
    lines += [
        "",
        f"SSIM / MSE, means over {study['settings']['targets']} target models, the first shadow model, trained again from its seed (a GPU's rounding "
        "makes it another model), one M_I for each search and input; A^L of the adversary's own images extracted. Test images n = 1,334, validation "
        f"images n = 1,333. Without X\\~ in this study: {others}. PyTorch, the thesis's sizes. A dash: not trained.",
    ]
    return "\n".join(lines) + "\n"


def described() -> str:
    """Return what the pairs of models are like, beside their scores."""
    rows = measured()["pairs"]["rows"]
    models = {(row["role"], row["number"]): row for row in rows if row["kind"] == "model"}
    lines = [
        "| pair | M_I(O) | M_I(X\\~) | M_I(O + X\\~) | M_I(X\\~) less M_I(O) | validation loss of M_T | validation loss of M_S "
        "| deviation of M_T's logits | deviation of M_S's logits | cosine of the other nine logits |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for pair in finished(rows, {"kind": "pair"}):
        who = {"shadow": pair["shadow"], "target": pair["target"]}
        o, x, both = (
            chosen(rows, {"kind": "inverter", "inputs": inputs, "known": "solved", "repeat": 1, **who})[0][
                "ssim"
            ]
            for inputs in ("o", "x", "o+x")
        )
        target, shadow = models["target", who["target"]], models["shadow", who["shadow"]]
        cells = [o, x, both, x - o, target["loss"], shadow["loss"], target["scale"], shadow["scale"]]
        numbers = " | ".join(f"{value:.3f}" for value in (*cells, pair["agreement"]))
        lines.append(f"| M_S {who['shadow']}, M_T {who['target']} | {numbers} |")
    lines += [
        "",
        "Losses: cross-entropy on the model's own validation set after the last epoch. Deviation: of all logits of the test images. Cosine: of the nine "
        "logits beside that of M_T's class, each vector less its mean; mean over test images. PyTorch, the thesis's sizes, n = 1,334.",
    ]
    return "\n".join(lines) + "\n"


def steps() -> str:
    """Return how far each step size is from the three validation rows of Table 3, nearest first."""
    study = measured()["steps"]
    ways: defaultdict[step_size.Way, dict[str, Pair]] = defaultdict(dict)
    rows = chosen(study["rows"], {"kind": "steps"})
    for row in rows:
        ways["logit_mse", row["optimizer"], row["rate"]][row["start"]] = scores_of(row)
    lines = [
        "| optimizer | step size | mean SSIM distance | mean MSE distance | class average | class instance | noise |",
        "|---|--:|--:|--:|--:|--:|--:|",
        "| *thesis* | | | | " + " | ".join(both(TABLE_3[start]) for start in TABLE_3) + " |",
    ]
    for way, ssim, mse in step_size.ranking(ways):
        scores = " | ".join(both(ways[way][start]) for start in TABLE_3)
        lines.append(f"| {WAYS[way[1]]} | {way[2]} | {ssim:.4f} | {mse:.4f} | {scores} |")
    lines += [
        "",
        f"SSIM / MSE on shadow validation images, n = {rows[0]['images']}, one shadow model of the thesis's width, 400 steps. PyTorch.",
    ]
    return "\n".join(lines) + "\n"


PARTS = {
    "own_answers": own_answers,
    "described": described,
    "short": short,
    "searches": searches,
    "steps": steps,
}


def part(name: str, results: Mapping[str, StoredResult]) -> str:
    """Return one of the tables by its name in a document."""
    return summary(results) if name == "summary" else PARTS[name]()
