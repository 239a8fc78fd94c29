"""Measures the effect of a lexicon on the shipped reader, and whether its confidence predicts errors.

  python benchmarks/handwriting_lexicons.py --out benchmarks/results/handwriting_lexicons_cpu.json

reads test pictures of real sets without a lexicon, with the words of all test texts of the set as a closed
lexicon, and with the words of a random half of the texts, over three halves: every other word is then missing,
and whatever is read in its place is wrong. For the words read it reports the share that is right, the mean
confidence, the expected calibration error, and the AUROC of confidence: how often a right word is surer than a
wrong one. The sets are in $JAXGEN_DATA.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import handwriting_readers as readers
import machine
import numpy as np
from scipy.stats import mannwhitneyu

from jaxgen.command import exits
from jaxgen.run import inference, startup
from jaxgen.systems.handwriting import apply
from jaxgen.systems.handwriting.reading.calibration import errors_by_chance, reliability
from jaxgen.systems.handwriting.reading.service import Answer, Model, Service
from jaxgen.systems.handwriting.reading.understanding import Decoding
from jaxgen.systems.handwriting.scoring import judged_words, read_words

HALVES = 3


def main() -> None:
  """Reads the pictures and writes the result file."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--sets', default='dhsd,lectaurep', help='comma-separated')
  parser.add_argument('--pictures', type=int, default=320, help='of each set, spread over it')
  parser.add_argument('--out', type=Path, required=True, help='JSON file')
  args = parser.parse_args()
  startup.enable_compilation_cache()
  weights = apply.shipped_reader()
  trained = inference.load(weights)
  model = apply.reading_model(trained, apply.measured_calibration(weights, trained.step))
  found = json.loads(args.out.read_text())['sets'] if args.out.is_file() else {}
  for name in args.sets.split(','):
    found[name] = of_set(model, name, args.pictures)
    machine.write_json(args.out, {'machine': machine.describe(), 'sets': found})


def of_set(model: Model, name: str, most: int) -> dict[str, Any]:
  """The figures for a set, by lexicon."""
  words = readers.test_words(name, model.preprocessing())
  texts = sorted(set(words.texts))
  some = words.take(np.unique(np.linspace(0, len(words) - 1, most).astype(int)))
  service = Service(model, Decoding())

  def measured(known: Sequence[str] | None) -> dict[str, Any]:
    lexicon = None if known is None else apply.lexicon_of(known, model, name)
    return figures(read_words(service.decoded(Decoding(lexicon=lexicon)), some), some.texts)

  found = {'none': [measured(None)], 'all': [measured(texts)], 'half': []}
  for seed in range(HALVES):
    kept = np.random.default_rng(seed).permutation(len(texts))[: len(texts) // 2]
    found['half'].append(measured([texts[i] for i in kept]))
  machine.say(f'{name}: {found}')
  return {'pictures': len(some), 'texts': len(texts), **found}


def figures(answers: Sequence[Answer], texts: Sequence[str]) -> dict[str, Any]:
  """Accuracy and calibration figures over the words in the answers."""
  confidence, right = judged_words(texts, answers)
  order = mannwhitneyu(confidence[right], confidence[~right]).statistic
  return {
    'words': len(right),
    'empty': sum(not answer.text for answer in answers),
    'accuracy': float(right.mean()),
    'confidence_right': float(confidence[right].mean()),
    'confidence_wrong': float(confidence[~right].mean()),
    'ece': reliability(confidence, right).error,
    'ece_by_chance': errors_by_chance(confidence),
    'auroc': float(order / (right.sum() * (~right).sum())),
    'largest_total': max(x.confidence + sum(p for _, p in x.alternatives) for x in answers),
  }


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
