"""Figures are pictures, equal for equal numbers."""

from __future__ import annotations

from lrbench.evaluation.statistics import Estimate, wilson_interval
from lrbench.results.plots import Series, accuracy_plot, curve_plot, kl_histogram_plot

PNG_START = b"\x89PNG\r\n"


def test_a_loss_curve_is_the_same_picture_every_time_and_shows_its_values():
    picture = curve_plot("loss", [(1, 2.0), (2, 1.0)])
    assert picture.startswith(PNG_START)
    assert curve_plot("loss", [(1, 2.0), (2, 1.0)]) == picture
    assert curve_plot("loss", [(1, 2.0), (2, 1.5)]) != picture


def test_a_histogram_is_drawn_even_when_it_is_empty():
    assert kl_histogram_plot([0.0, 0.1, 0.5], [30, 4]).startswith(PNG_START)
    assert kl_histogram_plot([0.0, 0.1, 0.5], [0, 0]).startswith(PNG_START)


def test_accuracies_are_drawn_where_they_are_known():
    known = Estimate(0.5, wilson_interval(5, 10))
    both = accuracy_plot(["average", "chain"], [Series("base", [None, known]), Series("sft", [known, known])])
    assert both.startswith(PNG_START)
    assert both != accuracy_plot(["average", "chain"], [Series("base", [None, known])])
    assert accuracy_plot(["average"], []).startswith(PNG_START)
