"""Figures are pictures, equal for equal numbers."""

from __future__ import annotations

from dataclasses import fields

from lrbench.evaluation.statistics import Estimate, wilson_interval
from lrbench.methods.presets import BY_NAME
from lrbench.results.curves import curve_title, in_order
from lrbench.results.plots import Series, accuracy_plot, curve_plot, kl_histogram_plot
from lrbench.training.loop import Curves
from tests.results.conftest import make_arm

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


def test_the_loss_of_an_arm_says_what_it_counts_and_no_curve_has_a_raw_name():
    counted = {"lightr": "nats per kept step", "opd": "nats", "dpo": "mean over pairs", "grpo": "advantage"}
    for preset, unit in counted.items():
        ingredients = BY_NAME[preset].ingredients
        assert ingredients is not None
        arm = make_arm(settings=ingredients.model_dump(mode="json"))
        assert unit in curve_title("loss", arm)
        assert curve_title("reward", arm) == curve_title("reward")
    assert curve_title("loss") == curve_title("loss", make_arm(settings={})) == "loss"
    names = [field.name for field in fields(Curves)]
    assert not [name for name in names if "_" in curve_title(name)]
    shown = list(in_order(dict.fromkeys(sorted([*names, "of_a_later_version"]))))
    assert (shown[0], shown[-1]) == ("loss", "of_a_later_version")
