"""Whether ink is darker or lighter than its paper. Imports nothing heavy."""

# Values of config.data.ink, and whether each inverts pictures; None: decided per picture.
INKS = {'auto': None, 'dark': False, 'light': True}
