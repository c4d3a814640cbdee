"""What the earlier runs of a ticket tell."""

import statistics
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.core.state.history import RUNS, USUAL_SIGMA, Run, quantile, rest_of, summaries

_WEIGHTED = st.lists(st.tuples(st.floats(0, 1e6), st.floats(0.01, 1)), min_size=1, max_size=30)


def of(*seconds: float) -> list[Run]:
    return [Run(each) for each in seconds]


@given(values=st.lists(st.floats(0, 1e6), min_size=2, max_size=40))
def test_with_equal_weights_quantiles_are_the_usual_ones(values: list[float]) -> None:
    ordered = [(value, 1 / len(values)) for value in sorted(values)]
    assert quantile(ordered, 0.5) == pytest.approx(statistics.median(values), abs=1e-6)
    ninth = statistics.quantiles(values, n=10, method="inclusive")[-1]
    assert quantile(ordered, 0.9) == pytest.approx(ninth, abs=1e-6)


@given(values=_WEIGHTED, share=st.floats(0, 1), more=st.floats(0, 1))
def test_a_quantile_is_among_the_values_and_grows_with_its_share(
    values: list[tuple[float, float]], share: float, more: float
) -> None:
    total = sum(weight for _, weight in values)
    ordered = sorted((value, weight / total) for value, weight in values)
    low, high = quantile(ordered, share * more), quantile(ordered, share)
    assert ordered[0][0] - 1e-6 <= low <= high + 1e-6
    assert high <= ordered[-1][0] + 1e-6


def test_newer_runs_weigh_more() -> None:
    slower_now = summaries({"A": of(*[20] * 5, *[10] * 15)})["A"]
    faster_now = summaries({"A": of(*[10] * 5, *[20] * 15)})["A"]
    assert slower_now.p50 > 19 > 11 > faster_now.p50, "five of twenty, and more than half of the weight"


def test_runs_of_long_ago_tell_nothing() -> None:
    assert summaries({"A": of(*[3] * RUNS, *[900] * 500)})["A"].p90 == 3


def test_the_sigma_of_a_ticket_is_near_that_of_all_until_it_has_runs_of_its_own() -> None:
    steady, wild = of(*[10, 10.1] * 10), of(*[1, 100] * 10)
    alone = summaries({"A": of(10)})["A"].sigma
    assert alone == USUAL_SIGMA
    among_steady = summaries({"A": of(10), **{f"T{n}": steady for n in range(20)}})
    assert among_steady["A"].sigma < 0.1
    among_both = summaries({"A": of(10), "B": steady, "C": wild})
    assert among_both["B"].sigma < among_both["A"].sigma < among_both["C"].sigma
    assert among_both["C"].sigma == pytest.approx(2.3, rel=0.15)


def test_a_few_runs_that_agree_tell_that_a_ticket_is_steady() -> None:
    sigmas = [summaries({"A": of(*[4.032, 4.036, 4.04, 4.038][:count])})["A"].sigma for count in (1, 2, 3, 4)]
    assert sigmas == sorted(sigmas, reverse=True)
    assert sigmas[1] < 0.15
    assert sigmas[3] < 0.015, "within 0.2 %, four times"
    assert summaries({"A": of(*[7] * 20)})["A"].sigma > 0.004, "a host is never quite as steady"


@pytest.mark.parametrize("sigma", [0.05, 0.3])
@pytest.mark.parametrize("runs", [2, 5, 20])
def test_the_sigma_is_about_that_of_the_runs(sigma: float, runs: int) -> None:
    random = Random(7)
    found = [
        summaries({"A": of(*[60 * random.lognormvariate(0, sigma) for _ in range(runs)])})["A"].sigma
        for _ in range(200)
    ]
    assert sigma * 0.7 < statistics.median(found) < sigma * (3 if runs == 2 else 1.5)


def test_the_peak_is_one_that_nine_in_ten_runs_stayed_within() -> None:
    peaks = (7, 500, *[8] * 8, 0)
    assert summaries({"A": [Run(1, peak) for peak in peaks]})["A"].peak == 500, "it is one of the newest"
    assert summaries({"A": [Run(1, peak) for peak in reversed(peaks)]})["A"].peak == 8
    assert summaries({"A": [Run(1)]})["A"].peak == 0


def test_the_share_of_runs_that_passed_only_at_a_retry() -> None:
    runs = [Run(1, retried=True), *[Run(1)] * 3]
    assert summaries({"A": runs})["A"].flaky == 0.25


@pytest.mark.parametrize("worked", [0, 60, 120])
def test_what_is_left_of_a_run_is_what_was_left_of_such_runs(worked: float) -> None:
    random = Random(1)
    left = [took - worked for _ in range(50_000) if (took := 100 * random.lognormvariate(0, 0.3)) > worked]
    found = rest_of(100, 0.3, worked)
    assert found is not None
    mean, variance = found
    assert mean == pytest.approx(statistics.mean(left), rel=0.03)
    assert variance == pytest.approx(statistics.variance(left), rel=0.1)


def test_of_what_is_far_too_late_it_tells_nothing() -> None:
    assert rest_of(100, 0.3, 400) is None
