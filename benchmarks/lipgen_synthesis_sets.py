"""Sets of clips for the experiment with synthetic video: turned heads, synthetic clips, and their gates."""

import csv
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from jaxgen.files import write_bytes
from jaxgen.run import inference as runs
from jaxgen.systems.lipgen import corpus
from jaxgen.systems.lipgen.clips import grid
from jaxgen.systems.lipgen.clips.clip_set import NO_WORD, subset
from jaxgen.systems.lipgen.clips.framing import framing_of
from jaxgen.systems.lipgen.clips.table import load_table
from jaxgen.systems.lipgen.config import GRID
from jaxgen.systems.lipgen.data import split_of
from jaxgen.systems.lipgen.evaluation import Judge
from jaxgen.systems.lipgen.inference import Inference
from jaxgen.systems.lipgen.posing import augmenting, heads
from jaxgen.systems.lipgen.posing.assigning import assigned_poses
from jaxgen.systems.lipgen.posing.manifest import Manifest as PosesManifest
from jaxgen.systems.lipgen.posing.surface import CROP
from jaxgen.systems.lipgen.posing.turning import posed
from jaxgen.systems.lipgen.procedural.takes import Speech, frames_of, take
from jaxgen.systems.lipgen.speech.dictionary import find_dictionary
from jaxgen.systems.lipgen.synthesis import spoken_clips
from jaxgen.systems.lipgen.synthesis.cast import make_cast
from jaxgen.systems.lipgen.synthesis.chain import Chain, digest_of
from jaxgen.systems.lipgen.synthesis.making import synthesise
from jaxgen.systems.lipgen.synthesis.manifest import ROWS, Manifest
from jaxgen.systems.lipgen.synthesis.pairing import every, paired
from jaxgen.systems.lipgen.task import make_model
from jaxgen.systems.lipgen.units import MOUTH
from jaxgen.systems.lipgen.video.encoding import write_video
from jaxgen.systems.lipgen.video.jobs import bare_name, tab_lines
from jaxgen.task import Trained
from jaxgen.terminal.reporter import Reporter

_WIDE = 32  # margin in pixels around a mouth crop in which drawn faces are turned
TEST, TRAIN = 'test', 'train'
GATE = 400  # clips read for the gates


def turned(config: ConfigDict, part: str, folder: Path) -> str:
  """Makes the missing clips of a set with turned heads.

  Drawn faces are drawn with a margin, turned and then cropped; for GRID the crops are turned. All training
  clips are turned; of the evaluation clips a fifth is not, as in `jaxgen pose-augment`.

  Args:
    config: config of a run on real clips.
    part: TEST: the run's evaluation clips; TRAIN: its training clips.
    folder: folder for the turned clips.

  Returns:
    The kind of the set.
  """
  drawn = config.data.name != GRID
  if not (folder / augmenting.MANIFEST).is_file():
    (_turn_drawn if drawn else _turn_grid)(config, part, folder)
  return heads.FULL_FACE if drawn else heads.POSE_CROP


def _turn_drawn(config: ConfigDict, part: str, folder: Path) -> None:
  data, wide = config.data, MOUTH + 2 * _WIDE
  test = part == TEST
  speech = Speech(
    corpus.wanted_words(config, corpus.WORDS),
    find_dictionary(data.dictionary),
    config.seed,
    corpus.UNSEEN if test else 0,
    data.num_validation if test else data.num_speakers,
    data.look,
    wide,
    square=(-_WIDE, -_WIDE, wide),
  )
  takes = [take(speech, i) for i in range(data.num_validation if test else data.num_clips)]
  names = [f'{i:05}_{speech.words[one.labels[0]]}' for i, one in enumerate(takes)]
  poses = assigned_poses(names, config.seed + (0 if test else 1000))
  chosen = [i for i, pose in enumerate(poses) if test or any(pose)]
  head, inner = CROP.shifted(-_WIDE, -_WIDE), slice(_WIDE, _WIDE + MOUTH)

  def make(i: int) -> dict[str, Any]:
    frames = posed(frames_of(speech, takes[i]), *poses[i], head)
    write_video(folder / f'{names[i]}.mp4', frames[:, inner, inner])
    start, end = takes[i].spans[0]
    word = speech.words[takes[i].labels[0]]
    kind = {'kind': heads.CROPPED, 'yaw': poses[i].yaw, 'pitch': poses[i].pitch}
    who = {'speaker': f'{takes[i].who.look}{takes[i].who.number}'}
    return {'clip': names[i], 'word': word, 'start': start / 25, 'end': end / 25, **kind, **who}

  with ThreadPoolExecutor(2) as pool:
    rows = list(Reporter().progress(pool.map(make, chosen), f'turning {folder.name}', len(chosen)))
  write_bytes(folder / augmenting.MANIFEST, tab_lines(list(rows[0]), rows, titles=True))


