r"""Ships two trained runs as the default nets of `jaxgen.score`, `jaxgen.latents` and `jaxgen.decode`.

  python benchmarks/comvae_weights.py --mnist runs/mnist_vanilla --digits runs/comvae \
    --out benchmarks/results/comvae_weights_cpu.json

writes jaxgen/weights/comvae_mnist.safetensors and comvae_digits.safetensors from the newest saved steps,
measures how long each takes to score an image, and renders jaxgen/weights/COMVAE_MNIST.md and COMVAE_DIGITS.md
from the result file.
"""

import argparse
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import machine
import numpy as np
import shipping

import jaxgen
from jaxgen.command import exits
from jaxgen.exchange import cards
from jaxgen.exchange.cards import Licence, Result
from jaxgen.run import loading, startup
from jaxgen.systems.comvae import apply
from jaxgen.systems.comvae.config import ABOUT

TERMS = {
  apply.MNIST: (
    "Trained on MNIST's 60,000 training digits (Y. LeCun, C. Cortes, C. J. C. Burges), which are usually cited "
    'as CC BY-SA 3.0.'
  ),
  apply.DIGITS: (
    'Trained on the 1,797 digits of 8 x 8 pixels that come with scikit-learn, less those it is judged on: the '
    'test set of "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak, UCI Machine Learning '
    'Repository, doi 10.24432/C50P49), CC BY 4.0.'
  ),
}
LICENCES = {apply.MNIST: 'cc-by-sa-3.0', apply.DIGITS: 'cc-by-4.0'}
TRAINED_BY = {
  apply.MNIST: 'configs/comvae.py:mnist_vanilla --workdir=runs/mnist_vanilla --config.data.dir=DIR',
  apply.DIGITS: 'configs/comvae.py --workdir=runs/comvae',
}
SAID = {
  apply.MNIST: 'The vanilla VAE: its weights are not random, so they add no uncertainty.',
  apply.DIGITS: (
    'The compound VAE with the mixture prior: the encoder of an example has a distribution over weights, so '
    'each latent has a variance over them.'
  ),
}
LIMITS = (
  'It knows only digits, light on black, that fill the image as in its training set. Other images get a score '
  'too, a poor one, and meaningless latents.'
)
KEPT = ('model.kind', 'model.prior', 'model.num_latents', 'num_steps', 'batch_size')
KEPT += ('optim.learning_rate',)
FIGURES = {
  'negative_elbo': 'negative ELBO',
  'reconstruction': 'of which reconstruction',
  'latent_kl': 'of which latent KL',
}
WIDTH = 110
REPEATS = 5


def main() -> None:
  """Ships the runs and writes the result file and the card."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  for net in apply.NETS:
    parser.add_argument(f'--{net}', type=Path, required=True, metavar='RUN')
  parser.add_argument('--out', type=Path, required=True, help='JSON file')
  args = parser.parse_args()
  startup.enable_compilation_cache()
  rows = {net: ship(net, getattr(args, net)) for net in apply.NETS}
  machine.write_json(args.out, {'machine': machine.describe(), 'rows': rows})
  for net, row in rows.items():
    shipping.write_card(apply.WEIGHTS / f'COMVAE_{net.upper()}.md', card(net, row))


def ship(net: str, run: Path) -> dict[str, Any]:
  """Writes a net's file and returns its row of the result file."""
  found = shipping.evaluated(run, None)
  trained = loading.load(run, found['step'])
  row = shipping.about(trained, run, KEPT)
  path = apply.WEIGHTS / f'comvae_{net}.safetensors'
  shipping.save(path, trained, row, TERMS[net])
  row['evaluation'] = {key: found[key] for key in (*FIGURES, 'num_examples')}
  row['seconds_to_score'] = seconds_to_score(net, apply.image_size(trained))
  return row


def seconds_to_score(net: str, size: tuple[int, int]) -> float:
  """Median seconds to score an image, excluding the first."""
  image, times = np.zeros(size, np.uint8), []
  for _ in range(REPEATS + 1):
    start = time.perf_counter()
    jaxgen.score(image, net=net)
    times.append(time.perf_counter() - start)
  return round(float(np.median(times[1:])), 3)


def card(net: str, row: dict[str, Any]) -> str:
  """The model card of one net."""
  figures = {key: round(row['evaluation'][key], 2) for key in FIGURES}
  results = [Result(f'comvae_{net}', net, figures, 'test images, nats per image')]
  lines = [
    cards.front_matter(ABOUT, Licence(LICENCES[net]), results, (net,)),
    '# A net behind `jaxgen.score`, `jaxgen.latents` and `jaxgen.decode`',
    '',
    "Compound VAE (Su, Lin, Chen), float32; the file's header holds its config and facts, so",
    '`jaxgen.load(file)` gives all that is needed to apply it.',
    '',
    '## Terms',
    '',
    textwrap.fill(TERMS[net], WIDTH),
    '',
    *_section(net, row),
  ]
  return '\n'.join([*lines, '## Limits', '', textwrap.fill(LIMITS, WIDTH), ''])


def _section(net: str, row: dict[str, Any]) -> list[str]:
  trained = (
    f'{SAID[net]} {row["config"]["model.num_latents"]} latents, {row["parameters"]:,} parameters and '
    f'statistics; {row["steps"]:,} updates of {row["config"]["batch_size"]} images, {row["seconds"]} '
    f'seconds on {row["hardware"]}, shared with other work, {row["date"]}, seed {row["seed"]}.'
  )
  found = row['evaluation']
  return [
    f'## comvae_{net}.safetensors',
    '',
    textwrap.fill(trained, WIDTH),
    '',
    f'    python launch.py --config={TRAINED_BY[net]}',
    '',
    f'On {found["num_examples"]:,} test images, nats per image:',
    '',
    '| figure | nats |',
    '|---|---|',
    *(f'| {text} | {found[key]:.2f} |' for key, text in FIGURES.items()),
    '',
    f'Scoring an image takes {row["seconds_to_score"]:.2f} s, after the first.',
    '',
  ]


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
