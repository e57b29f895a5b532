#!/usr/bin/env python3
"""Table 4 of the thesis at its own sizes over pairs of models, in PyTorch: a check of the whole chain by other code.

    python tests/oracles/torch_table_4.py steps  --out FILE.json                     # which step of X~ comes nearest to Table 3
    python tests/oracles/torch_table_4.py pairs  --out FILE.json --shadows 2 --repeats 3    # all rows, each shadow, each target
    python tests/oracles/torch_table_4.py search --out FILE.json --targets 3 --half         # M_I(X~) and the strength of its search
    python tests/oracles/torch_table_4.py pairs  --out FILE.json --small             # a minute on a CPU: does it run

Networks and SSIM are those of `make_torch_oracles.py`; losses, updates and training are written again here, for a GPU. Of
`mi_keras` it takes the images and the seeds of their division alone, which need no TensorFlow. A study is written into the file
after every row, beside the others. Seeds fix what is drawn, but a GPU rounds sums differently from run to run, and models differ
by that. Convolutions are in TF32, the GPU's default, or with `--half` those of the search in bfloat16. `torch_table_4.json` holds
what an H100 gave with PyTorch 2.11 in nine minutes: of `pairs` two of four shadow models, of `search` no plain gradient above 0.01.
`docs/results.md` shows it.
`check_torch_steps.py` compares the steps with `make_torch_oracles.py`.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
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
    classifier,
    drawn,
    inverter,
    joined,
    load,
    score,
    searched,
    solved,
)

PARTS = ("o", "a", "x")
COMBINATIONS = ("o", "a", "x", "o+a", "o+x", "a+x", "o+a+x")
RATES = {"adam": (0.003, 0.01, 0.03, 0.1), "gradient_descent": (0.01, 0.03, 0.1)}
STUDIED = (0.01, 0.03, 0.1)  # of both optimizers, in `search`
STARTS = ("class_average", "class_instance", "random")


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

    def shadow(self, number: int) -> nn.Module:
        return classifier(self.sizes, *self.data["shadow_train"], seed=2 * number)

    def target(self, number: int) -> nn.Module:
        return classifier(self.sizes, *self.data["target_train"], seed=2 * number + 1)

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
    for number in range(1, options.shadows + 1):
        model = study.shadow(number)
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
    """M_I(X~) and X~ alone after searches of every strength, the first shadow model against each target."""
    targets = [study.target(number) for number in range(1, options.targets + 1)]
    for number in range(1, options.shadows + 1):
        _searches_of(study, number, targets)


def _searches_of(study: Study, number: int, targets: Sequence[nn.Module]) -> None:
    own_images, truth = study.data["shadow_train"][0], study.data["test"][0]
    model = study.shadow(number)
    asked = {
        "own": answers(model, own_images),
        "validation": answers(model, study.data["shadow_validation"][0]),
    }
    asked |= {target: answers(each, truth) for target, each in enumerate(targets, 1)}
    _invert(study, asked, own_images, {"shadow": number, "inputs": "o"}, asked)
    for optimizer in RATES:
        for rate in STUDIED:
            way = Search(rate, optimizer)
            found = study.search_all(model, asked, way, study.sizes.steps)
            for mark in study.sizes.steps:
                named = {"shadow": number, "inputs": "x", "optimizer": optimizer, "rate": rate, "steps": mark}
                if not mark and way != Search(STUDIED[0]):
                    continue  # the start is the same in every way
                parts = {who: images[mark] for who, images in found.items()}
                alone = score(parts["validation"], study.data["shadow_validation"][0])
                study.add(kind="alone", images="validation", **named, **alone)
                for target in range(1, len(targets) + 1):
                    study.add(
                        kind="alone", images="test", target=target, **named, **score(parts[target], truth)
                    )
                _invert(study, parts, own_images, named, asked)


def _invert(
    study: Study,
    parts: dict[Any, Tensor],
    own_images: Tensor,
    named: dict[str, Any],
    asked: dict[Any, Tensor],
) -> None:
    trained = inverter(study.sizes, parts["own"].flatten(1), own_images, seed=1000 + named["shadow"])
    for target in [each for each in asked if isinstance(each, int)]:
        found = drawn(trained, parts[target].flatten(1))
        study.add(kind="inverter", target=target, **named, **score(found, study.data["test"][0]))


def pairs(study: Study, options: argparse.Namespace) -> None:
    """Every row of Table 4 in both readings of A^L, every shadow model against every target."""
    truth = study.data["test"][0]
    targets = [study.target(number) for number in range(1, options.targets + 1)]
    for number, model in enumerate(targets, 1):
        study.describe("target", number, model)
    averages = class_averages(*study.data["shadow_train"])
    for number in range(1, options.shadows + 1):
        model = study.shadow(number)
        study.describe("shadow", number, model)
        for row in _of_shadow(study, number, model, targets, averages, truth, options):
            study.add(shadow=number, **row)


def _of_shadow(
    study: Study,
    number: int,
    model: nn.Module,
    targets: Sequence[nn.Module],
    averages: Tensor,
    truth: Tensor,
    options: argparse.Namespace,
) -> Iterator[dict[str, Any]]:
    own_images, way, last = (
        study.data["shadow_train"][0],
        Search(options.rate),
        study.sizes.steps[-1],
    )
    asked = {
        0: answers(model, own_images),
        **{at: answers(each, truth) for at, each in enumerate(targets, 1)},
    }
    asked[-1] = answers(model, truth)  # the shadow's own answers to the attacked images
    held = {at: {"o": vectors, "a": solved(model, vectors, seed=number)} for at, vectors in asked.items()}
    validation = study.data["shadow_validation"][0]
    images = study.search_all(model, asked | {"validation": answers(model, validation)}, way, (last,))
    alone = score(images["validation"][last], validation)
    yield {"kind": "alone", "images": "validation", "objective": "logit_mse", **alone}
    way = replace(way, objective="cross_entropy")
    hot = study.search(model, torch.eye(10, device=DEVICE), way, (last,))[last]

    def row(kind: str, found: Tensor, **named: Any) -> dict[str, Any]:
        return {"kind": kind, **named, **score(found, truth)}

    for at, parts in held.items():
        parts["x"] = images[at][last]
        parts["one_hot"] = hot[asked[at].argmax(dim=1)]
        if at > 0:
            yield row("alone", parts["x"], target=at, objective="logit_mse")
            yield row("alone", parts["one_hot"], target=at, objective="cross_entropy")
            yield row("average", averages[asked[at].argmax(dim=1)], target=at)
            yield {"kind": "pair", "target": at, "agreement": _agreement(asked[at], asked[-1])}
    extracted = held[0] | {"a": answers(model, own_images, 14)}
    plans = [(each, "solved", held[0]) for each in (*COMBINATIONS, "one_hot")]
    plans += [(each, "extracted", extracted) for each in COMBINATIONS if "a" in each]
    for inputs, known, own in plans:
        repeats = options.repeats if number == 1 and inputs in PARTS else 1
        for repeat in range(1, repeats + 1):
            trained = inverter(study.sizes, joined(own, inputs), own_images, seed=1000 * repeat + number)
            for at in [each for each in held if each]:
                who = {"answered_by": "shadow"} if at < 0 else {"target": at}
                found = drawn(trained, joined(held[at], inputs))
                yield row("inverter", found, inputs=inputs, known=known, repeat=repeat, **who)


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
