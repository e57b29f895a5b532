"""`audit`: what can be rebuilt of an image from what a model sends out, point by point, with a verdict on each."""

import itertools
import platform
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras

from mi_keras.attacks.shadows import FromShadows
from mi_keras.auditing import attackers, controls
from mi_keras.auditing.bench import AuditBench
from mi_keras.auditing.contract import Contract, inspect
from mi_keras.auditing.cost import Chosen, choose, forecast, sentence
from mi_keras.auditing.defence_specs import Spec
from mi_keras.auditing.defences import cheapest, defence_rows, parse_defences
from mi_keras.auditing.envelope import Envelope
from mi_keras.auditing.ladder import CLASS, POOL, WHITE_BOX, Rung
from mi_keras.auditing.loading import load_model
from mi_keras.auditing.notes import indistinct, shadow_facts, smoke, weak_shadows
from mi_keras.auditing.options import DEFAULT_ADVERSARIES, Options, refuse_unknown
from mi_keras.auditing.point_report import pictures_of, report_of
from mi_keras.auditing.points import name_of, sent_at
from mi_keras.auditing.report import (
    Attackers,
    Curve,
    DefenceRow,
    ModelFacts,
    PointReport,
    Report,
    Settings,
)
from mi_keras.auditing.sent import Sent
from mi_keras.auditing.sizes import SIZES
from mi_keras.auditing.steps import to_compute
from mi_keras.auditing.stronger import (
    WHITE,
    Climbed,
    attacks,
    climb_all,
    curve,
    missed,
    not_tried,
)
from mi_keras.auditing.verdict import Judgement, Tolerance, judge
from mi_keras.display import displayable
from mi_keras.errors import InputError
from mi_keras.experiments.store import Store, open_store
from mi_keras.machine import machine, versions
from mi_keras.models.scope import check_keras, own_models
from mi_keras.progress import Progress, SilentProgress
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
    check_keras()
    if unknown := sorted(settings.keys() - {field.name for field in fields(Options)}):
        refuse_unknown(unknown[0], ("options", "store", "progress", "name", "data_name", "imports"))
    options = replace(options or Options(), **settings)
    if not isinstance(model, keras.Model):
        if not isinstance(model, str | Path):
            raise InputError(
                f"`model` must be a Keras model or the path of one; got a {type(model).__name__}."
            )
        name = name or Path(model).name
        model = load_model(str(model), imports=imports)
    contract = inspect(model, displayable(name or model.name), data, options)
    sent = sent_at(contract.subjects[0], options.at)
    defended = parse_defences(options.defend, sent, contract.subjects[0])
    store, progress = store or open_store(), progress or SilentProgress()
    with own_models():
        return _Audit(contract, sent, defended, options, store, progress, data_name).report()


