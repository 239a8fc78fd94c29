"""The tables that are printed for an evaluation of a Mixed Membership GAN."""

from typing import Any

FEATURES = {
  'classifier': "fid and kid on the evaluation classifier's features",
  'random': 'fid and kid on fixed random features (to compare runs on the same folders)',
  None: 'collections',
}
BY_COLLECTION = ('num_images', 'fid', 'kid')
SHOWN_ALWAYS = ('set_accuracy_ceiling',)


def shown(figures: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
  """Rows by title: the components, the figures by collection, and single figures.

  Args:
    figures: result of `evaluation.evaluate`.
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
  """Three significant digits, however small: distances are compared between runs."""
  return f'{value:.3g}' if isinstance(value, float) else value
