"""Measures whether words can be read from lips driven by sound alone, with a reader of real clips.

  python benchmarks/lipgen_synthesis_gates.py --motion RUN --render RUN --reader FILE --out FILE

Sounds are jaxgen's recordings: the words that the motion net's config names as unseen, by all voices, and the
other words by its unseen voices. So all nets get the same sounds, whether or not they were trained on the other
recordings. Each sound is given a drawn speaker that neither net knows, whose picture with the mouth at rest is
the reference. The motion net hears the sound, its contours are placed on the picture, warped and rendered;
clips have 29 frames around the middle of the word, and the reader is given its boundaries, as in its training.
The reader reads

  truth           the speaker drawn as it says the word at the recording's times
  contours        the same lips and head, rendered from true contours
  placed          the speaker's true offsets from the mouth at rest, placed like the motion net's
  warp            the chain's warps, not rendered
  chain           from the sound
  swap            the same faces, and the sound of another word by the same voice

`share` is the accuracy relative to that of the truth. `changed` is the share of clips that are read differently
from the chain's clip of the same face, `accuracy` of swap the share read as the word heard.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import machine
import numpy as np
from machine import say

from jaxgen.command import exits
from jaxgen.command.opening import load
from jaxgen.data.folders import listed
from jaxgen.data.order import generator
from jaxgen.systems.lipgen.corpus import UNSEEN
from jaxgen.systems.lipgen.motion import targets
from jaxgen.systems.lipgen.procedural.articulation import REST, Mouth, Timed
from jaxgen.systems.lipgen.procedural.geometry import Pose
from jaxgen.systems.lipgen.procedural.takes import Speech, Take, acted, contours_of, frames_of
from jaxgen.systems.lipgen.render.readers import find_reader
from jaxgen.systems.lipgen.speech.dictionary import find_dictionary, folded
from jaxgen.systems.lipgen.synthesis.chain import MOTION, RENDER, Chain, Face, load_net
from jaxgen.systems.lipgen.voices.log_mel import ROWS_A_FRAME
from jaxgen.systems.lipgen.voices.recordings import Recording, bundled
from jaxgen.task import Trained, plain_tools

FRAMES = 29
FIRST_SPEAKER = UNSEEN + 500_000  # beyond those used to evaluate either net
SEED = 14


class Heard(NamedTuple):
  """A recording in a clip of `FRAMES` frames centred on the word.

  Attributes:
    recording: the recording.
    first: the recording's frame at which the clip starts, negative if it starts earlier.
    span: start and end of the word in frames of the clip.
    timed: phonemes of the clip.
  """

  recording: Recording
  first: int
  span: tuple[float, float]
  timed: Timed


def heard(recording: Recording) -> Heard:
  """A recording's clip."""
  spoken = recording.times[[phoneme != REST for phoneme in recording.phonemes]] * 25
  start, end = float(spoken[0, 0]), float(spoken[-1, 1])
  first = int((start + end) // 2) - FRAMES // 2
  said = [
    (phoneme, *np.clip(25 * times - first, 0, FRAMES))
    for phoneme, times in zip(recording.phonemes, recording.times, strict=True)
    if phoneme != REST
  ]
  said = [x for x in said if x[2] > x[1]]
  rows = [(REST, 0.0, said[0][1]), *said, (REST, said[-1][2], float(FRAMES))]
  rows = [x for x in rows if x[2] > x[1]]
  timed = Timed(tuple(x[0] for x in rows), np.array([x[1:] for x in rows], float))
  return Heard(recording, first, (max(0.0, start - first), min(end - first, FRAMES)), timed)


def chosen(motion: Trained) -> dict[str, list[Recording]]:
  """Recordings grouped by what the motion net's config holds out: the same for nets that know none of them."""
  data = motion.config.data
  words = [folded(word) for word in listed(data.unseen_words)]
  voices = listed(data.unseen_voices)
  every = bundled()
  return {
    'unseen words and voices': [x for x in every if x.word in words and x.voice in voices],
    'unseen words': [x for x in every if x.word in words and x.voice not in voices],
    'unseen voices': [x for x in every if x.word not in words and x.voice in voices],
  }


def faces_of(
  speech: Speech, clips: Sequence[Heard]
) -> tuple[list[Face], list[Take], list[np.ndarray]]:
  """Faces at rest, what their speakers say, and their frames."""
  faces, takes, frames = [], [], []
  for index, clip in enumerate(clips):
    label = speech.words.index(clip.recording.word)
    one = acted(speech, index, (label,), clip.timed, (clip.span,))
    moment = generator(SEED, 'gates reference', index).integers(FRAMES)
    pose = Pose(*(x[moment : moment + 1] for x in one.pose))
    rest = one._replace(number=index + 2**31, mouth=np.array([Mouth()]), pose=pose)
    faces.append(Face(frames_of(speech, rest)[0], contours_of(speech, rest)[0], f'face {index}'))
    takes.append(one)
    frames.append(frames_of(speech, one))
  return faces, takes, frames


def lips_of(chain: Chain, clip: Heard, floor: float) -> np.ndarray:
  """Offsets [29, 40, 2] predicted by the motion net for a clip, with silence around the recording."""
  mel = clip.recording.mel
  around = np.full((ROWS_A_FRAME * FRAMES, mel.shape[1]), floor, np.float32)
  offsets, _ = chain.lips(np.concatenate([around, mel, around]))
  first = FRAMES + clip.first
  return offsets[first : first + FRAMES]


def others(clips: Sequence[Heard]) -> list[Heard]:
  """For each clip another word by the same voice, the next one in the list."""
  count = len(clips)
  found = []
  for i, clip in enumerate(clips):
    rest = (clips[j % count] for j in range(i + 1, i + count))
    same = (x for x in rest if x.recording.voice == clip.recording.voice)
    found.append(next(x for x in same if x.recording.word != clip.recording.word))
  return found


def measure(motion: Trained, render: Trained, reader: Path, steps: int | None) -> dict[str, Any]:
  """All measurements named in the module docstring."""
  chain = Chain(motion, render, steps=steps)
  parts = chosen(motion)
  clips = [heard(x) for part in parts.values() for x in part]
  words = tuple(render.facts['words'])
  swapped = others(clips)
  made, found = rendered(chain, words, clips, swapped, motion.facts['floor'])
  read = reading(render, reader)
  said, right = {}, {}
  for name, frames in made.items():
    asked = swapped if name == 'swap' else clips
    said[name] = read(np.stack(frames), np.array([x.span for x in asked]))
    right[name] = said[name] == np.array([words.index(x.recording.word) for x in asked])
  changed = said['swap'] != said['chain']
  groups = {'all': np.ones(len(clips), bool)}
  names = np.array([name for name, part in parts.items() for _ in part])
  groups |= {name: names == name for name in parts if (names == name).any()}
  return {
    'sampling_steps': steps or int(render.config.eval.steps),
    'frames': FRAMES,
    **found,
    'groups': {
      name: {
        'clips': int(some.sum()),
        'accuracy': {kind: float(x[some].mean()) for kind, x in right.items()},
        'share': float(right['chain'][some].mean() / max(right['truth'][some].mean(), 1e-9)),
        'changed': float(changed[some].mean()),
      }
      for name, some in groups.items()
    },
    'clips': [
      {
        'word': x.recording.word,
        'voice': x.recording.voice,
        'read': {kind: words[said[kind][i]] if said[kind][i] >= 0 else '' for kind in said},
        'other': swapped[i].recording.word,
      }
      for i, x in enumerate(clips)
    ],
  }


def rendered(
  chain: Chain,
  words: tuple[str, ...],
  clips: Sequence[Heard],
  swapped: Sequence[Heard],
  floor: float,
) -> tuple[dict[str, Sequence[np.ndarray]], dict[str, Any]]:
  """Frames of clips by what they are made from, the time taken, and the error of the contours."""
  speech = Speech(
    words, find_dictionary(), SEED, FIRST_SPEAKER, 3_000, pixels=chain.side, num_frames=FRAMES
  )
  faces, takes, frames = faces_of(speech, clips)
  say(f'{len(clips)} clips are drawn')

  def moved(heard: Sequence[Heard]) -> list[np.ndarray]:
    pairs = zip(faces, heard, strict=True)
    return [chain.targets(face, lips_of(chain, x, floor)) for face, x in pairs]

  began = time.perf_counter()
  points = moved(clips)
  heard_in = time.perf_counter() - began
  own = [
    chain.targets(face, targets.offsets(x.who, x.mouth).reshape(-1, targets.POINTS, 2))
    for face, x in zip(faces, takes, strict=True)
  ]
  began = time.perf_counter()
  made = {'truth': frames, 'chain': chain.render(faces, points)}
  seconds = {'motion': heard_in, 'render': time.perf_counter() - began}
  say('the chain is rendered')
  made['swap'] = chain.render(faces, moved(swapped))
  made['contours'] = chain.render(faces, [contours_of(speech, x) for x in takes])
  made['placed'] = chain.render(faces, own)
  made['warp'] = [chain.conditions(face, at).warp for face, at in zip(faces, points, strict=True)]
  error = float(np.mean([abs(a - b).mean() for a, b in zip(points, own, strict=True)]))
  unit = 'pixels, from true offsets placed alike'
  return made, {'seconds': seconds, 'contour_error': {'chain': error, 'unit': unit}}


def reading(render: Trained, reader: Path):
  """The reader as a function of frames and spans, see `render.readers.find_reader`."""
  config = render.config.copy_and_resolve_references()
  with config.unlocked():
    config.eval.reader = str(reader)
  read = find_reader(config, render.facts, plain_tools())
  assert read is not None
  return read


def main(argv: list[str]) -> None:
  """Measures and writes the result."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--motion', type=Path, help='run or file; by default what ships with jaxgen')
  parser.add_argument('--render', type=Path, help='the same of a renderer')
  parser.add_argument('--reader', type=Path, required=True, help='file of jaxgen export')
  parser.add_argument('--steps', type=int, help="of sampling; by default the renderer's")
  parser.add_argument('--out', type=Path, required=True, help='JSON file')
  args = parser.parse_args(argv[1:])
  nets = (load_net(args.motion, MOTION, load), load_net(args.render, RENDER, load))
  result = {'machine': machine.describe(), **measure(*nets, args.reader, args.steps)}
  machine.write_json(args.out, result)
  for name, found in result['groups'].items():
    rates = '  '.join(f'{kind} {x:.3f}' for kind, x in found['accuracy'].items())
    told = f'share {found["share"]:.3f}  changed {found["changed"]:.3f}'
    print(f'{name} ({found["clips"]}): {rates}  {told}')


if __name__ == '__main__':
  sys.exit(exits.guarded(lambda: main(sys.argv)))
