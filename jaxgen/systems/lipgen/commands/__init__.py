"""The `jaxgen` subcommands provided by lipgen, one module each."""

from jaxgen.systems.lipgen.commands.export import EXPORT_SEARCH
from jaxgen.systems.lipgen.commands.import_torch import IMPORT_WORDS
from jaxgen.systems.lipgen.commands.lipread import LIPREAD
from jaxgen.systems.lipgen.commands.mouths import MOUTHS
from jaxgen.systems.lipgen.commands.pose_augment import POSE_AUGMENT
from jaxgen.systems.lipgen.commands.synthesise import SYNTHESISE
from jaxgen.systems.lipgen.commands.talk import TALK

EXTENSIONS = (EXPORT_SEARCH, IMPORT_WORDS)
COMMANDS = (MOUTHS, LIPREAD, POSE_AUGMENT, TALK, SYNTHESISE)
