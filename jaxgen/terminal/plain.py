"""Text of which no terminal takes a part for a command to itself."""

# Control characters: escape sequences begin with one, a carriage return overwrites the line.
_CONTROLS = {*range(0x20), *range(0x7F, 0xA0)} - {ord('\t')}
_ESCAPED = {code: f'\\x{code:02x}' for code in _CONTROLS} | {ord('\n'): r'\n', ord('\r'): r'\r'}
_IN_LINES = {code: text for code, text in _ESCAPED.items() if code != ord('\n')}


def plain(text: str, lines: bool = False) -> str:
  r"""Text whose control characters are spelled, as `\x1b`; all others stay, and tabulators.

  Args:
    text: as it may hold names of files, which may hold any character.
    lines: whether it may be several lines.
  """
  return text.translate(_IN_LINES if lines else _ESCAPED)


def one_cell(text: str) -> str:
  r"""The same for a cell of a line with tabs between: tabulators are spelled too, as `\t`."""
  return plain(text).replace('\t', r'\t')
