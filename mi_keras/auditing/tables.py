"""The tables of an audit as plain text: the page and the model card show the same ones."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mi_keras.auditing import words
from mi_keras.auditing.glossary import ADVERSARIES
from mi_keras.auditing.report import AttackRow, PointReport, Report, Settings

Row = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Texts that are not escaped yet; columns from `numbers` on hold numbers, column `key` names the row."""

    title: str
    headings: Row
    rows: tuple[Row, ...]
    numbers: int
    key: int = 0


def points(report: Report) -> Table:
    """Return the verdict and the numbers of every point."""
    headings = ("Who listens", "At", "Verdict", words.heading_picks(report.settings), "Detail shown", "kB")
    rows = [
        (
            point.listener, point.name, point.verdict, words.picks(point.found, point.auc),
            words.estimate(point.detail), words.kilobytes(point.bytes),
        )
        for point in report.points
    ]  # fmt: skip
    return _table("What leaks", headings, rows, 3, key=1)


def exposure(report: Report) -> Table:
    """Return who is hit hardest at every point."""
    headings = (
        "At", "Worst class", "Could be up to", "Most exposed tenth: picked", "Most exposed tenth: detail", "Trained on",
        words.fitting("SSIM over the class image", report.settings), "p",
    )  # fmt: skip
    rows = [
        (
            point.name, _worst(point), words.bounds(point) or words.NONE, _exposed(point, "found"),
            _exposed(point, "detail"), words.points(point.members) if point.members or report.data.sides.get("members") else "unknown",
            words.decimals(point.ssim_gain),
            words.NONE if point.p is None else f"{point.p:.2g}",
        )
        for point in report.points
    ]  # fmt: skip
    table = _table("Who is hit hardest", headings, rows, 3)
    return table if report.settings.class_of != "all" else _without(table, 1)  # one class is not the worst


def attackers(report: Report) -> Table:
    """Return how far attackers spread who differ in their random choices alone; no row where nobody asked."""
    headings = ("At", "Attack", "Attackers", "Picked, least to most", "Detail, least to most")
    rows = [
        (
            point.name, words.published(spread), str(spread.seeds), words.between(spread.found),
            words.between(spread.detail),
        )
        for point in report.points
        if (spread := point.attackers) is not None
    ]  # fmt: skip
    return _table("Other attackers", headings, rows, 2)


def attacks(point: PointReport, settings: Settings) -> Table:
    """Return all attacks at a point."""
    headings = (
        "Adversary", "Attack", "Strongest in", words.heading_picks(settings), "AUC (chance 0.5)", "Detail shown", "SSIM",
    )  # fmt: skip
    rows = [
        (
            words.fitting(row.adversary, settings), words.fitting(row.attack, settings), ", ".join(row.chosen_for) or words.NONE, words.estimate(row.found),
            words.decimals(row.auc), words.estimate(row.detail), f"{row.ssim:.3f}",
        )
        for row in point.attacks
    ]  # fmt: skip
    sent = f"{words.dimensions(point.shape)}, {point.bytes:,} bytes an image"
    return _table(f"At {point.name} ({sent})", headings, rows, 3)


def ladder(report: Report) -> Table:
    """Return what each adversary gets at the first point, by its attack that picks most of the attacked images."""
    settings = report.settings
    headings = ("Adversary", words.heading_picks(settings), "Detail shown", "SSIM")
    best: dict[str, AttackRow] = {}
    for row in report.points[0].attacks:
        before = best.get(row.adversary)
        if before is None or _picked(row) > _picked(before):
            best[row.adversary] = row
    rows = [
        (
            f"{words.fitting(name, settings)}: {words.fitting(row.attack, settings)}", words.picks(row.found, row.auc),
            words.estimate(row.detail), f"{row.ssim:.3f}",
        )
        for name, row in best.items()
    ]  # fmt: skip
    return _table(f"Adversaries at {report.points[0].name}", headings, rows, 1)


def _picked(row: AttackRow) -> float:
    return row.found.value if row.found else row.auc.value if row.auc else 0.0


def defences(report: Report) -> Table:
    """Return what defences do and what they cost."""
    headings = (
        "Defence", "At", "Verdict", words.heading_picks(report.settings), "Detail shown", "Keeps the class",
        "Right answers", "Calibration error", "kB",
    )  # fmt: skip
    rows = [
        (
            row.words, row.point, row.verdict, words.picks(row.found, row.auc), words.estimate(row.detail),
            words.share(row.agreement), words.share(row.accuracy),
            words.NONE if row.calibration is None else f"{row.calibration:.3f}", words.kilobytes(row.bytes),
        )
        for row in report.defences
    ]  # fmt: skip
    return _table("Defences", headings, rows, 3)


