"""The figures of the paper's tables: word accuracy with and without word boundaries, and visemes."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxgen.errors import DataError
from jaxgen.evaluation import passes
from jaxgen.metrics import fetched
from jaxgen.systems.lipgen import alike, turned
from jaxgen.systems.lipgen.clips.clip_set import NO_WORD, ClipSet, subset
from jaxgen.systems.lipgen.clips.framing import framing_of
from jaxgen.systems.lipgen.clips.origins import Among, Origin, read_origins
from jaxgen.systems.lipgen.clips.table import load_table
from jaxgen.systems.lipgen.config import GRID, LRW, PROCEDURAL
from jaxgen.systems.lipgen.corpus import (
  TRAINED_ON,
  load_corpus,
  load_real,
  not_trained_on,
)
from jaxgen.systems.lipgen.data import split_of
from jaxgen.systems.lipgen.inference import Inference
from jaxgen.systems.lipgen.networks.reader import Reader
from jaxgen.systems.lipgen.reading.segmenting import Segmenting
from jaxgen.systems.lipgen.reading.sentences import sentence_figures
from jaxgen.systems.lipgen.reading.service import Model, Service
from jaxgen.systems.lipgen.steps import viseme_targets
from jaxgen.systems.lipgen.units import WINDOW
from jaxgen.task import Batch, Data, PyTree, Split, Tools
from jaxgen.words import counted

TOP = 5


class Judged(NamedTuple):
  """A reader's predictions for the windows that have a label.

  Attributes:
    labels: [M] classes.
    ranked: [M, 5] (or as many as there are words) word classes, most probable first; never the no-word class.
    silent: [M] bool, whether the no-word class is more probable than every word.
    visemes: [M, V] bool, the predicted visemes; None for readers without.
    in_slot: [M] the most probable word among those of the label's slot; None where there are no slots.
  """

  labels: np.ndarray
  ranked: np.ndarray
  silent: np.ndarray
  visemes: np.ndarray | None
  in_slot: np.ndarray | None = None


class Judge:
  """Runs a reader over the windows of a split, compiled once per mode.

  Args:
    inference: the reader.
    variables: exported.
    split: what is read.
    tools: lent by the host.
    slots: [N] slot of each class, if words have a fixed place in their sentence.
  """

  def __init__(
    self,
    inference: Inference,
    variables: PyTree,
    split: Split,
    tools: Tools,
    slots: np.ndarray | None = None,
  ):
    self._inference, self._variables = inference, variables
    self._split, self._tools, self._slots = split, tools, slots
    self.num_words = len(inference.words) - inference.knows_silence

  def __call__(self, from_frames: bool, boundaries: bool) -> Judged:
    """Reads all windows of the split.

    Args:
      from_frames: whether windows are cut from the frames first, so that nothing outside is seen.
      boundaries: whether the reader is given the word boundaries.
    """
    most = min(TOP, self.num_words)

    def step(variables: PyTree, batch: Batch) -> dict[str, jax.Array]:
      told = jnp.full(batch['label'].shape, float(boundaries))
      words, visemes = self._inference.read(variables, {**batch, 'known': told}, from_frames)
      spoken = words[..., : self.num_words]
      found = {
        'ranked': jax.lax.top_k(spoken, most)[1],
        'silent': words.argmax(-1) >= self.num_words,
        'label': batch['label'],
        'mask': batch['mask'],
      }
      if self._slots is not None:
        known = jnp.asarray(self._slots)
        same = known[batch['label']][..., None] == known[None, None, : self.num_words]
        found['in_slot'] = jnp.where(same, spoken, -jnp.inf).argmax(-1)
      return found if visemes is None else {**found, 'visemes': visemes > 0}

    where = 'windows' if from_frames else 'clips'
    text = f'reading {where} {"with" if boundaries else "without"} boundaries'
    size = self._inference.config.eval.batch_size
    batches = passes.shown(self._split, size, self._tools, text)
    return _gathered(fetched(_steps(self._tools.compile(step), self._variables, batches)))


def _steps(
  step: Callable[..., dict[str, jax.Array]], variables: PyTree, batches: Iterator[Batch]
) -> Iterator[dict[str, jax.Array]]:
  return (step(variables, batch) for batch in batches)


def _gathered(results: Iterator[dict[str, np.ndarray]]) -> Judged:
  parts: dict[str, list[np.ndarray]] = {}
  for found in results:
    kept = (found['label'] >= 0) & (found['mask'][:, None] > 0)
    for name in found.keys() - {'mask'}:
      parts.setdefault(name, []).append(found[name][kept])
  whole = {name: np.concatenate(x) for name, x in parts.items()}
  return Judged(
    whole['label'],
    whole['ranked'],
    whole['silent'],
    whole.get('visemes'),
    whole.get('in_slot'),
  )


def evaluate(
  config: ConfigDict,
  facts: dict[str, Any],
  net: Reader,
  variables: PyTree,
  data: Data,
  tools: Tools,
) -> dict[str, Any]:
  """The figures of evaluation.json.

  'accuracy' and 'top5' are of words in whole clips, with word boundaries if the reader takes them;
  'accuracy_windows' sees nothing outside the 29 frames; the two '..._no_boundary' are without boundaries.
  'viseme_f1' is micro F1 at a threshold of .5. 'homophene_ceiling' is the accuracy that viseme sequences allow
  on these words, 'homophene_ceiling_sets' that of their visemes in any order. For readers with a no-word class,
  'silence_found' and 'words_missed' are the shares of windows in pauses, and of words, that are read as it. For
  clips of several words, 'wer' is the word error rate of their sentences from sliding windows, 'wer_known' with
  the true times. 'pose_accuracy' is that of 'num_pose_examples' words of config.eval.pose, without clips seen
  in training. For words that look alike see `alike.figures`.
  """
  inference = Inference(net, facts, config)
  split = 'test' if 'test' in data.splits else 'validation'
  slots = alike.grid_slots(facts) if config.data.name == GRID else None
  judge = Judge(inference, variables, data.splits[split], tools, slots)
  told = judge(False, True)
  figures: dict[str, Any] = {
    'split': split,
    'accuracy': accuracy(told, judge.num_words),
    'top5': accuracy(told, judge.num_words, TOP),
    **dict.fromkeys(('accuracy_no_boundary', 'accuracy_windows', 'accuracy_windows_no_boundary')),
    'viseme_f1': viseme_f1(told, facts),
    'homophene_ceiling': alike.ceiling(told.labels, facts),
    'homophene_ceiling_sets': alike.ceiling(told.labels, facts, ordered=False),
    'num_classes': judge.num_words,
    'num_examples': int((told.labels < judge.num_words).sum()),
    'pose_accuracy': None,
    'num_pose_examples': None,
    'wer': None,
    'wer_known': None,
    **silence(told, judge.num_words),
    **look_alikes(told, facts, slots),
  }
  if net.boundary:
    figures['accuracy_no_boundary'] = accuracy(judge(False, False), judge.num_words)
  if facts['clip_length'] > WINDOW:
    figures['accuracy_windows'] = accuracy(judge(True, True), judge.num_words)
    if net.boundary:
      figures['accuracy_windows_no_boundary'] = accuracy(judge(True, False), judge.num_words)
  if config.eval.pose:
    figures |= pose_figures(inference, variables, tools)
  sentences = facts['words_a_clip'] > 1
  if sentences and tools.full:
    figures |= sentence_errors(inference, variables, split, tools)
  return {
    **figures,
    'left_out': ['wer', 'wer_known'] if sentences and not tools.full else [],
    'tables': {
      'reading accuracy': shown(figures),
      'words that look alike': alike.table(figures['homophenes']),
      'words with the lowest accuracy': worst(told, facts),
    },
  }


def look_alikes(judged: Judged, facts: dict[str, Any], slots: np.ndarray | None) -> dict[str, Any]:
  """`alike.figures` of the windows with a word."""
  spoken = judged.labels < len(facts['words']) - (facts['words'][-1] == NO_WORD)
  in_slot = None if judged.in_slot is None else judged.in_slot[spoken]
  return alike.figures(judged.labels[spoken], judged.ranked[spoken, 0], in_slot, facts, slots)


def shown(figures: dict[str, Any]) -> list[dict[str, Any]]:
  """The numbers of evaluation.json as rows of a table."""
  return [
    {'figure': name, 'value': f'{x:.3f}' if isinstance(x, float) else f'{x:,}'}
    for name, x in figures.items()
    if isinstance(x, int | float)
  ]


def pose_figures(inference: Inference, variables: PyTree, tools: Tools) -> dict[str, float]:
  """Accuracy on mouths of turned heads, in a folder of `jaxgen pose-augment` or one with a `words.tsv`.

  Raises:
    DataError: the folder has no table of words, or one that does not fit the reader.
  """
  clips = pose_clips(inference)
  judge = Judge(inference, variables, split_of(clips, inference.config), tools)
  told = judge(False, True)
  return {
    'pose_accuracy': accuracy(told, judge.num_words),
    'num_pose_examples': len(told.labels),
  }


def pose_clips(inference: Inference) -> ClipSet:
  """The clips of config.eval.pose without those seen in training; raises as `pose_figures` does."""
  config = inference.config
  path, columns = turned.table_of(config, inference.cropping)
  words = [word for word in inference.words if word != NO_WORD]
  clips = load_table(path, framing_of(config), path.parent, words, columns, logging.warning)
  if config.data.name == PROCEDURAL:  # has held-out speakers of its own
    return clips
  shown = _shown_in_training(config, inference.facts)
  origins = read_origins(path, columns['clip'])
  known = [name for name in clips.names if shown(origins[name])]
  if len(known) == len(clips.names):
    raise DataError(
      f'{path}: all of its clips were used for training: evaluation needs unseen ones'
    )
  if known:
    of = f'{counted(len(known), "clip")} of {len(clips.names):,}'
    logging.warning(f'{path}: {of} used for training, as {known[0]}: left out')
  others = [i for i, name in enumerate(clips.names) if not shown(origins[name])]
  return subset(clips, np.array(others))


def _shown_in_training(config: ConfigDict, facts: dict[str, Any]) -> Callable[[Origin], bool]:
  """Returns a test of whether training saw a clip: by its split for LRW, if its name tells it; else by name.

  An older net that does not list its training clips is assumed to have had those of the current data.
  """
  if config.data.name == LRW:
    return lambda origin: origin.split not in ('', 'test')
  known = facts.get(TRAINED_ON)
  train = Among.of_json(known) if known else Among(load_real(config)['train'].names)
  return lambda origin: any(map(train, origin.names))


def sentence_errors(
  inference: Inference, variables: PyTree, split: str, tools: Tools
) -> dict[str, float | None]:
  """'wer' and 'wer_known' of the sentences of a split, with the search settings of the weight file."""
  clips = load_corpus(inference.config, training=False).clips[split]
  clips = not_trained_on(clips, inference.facts, split, say=logging.debug)  # already reported
  model = Model(inference, variables, Segmenting.of_card(tools.card))
  return sentence_figures(Service(model), clips, tools.progress)


def accuracy(judged: Judged, num_words: int, top: int = 1) -> float:
  """Top-`top` accuracy over windows with a word."""
  spoken = judged.labels < num_words
  hits = (judged.ranked[spoken, :top] == judged.labels[spoken, None]).any(1)
  return float(hits.mean()) if len(hits) else float('nan')


def silence(judged: Judged, num_words: int) -> dict[str, float | None]:
  """How well windows without a word are told from those with one; None if there are no pauses."""
  pauses = judged.labels >= num_words
  if not pauses.any():
    return {'silence_found': None, 'words_missed': None}
  return {
    'silence_found': float(judged.silent[pauses].mean()),
    'words_missed': float(judged.silent[~pauses].mean()),
  }


def viseme_f1(judged: Judged, facts: dict[str, Any]) -> float | None:
  """Micro F1 of the visemes of words; None without a viseme branch."""
  if judged.visemes is None:
    return None
  spoken = judged.labels < len(facts['words']) - (facts['words'][-1] == NO_WORD)
  seen, true = judged.visemes[spoken], viseme_targets(facts)[judged.labels[spoken]] > 0
  hits = (seen & true).sum()
  total = seen.sum() + true.sum()
  return float(2 * hits / total) if total else float('nan')


def worst(judged: Judged, facts: dict[str, Any]) -> list[dict[str, Any]]:
  """The eight words with the lowest accuracy, what they are mistaken for, and words that look the same."""
  rows, looks = [], alike.homophenes(facts)
  for label, word in enumerate(facts['words']):
    own = judged.labels == label
    if word == NO_WORD or not own.any():
      continue
    taken = Counter(judged.ranked[own, 0].tolist())
    hits = taken.pop(label, 0)
    same = [x for group in looks if word in group for x in group if x != word]
    rows.append(
      {
        'word': word,
        'accuracy': round(hits / int(own.sum()), 3),
        'examples': int(own.sum()),
        'mistaken for': ', '.join(facts['words'][i] for i, _ in taken.most_common(3)),
        'looks like': ', '.join(same),
      }
    )
  return sorted(rows, key=lambda row: row['accuracy'])[:8]


def confusions(judged: Judged, num_words: int) -> np.ndarray:
  """Row-normalised confusion matrix [N, N]: said (rows) by read; NaN in rows of words without examples."""
  spoken = judged.labels < num_words
  counts = np.zeros((num_words, num_words))
  np.add.at(counts, (judged.labels[spoken], judged.ranked[spoken, 0]), 1)
  totals = counts.sum(1, keepdims=True)
  return np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)
