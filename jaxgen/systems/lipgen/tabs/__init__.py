"""The tabs that read lips and make a face talk."""

from jaxgen.systems.lipgen.tabs import reading, talking

TABS = (reading.TAB, talking.TAB)
