"""Mermaid diagrams of the models and of the workflow, drawn from the code itself (thesis Figures 1, 2, 5 and 6)."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mi_keras.settings import IMAGE_SIZE

if TYPE_CHECKING:
    import keras

    from mi_keras.experiments.store import Stage

SETS = {  # of the five sets, the text's names
    "target_train": "target training images D_T^T", "target_validation": "target validation images D_V^T",
    "shadow_train": "shadow training images D_T^S", "shadow_validation": "shadow validation images D_V^S",
    "test": "test images D_F",
}  # fmt: skip
MODELS = {"target": "M_T", "shadow": "M_S"}


def model_diagram(model: "keras.Model") -> str:
    """Return a functional model as a Mermaid flowchart: one node per layer with its output shape, edges as connected."""
    lines = ["flowchart TB"]
    for layer in model.layers:
        shape = " x ".join(str(size) for size in layer.output.shape[1:])
        lines.append(f'  {layer.name}["{layer.name}<br/>{type(layer).__name__}<br/>{shape}"]')
    for operation in model.operations:
        for node in operation._inbound_nodes:
            lines += [f"  {parent.operation.name} --> {operation.name}" for parent in node.parent_nodes]
    return "\n".join(lines) + "\n"


def workflow_diagram(stage: "Stage") -> str:
    """Return all that a stage is made from as a Mermaid flowchart: stages as boxes, the sets that they read as drums."""
    stages = list({each.key: each for each in _with_upstream(stage)}.values())
    names = {each.key: f"s{number}" for number, each in enumerate(stages)}
    read = [name for name in SETS if any(name in sets_read(each) for each in stages)]
    lines = ["flowchart LR", *(f'  {name}[("{SETS[name]}")]' for name in read)]
    for each in stages:
        lines.append(f'  {names[each.key]}["{_words(each)}"]')
        lines += [f"  {name} --> {names[each.key]}" for name in sets_read(each)]
        lines += [f"  {names[earlier.key]} --> {names[each.key]}" for earlier in each.upstream]
    return "\n".join(lines) + "\n"


def sets_read(stage: "Stage") -> tuple[str, ...]:
    """Return which of the five sets the computation of a stage reads."""
    role, subset = stage.identity.get("role"), stage.identity.get("subset")
    return {
        "classifier": (f"{role}_train", f"{role}_validation"),
        "output_vector": (str(subset),),
        "gradient_reconstruction": ("shadow_train",),  # the class averages that it starts from
        "inverter": ("shadow_train",),
        "inversion": (str(subset),),  # to score the result
        "activations": (),
    }[stage.kind]


def thesis_stages(folder: Path) -> tuple["Stage", "Stage"]:
    """Describe, without computing, the text's best attack with all three inputs: the training of M_I, and its use."""
    from mi_keras.data.splits import Splits
    from mi_keras.experiments.case import Case, plan
    from mi_keras.experiments.store import Store
    from mi_keras.experiments.thesis.bench import ThesisBench
    from mi_keras.experiments.thesis.rows import inversion
    from mi_keras.experiments.thesis.sizes import Inverted
    from mi_keras.progress import SilentProgress
    from mi_keras.types import Images

    image = np.zeros((1, IMAGE_SIZE, IMAGE_SIZE, 1), np.float32)
    one = Images(image, np.zeros(1, np.int64), np.zeros(1, np.uint64))
    splits = Splits(**dict.fromkeys(SETS, one), class_names=("0",), source_name="", fingerprint="")
    paper = Inverted()
    bench = ThesisBench(splits, {}, paper.classifier, Store(folder), SilentProgress(), seed=1, run=1)
    best = plan(Case(inversion(paper, "o+a+x")), bench)
    return best.learned, best.scored


