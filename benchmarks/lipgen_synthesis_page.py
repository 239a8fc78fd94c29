"""Documentation page of the experiment with synthetic video: tables, and which differences are significant.

  python benchmarks/lipgen_synthesis_page.py RESULT.json PAGE.md

writes the page for a result file of lipgen_synthesis_rows.py.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import rows
from lipgen_rows_page import LEAST, cell, decided, difference

from jaxgen.files import write_bytes

REAL, CONTROL = 'real', 'real_turned'
# Rows and their variants of the set.
ROWS = {
  REAL: 'no_syn',
  CONTROL: 'syn',
  'synthetic': 'syn',
  'synthetic_visemes': 'syn_visemes',
  'synthetic_visemes_tafm': 'syn_visemes_tafm_0.1',
  'drawn': 'syn',
  'real_visemes_tafm': 'no_syn_visemes_tafm',
}
SYNTHETIC = ('synthetic', 'synthetic_visemes', 'synthetic_visemes_tafm')
# Minimum requirements on synthetic clips before anything is trained on them.
GATES = {'ratio': 0.8, 'swap_changes': 0.5}
PAPER = (REAL, CONTROL, *SYNTHETIC)  # rows of the paper's tables
SAYS = {
  REAL: 'real',
  CONTROL: 'real + the same with turned heads (the control)',
  'synthetic': 'real + synthetic',
  'synthetic_visemes': 'real + synthetic, visemes',
  'synthetic_visemes_tafm': 'real + synthetic, visemes, TAFM',
  'drawn': 'real + drawn clips of look b: upper bound for rendering',
  'real_visemes_tafm': 'real, visemes, TAFM',
}
FIGURES = ('accuracy', 'pose_accuracy', 'top5', 'accuracy_no_boundary', 'viseme_f1')
SHOWN = {'accuracy': 'held out', 'pose_accuracy': 'turned heads', 'viseme_f1': 'viseme F1'}
QUESTIONS = {
  'turned heads beside real clips': (REAL, CONTROL),
  'synthetic clips beside real ones': (REAL, 'synthetic'),
  'synthetic clips against turned heads': (CONTROL, 'synthetic'),
  'visemes, beside synthetic clips': ('synthetic', 'synthetic_visemes'),
  'TAFM, beside synthetic clips': ('synthetic_visemes', 'synthetic_visemes_tafm'),
  'all of the paper against turned heads': (CONTROL, 'synthetic_visemes_tafm'),
  'all of the paper against real clips': (REAL, 'synthetic_visemes_tafm'),
  'drawn clips in place of synthetic ones': ('synthetic', 'drawn'),
}


def page(report: dict[str, Any]) -> str:
  """The table of rows, the gates, and what each comparison decides."""
  summary, kind, steps = report['summary'], report['pose_set'], report['settings']['steps']
  lines = [
    f'| trained on | seeds | {" | ".join(SHOWN.values())} |',
    '|' + '---|' * (2 + len(SHOWN)),
    *(_line(row, summary[row]) for row in ROWS if row in summary),
    '',
    '| question | difference, held out | turned heads |',
    '|' + '---|' * 3,
    *(_answer(name, *pair, report['runs']) for name, pair in QUESTIONS.items()),
    '',
    *_gates(report['gates']),
    f'In percent, gates as shares. {steps:,} updates per row; turned heads: a {kind} set. 95 % '
    'intervals (t) over seeds; for differences, over pairs of the same seed, and "none" where the interval '
    f'contains 0; no interval is given for fewer than {LEAST} seeds. {rows.machines(report["runs"])}. '
    f'`{report["command"]}`',
    '',
  ]
  return '\n'.join(line for line in lines if line is not None)


def _line(row: str, figures: dict[str, Any]) -> str:
  cells = [cell(figures.get(f'test.{name}')) for name in SHOWN]
  return f'| {SAYS[row]} | {figures["test.accuracy"]["n"]} | {" | ".join(cells)} |'


def _answer(name: str, before: str, after: str, runs: dict[str, Any]) -> str | None:
  found = [difference(runs, before, after, figure) for figure in ('accuracy', 'pose_accuracy')]
  return f'| {name} | {" | ".join(decided(x) for x in found if x)} |' if found[0] else None


def _gates(gates: dict[str, Any]) -> list[str]:
  """Results of the reader of real clips on synthetic ones."""
  if not gates:
    return []
  lines = ['| gate | required |' + ''.join(f' seed {seed} |' for seed in gates)]
  lines.append('|' + '---|' * (2 + len(gates)))
  asked = {
    'accuracy': ('held-out real clips', ''),
    'synthetic_accuracy': ('synthetic clips', ''),
    'ratio': ('their ratio', f'{GATES["ratio"]}'),
    'swap_changes': (
      'clips of one face with another word that are read as another word',
      f'{GATES["swap_changes"]}',
    ),
  }
  for key, (text, least) in asked.items():
    lines.append(f'| {text} | {least} |' + ''.join(f' {x[key]:.3f} |' for x in gates.values()))
  lines.append('')
  failed = [key for key, least in GATES.items() if any(x[key] < least for x in gates.values())]
  if failed:
    lines += [
      f'**A gate fails** ({", ".join(asked[key][0] for key in failed)}): rows with synthetic clips were '
      'trained all the same (`--anyway`), on clips that a reader reads worse than required.',
      '',
    ]
  return lines


def main() -> None:
  """The command line."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('result', type=Path, help='JSON file')
  parser.add_argument('page', type=Path, help='Markdown file')
  args = parser.parse_args()
  write_bytes(args.page, page(json.loads(args.result.read_text())).encode())


if __name__ == '__main__':
  main()
