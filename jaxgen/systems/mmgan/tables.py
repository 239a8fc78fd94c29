"""What an evaluation of a Mixed Membership GAN shows a person, of the figures that it keeps."""

from typing import Any

FEATURES = {
  'classifier': "fid and kid on the evaluation classifier's features",
  'random': 'fid and kid on fixed random features (to compare runs on the same folders)',
  None: 'collections',
}
BY_COLLECTION = ('num_images', 'fid', 'kid')
SHOWN_ALWAYS = ('set_accuracy_ceiling',)


def shown(figures: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
  """Title -> rows: the components, what each collection has, and single figures.

  Args:
    figures: of `evaluation.evaluate`.
  """
  collections = [
    {'figure': name, **{of: _digits(x) for of, x in figures[name].items()}}
    for name in BY_COLLECTION
    if figures[name]
  ]
  single = [
    {'figure': name, 'value': x}
    for name, x in figures.items()
    if isinstance(x, int | float) or name in SHOWN_ALWAYS
  ]
  return {
    'components': figures['components'],
    FEATURES[figures['features']]: collections,
    'figures': single,
  }


def _digits(value: Any) -> Any:
  """Distances of one run are compared with another's: three digits, however small they are."""
  return f'{value:.3g}' if isinstance(value, float) else value
