r"""Ships a trained run as the default net of `jaxgen.memberships` and `jaxgen.samples`.

  python benchmarks/mmgan_weights.py --run runs/mnist_A --out benchmarks/results/mmgan_weights_cpu.json

writes jaxgen/weights/mmgan_mnist.safetensors from the newest saved step, measures how long it takes to compute
an image's memberships and to draw 64 samples, and renders jaxgen/weights/MMGAN.md from the result file.
"""

import argparse
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import machine
import numpy as np
import shipping
from PIL import Image
from sklearn.datasets import load_digits

import jaxgen
from jaxgen.command import exits
from jaxgen.exchange import cards
from jaxgen.exchange.cards import Licence, Result
from jaxgen.run import loading, startup
from jaxgen.systems.mmgan import apply
from jaxgen.systems.mmgan.config import ABOUT

TERMS = (
  "Trained on MNIST's 60,000 training digits (Y. LeCun, C. Cortes, C. J. C. Burges), which are usually cited "
  'as CC BY-SA 3.0.'
)
LIMITS = (
  'It knows only digits as they are in MNIST, light on black, 20 pixels of 28. Of digits from another source, '
  "scikit-learn's enlarged to that size, it assigns {:.0%} to the right component; any other image gets "
  "memberships too, which are meaningless. Its networks are half as wide as the paper's, and its training was "
  'shorter.'
)
KEPT = ('model.gen_widths', 'model.disc_widths', 'model.classifier_width', 'model.num_latents')
KEPT += ('num_steps', 'batch_size', 'optim.learning_rate')
FIGURES = ('component_accuracy_mean', 'component_accuracy', 'random_baseline')
FIGURES += ('set_accuracy', 'set_accuracy_chance', 'num_examples', 'fid')
WIDTH = 110
REPEATS = 10
OTHERS = 500  # number of scikit-learn's digits
CARD = apply.SHIPPED.with_name('MMGAN.md')


