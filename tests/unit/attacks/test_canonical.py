"""Statistics of answers, against models that differ in nothing but what is to be taken off."""

import numpy as np

from mi_keras.attacks.canonical import packed, shrunk, statistics_of, unpacked

CLASSES = 4


def answers(count: int, seed: int, scale: float = 1.0):
    """Logits that predict each class, with a mean and a spread of their own in each."""
    draw = np.random.default_rng(seed)
    classes = np.arange(count) % CLASSES
    centres = 6.0 * np.eye(CLASSES) + np.random.default_rng(0).standard_normal((CLASSES, CLASSES)) / 3
    return (scale * (centres[classes] + 0.5 * draw.standard_normal((count, CLASSES)))).astype(np.float32)


def test_another_temperature_and_constant_make_no_difference():
    vectors = answers(400, 1)
    other = 2.5 * vectors + np.random.default_rng(2).standard_normal((400, 1)).astype(np.float32)
    standard, classes = statistics_of(vectors).canonical(vectors)
    again, same = statistics_of(other).canonical(other)
    np.testing.assert_allclose(again, standard, atol=1e-4)
    np.testing.assert_array_equal(same, classes)
    np.testing.assert_array_equal(classes, np.arange(400) % CLASSES)


def test_within_each_class_canonical_answers_have_mean_0_and_deviation_1():
    standard, classes = statistics_of(answers(400, 1)).canonical(answers(400, 1))
    for number in range(CLASSES):
        np.testing.assert_allclose(standard[classes == number].mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(standard[classes == number].std(axis=0), 1, atol=1e-4)


def test_without_an_answer_the_known_models_decide_and_with_many_the_answers():
    known = [statistics_of(answers(400, seed, scale)) for seed, scale in ((1, 1.0), (2, 1.1), (3, 0.9))]
    nothing = shrunk(answers(400, 4)[:0], known)
    np.testing.assert_allclose(nothing.centres, np.mean([each.centres for each in known], axis=0))
    np.testing.assert_allclose(np.log(nothing.scale), np.mean([np.log(each.scale) for each in known]))
    target = answers(40_000, 4, 3.0)
    own, seen = statistics_of(target), shrunk(target, known)
    np.testing.assert_allclose(seen.scale, own.scale, rtol=0.01)
    np.testing.assert_allclose(seen.centres * seen.scale, own.centres * own.scale, atol=0.05)


def test_some_answers_are_better_than_none_and_than_their_own_statistics():
    known = [statistics_of(answers(400, seed)) for seed in range(5)]
    true = statistics_of(answers(40_000, 9))
    few = answers(40, 10)
    errors = [np.abs(each.centres - true.centres).mean() for each in (shrunk(few, known), statistics_of(few))]
    assert errors[0] < errors[1]


def test_statistics_survive_as_arrays():
    known = [statistics_of(answers(100, seed)) for seed in range(2)]
    for one, other in zip(known, unpacked(packed(known)), strict=True):
        assert one.scale == other.scale
        np.testing.assert_array_equal(one.centres, other.centres)
