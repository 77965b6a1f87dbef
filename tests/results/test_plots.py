"""Figures are pictures, equal for equal numbers."""

from __future__ import annotations

from lrbench.results.plots import kl_histogram_plot, loss_plot

PNG_START = b"\x89PNG\r\n"


def test_a_loss_curve_is_the_same_picture_every_time_and_shows_its_values():
    picture = loss_plot([(1, 2.0), (2, 1.0)])
    assert picture.startswith(PNG_START)
    assert loss_plot([(1, 2.0), (2, 1.0)]) == picture
    assert loss_plot([(1, 2.0), (2, 1.5)]) != picture


def test_a_histogram_is_drawn_even_when_it_is_empty():
    assert kl_histogram_plot([0.0, 0.1, 0.5], [30, 4]).startswith(PNG_START)
    assert kl_histogram_plot([0.0, 0.1, 0.5], [0, 0]).startswith(PNG_START)