def main() -> None:
  """Ships the run and writes the result file and the card."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--run', type=Path, required=True, metavar='RUN', help='a run of mnist_A')
  parser.add_argument('--out', type=Path, required=True, help='JSON file')
  args = parser.parse_args()
  startup.enable_compilation_cache()
  found = shipping.evaluated(args.run, None)
  trained = loading.load(args.run, found['step'])
  row = shipping.about(trained, args.run, KEPT)
  shipping.save(apply.SHIPPED, trained, row, TERMS)
  row['evaluation'] = {key: found[key] for key in FIGURES}
  row['classes'] = dict(zip(trained.facts['set_names'], trained.facts['set_classes'], strict=True))
  image = np.zeros(trained.facts['image_shape'][:2], np.uint8)
  row['other_digits'] = share_of_others(trained.facts['set_classes'])
  row['seconds_to_judge'] = seconds(lambda: jaxgen.memberships(image))
  row['seconds_to_draw_64'] = seconds(lambda: jaxgen.samples(component=1, count=64))
  machine.write_json(args.out, {'machine': machine.describe(), 'rows': {'mnist': row}})
  shipping.write_card(CARD, card(row))


def share_of_others(classes: list[list[int]]) -> float:
  """The share of scikit-learn's digits, enlarged to MNIST's 20 of 28 pixels, assigned to the right component.

  Args:
    classes: classes of the two collections; components are the first alone, the second alone, and both.
  """
  first, second = map(set, classes)
  owner = {label: 3 if label in second else 1 for label in first} | dict.fromkeys(second - first, 2)
  digits, right = load_digits(), []
  for pixels, label in zip(digits.images[:OTHERS], digits.target[:OTHERS], strict=True):
    small = Image.fromarray(np.round(pixels * 255 / 16).astype(np.uint8))
    image = Image.new('L', (28, 28))
    image.paste(small.resize((20, 20), Image.Resampling.BICUBIC), (4, 4))
    components = jaxgen.memberships(image).components
    right.append(max(components, key=components.__getitem__) == owner[int(label)])
  return round(float(np.mean(right)), 4)


def seconds(work: Callable[[], Any]) -> float:
  """Median seconds that work takes, excluding the first call."""
  times = []
  for _ in range(REPEATS + 1):
    start = time.perf_counter()
    work()
    times.append(time.perf_counter() - start)
  return round(float(np.median(times[1:])), 4)


def card(row: dict[str, Any]) -> str:
  """The model card."""
  found, config = row['evaluation'], row['config']
  sets = '; '.join(
    f'{name} with the digits {", ".join(map(str, x))}' for name, x in row['classes'].items()
  )
  gen, disc = (config[f'model.{name}_widths'] for name in ('gen', 'disc'))
  trained = (
    f'{row["parameters"]:,} parameters and statistics, widths of the generator {_listed(gen)}, of the '
    f'discriminators {_listed(disc)}; two collections, {sets}; the mixture is given. '
    f'{row["steps"]:,} updates of {config["batch_size"]} images, {row["seconds"] / 60:.0f} minutes on '
    f'{row["hardware"]}, shared with other work, {row["date"]}, seed {row["seed"]}.'
  )
  lines = {
    'samples of a component that a classifier assigns to its classes': found[
      'component_accuracy_mean'
    ],
    'the same by chance': found['random_baseline'],
    'test images whose most probable collection has their class': found['set_accuracy'],
    'the same by chance alone': found['set_accuracy_chance'],
  }
  accuracies = {'accuracy': round(found['set_accuracy'], 4)}
  text = 'test images whose most probable collection has their class'
  results = [Result('mmgan_mnist', 'mnist', accuracies, text)]
  return '\n'.join([
    cards.front_matter(ABOUT, Licence('cc-by-sa-3.0'), results, ('mnist',)),
    '# The net behind `jaxgen.memberships` and `jaxgen.samples`',
    '',
    "Mixed Membership GAN (Yazici et al.), float32; the file's header holds its config and facts, so",
    '`jaxgen.load(file)` gives all that is needed to apply it. The discriminators are left out,',
    'except for the layers that the component classifier uses.',
    '',
    '## Terms',
    '',
    textwrap.fill(TERMS, WIDTH),
    '',
    '## mmgan_mnist.safetensors',
    '',
    textwrap.fill(trained, WIDTH),
    '',
    '    python launch.py --config=configs/mmgan.py:mnist_A_fixed --workdir=runs/mnist_A \\',
    f"      --config.data.dir=DIR --config.model.gen_widths='{_tuple(gen)}' \\",
    f"      --config.model.disc_widths='{_tuple(disc)}' \\",
    f'      --config.model.classifier_width={config["model.classifier_width"]} \\',
    f'      --config.optim.learning_rate={config["optim.learning_rate"]:g} --config.num_steps={row["steps"]}',
    '',
    f'On {found["num_examples"]:,} test images:',
    '',
    '| figure | share |',
    '|---|---|',
    *(f'| {text} | {x:.3f} |' for text, x in lines.items()),
    '',
    textwrap.fill(
      f'{_fids(found["fid"])}Judging an image takes '
      f'{1000 * row["seconds_to_judge"]:.0f} ms and drawing 64 samples '
      f'{1000 * row["seconds_to_draw_64"]:.0f} ms, after the first. {LIMITS.format(row["other_digits"])}',
      WIDTH,
    ),
    '',
  ])  # fmt: skip


def _listed(widths: list[int]) -> str:
  return ', '.join(map(str, widths))


def _tuple(widths: list[int]) -> str:
  return f'({_listed(widths)})'.replace(' ', '')


def _fids(found: dict[str, float] | None) -> str:
  if not found:
    return ''
  each = ', '.join(f'{x:.1f} for {name}' for name, x in found.items())
  return f'FID, on the features of a classifier of the same digits: {each}. '


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
