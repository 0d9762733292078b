"""The page of the built-in engine: what its queue does, live, in place of ComfyUI's graph editor.

Like ComfyUI's own page it takes everything from its own address without the last part, so that it works behind any
prefix, and opens the WebSocket there. What the server tells is shown as text, never as HTML.
"""

from __future__ import annotations

import html

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>autopod engine</title>
<link rel="icon" href="data:,">
<style>
  :root { color-scheme: light dark }
  body { font: 14px/1.5 system-ui, sans-serif; margin: 1.5em; max-width: 44em }
  h1 { font-size: 1.3em; margin: 0 0 .4em }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: .2em 1em }
  dt { opacity: .7 } dd { margin: 0; overflow-wrap: anywhere }
  progress { width: 100% } img { max-width: 100%; max-height: 45vh }
</style>
<h1>Built-in engine of autopod</h1>
<p>This pod runs on your own machine. Its engine speaks the API of ComfyUI {version}, runs a part of its nodes, and only
simulates the ones that need a model on a GPU ({gpu}). It has no graph editor: for that, run a real ComfyUI.</p>
<dl>
  <dt>Line</dt><dd id="line" role="status">connecting …</dd>
  <dt>Queue</dt><dd id="queue">–</dd>
  <dt>Node</dt><dd id="node">–</dd>
  <dt>Step</dt><dd><progress id="bar" max="1" value="0" aria-label="Step of the node"></progress></dd>
  <dt>Last</dt><dd id="last">–</dd>
</dl>
<img id="picture" alt="" hidden>
<script>
const at = id => document.getElementById(id), say = (id, text) => { at(id).textContent = text };
const base = location.pathname.replace(/[^/]*$/, '');
const clientId = window.name || Math.random().toString(36).slice(2);
const jobs = count => count === 0 ? 'empty' : count === 1 ? '1 job' : `${count} jobs`;

function show(source, text) {
  const picture = at('picture'), old = picture.src;
  picture.src = source; picture.alt = text; picture.hidden = false;
  if (old.startsWith('blob:')) URL.revokeObjectURL(old);
}

const heard = {
  status: data => say('queue', jobs(data.status.exec_info.queue_remaining)),
  executing: data => { say('node', data.node === null ? '–' : data.node); at('bar').value = 0 },
  progress: data => { at('bar').max = data.max; at('bar').value = data.value },
  executed: data => {
    const file = Object.values(data.output ?? {}).flat().filter(one => one?.filename).pop();
    if (!file) return;
    say('last', file.filename);
    if (/\\.(png|jpe?g|webp|gif)$/i.test(file.filename)) {
      const query = new URLSearchParams({filename: file.filename, subfolder: file.subfolder, type: file.type});
      show(`${base}api/view?${query}`, file.filename);
    }
  },
  execution_success: () => say('node', 'done'),
  execution_error: data => say('node', `${data.node_type}: ${data.exception_message}`),
  execution_interrupted: () => say('node', 'interrupted'),
};

function preview(data) {
  const frame = new DataView(data), kind = frame.getUint32(0);
  const start = kind === 1 ? 8 : kind === 4 ? 8 + frame.getUint32(4) : 0;
  if (start) show(URL.createObjectURL(new Blob([data.slice(start)])), 'preview');
}

function connect() {
  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(`${scheme}//${location.host}${base}ws?clientId=${encodeURIComponent(clientId)}`);
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => say('line', 'connected');
  socket.onclose = () => { say('line', 'lost, trying again …'); setTimeout(connect, 1000) };
  socket.onmessage = message => {
    if (typeof message.data !== 'string') return preview(message.data);
    const told = JSON.parse(message.data);
    if (Object.hasOwn(heard, told.type)) heard[told.type](told.data);
  };
}
connect();
</script>
</html>
"""


def page(version: str, gpu_name: str) -> str:
    """The page's HTML.

    Args:
        version: of the ComfyUI whose behaviour the engine shows.
        gpu_name: what the pod claims to have.
    """
    return _PAGE.replace("{version}", html.escape(version)).replace("{gpu}", html.escape(gpu_name))
