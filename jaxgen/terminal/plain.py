"""Text without control characters that a terminal would obey."""

# Control characters: escape sequences begin with one, a carriage return overwrites the line.
_CONTROLS = {*range(0x20), *range(0x7F, 0xA0)} - {ord('\t')}
_ESCAPED = {code: f'\\x{code:02x}' for code in _CONTROLS} | {ord('\n'): r'\n', ord('\r'): r'\r'}
_IN_LINES = {code: text for code, text in _ESCAPED.items() if code != ord('\n')}


def plain(text: str, lines: bool = False) -> str:
  r"""Escapes control characters other than tabs, as `\x1b`; everything else is unchanged.

  Args:
    text: may contain file names, which may contain any character.
    lines: whether it may have several lines.
  """
  return text.translate(_IN_LINES if lines else _ESCAPED)


def one_cell(text: str) -> str:
  r"""The same for a cell of a tab-separated line: tabs are escaped too, as `\t`."""
  return plain(text).replace('\t', r'\t')
