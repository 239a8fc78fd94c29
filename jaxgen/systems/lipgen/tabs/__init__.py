"""The demo's tabs for lip reading and talking faces."""

from jaxgen.systems.lipgen.tabs import reading, talking

TABS = (reading.TAB, talking.TAB)