def bounds(report: Report) -> Table:
    """Return what noise leaves to attacks that were not tried; no row where no noise was."""
    headings = (
        "Noise",
        "At",
        "Picked by what was tried",
        "By the best possible attack",
        "No attack is above",
    )
    rows = [
        (
            row.words, row.point, words.picks(row.found, row.auc), words.estimate(row.bayes),
            words.NONE if row.fano is None else words.percent(row.fano),
        )
        for row in report.defences
        if row.bayes is not None or row.fano is not None
    ]  # fmt: skip
    title = f"What noise leaves to attacks that were not tried (chance {words.percent(1 / report.settings.among)})"
    return _table(title, headings, rows, 2)


def controls(report: Report) -> Table:
    """Return the checks of the audit itself."""
    outcomes = {True: "ok", False: "FAILED", None: "skipped"}
    rows = [
        (control.name, outcomes[control.ok], words.fitting(control.detail, report.settings))
        for control in report.controls
    ]
    return _table("Controls", ("Control", "Outcome", "Measured"), rows, 3)


def facts(report: Report) -> list[Table]:
    """Return what was audited, on which data, with which settings and versions."""
    model, data, settings = report.model, report.data, report.settings
    sides = [(f"Side: {name}", f"{count:,}") for name, count in data.sides.items()]
    skipped = "; ".join(f"{name}: {reason}" for name, reason in data.skipped) or "none"
    about_model = [
        ("Name", model.name), ("SHA-256 of weights and graph", model.identity),
        ("Parameters", f"{model.parameters:,}"), ("Input", words.dimensions(model.input_shape)),
        ("Output", model.output), ("Classes", str(model.classes or words.NONE)),
    ]  # fmt: skip
    about_data = [
        ("Name", data.name), ("SHA-256", data.fingerprint), ("Images", f"{data.images:,}"),
        ("Groups", f"{data.groups:,} ({data.grouped_by})"), ("Labels", "yes" if data.labelled else "no"), *sides,
        ("On no side", f"{data.left_out:,}"), ("Near-duplicates moved", str(data.moved)), ("Files skipped", skipped), ("Pixels hold", data.pixels),
        ("The model expects", data.model_input), ("Attacked at", words.dimensions(data.attack_shape)),
        ("Folds", str(data.folds)),
    ]  # fmt: skip
    asked = [
        ("Preset", settings.preset), ("Seed", str(settings.seed)),
        ("Adversaries", "; ".join(f"{a}: {words.fitting(ADVERSARIES.get(a, words.NONE), settings)}" for a in settings.adversaries)),
        ("Public with its weights, up to", settings.public_backbone or "nothing"),
        ("Tolerance, picked above chance", words.percent(settings.found_tolerance)),
        ("Tolerance, detail", words.percent(settings.detail_tolerance)),
        ("Set by", "the default: ours, not yours" if settings.tolerance_is_default else "the owner of the model"),
        ("Picked among", str(settings.among)), ("Picked from", f"images of the same {'predicted class' if settings.class_of != 'all' else 'pool'}"),
        ("Defences", "; ".join(settings.defend) or "none"), ("Sends averaged", str(settings.sends)),
        ("Budget", f"{settings.budget_minutes:g} minutes for each point" if settings.budget_minutes else "none"),
        ("Seeds of the attacker", str(settings.attacker_seeds)),
    ]  # fmt: skip
    ran = [*report.versions.items(), *report.machine.items()]
    named = {
        "Model": about_model,
        "Data and its division": about_data,
        "Settings": asked,
        "Versions and machine": ran,
    }
    return [_table(title, ("What", "Value"), rows, 2) for title, rows in named.items()]


def _table(title: str, headings: Row, rows: Sequence[Row], numbers: int, key: int = 0) -> Table:
    cells = tuple(tuple(words.clean(cell) for cell in row) for row in rows)
    return Table(words.clean(title), headings, cells, numbers, key)


def _without(table: Table, column: int) -> Table:
    headings, *rows = ((*row[:column], *row[column + 1 :]) for row in (table.headings, *table.rows))
    return replace(table, headings=headings, rows=tuple(rows), numbers=table.numbers - 1)


def _worst(point: PointReport) -> str:
    if point.worst_class is None:
        return words.NONE
    name, found, images = point.worst_class
    return f"{name}: {words.percent(found)} of {images}"


def _exposed(point: PointReport, name: str) -> str:
    """Return a number of the most exposed tenth beside what chance alone gives: the tenth is chosen by its numbers."""
    value, chance = point.most_exposed.get(name), point.exposed_by_chance.get(name)
    if value is None:
        return words.NONE
    return words.percent(value) + ("" if chance is None else f" (chance {words.percent(chance)})")
