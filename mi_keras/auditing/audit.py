"""`audit`: what can be rebuilt of an image from what a model sends out, point by point, with a verdict on each."""

import itertools
import platform
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras

from mi_keras.auditing import attackers, controls, steps
from mi_keras.auditing.cost import sentence
from mi_keras.auditing.defences import cheapest, defence_rows
from mi_keras.auditing.envelope import Envelope, folds_of, on_members
from mi_keras.auditing.notes import indistinct, shadow_facts, smoke, weak_shadows
from mi_keras.auditing.options import Options, refuse_unknown
from mi_keras.auditing.point_report import pictures_of, told_of
from mi_keras.auditing.points import name_of
from mi_keras.auditing.report import (
    Curve,
    DefenceRow,
    ModelFacts,
    PointReport,
    Report,
    Settings,
)
from mi_keras.auditing.sent import Sent
from mi_keras.auditing.stronger import (
    WHITE,
    Climbed,
    climb_all,
    curve,
    missed,
    not_tried,
)
from mi_keras.auditing.verdict import Judgement, Tolerance, judge
from mi_keras.auditing.work import Work, on_answers, work_of
from mi_keras.experiments.store import Store
from mi_keras.machine import computed_otherwise, machine, versions
from mi_keras.models.scope import own_models
from mi_keras.progress import Progress
from mi_keras.types import Floats


def audit(
    model: keras.Model | str | Path,
    data: Any,
    options: Options | None = None,
    *,
    store: Store | None = None,
    progress: Progress | None = None,
    name: str | None = None,
    data_name: str | None = None,
    imports: Sequence[str] = (),
    **settings: Any,
) -> Report:
    """Measure what can be rebuilt of an image from what a Keras model sends out.

    All of it is computed in this process: a model in memory cannot be sent to others, as `mi-keras audit` sends a path.

    Args:
        model: the model, or the path of a `.keras` or `.h5` file, which is opened without running code from it.
        data: images, of which some become the adversary's own and some are attacked: the path of a folder, .zip or .npz
            file, or "mnist"; or `images`, `(images, labels)`, `(images, labels, groups)`, `((x_train, y_train), (x_test,
            y_test))` or a `tf.data.Dataset` of `image` or `(image, label)`. Images are `(count, height, width, channels)`.
        options: everything else.
        settings: fields of `Options` by name, in place of those in `options`: `audit(model, images, pixels="0..1")`.
        store: where finished steps are kept; by default `$MI_KERAS_HOME`.
        progress: where steps are reported; by default nowhere.
        name: of the model in tables; `data_name`: of the images.
        imports: modules with custom classes that a model file needs.

    Raises:
        InputError: model, images and options do not fit; raised before anything is trained.
    """
    if unknown := sorted(settings.keys() - {field.name for field in fields(Options)}):
        refuse_unknown(unknown[0], ("options", "store", "progress", "name", "data_name", "imports"))
    options = replace(options or Options(), **settings)
    if store is not None:
        store.start_record()  # what an earlier audit used is not this one's
    work = work_of(model, data, options, store=store, progress=progress, name=name, imports=imports)
    return report_of(work, data_name)


def report_of(work: Work, data_name: str | None = None) -> Report:
    """Compute an audit and judge what its attacks got; `data_name`: of the images, where not the source's own."""
    with own_models():
        work.begin()
        return _Audit(work, data_name).report()


