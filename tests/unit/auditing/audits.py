"""Invented audits with a known answer: images are points, a reconstruction is the point with noise."""

import numpy as np

from mi_keras.auditing.statistics import Gallery, Scored

UNITS = 8


def audit(
    generator: np.random.Generator,
    *,
    attacked: int = 60,
    choice: int = 60,
    sizes: tuple[int, ...] = (1, 2, 3, 6),
    classes: int = 5,
    noise: float = 2.0,
    alike: float = 0.0,
    detail: float = 0.05,
    always: float = 0.0,
    scatter: float = 0.5,
) -> tuple[Scored, Gallery]:
    """Return one audit of images in groups of random size.

    Args:
        generator: random numbers.
        attacked, choice: groups.
        sizes: from which the images of a group are drawn.
        classes: drawn per image.
        noise: standard deviation of a reconstruction's error; infinite for one that says nothing.
        alike: share of the variance that images of a group have in common, of truth, noise and errors.
        detail: R2 of the population.
        scatter: standard deviation of the logarithm of an image's MSE over that of its class mean.
        always: share of groups that are reconstructed exactly.
    """
    of_group = generator.choice(sizes, attacked + choice)
    groups = np.repeat(np.arange(attacked + choice), of_group)
    n, m = int(of_group[:attacked].sum()), len(groups)

    def normal(units: int) -> np.ndarray:
        shared = generator.standard_normal((attacked + choice, units))[groups]
        return np.sqrt(alike) * shared + np.sqrt(1 - alike) * generator.standard_normal((m, units))

    truth, error = normal(UNITS), normal(UNITS)
    queries = error[:n] if np.isinf(noise) else truth[:n] + noise * error[:n]
    exact = generator.random(attacked) < always
    queries = np.where(exact[groups[:n], None], truth[:n], queries)
    spread = np.exp(
        0.5 * normal(2)[:n]
    )  # errors are skewed, that of an image and of its class mean go together
    class_mse = spread[:, 0] * 0.06
    ratio = spread[:, 1] ** (2 * scatter) / np.exp(scatter**2 / 2)  # of mean 1 and independent
    mse = (1 - detail) * class_mse * ratio
    class_ssim = 0.3 + 0.1 * normal(1)[:n, 0]
    scored = Scored(queries, mse, class_mse, class_ssim + 0.05 + 0.1 * normal(1)[:n, 0], class_ssim)
    return scored, Gallery(truth, generator.integers(classes, size=m), groups)