def _turn_grid(config: ConfigDict, part: str, folder: Path) -> None:
  real = corpus.load_real(config)['validation' if part == TEST else 'train']
  only = {bare_name(name) for name in real.names}
  source = grid.folder_of(config.data.dir)
  table = augmenting.read_table(source / 'words.tsv')
  seed = config.seed + (0 if part == TEST else 1000)
  clips, _ = augmenting.plan(source / 'clips', folder, table, seed, only)
  if part == TRAIN:
    clips = [clip for clip in clips if any(clip.pose)]
  turned = {
    clip.name: augmenting.turn_clip(clip)
    for clip in Reporter().progress(clips, f'turning {folder.name}')
  }
  made = PosesManifest(folder, clips, table.columns, seed, overwrite=True)
  made.begin()
  for clip in clips:
    made.add(clip, turned[clip.name])
  made.end()


def synthetic(
  config: ConfigDict,
  folder: Path,
  faces: str,
  clips_per_face: int,
  nets: Sequence[Trained],
  steps: int,
) -> None:
  """Makes the missing synthetic clips of a seed, as `jaxgen synthesise` does.

  Args:
    config: config of a run on real clips.
    folder: folder for the clips.
    faces: see `cast.make_cast`.
    clips_per_face: number of clips per face.
    nets: the motion net and the renderer.
    steps: number of sampling steps.
  """
  words = grid.WORDS if config.data.name == GRID else corpus.wanted_words(config, corpus.WORDS)
  voices = spoken_clips.named_voices('')
  say = spoken_clips.saying(words, voices, find_dictionary(config.data.dictionary))
  cast = make_cast(faces, config.seed)
  clips = paired(len(cast.names), every(words, voices), clips_per_face, config.seed)
  digests = {net.config.system: digest_of(net) for net in nets}
  settings = {'seed': config.seed, 'steps': steps, **digests}
  manifest = Manifest(folder, settings)
  left = manifest.left(clips, cast)
  if not left:
    return
  chain = Chain(*nets, steps=steps)
  synthesise(
    chain, cast, say, left, manifest,
    lambda made: Reporter().progress(made, f'clips of {folder.name}', len(left)),
  )  # fmt: skip


def sheet(real: ConfigDict, beside: Sequence[ConfigDict], path: Path, each: int = 2) -> None:
  """Writes a picture of real clips, and below them the additional ones, as a reader sees them.

  Args:
    real: config of a run on real clips alone.
    beside: configs of runs on additional clips.
    path: path of the PNG.
    each: clips of each kind.
  """
  clips = [corpus.load_corpus(real).clips['train']]
  count = len(clips[0].lengths)
  clips += [corpus.load_corpus(config).clips['train'] for config in beside]
  shown = []
  for i, found in enumerate(clips):
    for frames in np.asarray(found.frames[np.arange(each) + (count if i else 0)]):
      shown.append(np.concatenate(list(frames[5:25:2]), axis=1))
  picture = Image.fromarray(np.concatenate(shown))
  picture = picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.BICUBIC)
  path.parent.mkdir(parents=True, exist_ok=True)
  picture.save(path, optimize=True)


def gates(run: Path, folder: Path) -> dict[str, Any]:
  """Results of a reader trained on real clips on synthetic ones.

  Args:
    run: the reader's run.
    folder: folder of synthetic clips.

  Returns:
    'accuracy' on its own held-out clips, 'synthetic_accuracy', their 'ratio', and 'swap_changes': how often two
    clips of one face with different words are read as different words, out of 'pairs'; 'clips', how many were
    read.
  """
  opened = runs.open_run(run)
  trained, tools = opened.trained, opened.tools
  config, facts = trained.config, trained.facts
  reader = Inference(make_model(config, facts), facts, config)
  words = [word for word in reader.words if word != NO_WORD]
  clips = load_table(folder / ROWS, framing_of(config), folder, words)
  clips = subset(clips, np.arange(min(GATE, len(clips.lengths))))
  told = Judge(reader, trained.variables, split_of(clips, config), tools)(False, True)
  lines = (folder / ROWS).read_text(encoding='utf-8').splitlines()
  face = {row['clip']: row['face'] for row in csv.DictReader(lines, delimiter='\t')}
  faces = [face[name] for name in clips.names]
  read, labels = told.ranked[:, 0], told.labels
  pairs = [
    (i, j)
    for i in range(len(faces))
    for j in range(i + 1, len(faces))
    if faces[i] == faces[j] and labels[i] != labels[j]
  ]
  accuracy = json.loads((run / 'evaluation.json').read_text())['accuracy']
  found = float((read == labels).mean())
  return {
    'accuracy': accuracy,
    'synthetic_accuracy': found,
    'ratio': found / accuracy,
    'swap_changes': float(np.mean([read[i] != read[j] for i, j in pairs])),
    'pairs': len(pairs),
    'clips': len(labels),
  }
