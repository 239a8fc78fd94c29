"""Documentation page comparing the rows of the paper's tables with ours."""

import itertools
from collections.abc import Iterable
from typing import Any, NamedTuple

import rows

KINDS = ('from random weights', 'after our paired start')
TITLES = dict(
  zip(KINDS, ('From random weights', 'After a paired start (ours, not in the paper)'), strict=True)
)
BASE = 'alpha_1'  # the paper's own method, in each part of its table
TEXT_LOST = 0.8  # character error rate from which on the text counts as lost


class Row(NamedTuple):
  """The paper's results for a row on RIMES.

  Attributes:
    fid: FID on Inception features.
    geometry: Geometry Score.
    text: whether the writing is the requested word.
  """

  fid: float
  geometry: float
  text: bool


PAPER = {
  'alpha_1': Row(23.94, 8.58e-4, True),
  'no_balancing': Row(141.35, 2.44e-3, True),
  'alpha_0.1': Row(72.93, 4.23e-2, False),
  'alpha_10': Row(222.47, 2.92e-3, True),
  'gan': Row(36.32, 5.29e-3, False),
  'lsgan': Row(116.09, 3.78e-3, False),
  'no_attention': Row(67.86, 4.51e-3, True),
  'first_linear': Row(42.23, 1.81e-3, False),
}
TABLES = {
  'Text gradient': ('no_balancing', 'alpha_0.1', 'alpha_1', 'alpha_10'),
  'Adversarial loss': ('alpha_1', 'gan', 'lsgan'),
  'Networks': ('alpha_1', 'no_attention', 'first_linear'),
}
# Rows whose networks differ from the others'.
OWN_NETWORKS = ('no_attention', 'first_linear')
COUNTED = {'real': 'num_examples', 'generated': 'num_generated'}
# Of a start: figure, name, form and unit.
_START = (
  ('generated_cer', 'CER', '{:.3f}', 1.0),
  ('generated_cer_own', 'by R', '{:.3f}', 1.0),
  ('fid_r', 'FID-R', '{:.2f}', 1.0),
  ('geometry_score', 'GS', '{:.2f}', 1e3),
)
_SPREAD = [f'style_spread.relative.{name}' for name in ('slant', 'stroke_width', 'ink')]
_NORMS = [f'grad_norm_ratio.{name}' for name in ('pixels', 'parameters')]


def page(report: dict[str, Any]) -> str:
  """A table for each kind, in the paper's parts, with conclusions and deviations from the paper's order."""
  lines = []
  for kind, found in report['summary'].items():
    if found:
      lines += [f'**{TITLES[kind]}**, {_updates(kind, report)}:', '', *table(found)]
      lines += ['', verdict(found), '']
      lines += [f'- {line}' for line in [*orders(found), *starts(found)]] + ['']
  return '\n'.join(
    [
      *lines,
      f'Words: {report["settings"]["words"]}. Hardware: {rows.machines(report["runs"])}. In brackets: '
      'number of seeds; 95 % intervals over seeds are given from three seeds on. '
      f'`{report["command"]}`',
      '',
    ]
  )


def _updates(kind: str, report: dict[str, Any]) -> str:
  steps = report['settings']['steps']
  if kind == KINDS[0]:
    return f'{steps[kind]:,} updates, starting as in the paper'
  learning = (
    f'{steps["reading"] + steps["drawings"]:,} updates of learning to read and to copy drawings'
  )
  return f'{learning}, then {steps[kind]:,} of the row itself'


def table(found: dict[str, Any]) -> list[str]:
  """Lines of a table: one for each of the paper's rows, in its parts."""
  lines = [
    '| | FID-R | paper: FID | GS, 10⁻³ | paper: GS, 10⁻³ | CER, seen words | CER, unseen words | CER by R | '
    'paper: text | spread of slant, width, ink | log₁₀ of norm ratios, pixels, parameters | '
    'CER of R on drawn or real words |',
    '|' + '---|' * 12,
  ]
  for title, names in TABLES.items():
    there = [name for name in names if name in found]
    if set(there) - {BASE} or (there and len(found) == 1 and title == next(iter(TABLES))):
      lines.append(f'| *{title}* |' + ' |' * 11)
      lines += [_line(name, found[name]) for name in there]
  return lines


