"""The style sheet of reports: light, dark as the reader's system is, and always light on paper."""

from __future__ import annotations

from ncore_dashboard.figures import base

__all__ = ["style_sheet"]

_SANS = '"Source Sans 3", "Source Sans Pro", system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif'
_PANEL = {False: "#F1F4F7", True: "#1B232D"}
_LINES = {False: "#D5DCE3", True: "#36424F"}

_RULES = """
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 SANS; }
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1.5rem 3rem; }
header { margin-bottom: 1.25rem; }
h1 { font-size: 2.1rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.4rem; line-height: 1.3; margin: 2.25rem 0 .5rem; }
h3 { font-size: 1.1rem; margin: 1.5rem 0 .4rem; }
p { margin: .4rem 0 .6rem; }
h1, p, li, dd, pre { overflow-wrap: anywhere; }
td { overflow-wrap: anywhere; max-width: 24rem; } td.left { min-width: 6.5rem; }
.muted, figcaption, caption { color: var(--grey); }
.answer { background: var(--panel); border-left: .35rem solid #2A87BD; border-radius: .3rem; padding: .9rem 1.25rem; }
.answer h2 { margin: 0; font-size: 1rem; color: var(--grey); }
.lead { font-size: 1.35rem; line-height: 1.4; font-weight: 600; margin: .2rem 0 .6rem; }
ul { padding-left: 1.2rem; } li { margin: .35rem 0; }
figure { margin: 1rem 0 1.75rem; } figure h3 { margin-top: 0; }
figcaption { font-size: .95em; margin-top: .3rem; }
.picture, .scroll { overflow-x: auto; }
svg { display: block; width: 100%; min-width: 36rem; height: auto; font: 13px SANS; }
svg text { fill: var(--ink); } svg text.muted { fill: var(--grey); }
svg .mark { color: var(--l); }
.path { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; }
.area { fill: currentColor; opacity: .12; } .dot { fill: currentColor; stroke: var(--paper); stroke-width: .75; }
.grid { stroke: var(--lines); stroke-width: 1; } .cut { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 2 4; }
.observed { stroke: var(--ink); stroke-width: 3.5; } .unseen { fill: var(--panel); }
.keymark { fill: none; stroke: var(--grey); stroke-width: 2; } .keydot { fill: var(--grey); }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; margin: .3rem 0 .8rem; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th, td { padding: .35rem .55rem; border-bottom: 1px solid var(--lines); vertical-align: top; }
th { color: var(--grey); font-weight: 600; white-space: nowrap; }
th:first-child, td:first-child { padding-left: 0; }
.left { text-align: left; } .right { text-align: right; white-space: nowrap; }
dt { font-weight: 600; margin-top: .6rem; } dd { margin: 0 0 .3rem; }
pre { background: var(--panel); padding: .6rem .8rem; border-radius: .3rem; white-space: pre-wrap; font-size: .88rem; }
code, pre { font-family: "Source Code Pro", ui-monospace, Consolas, monospace; } code { font-size: .92em; }
:focus-visible { outline: 2px solid #2A87BD; outline-offset: 2px; }
@media only screen and (max-width: 40rem) {
  main { padding: 1rem .75rem 2rem; } h1 { font-size: 1.6rem; } .lead { font-size: 1.15rem; }
  .answer { padding: .75rem .9rem; } svg { min-width: 30rem; }
}
@page { size: A4; margin: 15mm 16mm; }
@media print {
  body { font-size: 10.5pt; } main { max-width: none; padding: 0; }
  h1 { font-size: 20pt; } h2 { font-size: 14pt; margin-top: 16pt; } h3 { font-size: 11.5pt; }
  .lead { font-size: 13.5pt; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  h2, h3 { break-after: avoid; } figure, .answer, tr, li, pre, dd { break-inside: avoid; } dt { break-after: avoid; }
  .picture, .scroll { overflow: visible; } svg { min-width: 0; max-height: 225mm; }
  thead { display: table-header-group; }
  table { font-size: 9pt; } th, td { padding: 2.5pt 4pt; } td.left { min-width: 5rem; }
}
"""


def style_sheet(scheme: str = "auto") -> str:
    """CSS of a report.

    Args:
        scheme: "light", "dark", or "auto": as the reader's system has it, and light on paper.
    """
    if scheme == "auto":
        colours = _colours(False) + f"@media screen and (prefers-color-scheme: dark) {{{_colours(True)}}}"
    else:
        colours = _colours(False) + (f"@media screen {{{_colours(True)}}}" if scheme == "dark" else "")
    rules = _RULES.replace("SANS", _SANS)
    # The colours of marks come after the rules, which have those for a light background.
    return rules + colours


def _colours(dark: bool) -> str:
    mark = " svg .mark { color: var(--d); }" if dark else ""
    return (
        f":root {{ color-scheme: {'dark' if dark else 'light'}; --paper: {base.paper(dark)}; --ink: {base.ink(dark)}; "
        f"--grey: {base.grey(dark)}; --panel: {_PANEL[dark]}; --lines: {_LINES[dark]}; }}{mark}"
    )
