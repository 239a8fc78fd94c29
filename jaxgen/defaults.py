"""Blocks that the configs of several systems share: configs/<system>.py adds what its paper says."""

from ml_collections import ConfigDict


def base_config(system: str, mode: str, keep: int = 2) -> ConfigDict:
  """What every config begins with; the batch, the steps and the other periods are the system's.

  Args:
    system: its name.
    mode: whether 'min' or 'max' of its evaluation metrics is best.
    keep: checkpoints.
  """
  config = ConfigDict()
  config.system = system
  config.seed = 0
  config.precision = 'float32'  # float32, bfloat16, float64
  config.parallel = 'jit'  # jit, pmap
  # 0: the largest divisor of num_steps and all periods, up to 64; 1 for convolutions on CPU
  config.steps_per_call = 0
  config.picture_every = 0  # steps; 0: only at the end

  config.checkpoint = ConfigDict()
  config.checkpoint.keep = keep
  config.checkpoint.best = ''  # also keep the best by this metric, as eval/psnr
  config.checkpoint.mode = mode

  config.stop = ConfigDict()
  config.stop.metric = ''  # early stopping by this metric, as eval/psnr
  config.stop.mode = mode
  config.stop.patience = 5  # evaluations without improvement
  return config


def labelled_images(name: str) -> ConfigDict:
  """config.data of an image set with labels."""
  data = ConfigDict()
  data.name = name  # digits, mnist, fashion_mnist, emnist_mnist, kmnist, tfds:NAME
  data.dir = ''  # the folder with the set's files; empty: $JAXGEN_DATA/<name>
  data.columns = ConfigDict({'image': 'image', 'label': 'label'})  # features of a tfds: set
  return data


def placement() -> ConfigDict:
  """The keys of config.data that say where training data lies."""
  data = ConfigDict()
  data.placement = 'auto'  # resident (on the device), stream, auto: by size
  data.resident_limit_mb = 1024
  data.num_threads = 4  # threads that fetch rows when streaming
  return data
