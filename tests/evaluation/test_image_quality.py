"""PSNR and SSIM."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from jaxgen.evaluation.image_quality import PSNR_LIMIT, SSIM_VARIANTS, batch_psnr, psnr, ssim


def pair(seed=0, shape=(40, 31)):
  rng = np.random.default_rng(seed)
  truth = rng.random(shape)
  return np.clip(truth + 0.1 * rng.standard_normal(shape), 0, 1), truth


def test_psnr_of_a_known_error():
  assert psnr(np.full((4, 4), 0.6), np.full((4, 4), 0.5)) == pytest.approx(20.0)
  assert psnr(np.ones((4, 4)), np.ones((4, 4))) == float('inf')


def test_ssim_equals_an_independent_implementation():
  image, truth = pair()
  options = {'gaussian_weights': True, 'sigma': 1.5, 'use_sample_covariance': False}
  _, full = structural_similarity(image, truth, data_range=1, full=True, **options)
  assert ssim(image, truth) == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-12)


def test_ssim_of_equal_and_of_shifted_constants():
  image, _ = pair()
  for variant in SSIM_VARIANTS:
    assert ssim(image, image, variant) == pytest.approx(1)
    # Without variance only the means' term is left.
    expected = (2 * 0.4 * 0.6 + 1e-4) / (0.4**2 + 0.6**2 + 1e-4)
    assert ssim(np.full((20, 20), 0.4), np.full((20, 20), 0.6), variant) == pytest.approx(expected)


def test_the_matlab_variant_also_sees_the_border():
  image, truth = pair()
  image[:3] = 1 - truth[:3]
  assert ssim(image, truth, 'matlab') < ssim(image, truth) - 0.005


def test_the_jitted_psnr_equals_the_reference_in_float32():
  pairs = [pair(seed) for seed in range(3)]
  images, truths = (np.stack(x)[..., None].astype(np.float32) for x in zip(*pairs, strict=True))
  np.testing.assert_allclose(
    jax.jit(batch_psnr)(images, truths), [psnr(a, b) for a, b in pairs], rtol=1e-6
  )
  gradient = jax.grad(lambda x: batch_psnr(x, jnp.asarray(truths)).sum())(jnp.asarray(images))
  assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


def test_the_jitted_psnr_of_what_is_met_exactly_is_its_limit():
  truths = jnp.asarray(np.stack([np.zeros((6, 5, 1)), np.full((6, 5, 1), 0.25)]), jnp.float32)
  found, gradient = jax.jit(jax.value_and_grad(lambda x: batch_psnr(x, truths).mean()))(
    truths.at[1].add(0.1)
  )
  np.testing.assert_allclose(found, (PSNR_LIMIT + 20) / 2, rtol=1e-6)
  assert np.isfinite(gradient).all() and not gradient[0].any()


def test_bad_arguments_are_told():
  image, truth = pair()
  with pytest.raises(ValueError, match=r'shapes \(40, 31\) and \(39, 31\)'):
    psnr(image, truth[1:])
  with pytest.raises(ValueError, match="'same' is not one of valid, matlab"):
    ssim(image, truth, 'same')
  with pytest.raises(ValueError, match='10 x 31 is smaller than SSIM'):
    ssim(image[:10], truth[:10])
