// ComfyUI of a pod in a frame. Which address leads there is found out here, for only the browser knows how it reaches
// the kernel. The address holds a secret: it comes by a message that no notebook keeps, and goes into the frame alone.
const PING_MS = 3000;
const loopback = /^(localhost|127\.|\[::1\])/.test(location.hostname);

function bases(port) {
  const found = [], config = document.getElementById('jupyter-config-data');
  if (loopback) found.push({url: `http://${location.hostname}:${port}`, direct: true});
  if (config) found.push({url: `${location.origin}${JSON.parse(config.textContent).baseUrl}proxy/${port}`, direct: false});
  if (!loopback && !config) found.push({url: `http://127.0.0.1:${port}`, direct: true});
  return found;
}

async function answers(address) {
  const nonce = Math.random().toString(36).slice(2);
  const answer = await fetch(`${address}.autopod/ping?nonce=${nonce}`, {signal: AbortSignal.timeout(PING_MS), cache: 'no-store'});
  return answer.ok && (await answer.json()).nonce === nonce;
}

function render({model, el}) {
  el.classList.add('autopod-gui');
  const bar = document.createElement('div'), said = document.createElement('span'), tab = document.createElement('a'), room = document.createElement('div');
  bar.className = 'autopod-gui-bar'; said.setAttribute('role', 'status');
  tab.target = '_blank'; tab.rel = 'noopener noreferrer'; tab.textContent = 'Open in a tab ↗'; tab.hidden = true;
  bar.append(said, tab); el.append(bar, room);
  said.textContent = 'Looking for the way to ComfyUI …';
  let shown = '';

  async function open({port, prefix, pod}) {
    const key = `${port}${prefix}`;
    if (shown === key) return;
    for (const base of bases(port)) {
      const address = `${base.url}${prefix}`;
      try { if (!await answers(address)) continue } catch (error) { continue }
      shown = key;
      const frame = document.createElement('iframe');
      frame.src = address; frame.title = `ComfyUI of pod ${pod}`; frame.referrerPolicy = 'no-referrer';
      frame.allow = 'clipboard-read; clipboard-write; fullscreen';
      room.replaceChildren(frame);
      tab.href = address; tab.hidden = false;
      said.textContent = base.direct ? `ComfyUI of pod ${pod}` :
        `ComfyUI of pod ${pod}, through the Jupyter server: its page then runs beside your notebook, so open only pods that you trust.`;
      return;
    }
    said.textContent = `The browser finds no way to pod ${pod}. On another machine than the kernel's it leads through jupyter-server-proxy: ` +
      '`pip install jupyter-server-proxy` in the server’s environment and restart the server; or forward a port: `%autopod gui` says which.';
  }

  const onMessage = message => {
    if (message?.type === 'place') open(message);
    else if (message?.type === 'gone') { room.replaceChildren(); tab.hidden = true; shown = ''; said.textContent = message.text }
  };
  model.on('msg:custom', onMessage);
  model.send({type: 'hello', origin: location.origin});
  return () => model.off('msg:custom', onMessage);
}

export default {render};
