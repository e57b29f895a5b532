"""The plot of what more answers are worth."""

import re
from dataclasses import replace

from mi_keras.auditing.page import page
from mi_keras.auditing.plots import curve_plots
from tests.unit.auditing import reports


def test_a_point_is_as_high_as_what_leaks_and_as_far_as_its_answers() -> None:
    report = reports.digits_report()
    found, detail = curve_plots(report.curves[0], report.settings)
    assert [plot.count("<path") for plot in (found, detail)] == [
        3,
        4,
    ]  # "found" was not measured with 10 answers
    places = [tuple(map(float, place)) for place in re.findall(r"translate\(([\d.]+) ([\d.]+)\)", detail)]
    across, up = zip(*places, strict=True)
    assert abs((across[1] - across[0]) - (across[2] - across[1])) < 0.2  # 10, 100, 1,000: equal steps
    assert across[2] < across[3]
    assert up[0] == 214  # below nothing is drawn as nothing
    assert list(up) == sorted(up, reverse=True)
    assert "1,000: 38 % [35..41]" in found


def test_no_curve_is_drawn_of_one_point() -> None:
    report = reports.digits_report()
    (curve,) = report.curves
    assert curve_plots(replace(curve, points=curve.points[:2]), report.settings)[0].count("<path") == 2
    assert curve_plots(replace(curve, points=curve.points[:1]), report.settings) == []
    assert "What more answers are worth" in page(report)
    assert "What more answers are worth" not in page(replace(report, curves=()))
