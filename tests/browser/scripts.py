"""JavaScript that runs in the page: what a test asks JupyterLab to do and to tell."""

from __future__ import annotations

WAIT_MS = 60_000
"""For whatever is waited for here: far longer than it takes, for the machine may be busy."""

PANEL = "window.jupyterapp.shell.currentWidget"
READY = f"""path => {{
  const panel = window.jupyterapp && {PANEL};
  return Boolean(panel && panel.context && panel.context.path === path && panel.context.isReady
    && panel.sessionContext.isReady && panel.sessionContext.session && panel.sessionContext.session.kernel
    && panel.sessionContext.session.kernel.connectionStatus === 'connected'
    && panel.sessionContext.session.kernel.status === 'idle');
}}"""  # before it has said that it is idle, what is sent to it may be lost: about one time in twenty with 7.3
NOTEBOOK_READY = f"""path => {{
  const panel = window.jupyterapp && {PANEL};
  return Boolean(panel && panel.context && panel.context.path === path && panel.context.isReady);
}}"""
START = f"""([command, at]) => {{
  const panel = {PANEL}, runs = (window.autopodRuns ??= new Map()), run = {{over: false, ok: null}};
  if (at !== null) {{ panel.content.activeCellIndex = at; panel.content.deselectAll(); }}
  runs.set(at, run);
  window.jupyterapp.commands.execute(command).then(
    ok => {{ run.ok = ok; run.over = true }},
    error => {{ run.ok = false; run.error = String(error); run.over = true }});
}}"""
OVER = "at => window.autopodRuns.get(at).over"
ASK = f"""async ([code, withinMs]) => {{
  const kernel = {PANEL}.sessionContext.session.kernel;
  const late = new Promise((_, fail) => setTimeout(() => fail(new Error('the kernel gave no answer')), withinMs));
  const reply = await Promise.race([late, kernel.requestExecute(
    {{code: '', silent: true, store_history: false, user_expressions: {{value: code}}}}, true).done]);
  const found = reply.content.user_expressions.value;
  return found.status === 'ok' ? [true, found.data['text/plain']] : [false, `${{found.ename}}: ${{found.evalue}}`];
}}"""
WATCH = """output => {
  const seen = window.autopodSeen = {widths: [], pictures: new Set()}, look = () => {
    const bar = output.querySelector('.widget-hprogress .progress-bar');
    const width = bar && parseFloat(bar.style.width || '0');
    if (bar && seen.widths.at(-1) !== width) seen.widths.push(width);
    for (const image of output.querySelectorAll('img'))
      if (image.complete && image.naturalWidth > 0 && image.checkVisibility()) seen.pictures.add(image.src);
  };
  look();
  const options = {attributes: true, attributeFilter: ['style', 'src'], childList: true, subtree: true};
  new MutationObserver(look).observe(output, options);
  output.addEventListener('load', look, true);
}"""
PRESSES = """addEventListener('click', event => {
  (window.autopodPresses ??= []).push((performance.timeOrigin + event.timeStamp) / 1000) }, true)"""
CONTRAST = """(root, least) => {
  const parse = text => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const over = (top, below) => { const a = top[3] ?? 1; return [0, 1, 2].map(i => top[i] * a + below[i] * (1 - a)) };
  const ground = element => {
    const layers = [], drawn = element.closest('.js-plotly-plot')?.querySelector('svg.main-svg');
    if (drawn) layers.push(parse(getComputedStyle(drawn).backgroundColor));  // behind, but not around
    for (let e = element; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b };
  const found = [], walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode()); ) {
    const element = node.parentElement, text = node.textContent.trim();
    if (!text || !element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    if (element.closest('button:disabled, script, style, title, desc')) continue;
    const style = getComputedStyle(element), below = ground(element);
    const colour = element.closest('svg') ? style.fill : style.color;
    const [x, y] = [light(over(parse(colour), below)), light(below)];
    const ratio = (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
    if (ratio < least) found.push(`${text.slice(0, 60)} (${ratio.toFixed(2)})`);
  }
  return found;
}"""
OVERFLOW = """root => {
  const found = [], edge = root.getBoundingClientRect().right, page = document.scrollingElement;
  const name = element => `${element.tagName} ${element.className} "${element.textContent.trim().slice(0, 30)}"`;
  const scrolls = element => ['auto', 'scroll'].includes(getComputedStyle(element).overflowX)
    && element.scrollWidth > element.clientWidth + 1;
  const isLabs = element => /\b(jp|lm|widget|jupyter)-/.test(element.className);
  if (page.scrollWidth > page.clientWidth) found.push(`the page by ${page.scrollWidth - page.clientWidth} px`);
  for (const element of root.querySelectorAll('*')) {
    if (!element.checkVisibility() || element.closest('.jp-OutputPrompt')) continue;
    if (element.ownerSVGElement && element.tagName !== 'text') continue;  // cut off, and only words are missed
    if (isLabs(element) && scrolls(element))
      found.push(`${name(element)} scrolls by ${element.scrollWidth - element.clientWidth} px`);
    const right = element.getBoundingClientRect().right;
    let above = element.parentElement;
    while (above !== root && (isLabs(above) || !scrolls(above))) above = above.parentElement;
    if (above === root && right > edge + 1) found.push(`${name(element)} by ${Math.round(right - edge)} px`);
  }
  return found;
}"""
