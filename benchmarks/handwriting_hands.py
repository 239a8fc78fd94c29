"""Measures which hands a writer uses, with a classifier of faces on generated words, and the spread of style.

  python benchmarks/handwriting_hands.py --weights runs/handwriting --out FILE

The classifier is trained here, on words drawn like the writer's training data but with another seed; its
accuracy is measured on unseen words and writers. Then it names the face of --words generated words, each in its
own hand, eight per text. A face is in use if at least one word in fifty has it. The targets are six faces in
use, none with more than .4 of the words, and over the hands of a text at least half the spread in slant, stroke
width and ink of drawn words.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import machine
import numpy as np
import optax
from flax import linen as nn
from ml_collections import ConfigDict

from jaxgen.axis import row_keys
from jaxgen.command import exits
from jaxgen.data.order import generator
from jaxgen.errors import ConfigError
from jaxgen.files import write_json
from jaxgen.run import loading, startup
from jaxgen.systems.handwriting.corpus import Corpus, drawn_corpus
from jaxgen.systems.handwriting.inference import Inference
from jaxgen.systems.handwriting.levels import from_levels, to_levels
from jaxgen.systems.handwriting.measures.style import relative_spread, spread, styles
from jaxgen.systems.handwriting.task import make_model
from jaxgen.task import PyTree, Trained
from jaxgen.terminal.reporter import Reporter

# Targets: faces in use, the largest share of one face, the spread relative to that of drawn words.
FEWEST, MOST, SPREAD = 6, 0.4, 0.5
IN_USE = 0.02  # least share of a face in use
HANDS = 8  # hands per text
BATCH, RATE, NOISE = 64, 1e-3, 0.1


class FaceClassifier(nn.Module):
  """Names the face of a word.

  Attributes:
    num_faces: F.
    widths: channels of four convolutions, each of which halves the picture.
  """

  num_faces: int
  widths: tuple[int, ...] = (16, 32, 64, 64)

  @nn.compact
  def __call__(self, images: jax.Array) -> jax.Array:
    """Logits [B, F] for images [B, H, W, 1] in [-1, 1]; the word's position in the picture does not matter."""
    x = 1.0 - images  # paper is 0 and adds nothing
    for width in self.widths:
      x = nn.relu(nn.GroupNorm(num_groups=8)(nn.Conv(width, (3, 3), (2, 2))(x)))
    x = jnp.concatenate([x.mean((1, 2)), x.max((1, 2))], -1)
    return nn.Dense(self.num_faces)(nn.relu(nn.Dense(64)(x)))


def main() -> None:
  """Trains the classifier, classifies generated words and writes the result."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  add = parser.add_argument
  add('--weights', type=Path, required=True, metavar='RUN|FILE', help='a trained writer')
  add('--words', type=int, default=1_000, help='generated words')
  add('--examples', type=int, default=8_000, help='drawn words that the classifier learns from')
  add('--held-out', type=int, default=1_000, help='drawn words that it is measured on')
  add('--steps', type=int, default=3_000, help='of its training')
  add('--seed', type=int, default=1_000, help='of drawn words, classifier and noises')
  add('--out', type=Path, required=True, help='JSON file')
  args = parser.parse_args()
  startup.enable_compilation_cache()
  trained = loading.load(args.weights)
  if trained.config.system != 'handwriting':
    raise ConfigError(
      f'--weights {args.weights}: a run of {trained.config.system}, which writes nothing'
    )
  reporter = Reporter()
  reporter.say('drawing words')
  drawn = drawn_corpus(drawn_config(trained.config, args))
  found = {
    'command': f'handwriting_hands.py --weights {args.weights.name} --words {args.words} --steps {args.steps}',
    'environment': machine.describe(),
    'step': int(trained.step),
    **measured(trained, drawn, args, reporter),
  }
  write_json(args.out, found)
  rows = [[name, share] for name, share in found['shares'].items()]
  reporter.table(
    f'faces, named with an accuracy of {found["accuracy"]:.3f}', ['face', 'share'], rows
  )
  reporter.say(verdict(found))


def drawn_config(config: ConfigDict, args: argparse.Namespace) -> ConfigDict:
  """The config for drawn words like the writer's: same canvas, letters, faces and hands."""
  config = config.copy_and_resolve_references()
  with config.unlocked():
    config.seed = args.seed
    config.data.name, config.data.joined = 'drawn', 1
    config.data.num_examples, config.data.num_validation = args.examples, args.held_out
  return config


def measured(
  trained: Trained, drawn: Corpus, args: argparse.Namespace, reporter: Reporter
) -> dict[str, Any]:
  """The figures of a writer."""
  kept, names = drawn.pictures, list(drawn.faces)
  classify, accuracy = face_classifier(kept, len(names), args.steps, args.seed, reporter)
  reporter.say(f'accuracy on unseen words and writers: {accuracy:.3f}')
  images, texts, asked = generated(trained, drawn, args)
  named = classify(images)
  # A writer with other faces, or none, requests none of these.
  known = asked is not None and list(trained.facts['faces']) == names
  held_out = kept['validation'].gather(np.arange(len(kept['validation'].texts)))
  ours, theirs = styles(images), styles(held_out)
  return {
    'accuracy': accuracy,
    'num_generated': len(images),
    'num_held_out': len(held_out),
    **shares(named, names),
    'asked_for': float((named == asked).mean()) if known else None,
    'drawn_shares': shares(faces_of(kept['validation'].hands, len(names)), names)['shares'],
    'spread': {
      'generated': spread(ours, texts),
      'drawn': spread(theirs),
      'relative': relative_spread(ours, theirs, texts),
    },
  }


