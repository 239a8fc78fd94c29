"""Config blocks shared by several systems: configs/<system>.py adds the values of its paper."""

from ml_collections import ConfigDict


def base_config(system: str, mode: str, keep: int = 2) -> ConfigDict:
  """The common part of every config; batch size, steps and the other periods are left to the system.

  Args:
    system: its name.
    mode: 'min' or 'max': which value of its evaluation metrics is best.
    keep: number of checkpoints to keep.
  """
  config = ConfigDict()
  config.system = system
  config.seed = 0
  config.precision = 'float32'  # float32, bfloat16, float64
  config.parallel = 'jit'  # jit, pmap
  # 0: the largest common divisor of all periods and num_steps up to 64; 1 for convolutions on CPU
  config.steps_per_call = 0
  config.picture_every = 0  # 0: at the end only

  config.checkpoint = ConfigDict()
  config.checkpoint.keep = keep
  config.checkpoint.best = ''  # also keep the best by this metric, such as eval/psnr
  config.checkpoint.mode = mode

  config.stop = ConfigDict()
  config.stop.metric = ''  # early stopping by this metric, such as eval/psnr
  config.stop.mode = mode
  config.stop.patience = 5  # evaluations without improvement
  return config


def labelled_images(name: str) -> ConfigDict:
  """config.data for a labelled image set."""
  data = ConfigDict()
  data.name = name  # digits, mnist, fashion_mnist, emnist_mnist, kmnist, tfds:NAME
  data.dir = ''  # the folder with the set's files; empty: $JAXGEN_DATA/<name>
  data.columns = ConfigDict({'image': 'image', 'label': 'label'})  # for tfds: sets
  return data


def placement() -> ConfigDict:
  """The keys of config.data that determine where training data lives."""
  data = ConfigDict()
  data.placement = 'auto'  # resident on the device, stream, or by size
  data.resident_limit_mb = 1024
  data.num_threads = 4  # threads that fetch rows when streaming
  return data
