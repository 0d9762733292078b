"""JavaScript that measures in the page, by its own clock: Playwright's round trips are in none of the figures."""

from __future__ import annotations

from tests.browser.scripts import PANEL, WAIT_MS

SHOWN = f"""async ([at, stages]) => {{
  const panel = {PANEL}, commands = window.jupyterapp.commands, took = [];
  panel.content.activeCellIndex = at;
  panel.content.deselectAll();
  await commands.execute('notebook:clear-cell-output');
  const output = panel.content.widgets[at].node.querySelector('.jp-Cell-outputWrapper');
  const there = stage => {{  // whether it can be seen is asked only in the end, for that makes the browser lay it out
    const found = [];
    for (const [selector, text] of stage) {{
      const element = [...output.querySelectorAll(selector)].find(each => each.textContent.includes(text));
      if (!element) return false;
      found.push(element);
    }}
    return found.every(element => element.checkVisibility());
  }};
  return await new Promise((done, fail) => {{
    const late = setTimeout(() => fail(new Error(`not shown: ${{JSON.stringify(stages[took.length])}}`)), {WAIT_MS});
    const start = performance.now(), observer = new MutationObserver(() => {{
      while (took.length < stages.length && there(stages[took.length])) took.push(performance.now() - start);
      if (took.length < stages.length) return;
      observer.disconnect();
      clearTimeout(late);
      done(took);
    }});
    observer.observe(output, {{attributes: true, characterData: true, childList: true, subtree: true}});
    commands.execute('notebook:run-cell');
  }});
}}"""
"""Runs a cell anew. Milliseconds until all of each stage, pairs of a selector and a text, stood there to be seen."""

TAKEN = """(output, [selector, pending]) => {
  const place = output.querySelector(selector), taken = output.autopodTaken = [];
  let pressed = null;
  addEventListener('click', event => { if (output.contains(event.target)) pressed = event.timeStamp }, true);
  new MutationObserver(() => {
    if (pressed === null || place.textContent.trim() === pending) return;
    taken.push(performance.now() - pressed);
    pressed = null;
  }).observe(place, {characterData: true, childList: true, subtree: true});
}"""
"""Notes, for each click in an output, the milliseconds until a place in it says something new, but for one word."""
TAKEN_COUNT = "([output, count]) => output.autopodTaken.length >= count"

NUMBERS = """(output, pattern) => {
  const seen = output.autopodNumbers = [], look = () => {
    const found = output.textContent.match(pattern), number = found && Number(found[1]);
    if (found && seen.at(-1)?.[0] !== number) seen.push([number, Date.now()]);
  };
  new MutationObserver(look).observe(output, {characterData: true, childList: true, subtree: true});
}"""
"""Notes from now on which numbers stand in an output, and since when, in milliseconds since 1970."""
