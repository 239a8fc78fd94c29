"""Trains rows of the Mixed Membership GAN's table with several seeds and writes their figures to one file.

  python benchmarks/mmgan_rows.py --prefix '' --seeds 1 --out benchmarks/results/mmgan_digits.json
  python benchmarks/mmgan_rows.py --prefix mnist_ --seeds 1 --evaluate --out FILE

The rows of mnist_ and fashion_mnist_ have 100,000 steps and need a GPU. Runs are kept in --runs and resumed or
reused if present, so the command can be stopped and rerun.
"""

import sys

import rows

from jaxgen.command import exits

ROWS = ('A_fixed', 'B_fixed', 'C_fixed', 'A_learned', 'B_learned', 'C_learned')
FIGURES = (
  'component_accuracy_mean',
  'mixture_accuracy',
  'mixture_error',
  'random_baseline',
  'classifier_accuracy',
  'components_in_use',
  'set_accuracy',
  'set_nll',
)
TABLE = rows.Table('mmgan', ROWS, FIGURES, FIGURES, rows.has('fid'))

if __name__ == '__main__':
  sys.exit(exits.guarded(lambda: rows.main(TABLE, __doc__)))