def faces_of(hands: np.ndarray, num_faces: int) -> np.ndarray:
  """Faces [N] of hands or noises [N, F + m], whose first F entries are one-hot."""
  return np.asarray(hands)[:, :num_faces].argmax(1)


def shares(named: np.ndarray, names: list[str]) -> dict[str, Any]:
  """The share of each face, the number of faces in use, and the largest share."""
  found = np.bincount(named, minlength=len(names)) / len(named)
  return {
    'shares': dict(zip(names, found.tolist(), strict=True)),
    'faces_in_use': int((found >= IN_USE).sum()),
    'largest_share': float(found.max()),
  }


def verdict(found: dict[str, Any]) -> str:
  """The targets, and whether they are met."""
  spreads = found['spread']['relative']
  least = min((x for x in spreads.values() if x is not None), default=0.0)
  met = found['faces_in_use'] >= FEWEST and found['largest_share'] <= MOST and least >= SPREAD
  told = ', '.join(
    f'{name} {x:.2f}' if x is not None else f'{name} -' for name, x in spreads.items()
  )
  asked = found['asked_for']
  return (
    f'{"met" if met else "not met"}: {found["faces_in_use"]} faces in use of {FEWEST}, the largest share '
    f'{found["largest_share"]:.2f} of {MOST} at most, spread over that of drawn words {told} of {SPREAD} '
    'at least'
    + ('' if asked is None else f'; in {asked:.3f} of the words it is the face that was asked for')
  )


# --- The classifier ---


def face_classifier(
  pictures: dict[str, Any], num_faces: int, steps: int, seed: int, reporter: Reporter
) -> tuple[Any, float]:
  """Trains a function from uint8 images [N, H, W] to faces [N]; also returns its accuracy on 'validation'."""
  train, held_out = pictures['train'], pictures['validation']
  images, faces = train.gather(np.arange(len(train.texts))), faces_of(train.hands, num_faces)
  net, optimizer = FaceClassifier(num_faces), optax.adam(optax.cosine_decay_schedule(RATE, steps))
  params = net.init(jax.random.key(seed), from_levels(jnp.asarray(images[:1])))
  state = optimizer.init(params)

  @jax.jit
  def update(params: PyTree, state: PyTree, images: jax.Array, faces: jax.Array, key: jax.Array):
    strength, noise = jax.random.split(key)
    shown = from_levels(images)
    deviations = jax.random.uniform(strength, (len(images), 1, 1, 1), maxval=NOISE)
    shown += deviations * jax.random.normal(noise, shown.shape)

    def loss_fn(params: PyTree) -> jax.Array:
      logits = net.apply(params, shown)
      return optax.softmax_cross_entropy_with_integer_labels(logits, faces).mean()

    loss, grads = jax.value_and_grad(loss_fn)(params)
    moves, state = optimizer.update(grads, state, params)
    return optax.apply_updates(params, moves), state, loss

  rng = generator(seed, 'faces', 0)
  for step in reporter.progress(range(steps), 'learning faces', steps):
    rows = rng.integers(len(images), size=BATCH)
    key = jax.random.fold_in(jax.random.key(seed), step)
    params, state, _ = update(params, state, images[rows], faces[rows], key)

  apply = jax.jit(lambda params, images: net.apply(params, from_levels(images)).argmax(-1))

  def classify(images: np.ndarray) -> np.ndarray:
    return np.concatenate([np.asarray(apply(params, part)) for part in batches(images)])

  judged = classify(held_out.gather(np.arange(len(held_out.texts))))
  return classify, float((judged == faces_of(held_out.hands, num_faces)).mean())


def batches(rows: np.ndarray, size: int = 100) -> Iterator[np.ndarray]:
  """Yields the rows in batches of at most `size`."""
  for first in range(0, len(rows), size):
    yield rows[first : first + size]


def generated(
  trained: Trained, drawn: Corpus, args: argparse.Namespace
) -> tuple[np.ndarray, list[str], np.ndarray | None]:
  """Words each in its own hand, uint8 [N, H, W], their texts, and the faces [N] of their noises, if any."""
  writer = Inference(make_model(trained.config, trained.facts), trained.facts, trained.config)
  able = [
    word
    for word in drawn.words
    if not writer.charset.unknown(word) and len(word) <= trained.facts['max_length']
  ]
  rng = generator(args.seed, 'words to write', 0)
  texts = [able[i] for i in rng.integers(len(able), size=-(-args.words // HANDS))]
  words = [texts[i // HANDS] for i in range(args.words)]
  labels, lengths = writer.charset.encode(words, trained.facts['max_length'])
  z = np.asarray(writer.latents(row_keys(jax.random.key(args.seed), jnp.arange(args.words))))

  @jax.jit
  def write(z: jax.Array, labels: jax.Array, lengths: jax.Array) -> jax.Array:
    return to_levels(writer.write(trained.variables, z, labels, lengths))

  images = np.concatenate(
    [
      np.asarray(write(z[rows], labels[rows], lengths[rows]))
      for rows in batches(np.arange(args.words))
    ]
  )
  num_faces = writer.nets.num_faces
  return images, words, faces_of(z, num_faces) if num_faces else None


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