def composition_diagram() -> str:
    """Return how an experiment is put together: the parts of a `Case`, and who holds the truth."""
    return """flowchart LR
  subgraph owner["owner of the model"]
    images[("Images<br/>the only carrier of truth")] --> target["Target<br/>head of any Keras model,<br/>observed at a point"]
    target --> defense["Defense<br/>hardens the model,<br/>or changes what it sends"]
  end
  defense --> observation["Observation<br/>values and point,<br/>nothing else"]
  subgraph adversary
    access["Access<br/>the threat model"] -- "grants" --> holdings["Holdings<br/>own images, surrogates,<br/>queries, weights, pool"]
    observation --> inputs["Inputs<br/>O, A^L, X~, F"]
    holdings --> inputs
    inputs -- "Evidence" --> attack["Attack<br/>fit, then reconstruct"]
    holdings --> attack
  end
  attack --> reconstructions[("reconstructions")]
  baselines["Baselines<br/>class average, class prototype,<br/>mean image: attacks too"] --> reconstructions
  reconstructions --> scores["Scores<br/>per image, beside the baselines'"]
  images -. "truth" .-> scores
"""


def registered_parts() -> str:
    """Return what is registered, as a list."""
    from mi_keras.attacks import Attack, Input
    from mi_keras.defenses import Defense
    from mi_keras.registered import registered

    parts = {
        "Attacks and inputs": registered("mi_keras.attacks", Attack, Input),
        "Defences": registered("mi_keras.defenses", Defense),
    }
    lines = (
        f"- {title}: {', '.join(sorted(f'`{each.__module__[9:]}.{each.__name__}`' for each in classes))}"
        for title, classes in parts.items()
    )
    return "\n".join(lines) + "\n"


def architecture_document() -> str:
    """Return docs/architecture.md."""
    from mi_keras.models.cnn import build_cnn
    from mi_keras.models.tcnn import build_tcnn

    with tempfile.TemporaryDirectory() as folder:
        training, testing = thesis_stages(Path(folder))
        drawings = (
            ("Target and shadow CNN, M_T and M_S (thesis Figures 1 and 25)", model_diagram(build_cnn())),
            ("Inversion model M_I of the output vector (thesis Figures 2 and 26)", model_diagram(build_tcnn(10))),
            ("Training workflow of M_I(O + A^L + X~) (thesis Figure 5)", workflow_diagram(training)),
            ("Testing workflow of M_I(O + A^L + X~) (thesis Figure 6)", workflow_diagram(testing)),
        )  # fmt: skip
    intro = f"""# Architecture

An adversary with an `Access` observes a `Target` at a point, behind a `Defense`, and reconstructs images; scores say what it gained over
knowing the class. One cell of that is a `Case`; `mi_keras.experiments.case.plan` turns it into stages of the store, and it is the only place
where they are wired. A work (`thesis`, `split`, `beyond`) adds a `Bench`: what answers, to which images, and how it is scored. A section is settings,
claims, figures and published numbers.

```mermaid
{composition_diagram()}```

{registered_parts()}
Drawn from the code by `python scripts/update_docs.py`, as is what follows: the models layer by layer with their output shapes, the workflow
from what each stage of the attack is made from.
"""
    return intro + "".join(f"\n## {title}\n\n```mermaid\n{drawing}```\n" for title, drawing in drawings)


def _with_upstream(stage: "Stage") -> Iterator["Stage"]:
    for earlier in stage.upstream:
        yield from _with_upstream(earlier)
    yield stage


def _words(stage: "Stage") -> str:
    subset = stage.identity.get("subset") or (stage.upstream and stage.upstream[0].identity.get("subset"))
    images = SETS.get(subset or "", "").rpartition(" ")[2]  # the text's symbol
    return {
        "classifier": f"train {MODELS.get(stage.identity.get('role', ''), '')}",
        "output_vector": f"O: output vectors of {images}",
        "activations": f"A^L: activations solved from O of {images}",
        "gradient_reconstruction": f"X~: gradient reconstructions from O of {images}",
        "inverter": "train M_I",
        "inversion": "apply M_I and score",
    }[stage.kind]
