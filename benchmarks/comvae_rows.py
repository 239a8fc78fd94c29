"""Trains rows of the Compound VAE's table with several seeds and writes figures, with intervals, to one file.

  python benchmarks/comvae_rows.py --prefix '' --seeds 5 --out benchmarks/results/comvae_digits.json
  python benchmarks/comvae_rows.py --prefix mnist_ --rows vanilla,simplified_mixture --seeds 3 --out FILE

All eight rows of MNIST need a GPU: the compound rows move 4.4 GB a step. Runs are kept in
--runs and resumed or reused if present, so the command can be stopped and rerun.
"""

import sys

import rows

from jaxgen.command import exits

ROWS = (
  'vanilla',
  'simplified_single',
  'simplified_mixture',
  'compound_single',
  'compound_mixture',
  'no_latent_dbnn',
  'no_reweighting',
  'no_batch_norm',
)
TERMS = ('reconstruction', 'latent_kl', 'negative_elbo', 'weight_kl')
BEYOND = (
  'nll_importance',
  'nll_ais',
  'amortization_gap',
  'amortization_gap_mean_weights',
  'amortization_gap_marginal',
  'weight_information',
  'approximation_gap',
  'active_units',
  'latent_mean_variance',
  'ood_auroc',
  'ood_auroc_variance',
)
TABLE = rows.Table(
  'comvae', ROWS, (*TERMS, *BEYOND), (*TERMS[:3], *BEYOND), rows.has('nll_importance')
)

if __name__ == '__main__':
  sys.exit(exits.guarded(lambda: rows.main(TABLE, __doc__)))
