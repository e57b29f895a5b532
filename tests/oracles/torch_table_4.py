#!/usr/bin/env python3
"""Table 4 of the thesis at its own sizes over pairs of models, in PyTorch: a check of the whole chain by other code.

    python tests/oracles/torch_table_4.py steps  --out FILE.json                # which step of X~ comes nearest to Table 3
    python tests/oracles/torch_table_4.py pairs  --out FILE.json --shadows 4 --repeats 3    # all rows, each shadow and target model
    python tests/oracles/torch_table_4.py search --out FILE.json --half         # the rows with X~ and the strength of its search
    python tests/oracles/torch_table_4.py pairs  --out FILE.json --small             # a minute on a CPU: does it run

Networks and SSIM are those of `make_torch_oracles.py`; losses, updates and training are written again here, for a GPU. Of
`mi_keras` it takes the images and the seeds of their division alone, which need no TensorFlow. A study is written into the file
after every row, beside the others. Seeds fix what is drawn, but a GPU rounds sums differently from run to run, and models differ
by that. Convolutions are in TF32, the GPU's default, or with `--half` those of the search in bfloat16. `torch_table_4.json` holds
what an H100 gave with PyTorch 2.11 in 14 minutes: all of `steps` and `pairs`; of `search` no plain gradient above 0.01. `steps` was measured
when networks were trained one by one, in another order of the images.
`docs/results.md` shows it.
`check_torch_steps.py` compares the steps with `make_torch_oracles.py`.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_steps import (
    DEVICE,
    SMALL,
    Search,
    Sizes,
    answers,
    class_averages,
    class_instances,
    drawn,
    joined,
    load,
    score,
    searched,
    solved,
)
from torch_training import classifiers, inverters

PARTS = ("o", "a", "x")  # repeated with the first shadow model
COMBINATIONS = ("o", "a", "x", "o+a", "o+x", "a+x", "o+a+x")
RATES = {"adam": (0.003, 0.01, 0.03, 0.1), "gradient_descent": (0.01, 0.03, 0.1)}
STUDIED = (0.01, 0.03, 0.1)  # of both optimizers, in `search`
MIXED = 60  # up to so many steps, `search` also gives X~ beside other inputs
STARTS = ("class_average", "class_instance", "random")

# Who answers: M_S to the adversary's own images, M_S to the attacked ones; 1 and more, a target model to these
OWN, SHADOW = 0, -1
Held = dict[Any, dict[str, Tensor]]  # by who answers: O, A^L, X~
Plan = tuple[
    str, dict[str, Any], Held
]  # inputs of M_I, how the row is named, what M_I learns from and is given


@dataclass
class Study:
    """Where rows are written, and what they are measured on."""

    sizes: Sizes
    data: dict[str, tuple[Tensor, Tensor]]
    half: bool
    rows: list[dict[str, Any]]
    write: Callable[[], None]

    def add(self, **row: Any) -> None:
        self.rows.append(row)
        self.write()
        print(json.dumps(row), flush=True)

    def shadows(self, count: int) -> list[nn.Module]:
        return classifiers(self.sizes, *self.data["shadow_train"], [2 * each for each in range(1, count + 1)])

    def targets(self, count: int) -> list[nn.Module]:
        return classifiers(
            self.sizes, *self.data["target_train"], [2 * each + 1 for each in range(1, count + 1)]
        )

    def search(
        self, model: nn.Module, vectors: Tensor, way: Search, marks: Sequence[int], start: str = STARTS[0]
    ) -> dict[int, Tensor]:
        make = {
            "class_average": class_averages,
            "class_instance": class_instances,
            "random": lambda *_: None,
        }[start]
        return searched(model, vectors, make(*self.data["shadow_train"]), way, marks, self.sizes, self.half)

    def search_all(
        self, model: nn.Module, asked: dict[Any, Tensor], way: Search, marks: Sequence[int]
    ) -> dict[Any, dict[int, Tensor]]:
        """Search for several sets of answers at once, which fills the GPU."""
        found = self.search(model, torch.cat(list(asked.values())), way, marks)
        cut = {
            mark: images.split([len(vectors) for vectors in asked.values()]) for mark, images in found.items()
        }
        return {who: {mark: cut[mark][at] for mark in marks} for at, who in enumerate(asked)}

    def describe(self, role: str, number: int, model: nn.Module) -> None:
        """Write what a model is like, on its own validation set and on the test images."""
        images, labels = self.data[f"{role}_validation"]
        logits = answers(model, images)
        self.add(
            kind="model", role=role, number=number, loss=float(F.cross_entropy(logits, labels)),
            accuracy=float((logits.argmax(dim=1) == labels).float().mean()),
            scale=float(answers(model, self.data["test"][0]).std()),
        )  # fmt: skip


def steps(study: Study, options: argparse.Namespace) -> None:
    """Make X~ of shadow validation images in every way, as `python -m tuning.step_size --width text` does."""
    last = max(study.sizes.steps)
    for number, model in enumerate(study.shadows(options.shadows), 1):
        study.describe("shadow", number, model)
        truth = study.data["shadow_validation"][0][: options.images]
        vectors = answers(model, truth)
        for start in STARTS:
            for optimizer, rates in RATES.items():
                for rate in rates:
                    found = study.search(model, vectors, Search(rate, optimizer), (last,), start)[last]
                    study.add(
                        kind="steps",
                        shadow=number,
                        start=start,
                        optimizer=optimizer,
                        rate=rate,
                        images=len(truth),
                        **score(found, truth),
                    )


def search(study: Study, options: argparse.Namespace) -> None:
    """Rows with X~, and X~ alone, after searches of every strength; A^L of the adversary's own images extracted."""
    targets = study.targets(options.targets)
    for number, model in enumerate(study.shadows(options.shadows), 1):
        own_images, truth = study.data["shadow_train"][0], study.data["test"][0]
        asked = {OWN: answers(model, own_images)}
        asked |= {at: answers(target, truth) for at, target in enumerate(targets, 1)}
        held = {at: {"o": vectors, "a": solved(model, vectors, seed=number)} for at, vectors in asked.items()}
        held[OWN]["a"] = answers(model, own_images, 14)
        _invert(study, number, [(inputs, {}, held) for inputs in ("o", "a", "o+a")])
        asked["validation"] = answers(model, study.data["shadow_validation"][0])
        for optimizer in RATES:
            for rate in STUDIED:
                _search_one_way(study, number, model, Search(rate, optimizer), asked, held)