class _Audit:
    """One audit at work."""

    def __init__(
        self,
        contract: Contract,
        sent: Sequence[Sent],
        defended: Mapping[Sent, Sequence[Spec]],
        options: Options,
        store: Store,
        progress: Progress,
        data_name: str | None,
    ) -> None:
        self.data_name = data_name
        self.contract, self.options, self.sent, self.defended = contract, options, sent, defended
        self.store, self.progress = store, progress
        sizes = SIZES[options.preset]
        self.sizes = sizes if options.adversaries else replace(sizes, white_box=sizes.at_layers)
        self.tolerance = options.tolerance or Tolerance()
        self.pictures: dict[str, Floats] = {}
        self.curves: list[Curve] = []
        self.left_out: list[str] = []  # for the budget, a sentence each

    def report(self) -> Report:
        """Attack every point, run the controls, and judge."""
        subject, options = self.contract.subjects[0], self.options
        self._answers()
        plans = {sent: self._plan(sent) for sent in self.sent}
        self._announce(plans)
        climbed = {sent: self._climbed(sent, plan) for sent, plan in plans.items()}
        any_point = climbed[self.sent[0]].whole  # images and classes are the same at all of them
        ran = {sent: _answered_by(each) for sent, each in climbed.items()}
        checks = controls.by_point(ran, self._benches, self.sizes, options.among)
        same = controls.identity(self._benches(self.sent[0]), any_point)
        failed = {sent: controls.failed([*checks[sent], same]) for sent in self.sent}
        points = tuple(self._point(sent, each, failed[sent], plans[sent]) for sent, each in climbed.items())
        defences, behind = self._defences(points, plans, failed)
        benches = {name_of(sent): self._benches(sent)[0] for sent in self.sent}
        why = {
            name_of(sent): missed(each, self._benches(sent)[0], self._adversaries(sent), plans[sent].left_out)
            for sent, each in climbed.items()
        }
        return Report(
            model=ModelFacts(
                subject.name, subject.target(subject.output_name).identity, subject.model.count_params(),
                tuple(subject.image.shape[1:]), subject.output.kind, subject.output.classes,
            ),
            data=replace(self.contract.data, name=self.data_name or self.contract.data.name),
            settings=Settings(
                options.preset, options.seed, self._adversaries(*self.sent), self.tolerance.found, self.tolerance.detail,
                options.tolerance is None, options.among, options.class_of, options.budget, options.defend, options.sends,
                options.public_backbone, options.attacker_seeds,
            ),
            points=points, defences=defences, controls=(*dict.fromkeys(itertools.chain(*checks.values())), same),
            assumed=(*self.contract.assumed, *shadow_facts(climbed)), not_tried=tuple(not_tried(benches, self._adversaries(*self.sent), self.sizes, why, behind)),
            warnings=(*smoke(options.preset), *self.contract.warnings, *weak_shadows(climbed), *indistinct(any_point, self._benches(self.sent[0]), self.contract.names), *self.left_out), cheapest=cheapest(points, defences),
            versions={"python": platform.python_version()} | versions(), machine=machine(self.store.precision), pictures=self.pictures,
            curves=tuple(self.curves),
        )  # fmt: skip

    def _adversaries(self, *sents: Sent) -> tuple[str, ...]:
        """Return who attacks at some points: who was asked for, and else at layers who has the weights too."""
        if self.options.adversaries:
            return self.options.adversaries
        any_layer = not all(self._benches(sent)[0].is_output for sent in sents)
        return (*DEFAULT_ADVERSARIES, *([WHITE_BOX] if any_layer and self.sizes.white_box else []))

    def _benches(self, sent: Sent) -> list[AuditBench]:
        return [
            AuditBench(subject, sent, self.store, self.progress, seed=self.options.seed, fold=number)
            for number, subject in enumerate(self.contract.subjects, start=1)
        ]

    def _answers(self) -> None:
        """Send all images to all points before anything learns from them: what cannot be sent is known at once."""
        for sent in self.sent:
            for bench in self._benches(sent):
                for subset in bench.subject.sides:
                    bench.values(bench.subject.output_name, subset)
                    bench.values(sent.point, subset)

    def _rungs(self, sent: Sent) -> list[list[Rung]]:
        benches, queries = self._benches(sent), self.options.queries
        return [
            attacks(bench, self._adversaries(sent), self.sizes, folds=len(benches), queries=queries)
            for bench in benches
        ]

    def _plan(self, sent: Sent) -> Chosen:
        """Say what is run at a point within its part of the budget."""
        folds = self._rungs(sent)
        return choose(folds[0], budget=self.options.budget, folds=len(folds))

    def _attackers(self, sent: Sent, climbed: Climbed, published: Envelope, plan: Chosen) -> Attackers | None:
        """Return the spread over attackers where it was asked for; it is what a budget leaves out first."""
        seeds = self.options.attacker_seeds
        dropped = list(plan.left_out)
        fits = plan.has_room_for(attackers.seconds(plan, published, seeds=seeds))
        if seeds > 1 and not fits:
            dropped.insert(0, f"{seeds - 1} other seeds of the attacker")
        if dropped:
            self.left_out.append(sentence(name_of(sent), dropped))
        if seeds == 1 or not fits:
            return None
        folds = self._kept(sent, plan)
        return attackers.attackers(folds, climbed, published, seeds=seeds, among=self.options.among)

    def _kept(self, sent: Sent, plan: Chosen) -> list[list[Rung]]:
        return [[fold[place] for place in plan.places] for fold in self._rungs(sent)]

    def _announce(self, plans: Mapping[Sent, Chosen]) -> None:
        # and again behind each defence
        times = {sent: 1 + len(self.defended.get(sent, ())) for sent in plans}
        seconds = sum(plan.seconds * times[sent] - plan.shared for sent, plan in plans.items())
        seconds += max(plan.shared for plan in plans.values())
        again = self.options.attacker_seeds - 1
        seconds += again * sum(max(plan.costs.values(), default=0.0) for plan in plans.values())
        seconds *= len(self.contract.subjects)
        if told := forecast(seconds, points=len(plans)):
            self.progress.announce(told)
        kept = {sent: self._kept(sent, plan) for sent, plan in plans.items()}
        ran = {sent: _on_answers(folds[0]) for sent, folds in kept.items()}
        folds = [*itertools.chain(*kept.values()), *controls.planned(ran, self._benches, self.sizes)]
        steps = to_compute(folds, self.store)
        for sent, defences in self.defended.items():  # the class alone is the same behind each
            behind = [[rung for rung in fold if rung.adversary not in (CLASS, POOL)] for fold in kept[sent]]
            steps += len(defences) * to_compute(behind, self.store)
        self.progress.expect(steps, seconds)

    def _climbed(self, sent: Sent, plan: Chosen) -> Climbed:
        folds = self._kept(sent, plan)
        if found := curve(folds, name_of(sent), among=self.options.among):
            self.curves.append(found)
        return climb_all(folds, among=self.options.among)

    def _point(self, sent: Sent, climbed: Climbed, failed: Sequence[str], plan: Chosen) -> PointReport:
        benches, dropped = self._benches(sent), plan.left_out
        is_output = benches[0].is_output
        missing = [] if is_output or climbed.part or any(d.startswith(WHITE) for d in dropped) else [WHITE]
        missing += [] if _answered_by(climbed) or sent.view.form == "label" else ["any attack on the answers"]
        missing += dropped
        envelope, judgement = climbed.published(partial(self._judged, missing=missing, failed=failed))
        self.pictures |= pictures_of(sent, benches, envelope)
        return report_of(
            sent, benches, climbed, envelope, judgement, options=self.options, class_names=self.contract.class_names,
            attackers=self._attackers(sent, climbed, envelope, plan),
        )  # fmt: skip

    def _judged(self, envelope: Envelope, missing: Sequence[str], failed: Sequence[str]) -> Judgement:
        """Return the verdict; `missing`: attacks that would have to be tried before the point can be below tolerance."""
        return judge(
            envelope.numbers, self.tolerance, among=self.options.among, failed_controls=failed, untried=", ".join(missing)
        )  # fmt: skip

    def _defences(
        self,
        points: Sequence[PointReport],
        plans: Mapping[Sent, Chosen],
        failed: Mapping[Sent, Sequence[str]],
    ) -> tuple[tuple[DefenceRow, ...], list[str]]:
        """Try what was asked for at every point that it is for, by the attacks that were run there without it; see `defence_rows`."""
        rows: list[DefenceRow] = []
        not_tried: list[str] = []
        for point, (sent, plan) in zip(points, plans.items(), strict=True):
            if specs := self.defended.get(sent, ()):
                found, left = defence_rows(
                    point, specs, self._benches(sent), plan, adversaries=self._adversaries(sent), options=self.options,
                    sizes=self.sizes, judged=partial(self._judged, failed=failed[sent]),
                )  # fmt: skip
                rows, not_tried = rows + found, not_tried + left
        return tuple(rows), not_tried


def _answered_by(climbed: Climbed) -> set[str]:
    """Return the labels of the attacks on answers that were run, whoever gave the answers."""
    return _on_answers([each.rung for each in climbed.attacks])


def _on_answers(rungs: Sequence[Rung]) -> set[str]:
    attacks = [rung.attack for rung in rungs if rung.adversary not in (CLASS, POOL)]
    return {(each.inner if isinstance(each, FromShadows) else each).label for each in attacks}
