"""Column titles, shared by commands that read a table of words."""

from jaxgen.command import arguments

OF = 'clip', 'word', 'start', 'end'
SPELLED = 'clip=TITLE,word=TITLE,...'
columns = arguments.titles(*OF)