def _line(name: str, figures: dict[str, Any]) -> str:
  paper = PAPER[name]
  cells = [
    f'`{name}` ({_seeds(figures)})',
    _cell(figures, 'fid_r', '{:.2f}'),
    f'{paper.fid:.2f}',
    _cell(figures, 'geometry_score', '{:.2f}', 1e3),
    f'{paper.geometry * 1e3:.2f}',
    *(
      _cell(figures, key, '{:.3f}')
      for key in ('generated_cer', 'generated_cer_unseen', 'generated_cer_own')
    ),
    'holds' if paper.text else 'lost',
    ', '.join(_cell(figures, key, '{:.2f}') for key in _SPREAD),
    ', '.join(_cell(figures, key, '{:+.1f}') for key in _NORMS),
    _cell(figures, 'recogniser_cer', '{:.3f}'),
  ]
  return f'| {" | ".join(cells)} |'


def _seeds(figures: dict[str, Any]) -> int:
  return max(x['n'] for x in figures.values())


def _cell(figures: dict[str, Any], key: str, form: str, unit: float = 1.0) -> str:
  """A mean, with its interval for three or more seeds; - if it was not measured."""
  if key not in figures:
    return '-'
  found = figures[key]
  mean = form.format(found['mean'] * unit)
  if found['n'] < 3:
    return mean
  return f'{mean} ± {form.format(found["interval95"] * unit).lstrip("+")}'


def verdict(found: dict[str, Any]) -> str:
  """Whether a table allows conclusions about the text."""
  rates = {name: x['generated_cer']['mean'] for name, x in found.items() if 'generated_cer' in x}
  readable = [name for name, rate in rates.items() if rate <= TEXT_LOST]
  if not readable:
    return (
      f'All rows have a CER above {TEXT_LOST}, so this table decides nothing about text; it is useful only for '
      'the norms of the gradients, FID-R and the spread.'
    )
  others = [name for name in rates if name not in readable]
  told = f' It is lost (CER above {TEXT_LOST}) in {_names(others)}.' if others else ''
  return f'Text holds in {_names(readable)}.{told}'


def orders(found: dict[str, Any]) -> list[str]:
  """The rows ordered by each figure beside the paper's order, and where the text differs from the paper."""
  lines = []
  there = [row for row in found if 'fid_r' in found[row]]
  if len(there) > 1:
    ours = sorted(there, key=lambda row: found[row]['fid_r']['mean'])
    theirs = sorted(there, key=lambda row: PAPER[row].fid)
    lines.append(
      f"FID-R, best first, in the paper's order: {_names(ours)}."
      if ours == theirs
      else f'FID-R, best first: {_names(ours)}; in the paper: {_names(theirs)}.'
    )
  lines += geometry(found)
  rates = {name: x['generated_cer']['mean'] for name, x in found.items() if 'generated_cer' in x}
  if any(rate <= TEXT_LOST for rate in rates.values()):
    other = [name for name, rate in rates.items() if (rate <= TEXT_LOST) != PAPER[name].text]
    lines.append(
      f'Rows whose text differs from the paper (holds or is lost): {_names(other)}.'
      if other
      else 'Text holds and is lost in the same rows as in the paper.'
    )
  return [*lines, *best(found)]