def _search_one_way(
    study: Study, number: int, model: nn.Module, way: Search, asked: dict[Any, Tensor], held: Held
) -> None:
    found = study.search_all(model, asked, way, study.sizes.steps)
    plans: list[Plan] = []
    for mark in study.sizes.steps:
        if not mark and way != Search(STUDIED[0]):
            continue  # the start is the same in every way
        named = {"optimizer": way.optimizer, "rate": way.rate, "steps": mark}
        for who, images in found.items():
            name, where = ("shadow_validation", {}) if who == "validation" else ("test", {"target": who})
            if who != OWN:
                scores = score(images[mark], study.data[name][0])
                study.add(
                    kind="alone",
                    images=name.split("_")[-1],
                    shadow=number,
                    inputs="x",
                    **where,
                    **named,
                    **scores,
                )
        parts = {who: held[who] | {"x": found[who][mark]} for who in held}
        plans += [
            (inputs, named, parts)
            for inputs in COMBINATIONS
            if "x" in inputs.split("+") and (inputs == "x" or mark <= MIXED)
        ]
    _invert(study, number, sorted(plans, key=lambda plan: plan[0] != "x"))


def _invert(study: Study, number: int, plans: Sequence[Plan], repeats: Sequence[int] = (1,)) -> None:
    """Train M_I as planned, and write what it draws of every model's answers but the adversary's own images."""
    asked = [
        (joined(parts[OWN], inputs), 1000 * repeat + number)
        for inputs, _, parts in plans
        for repeat in repeats
    ]
    own_images, truth = study.data["shadow_train"][0], study.data["test"][0]
    trained = iter(inverters(study.sizes, asked, own_images))
    for inputs, named, parts in plans:
        for repeat in repeats:
            model = next(trained)
            for at in [each for each in parts if each != OWN]:
                who = {"answered_by": "shadow"} if at == SHADOW else {"target": at}
                found = score(drawn(model, joined(parts[at], inputs)), truth)
                study.add(
                    kind="inverter", shadow=number, inputs=inputs, **named, repeat=repeat, **who, **found
                )


def pairs(study: Study, options: argparse.Namespace) -> None:
    """Every row of Table 4 in both readings of A^L, every shadow model against every target."""
    targets = study.targets(options.targets)
    for number, model in enumerate(targets, 1):
        study.describe("target", number, model)
    for number, model in enumerate(study.shadows(options.shadows), 1):
        study.describe("shadow", number, model)
        _pair(study, number, model, targets, options)


