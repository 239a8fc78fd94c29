"""Trains SrSENet at x2, x3, x4 and x8 and writes its figures on the test sets to one file.

  python benchmarks/srsenet_rows.py --seeds 1 --evaluate --out benchmarks/results/srsenet_gpu.json
  python benchmarks/srsenet_rows.py --rows x2,x4 --seeds 1 --set num_steps=20000 --evaluate --out FILE

Trained on T91 and BSDS200 in $JAXGEN_DATA/sr, with --evaluate measured on Set5, Set14 and BSD100 there, or in
other folders with --set eval.sets=DIR,DIR. The rows have 300,000 steps and need a GPU. Other variants, such as
figure2_x2, can be rows too. Runs are kept in --runs and resumed or reused if present, so the command can be
stopped and rerun.
"""

import sys

import rows

from jaxgen.command import exits

SETS = ('set5', 'set14', 'bsd100')
FIGURES = ('psnr', 'bicubic_psnr', 'ssim', 'bicubic_ssim', 'ssim_matlab', 'bicubic_ssim_matlab')


def complete(found: dict) -> bool:
  """Whether an evaluation.json covers more than the images held out in training."""
  return bool(found['sets'].keys() - {'heldout'})


TABLE = rows.Table(
  'srsenet',
  ('x2', 'x3', 'x4', 'x8'),
  (),
  [f'sets.*.{name}' for name in FIGURES],
  complete,
  {'eval.sets': ','.join(f'$JAXGEN_DATA/sr/{name}' for name in SETS)},
)

if __name__ == '__main__':
  sys.exit(exits.guarded(lambda: rows.main(TABLE, __doc__)))
