"""Assembly of the page from the tabs that systems provide."""

from collections.abc import Sequence

import gradio as gr

from jaxgen.demo import limits, look
from jaxgen.demo.tab import Page, Tab
from jaxgen.systems import parts

# Seconds between cleanups of uploaded and displayed files, and the age at which they are removed.
_CLEANING = (300, 3600)


def find_tabs() -> list[Tab]:
  """The tabs that systems provide, ordered by place."""
  tabs = [tab for module in parts('tabs') for tab in module.TABS]
  return sorted(tabs, key=lambda tab: tab.place)


def build(page: Page, tabs: Sequence[Tab]) -> gr.Blocks:
  """Builds the whole page."""
  with gr.Blocks(
    title=look.TITLE, analytics_enabled=False, delete_cache=_CLEANING, mode='jaxgen'
  ) as blocks:
    gr.Markdown(look.ABOUT)
    for tab in tabs:
      with gr.Tab(tab.title):
        gr.Markdown(tab.about)
        if line := tab.missing():
          gr.Markdown(f'**Not installed.** {line}')
        else:
          tab.build(page)

    def leave(request: gr.Request) -> None:
      page.jobs.leave(str(request.session_hash))

    blocks.unload(leave)
  blocks.queue(default_concurrency_limit=1, max_size=limits.MAX_WAITING)
  return blocks
