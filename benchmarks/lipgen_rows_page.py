"""Documentation page for the lip reader's ablation on GRID: the rows, and which differences are significant."""

from typing import Any

import numpy as np
import rows

PRETRAINED = 'pretrained'
# Rows and their variants of grid.
ROWS = {
  'no_syn': 'no_syn',
  'baseline': 'baseline',
  'no_syn_visemes_tafm': 'no_syn_visemes_tafm',
  'syn': 'syn',
  'syn_visemes': 'syn_visemes',
  'syn_visemes_tafm_0.05': 'syn_visemes_tafm_0.05',
  'syn_visemes_tafm_0.1': 'syn_visemes_tafm_0.1',
  'syn_visemes_tafm_0.2': 'syn_visemes_tafm_0.2',
  PRETRAINED: 'no_syn',
  'mstcn': 'no_syn,mstcn',
  'tsm': 'no_syn,tsm',
  'se_bigru': 'no_syn,se_bigru',
}
FIGURES = (
  'accuracy',
  'top5',
  'accuracy_no_boundary',
  'accuracy_windows',
  'accuracy_windows_no_boundary',
  'viseme_f1',
)
SHOWN = {
  'accuracy': 'accuracy',
  'accuracy_no_boundary': 'without boundaries',
  'accuracy_windows': '29 frames',
  'accuracy_windows_no_boundary': '29 frames, without boundaries',
  'viseme_f1': 'viseme F1',
}
# Comparisons: two rows with the same seeds, the second one with the feature in question.
QUESTIONS = {
  'visemes and TAFM, on real lips': ('no_syn', 'no_syn_visemes_tafm'),
  'drawn clips beside real ones': ('no_syn', 'syn'),
  'drawn clips first': ('no_syn', PRETRAINED),
  'visemes, beside drawn clips': ('syn', 'syn_visemes'),
  'TAFM at 0.05': ('syn_visemes', 'syn_visemes_tafm_0.05'),
  'TAFM at 0.1': ('syn_visemes', 'syn_visemes_tafm_0.1'),
  'TAFM at 0.2': ('syn_visemes', 'syn_visemes_tafm_0.2'),
  'all of the paper': ('no_syn', 'syn_visemes_tafm_0.1'),
  'DC-TCN for temporal shift and 3D pooling': ('no_syn', 'baseline'),
  'temporal shift alone': ('no_syn', 'tsm'),
  'MS-TCN': ('no_syn', 'mstcn'),
  'squeeze-and-excitation with BiGRU': ('no_syn', 'se_bigru'),
}
ASKED = ('accuracy', 'accuracy_no_boundary', 'accuracy_windows')  # the figures of a comparison
LEVEL = 95  # confidence level of the intervals, %
LEAST = 3  # least seeds for an interval


def page(report: dict[str, Any]) -> str:
  """The table of rows, then what each comparison decides."""
  tests = len(QUESTIONS) * len(ASKED)
  steps = report['settings']['steps']
  lines = [
    f'| row | seeds | {" | ".join(SHOWN.values())} |',
    '|' + '---|' * (2 + len(SHOWN)),
    *(_line(row, report['summary'][row]) for row in ROWS if row in report['summary']),
    '',
    '| question | compared with | difference in accuracy | without boundaries | 29 frames |',
    '|' + '---|' * 5,
    *(_answer(name, *pair, report['runs']) for name, pair in QUESTIONS.items()),
    '',
    f'In percent. {steps["row"]:,} updates per row; `{PRETRAINED}` after {steps["drawn"]:,} on drawn speakers. '
    f'Hardware: {rows.machines(report["runs"])}. {LEVEL} % intervals (t) over seeds; for differences, over '
    'pairs of the same seed, and "none" where the interval contains 0. '
    f'{len(QUESTIONS)} questions are asked of '
    f'{len(ASKED)} figures each, at {LEVEL} % without correction for multiple testing: about '
    f'{tests * (100 - LEVEL) / 100:.0f} of all {tests} answers would be "better" or "worse" by chance alone. '
    f'`{report["command"]}`',
    '',
  ]
  return '\n'.join(line for line in lines if line is not None)


def _line(row: str, figures: dict[str, Any]) -> str:
  cells = [cell(figures.get(f'test.{name}')) for name in SHOWN]
  return f'| `{row}` | {figures["test.accuracy"]["n"]} | {" | ".join(cells)} |'


def cell(found: dict[str, Any] | None) -> str:
  """A mean in percent, with its interval if there are enough seeds."""
  if found is None:
    return '-'
  mean = f'{100 * found["mean"]:.1f}'
  return mean if found['n'] < LEAST else f'{mean} ± {100 * found["interval95"]:.1f}'


def difference(runs: dict[str, Any], before: str, after: str, figure: str) -> dict[str, Any] | None:
  """The difference of a figure between rows over their common seeds; None if there are none."""
  seeds = runs.get(before, {}).keys() & runs.get(after, {}).keys()
  pairs = [(runs[before][s][figure], runs[after][s][figure]) for s in sorted(seeds)]
  return rows.mean_interval([float(np.subtract(b, a)) for a, b in pairs]) if pairs else None


def decided(found: dict[str, Any]) -> str:
  """A difference in percentage points and its conclusion: none if 0 lies inside the interval."""
  mean = 100 * found['mean']
  if found['n'] < LEAST:
    return f'{mean:+.1f} ({"one seed decides nothing" if found["n"] == 1 else "too few"})'
  half = 100 * found['interval95']
  told = 'none' if abs(mean) <= half else ('better' if mean > 0 else 'worse')
  return f'{told}: {mean:+.1f} ± {half:.1f}'


def _answer(name: str, before: str, after: str, runs: dict[str, Any]) -> str | None:
  found = [difference(runs, before, after, figure) for figure in ASKED]
  if found[0] is None:
    return None
  return f'| {name} (`{after}`) | `{before}` | {" | ".join(decided(x) for x in found if x)} |'
