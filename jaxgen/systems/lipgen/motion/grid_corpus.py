"""Training and evaluation data of the variant `grid`, see `real`."""

import logging
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from jaxgen.data.folders import listed
from jaxgen.data.order import generator
from jaxgen.systems.lipgen.clips import grid
from jaxgen.systems.lipgen.clips.clip_set import held_out
from jaxgen.systems.lipgen.labelling.labels import FRAMES, load_labels
from jaxgen.systems.lipgen.motion import real, targets
from jaxgen.systems.lipgen.motion.acting import MotionRows, act, trimmed
from jaxgen.systems.lipgen.motion.parts import (
  Corpus,
  Sound,
  acting_of,
  divided,
  noisy,
  own_recordings,
  sound_of,
  speech_of,
)
from jaxgen.systems.lipgen.speech.dictionary import folded
from jaxgen.systems.lipgen.voices.recordings import bundled


def load(config: ConfigDict, training: bool) -> Corpus:
  """GRID sentences with pseudo-audio, silence, and drawn speakers where `config.data.drawn` asks for some.

  Raises:
    ConfigError: an extra is missing (`speech`, `video`, on first use `landmarks`), or a voice does not exist.
    DataError: files in $JAXGEN_DATA are missing or damaged.
  """
  labels, data = load_labels(say=logging.warning), config.data
  basis = real.basis_of(labels)
  said = real.sentences(labels, basis)
  names = sorted(said)
  out = held_out(names, data.held_out, always=grid.WITH_SOUND)  # as `clips.grid.load_grid` splits
  unseen = [name for name, is_out in zip(names, out, strict=True) if is_out]
  voices = real.speak_all(listed(data.voices))
  sound = sound_of([one for words in voices.values() for one in words.values()])
  train = None
  if training:
    own = [said[name] for name, is_out in zip(names, out, strict=True) if not is_out]
    rows = real.pseudo_rows(own, voices, data.copies, config.seed, 'train')
    count = round(len(rows) * data.silent / (1 - data.silent))
    rows += real.silent_rows(count, basis.rest, config.seed, 'train')
    train = joined(real.columns(rows, basis.neutral), drawn(config, basis, sound))
  judged = judged_rows(config, [said[name] for name in unseen], basis)
  judged['silence'] = noisy(judged['silence'], config, sound)
  return Corpus(sound, facts_of(config, sound, basis), train, judged)


def judged_rows(
  config: ConfigDict, unseen: list[real.Sentence], basis: real.Basis
) -> dict[str, MotionRows]:
  """Evaluation clips, keyed by the names in `parts.JUDGED_REAL`."""
  count = config.data.num_validation
  true = real.true_rows({one.name: one for one in unseen}, len(grid.WORDS))
  pseudo = [one for one in unseen if one.name not in grid.WITH_SOUND]
  # Permute, since the names are sorted and begin with the verb.
  drawn = generator(config.seed, 'judged sentences').permutation(len(pseudo))[:count]
  voices = real.speak_all(listed(config.data.unseen_voices))
  rows = {
    'validation': true,
    'pseudo': real.pseudo_rows([pseudo[i] for i in drawn], voices, 1, config.seed, 'judged'),
    'silence': real.silent_rows(count, basis.rest, config.seed, 'judged'),
  }
  return {name: real.columns(each, basis.neutral) for name, each in rows.items()}


def drawn(config: ConfigDict, basis: real.Basis, sound: Sound) -> MotionRows | None:
  """Bundled and user recordings acted by drawn speakers, as the closest values of the mesh basis."""
  data = config.data
  if not data.drawn:
    return None
  recordings = [trimmed(one) for one in (*bundled(), *own_recordings(config))]
  parts = divided(recordings, listed(data.unseen_words), listed(data.unseen_voices))
  speech = speech_of(config, parts, 0, data.num_speakers)
  found = act(parts.train, speech, data.drawn, acting_of(config, sound.floor), 'train').arrays()
  values = (found['offsets'] - basis.mean) @ np.linalg.pinv(basis.basis, rcond=0.05)
  counted = np.arange(values.shape[1])[None] < found['length'][:, None]
  values = np.where(counted[..., None], values, 0).astype(np.float32)
  return MotionRows({**found, 'offsets': values, 'pose': np.zeros_like(found['pose'])})


def joined(a: MotionRows, b: MotionRows | None) -> MotionRows:
  """The rows of both, with shorter clips zero-padded."""
  if b is None:
    return a
  first, second = a.arrays(), b.arrays()
  found = {}
  for name, x in first.items():
    y = second[name]
    most = np.maximum(x.shape, y.shape)[1:]
    wide = [
      np.pad(z, [(0, 0), *((0, m - n) for m, n in zip(most, z.shape[1:], strict=True))])
      for z in (x, y)
    ]
    found[name] = np.concatenate(wide)
  return MotionRows(found)


def facts_of(config: ConfigDict, sound: Sound, basis: real.Basis) -> dict[str, Any]:
  """What a model must know about the sound it hears and the values it predicts."""
  sentences = [' '.join(grid.sentence(name)) for name in grid.WITH_SOUND]
  data = config.data
  # Drawn speakers say the other recorded words; without them training sees none of the recorded words.
  unseen = {folded(word) for word in listed(data.unseen_words)} if data.drawn else ()
  return {
    'words': list(grid.WORDS),
    'titles': [*grid.WORDS, *sentences],
    'unseen_words': sorted(unseen),
    'unseen_voices': sorted(listed(data.unseen_voices)),
    'target': targets.MESH,
    'num_values': len(basis.basis),
    'contour_basis': np.round(basis.basis, 6).tolist(),
    'contour_mean': np.round(basis.mean, 6).tolist(),
    'clip_frames': max(FRAMES, data.num_frames) if data.drawn else FRAMES,
    'floor': sound.floor,
    'loud': sound.loud,
    'mel_mean': sound.mean,
    'mel_std': sound.std,
    'opening': targets.opening_weights().tolist(),
  }
