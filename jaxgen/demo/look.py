"""How the page looks: nothing of it is fetched from elsewhere."""

import gradio as gr

TITLE = 'jaxgen'
ABOUT = (
  '# jaxgen\nNets that enlarge, write, read and speak. All work is done on this machine: nothing '
  'that you give to this page leaves it, and what it makes is kept only until you close it.'
)
_SANS = ('system-ui', '-apple-system', 'Segoe UI', 'Roboto', 'sans-serif')
_MONO = ('ui-monospace', 'Menlo', 'Consolas', 'monospace')
CSS = """
.gradio-container {max-width: 1200px !important; margin: 0 auto !important}
"""


def theme() -> gr.themes.Base:
  """Gradio's soft theme in fonts that every system has: its own come from Google."""
  return gr.themes.Soft(
    primary_hue='indigo',
    font=[gr.themes.Font(x) for x in _SANS],
    font_mono=[gr.themes.Font(x) for x in _MONO],
  )