def _pair(
    study: Study, number: int, model: nn.Module, targets: Sequence[nn.Module], options: argparse.Namespace
) -> None:
    own_images, truth = study.data["shadow_train"][0], study.data["test"][0]
    way, last = Search(options.rate), study.sizes.steps[-1]
    asked = {OWN: answers(model, own_images)}
    asked |= {at: answers(target, truth) for at, target in enumerate(targets, 1)}
    asked[SHADOW] = answers(model, truth)
    held = {at: {"o": vectors, "a": solved(model, vectors, seed=number)} for at, vectors in asked.items()}
    validation = study.data["shadow_validation"][0]
    images = study.search_all(model, asked | {"validation": answers(model, validation)}, way, (last,))
    hot = study.search(model, torch.eye(10, device=DEVICE), replace(way, objective="cross_entropy"), (last,))[
        last
    ]
    averages = class_averages(*study.data["shadow_train"])

    def alone(found: Tensor, true: Tensor = truth, **named: Any) -> None:
        study.add(shadow=number, **named, **score(found, true))

    alone(images["validation"][last], validation, kind="alone", images="validation", objective="logit_mse")
    for at, parts in held.items():
        parts["x"] = images[at][last]
        parts["one_hot"] = hot[asked[at].argmax(dim=1)]
        if at not in (OWN, SHADOW):
            alone(parts["x"], kind="alone", target=at, objective="logit_mse")
            alone(parts["one_hot"], kind="alone", target=at, objective="cross_entropy")
            alone(averages[asked[at].argmax(dim=1)], kind="average", target=at)
            study.add(kind="pair", shadow=number, target=at, agreement=_agreement(asked[at], asked[SHADOW]))
    extracted = held | {OWN: held[OWN] | {"a": answers(model, own_images, 14)}}
    plans = [(each, {"known": "solved"}, held) for each in (*COMBINATIONS, "one_hot")]
    plans += [(each, {"known": "extracted"}, extracted) for each in COMBINATIONS if "a" in each]
    again = range(1, (options.repeats if number == 1 else 1) + 1)
    _invert(study, number, [plan for plan in plans if plan[0] in PARTS], again)
    _invert(study, number, [plan for plan in plans if plan[0] not in PARTS])


def _agreement(target: Tensor, shadow: Tensor) -> float:
    """Cosine of the nine logits beside that of the target's class, each vector less its mean, over the images."""
    kept = F.one_hot(target.argmax(dim=1), 10) == 0
    first, second = (vectors[kept].reshape(len(vectors), 9) for vectors in (target, shadow))
    first, second = (vectors - vectors.mean(dim=1, keepdim=True) for vectors in (first, second))
    return float(F.cosine_similarity(first, second).mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", choices=["steps", "search", "pairs"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shadows", type=int, default=1)
    parser.add_argument("--targets", type=int, default=4)
    parser.add_argument(
        "--repeats", type=int, default=5, help="inversion models of the first shadow for O, A^L and X~"
    )
    parser.add_argument("--rate", type=float, default=0.1, help="step size of X~ in `pairs`")
    parser.add_argument("--images", type=int, default=512, help="validation images in `steps`")
    parser.add_argument("--half", action="store_true", help="convolutions of the search in bfloat16")
    parser.add_argument("--small", action="store_true", help="small models on few images: a try")
    options = parser.parse_args()
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.benchmark = True
    sizes = SMALL if options.small else Sizes()
    began, rows = time.time(), list[dict[str, Any]]()
    machine = torch.cuda.get_device_name() if DEVICE.type == "cuda" else "CPU"
    others = json.loads(options.out.read_text()) if options.out.exists() else {}
    settings = {name: value for name, value in vars(options).items() if name != "out"}

    def write() -> None:
        found = {
            "settings": settings,
            "torch": torch.__version__,
            "machine": machine,
            "seconds": round(time.time() - began),
            "rows": rows,
        }
        options.out.write_text(json.dumps(others | {options.study: found}).replace("}, {", "},\n{") + "\n")

    study = Study(sizes, load(sizes.data), options.half, rows, write)
    {"steps": steps, "search": search, "pairs": pairs}[options.study](study, options)


if __name__ == "__main__":
    main()
