"""The net that writes and comes with jaxgen."""

from functools import partial

from jaxgen.exchange.shipped import WEIGHTS, shipped

SHIPPED = WEIGHTS / 'handwriting.safetensors'
# -> its file.
shipped_weights = partial(shipped, SHIPPED.stem, 'net that writes')