class _Audit:
    """Judges what the attacks of an audit got."""

    def __init__(self, work: Work, data_name: str | None) -> None:
        self.work, self.options, self.data_name = work, work.options, data_name
        self.tolerance = self.options.tolerance or Tolerance()
        self.pictures: dict[str, Floats] = {}
        self.curves: list[Curve] = []
        self.left_out: list[str] = []  # for the budget, a sentence each
        self.without_spread: set[Sent] = set()  # over attackers, for the budget

    def report(self) -> Report:
        """Choose what is published, run the controls, and judge."""
        subject, options = self.work.contract.subjects[0], self.options
        climbed = {sent: self._climbed(sent) for sent in self.work.sent}
        any_point = climbed[self.work.sent[0]].whole  # images and classes are the same at all of them
        ran = {sent: _answered_by(each) for sent, each in climbed.items()}
        checks = controls.by_point(ran, self.work.benches, self.work.sizes, options.among)
        same = controls.identity(self.work.benches(self.work.sent[0]), any_point)
        failed = {sent: controls.failed([*checks[sent], same]) for sent in self.work.sent}
        published = {sent: self._published(sent, each, failed[sent]) for sent, each in climbed.items()}
        others = {sent: self._others(sent, envelope) for sent, (envelope, _) in published.items()}
        self.work.end(
            lambda: [
                steps.of_published(climbed[sent], published[sent][0], self.work.kept[sent], others[sent]) for sent in self.work.sent
            ]
        )  # fmt: skip
        points = tuple(self._point(sent, climbed[sent], *published[sent]) for sent in self.work.sent)
        defences, behind = self._defences(points, failed)
        benches = {name_of(sent): self.work.benches(sent)[0] for sent in self.work.sent}
        why = {
            name_of(sent): missed(each, self.work.benches(sent)[0], self.work.adversaries(sent), self.work.plans[sent].left_out)
            for sent, each in climbed.items()
        }  # fmt: skip
        return Report(
            model=ModelFacts(
                subject.name, subject.target(subject.output_name).identity, subject.model.count_params(),
                tuple(subject.image.shape[1:]), subject.output.kind, subject.output.classes,
            ),
            data=replace(self.work.contract.data, name=self.data_name or self.work.contract.data.name),
            settings=Settings(
                options.preset, options.seed, self.work.adversaries(*self.work.sent), self.tolerance.found, self.tolerance.detail,
                options.tolerance is None, options.among, options.class_of, options.budget, options.defend, options.sends,
                options.public_backbone, options.attacker_seeds,
            ),
            points=points, defences=defences, controls=(*dict.fromkeys(itertools.chain(*checks.values())), same),
            assumed=(*self.work.contract.assumed, *shadow_facts(climbed)), not_tried=tuple(not_tried(benches, self.work.adversaries(*self.work.sent), self.work.sizes, why, behind)),
            warnings=(*smoke(options.preset), *self.work.contract.warnings, *weak_shadows(climbed), *indistinct(any_point, self.work.benches(self.work.sent[0]), self.work.contract.names), *self.left_out, *computed_otherwise(self.work.store.computed_with)), cheapest=cheapest(points, defences),
            versions={"python": platform.python_version()} | versions(), machine=machine(self.work.store.precision), pictures=self.pictures,
            curves=tuple(self.curves),
        )  # fmt: skip

    def _others(self, sent: Sent, published: Envelope) -> set[int]:
        """Return the places of the attacks that other attackers try too, where any are asked for; a budget leaves them out first."""
        seeds, plan = self.options.attacker_seeds, self.work.plans[sent]
        dropped = list(plan.left_out)
        fits = plan.has_room_for(attackers.seconds(plan, published, seeds=seeds))
        if seeds > 1 and not fits:
            dropped.insert(0, f"{seeds - 1} other seeds of the attacker")
            self.without_spread.add(sent)
        if dropped:
            self.left_out.append(sentence(name_of(sent), dropped))
        return attackers.again(published) if fits and seeds > 1 else set()

    def _climbed(self, sent: Sent) -> Climbed:
        folds = self.work.kept[sent]
        if found := curve(folds, name_of(sent), among=self.options.among):
            self.curves.append(found)
        return climb_all(folds, among=self.options.among)

    def _published(self, sent: Sent, climbed: Climbed, failed: Sequence[str]) -> tuple[Envelope, Judgement]:
        dropped, is_output = self.work.plans[sent].left_out, self.work.benches(sent)[0].is_output
        missing = [] if is_output or climbed.part or any(d.startswith(WHITE) for d in dropped) else [WHITE]
        missing += [] if _answered_by(climbed) or sent.view.form == "label" else ["any attack on the answers"]
        return climbed.published(partial(self._judged, missing=[*missing, *dropped], failed=failed))

    def _point(self, sent: Sent, climbed: Climbed, envelope: Envelope, judgement: Judgement) -> PointReport:
        benches, folds, options = self.work.benches(sent), self.work.kept[sent], self.options
        self.pictures |= pictures_of(sent, benches, envelope)
        part = envelope is climbed.part
        spread = None
        if options.attacker_seeds > 1 and sent not in self.without_spread:
            spread = attackers.attackers(
                folds, climbed, envelope, seeds=options.attacker_seeds, among=options.among
            )
        return told_of(
            sent, benches, climbed, envelope, judgement, options=options, class_names=self.work.contract.class_names,
            attackers=spread, members=on_members(envelope, folds_of(folds, part), among=options.among, most=climbed.tried * part),
        )  # fmt: skip

    def _judged(self, envelope: Envelope, missing: Sequence[str], failed: Sequence[str]) -> Judgement:
        """Return the verdict; `missing`: attacks that would have to be tried before the point can be below tolerance."""
        return judge(
            envelope.numbers, self.tolerance, among=self.options.among, failed_controls=failed, untried=", ".join(missing)
        )  # fmt: skip

    def _defences(
        self, points: Sequence[PointReport], failed: Mapping[Sent, Sequence[str]]
    ) -> tuple[tuple[DefenceRow, ...], list[str]]:
        """Return what defences leave at every point that they are for; see `defence_rows`."""
        rows: list[DefenceRow] = []
        not_tried: list[str] = []
        for point, (sent, plan) in zip(points, self.work.plans.items(), strict=True):
            if defences := self.work.tried[sent]:
                found, left = defence_rows(
                    point, defences, self.work.benches(sent), plan, adversaries=self.work.adversaries(sent), options=self.options,
                    judged=partial(self._judged, failed=failed[sent]),
                )  # fmt: skip
                rows, not_tried = rows + found, not_tried + left
        return tuple(rows), not_tried


def _answered_by(climbed: Climbed) -> set[str]:
    """Return the labels of the attacks on answers that were run, whoever gave the answers."""
    return on_answers([each.rung for each in climbed.attacks])
