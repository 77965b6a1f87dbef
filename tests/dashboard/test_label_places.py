"""Names in a picture are never over each other, in a picture of any width."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st
from lrbench_dashboard.label_places import LINE, NARROWEST, WIDEST, Named, place_labels

HEIGHT = 360.0
NAMED = st.builds(Named, st.floats(0, 1), st.floats(0, HEIGHT), st.text("abcdefgh", min_size=1, max_size=24))


@given(st.lists(NAMED, max_size=30))
def test_no_two_names_touch_in_a_picture_of_any_width_and_all_are_inside(points: list[Named]) -> None:
    placed = list(zip(points, place_labels(points, HEIGHT), strict=True))
    for width in (NARROWEST, 320.0, 700.0, 1150.0, WIDEST):
        spans = [(place.y, *place.span(point, width)) for point, place in placed if place is not None]
        for (y, low, high), (other, first, last) in combinations(spans, 2):
            assert abs(y - other) >= LINE - 1e-6 or high <= first + 1e-6 or last <= low + 1e-6
        assert all(LINE / 2 - 1e-6 <= y <= HEIGHT - LINE / 2 + 1e-6 for y, _, _ in spans)
        assert all(low >= -1e-6 and high <= width + 1e-6 for _, low, high in spans)


def test_five_and_twenty_names_all_find_room_and_who_is_alone_stays_beside_its_mark() -> None:
    crowd = [Named(0.5 + place / 1000, 180 + place / 10, f"arm_{place}") for place in range(24)]
    *placed, alone = place_labels([*crowd, Named(0.05, 20, "alone")], HEIGHT)
    assert all(place is not None for place in placed)
    assert alone is not None
    assert (alone.y, alone.left, alone.moved) == (20, False, False)
