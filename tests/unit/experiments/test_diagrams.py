"""The drawings of models and workflow against what the code does."""

import re
from pathlib import Path

from mi_keras.models.tcnn import build_tcnn
from scripts.diagrams import (
    architecture_document,
    model_diagram,
    thesis_stages,
    workflow_diagram,
)

REPOSITORY = Path(__file__).resolve().parents[3]


def test_the_document_is_what_the_code_draws():
    assert (REPOSITORY / "docs" / "architecture.md").read_text() == architecture_document()


def test_every_layer_and_every_connection_is_drawn():
    model = build_tcnn(10, channels=(4, 4, 4))
    drawing = model_diagram(model)
    assert drawing.count("-->") == len(model.layers) - 1  # a chain
    shapes = dict(re.findall(r'  (\w+)\["\w+<br/>\w+<br/>([^"]*)"\]', drawing))
    assert shapes["up_1"] == "8 x 8 x 4"
    assert set(shapes) == {layer.name for layer in model.layers}


def test_the_target_model_meets_the_attack_in_its_output_vectors_only(tmp_path):
    training, testing = thesis_stages(tmp_path)
    assert "M_T" not in workflow_diagram(training)
    assert "D_T^T" not in workflow_diagram(training)
    drawing = workflow_diagram(testing)
    target = re.search(r'(s\d+)\["train M_T"\]', drawing).group(1)
    outputs = re.search(r'(s\d+)\["O: output vectors of D_F"\]', drawing).group(1)
    assert re.findall(rf"  {target} --> (s\d+)", drawing) == [outputs]
