"""How ink may differ from its paper. Imports nothing heavy."""

# What config.data.ink may be, and whether pictures are turned then; None: as each looks.
INKS = {'auto': None, 'dark': False, 'light': True}