def best(found: dict[str, Any]) -> list[str]:
  """The lowest FID-R and score of each row over all runs, and where the paper's best rows differ."""
  told = []
  for row, figures in found.items():
    least = [
      f'{name} {figures[key]["least"] * unit:.2f}'
      for name, key, unit in (('FID-R', 'fid_r', 1.0), ('GS', 'geometry_score', 1e3))
      if key in figures
    ]
    if least:
      told.append(f'`{row}` {", ".join(least)}')
  if not told:
    return []
  counts = [(what, _count(found, key)) for what, key in COUNTED.items()]
  of = ' and '.join(f'{count} {what}' for what, count in counts if count)
  return [
    'Best of the seeds at their last step, each metric by itself (GS in 10⁻³)'
    f'{f", on {of} words" if of else ""}: {"; ".join(told)}. '
    'The paper also reports the best of several runs, but over measurements every 10,000 iterations, with '
    '25,000 words of each kind for FID and 5,000 for GS.'
  ]


def _count(found: dict[str, Any], key: str) -> str:
  """Number of words that the rows were measured with: '300', '290 to 300', or '' if unknown."""
  counts = sorted({round(figures[key]['mean']) for figures in found.values() if key in figures})
  return ' to '.join(f'{x:,}' for x in dict.fromkeys((*counts[:1], *counts[-1:])))


def geometry(found: dict[str, Any]) -> list[str]:
  """The floor of the Geometry Score, and the order of the rows as far as their scores determine it."""
  there = [row for row in found if {'geometry_score', 'geometry_score_floor'} <= found[row].keys()]
  if not there:
    return []
  ours = sorted(there, key=lambda row: found[row]['geometry_score']['mean'])
  floor = max(found[row]['geometry_score_floor']['mean'] for row in there)
  within = [row for row in ours if found[row]['geometry_score']['mean'] <= floor]
  lines = [
    f'Geometry Score: disjoint sets of real words score {_floors(found, there)} · 10⁻³ against each other. '
    f'Rows that score no more, and so cannot be told from real words: {_names(within)}.'
  ]
  pairs = list(itertools.pairwise(ours))
  if any(_apart(found[a], found[b], floor) for a, b in pairs):
    signs = [' < ' if _apart(found[a], found[b], floor) else ', ' for a, b in pairs]
    order = ''.join(f'`{row}`{sign}' for row, sign in zip(ours, [*signs, ''], strict=True))
    theirs = _names(sorted(there, key=lambda row: PAPER[row].geometry))
    lines.append(
      f'Geometry Score, best first, with < where the intervals of two rows do not overlap: {order}; in the '
      f'paper: {theirs}.'
    )
  elif pairs:
    lines.append(
      'Geometry Score: the rows cannot be ordered, as no two consecutive ones have disjoint intervals'
      f'{"" if min(map(_seeds, found.values())) > 2 else " (which take three seeds)"}.'
    )
  return lines


def _floors(found: dict[str, Any], rows: list[str]) -> str:
  """The range of floors over some rows: a floor depends only on a seed's real words and on the seeds run."""
  floors = sorted(1e3 * found[row]['geometry_score_floor']['mean'] for row in rows)
  least, largest = (f'{x:.2f}' for x in (floors[0], floors[-1]))
  return least if least == largest else f'{least} to {largest}'


def _apart(a: dict[str, Any], b: dict[str, Any], floor: float) -> bool:
  """Whether a score's interval lies below that of a larger score that is above the floor."""
  a, b = a['geometry_score'], b['geometry_score']
  if min(a['n'], b['n']) < 3:
    return False
  return a['mean'] + a['interval95'] < b['mean'] - b['interval95'] and floor < b['mean']


def starts(found: dict[str, Any]) -> list[str]:
  """Figures of the starts, before a row's first update, by networks; rows without a start have none."""
  told = {}
  for name, figures in found.items():
    if 'start.generated_cer' in figures:
      of = f'`{name}`' if name in OWN_NETWORKS else 'the other rows'
      cells = [
        f'{called} {_cell(figures, f"start.{key}", form, unit)}'
        for key, called, form, unit in _START
        if f'start.{key}' in figures
      ]
      told[of] = f'{of} {", ".join(cells)}'
  return [f'The starts, on seen words: {"; ".join(told.values())}.'] if told else []


def _names(names: Iterable[str]) -> str:
  return ', '.join(f'`{name}`' for name in names) or 'none'
