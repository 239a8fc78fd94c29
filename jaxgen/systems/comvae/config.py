"""What a comvae config may say. Imports nothing heavy."""

from ml_collections import ConfigDict

from jaxgen.config import check_choice, positive
from jaxgen.data.sources import check_name
from jaxgen.errors import ConfigError

CONVOLUTIONAL = False
EVAL_METRICS = ('negative_elbo', 'reconstruction', 'latent_kl', 'weight_kl')
ENCODER_LAYERS = ('hidden', 'mu', 'sigma')


def depends_on_num_steps(config: ConfigDict) -> bool:
  """Whether an update depends on config.num_steps: it does not, the learning rate is constant."""
  del config
  return False


def check_config(config: ConfigDict) -> None:
  """Raises ConfigError for values that cannot work."""
  check_name(config.data.name)
  check_choice('data.placement', config.data.placement, ('auto', 'resident', 'stream'))
  if config.data.num_validation < 0:
    raise ConfigError(
      f'config.data.num_validation = {config.data.num_validation} must be 0 or more'
    )
  model = config.model
  check_choice('model.kind', model.kind, ('vanilla', 'simplified', 'compound'))
  check_choice('model.norm', model.norm, ('batch', 'none'))
  check_choice('model.prior', model.prior, ('single', 'mixture'))
  check_choice('model.sampling', model.sampling, ('weights', 'local'))
  check_choice('model.weight_kl', model.weight_kl, ('sample', 'closed_form'))
  if model.weight_kl == 'closed_form' and model.prior != 'single':
    raise ConfigError(
      "config.model.weight_kl = 'closed_form' exists for the single prior only: "
      "set config.model.prior='single' or weight_kl='sample'"
    )
  for layer in model.layers:
    check_choice('model.layers', layer, ENCODER_LAYERS)
  if model.kind == 'compound' and not model.layers:
    raise ConfigError(
      'config.model.layers is empty: the compound VAE needs at least one of '
      + ', '.join(ENCODER_LAYERS)
    )
  check_choice('loss.reweighting', config.loss.reweighting, ('blundell', 'uniform', 'none'))
  if not 0 <= model.norm_momentum < 1:
    raise ConfigError(f'config.model.norm_momentum = {model.norm_momentum} must be in [0, 1)')
  positive(
    config,
    'model.num_hidden',
    'model.num_latents',
    'optim.learning_rate',
    'eval.batch_size',
    'eval.importance_samples',
    'eval.chunk',
    'eval.num_examples',
    'eval.ais_examples',
    'eval.ais_chains',
    'eval.ais_steps',
    'eval.gap_examples',
    'eval.gap_max_checks',
    'eval.weight_samples',
  )
  if config.eval.importance_samples % config.eval.chunk:
    raise ConfigError(
      f'config.eval.importance_samples = {config.eval.importance_samples} must be a multiple of '
      f'config.eval.chunk = {config.eval.chunk}'
    )
