"""The look of the page: nothing in it is fetched from other servers."""

import gradio as gr

TITLE = 'jaxgen'
ABOUT = (
  '# jaxgen\nNets that enlarge pictures, write, read and make faces talk. Everything runs on this machine: '
  'nothing that you upload leaves it, and results are deleted when `jaxgen demo` is closed.'
)
_SANS = ('system-ui', '-apple-system', 'Segoe UI', 'Roboto', 'sans-serif')
_MONO = ('ui-monospace', 'Menlo', 'Consolas', 'monospace')
# Adapts to the window's width; puts pictures below their labels, however low they are; outlines the element
# with keyboard focus.
CSS = """
.gradio-container {width: 100% !important; max-width: 1200px !important; margin: 0 auto !important}
.below-label .image-frame, .below-label .html-container {padding-top: 2.6em}
.at-most-window img {max-height: 75vh; object-fit: contain}
input:focus-visible {outline: 2px solid var(--primary-500) !important; outline-offset: 2px}
"""


def theme() -> gr.themes.Base:
  """Gradio's soft theme in system fonts: its own come from Google."""
  return gr.themes.Soft(
    primary_hue='indigo',
    font=[gr.themes.Font(x) for x in _SANS],
    font_mono=[gr.themes.Font(x) for x in _MONO],
  )
