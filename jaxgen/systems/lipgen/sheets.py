"""Pictures of a run: a confusion matrix, and clips above the attention to each of their visemes."""

import io
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict
from PIL import Image, ImageDraw, ImageFont

from jaxgen.metrics import fetched
from jaxgen.pictures.sheets import stacked
from jaxgen.systems.lipgen.clips.clip_set import NO_WORD
from jaxgen.systems.lipgen.clips.windows import first_frames
from jaxgen.systems.lipgen.evaluation import Judge, confusions
from jaxgen.systems.lipgen.inference import Inference
from jaxgen.systems.lipgen.networks.reader import Reader
from jaxgen.systems.lipgen.units import WINDOW
from jaxgen.task import Batch, Data, PyTree, Split, Tools

CLIPS = 4  # clips in the attention picture
LARGEST, NAMED = 24.5, 100  # inches of a confusion picture at most, and most words that it labels
NAMES, ROW = 150, 18  # pixels: width of the names left of the frames, and height of a viseme's row


def pictures(
  config: ConfigDict,
  facts: dict[str, Any],
  net: Reader,
  variables: PyTree,
  data: Data | None,
  tools: Tools,
) -> dict[str, np.ndarray]:
  """{'confusions'}, plus 'attention' for readers with visemes; empty without data."""
  if data is None:
    return {}
  inference = Inference(net, facts, config)
  split = 'test' if 'test' in data.splits else 'validation'
  judge = Judge(inference, variables, data.splits[split], tools)
  words = [word for word in inference.words if word != NO_WORD]
  found = {'confusions': confusion_picture(confusions(judge(False, True), len(words)), words)}
  if net.num_visemes:
    found['attention'] = attention_picture(inference, variables, data.splits[split], tools)
  return found


def confusion_picture(shares: np.ndarray, words: Sequence[str]) -> np.ndarray:
  """A confusion matrix [N, N], said (rows) by read, as a heat map; uint8 [H, W, 3]."""
  from matplotlib.figure import Figure  # slow to import

  side = min(2.5 + 0.22 * len(words), LARGEST)
  figure = Figure(figsize=(side, side), dpi=100, layout='constrained')
  axes = figure.subplots()
  axes.imshow(shares, cmap='Blues', vmin=0, vmax=1)
  if len(words) <= NAMED:
    places = range(len(words))
    axes.set_xticks(places, words, rotation=90, fontsize=8)
    axes.set_yticks(places, words, fontsize=8)
  axes.set_xlabel('read')
  axes.set_ylabel('said')
  right = np.nanmean(np.diag(shares))
  axes.set_title(f'mean per-word accuracy {right:.3f}', fontsize=10)
  buffer = io.BytesIO()
  figure.savefig(buffer, format='png')
  return np.asarray(Image.open(buffer).convert('RGB'))


def attention_picture(
  inference: Inference, variables: PyTree, split: Split, tools: Tools
) -> np.ndarray:
  """The frames of some words of the split, above the attention scores of each of their visemes."""

  def step(variables: PyTree, batch: Batch) -> tuple[jax.Array, jax.Array]:
    words, _ = inference.read(variables, batch)
    return words.argmax(-1), inference.attention(variables, batch)

  size = inference.config.eval.batch_size
  batch = next(iter(split.batches(tools.rows(size))))
  compiled = tools.compile(step)
  (read, likeness), *_ = fetched(compiled(variables, x) for x in (batch,))
  rows: list[np.ndarray] = []
  facts = inference.facts
  for i in np.flatnonzero(batch['mask'] > 0):
    labels = [int(x) for x in batch['label'][i] if x >= 0 and facts['words'][int(x)] != NO_WORD]
    if not labels or len(rows) == CLIPS:
      continue
    k = len(rows) % len(labels)  # vary the word's position over clips of several words
    sequence = dict.fromkeys(int(x) for x in facts['visemes'][labels[k]].split())
    said, told = facts['words'][labels[k]], facts['words'][int(read[i, k])] or 'no word'
    rows.append(
      one_word(
        f'{said}, read as {told}',
        strip(batch['frames'][i, ..., 0], int(first_frames(batch['span'][i, k]))),
        [facts['viseme_names'][x] for x in sequence],
        likeness[i, k][list(sequence)],
      )
    )
  return stacked(rows)


def strip(frames: np.ndarray, first: int) -> np.ndarray:
  """The 29 frames of a window side by side, uint8 [H, 29 * W], from normalised [T, H, W]; black outside."""
  low, high = np.quantile(frames, [0.005, 0.995])
  levels = np.clip((frames - low) / max(high - low, 1e-6), 0, 1) * 255
  shown = np.zeros((WINDOW, *frames.shape[1:]), np.uint8)
  for i, t in enumerate(range(first, first + WINDOW)):
    if 0 <= t < len(frames):
      shown[i] = levels[t]
  return np.concatenate(list(shown), axis=1)


def one_word(
  title: str, frames: np.ndarray, names: Sequence[str], likeness: np.ndarray
) -> np.ndarray:
  """Frames above one row of scores per viseme, with the frame of the highest score marked.

  Args:
    title: printed above.
    frames: uint8 [H, 29 * W].
    names: of the visemes.
    likeness: [visemes, 29] scores; -inf for frames that attention does not see, which are left white.

  Returns:
    uint8 [H', W', 3].
  """
  height, width = frames.shape
  sheet = Image.new('RGB', (NAMES + width, 22 + height + ROW * len(names) + 10), 'white')
  draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
  draw.text((4, 4), title, fill='black', font=font)
  sheet.paste(Image.fromarray(frames), (NAMES, 22))
  cell = width / likeness.shape[1]
  for row, (name, values) in enumerate(zip(names, likeness, strict=True)):
    top = 22 + height + ROW * row
    draw.text((4, top + 2), name, fill='black', font=font)
    seen = np.isfinite(values)
    own = values[seen] if seen.any() else np.zeros(1)
    share = np.where(seen, values - own.min(), 0) / max(np.ptp(own), 1e-6)
    chosen = values.argmax() if seen.any() else None
    for t, x in enumerate(share):
      box = NAMES + t * cell, top + 1, NAMES + (t + 1) * cell - 1, top + ROW - 1
      colour = tuple(round(255 - x * y) for y in (200, 130, 40))
      draw.rectangle(box, fill=colour, outline='#b91c1c' if t == chosen else None, width=2)
  return np.asarray(sheet)
