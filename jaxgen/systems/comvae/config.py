"""Keys and checks of a comvae config. Imports nothing heavy."""

from ml_collections import ConfigDict

from jaxgen.data.keys import LABELLED, PLACEMENT, image_set
from jaxgen.errors import ConfigError
from jaxgen.exchange.cards import About
from jaxgen.schema import above, choice, each, finite, place, whole, within

CONVOLUTIONAL = False
EVAL_METRICS = ('negative_elbo', 'reconstruction', 'latent_kl', 'weight_kl')
# What model cards say about its models, see `exchange.cards`.
ABOUT = About(
  'A Compound Variational Auto-Encoder (Su, Lin, Chen): a density model of small images '
  'whose encoder has a distribution over weights for each example.',
  pipeline_tag='unconditional-image-generation',
  tags=('variational-autoencoder', 'uncertainty'),
  command='jaxgen score {weights} image.png',
)
ENCODER_LAYERS = ('hidden', 'mu', 'sigma')
# The rule of each key; those shared by all systems are in `jaxgen.config.CORE`.
KEYS = {
  **LABELLED,
  **PLACEMENT,
  'data.num_validation': whole(0),
  'model.kind': choice('vanilla', 'simplified', 'compound'),
  'model.num_hidden': whole(),
  'model.num_latents': whole(),
  'model.layers': each(choice(*ENCODER_LAYERS), 'DBNN layers'),
  'model.norm': choice('batch', 'none'),
  'model.norm_momentum': within(0, 1, closed='left'),
  'model.prior': choice('single', 'mixture'),
  'model.sampling': choice('weights', 'local'),
  'model.weight_kl': choice('sample', 'closed_form'),
  'model.bayes_rho': finite(),
  'model.rho_shift': finite(),
  'model.rho_scale': finite(),
  'loss.reweighting': choice('blundell', 'uniform', 'none'),
  'loss.weight_kl_per': choice('example', 'batch'),
  'optim.learning_rate': above(0),
  'optim.b1': within(0, 1, closed='left'),
  'optim.b2': within(0, 1, closed='left'),
  'eval.importance_samples': whole(),
  'eval.chunk': whole(),
  'eval.num_examples': whole(),
  'eval.ais_examples': whole(),
  'eval.ais_chains': whole(),
  'eval.ais_steps': whole(),
  'eval.gap_examples': whole(),
  'eval.gap_samples': whole(),
  'eval.gap_max_checks': whole(),
  'eval.weight_samples': whole(),
  'eval.ood': image_set(training=False),
  'eval.ood_dir': place("the folder with eval.ood's files, or empty for $JAXGEN_DATA/<name>"),
  'inspect.facts.image_shape': each(whole(), 'sizes', 3),
  'inspect.facts.steps_per_epoch': whole(),
}


def depends_on_num_steps(config: ConfigDict) -> bool:
  """Whether an update depends on config.num_steps: no, the learning rate is constant."""
  del config
  return False


def check_config(config: ConfigDict) -> None:
  """Raises ConfigError for incompatible values; each value already fits its rule in KEYS."""
  model, options = config.model, config.eval
  if model.weight_kl == 'closed_form' and model.prior != 'single':
    raise ConfigError(
      "config.model.weight_kl = 'closed_form' exists for the single prior only: "
      "set config.model.prior='single' or weight_kl='sample'"
    )
  if model.kind == 'simplified' and config.loss.weight_kl_per == 'example':
    raise ConfigError(
      "config.loss.weight_kl_per = 'example' does not exist for the simplified model, whose examples "
      "share their weights: set config.loss.weight_kl_per='batch'"
    )
  if options.importance_samples % options.chunk:
    raise ConfigError(
      f'config.eval.importance_samples = {options.importance_samples} must be a multiple of '
      f'config.eval.chunk = {options.chunk}'
    )
