"""The writer that ships with jaxgen."""

from functools import partial

from jaxgen.exchange.shipped import WEIGHTS, shipped

SHIPPED = WEIGHTS / 'handwriting.safetensors'
# -> the path of its file.
shipped_weights = partial(shipped, SHIPPED.stem, 'handwriting generator')
