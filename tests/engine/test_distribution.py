"""Values are counted under the first bound that they do not exceed."""

from engine.distribution import Distribution


def test_a_bound_belongs_to_what_it_ends() -> None:
    sizes = Distribution((1, 10))
    for value in (0, 1, 1.5, 10, 10.1, 1e9):
        sizes.add(value)
    assert sizes.counts == [2, 2, 2]
    assert sizes.sum == 22.6 + 1e9
