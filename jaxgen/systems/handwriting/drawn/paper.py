"""The paper under the ink: its tone, its ruled lines, and the grain of the scan."""

import numpy as np

from jaxgen.systems.handwriting.drawn.fields import smooth
from jaxgen.systems.handwriting.drawn.hands import Hand


def ruled_lines(
  hand: Hand, rng: np.random.Generator, height: int, width: int, baseline: float, x_height: float
) -> np.ndarray:
  """Draws the ruled lines of a sheet: along the writing, and occasionally a margin line.

  Returns:
    [height, width] float32, blackness from 0 to 1.
  """
  pitch = x_height * rng.uniform(2.0, 3.6)
  first = baseline + x_height * rng.uniform(-0.05, 0.4)
  tilt, thick = rng.normal(0, 0.01), rng.uniform(0.7, 1.5) * (height / 32) ** 0.5
  across = np.arange(width, dtype=np.float32)
  rows = np.arange(height, dtype=np.float32)[:, None] - np.float32(first) - tilt * across
  away = np.abs((rows + pitch / 2) % pitch - pitch / 2)
  lines = (0.5 + (thick / 2 - away)).clip(0, 1)
  if rng.random() < 0.3:
    at = rng.uniform(0.02, 0.98) * width
    slanted = across - at + tilt * np.arange(height)[:, None]
    lines = np.maximum(lines, (0.5 + thick / 2 - np.abs(slanted)).clip(0, 1))
  return (hand.ruled * lines).astype(np.float32)


def on_paper(black: np.ndarray, hand: Hand, rng: np.random.Generator) -> np.ndarray:
  """Lays ink on paper.

  Args:
    black: [H, W] in [0, 1].
    hand: for its paper.
    rng: of this drawing.

  Returns:
    [H, W] uint8 grey values.
  """
  height, width = black.shape
  light: float | np.ndarray = hand.paper
  if hand.shade:
    light = light - hand.shade * smooth(rng, height, width, height)
  grey = light * (1 - black)
  if hand.grain:
    noise = rng.standard_normal(black.shape, np.float32)
    # The grain of paper spans more than a pixel.
    noise[:, 1:] = 0.8 * noise[:, 1:] + 0.6 * noise[:, :-1]
    grey = grey + hand.grain * noise
  return np.rint(255 * grey.clip(0, 1)).astype(np.uint8)
