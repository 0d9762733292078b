// The line between a panel and its kernel: every press of a button of the panel goes to the kernel twice, as a message
// of this widget and as an HTTP request, under one id, and the first one acts. So a button works while a cell runs, in
// whatever way this kernel and this front end treat messages then. Nothing that comes here is kept in the page's model.
const STALE_MS = 4000, ANSWER_MS = 3000, SECOND_PRESS_MS = 5000, PING_MS = 1500;
const RESTARTED = 'If it was restarted: `%load_ext autopod_nb`, then `%autopod adopt`.';
const ELSEWHERE = '`%autopod kill POD` in another notebook ends a pod now; the reaper and the watchdog act on their own.';

function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), v => v.toString(16).padStart(2, '0')).join('');
}

function candidates(port) {
  const found = [], config = document.getElementById('jupyter-config-data');
  if (/^(localhost|127\.|\[::1\])/.test(location.hostname)) found.push(`http://${location.hostname}:${port}/`);
  if (config) found.push(`${JSON.parse(config.textContent).baseUrl}proxy/${port}/`);
  if (!found.length || !/^(localhost|127\.|\[::1\])/.test(location.hostname)) found.push(`http://127.0.0.1:${port}/`);
  return found;
}

async function ping(url, instance) {  // whoever answers must know which kernel it is, or it gets no token
  const nonce = randomId(), stop = AbortSignal.timeout(PING_MS);
  const answer = await fetch(`${url}ping?nonce=${nonce}`, {signal: stop, cache: 'no-store'});
  const said = await answer.json();
  return answer.ok && said.autopod === instance && said.nonce === nonce;
}

async function findUrl({port, instance}) {
  for (const url of candidates(port)) try { if (await ping(url, instance)) return url } catch (error) { /* next */ }
  return null;
}

async function post(url, token, action) {
  const headers = {'Content-Type': 'application/json', 'X-Autopod-Token': token};
  const answer = await fetch(`${url}act`, {method: 'POST', headers, body: JSON.stringify(action)});
  return answer.ok ? await answer.json() : null;
}

function unhex(text) {
  return new TextDecoder().decode(Uint8Array.from(text.match(/../g) ?? [], pair => parseInt(pair, 16)));
}

function actionOf(button) {  // a button says in its classes what it does, on what
  const word = head => [...button.classList].find(name => name.startsWith(head))?.slice(head.length);
  const name = word('autopod-do-'), target = word('autopod-on-');
  return name && target ? {action: name, target: unhex(target), unsaved: button.classList.contains('autopod-unsaved')} : null;
}

// Buttons in cards that are no widgets (a result's "Run again") are hidden until a line has found its kernel.
function wakeCards(instance, url, token) {
  const mark = `data-autopod-${instance}`;
  if (document.documentElement.hasAttribute(mark)) return;
  document.documentElement.setAttribute(mark, '');
  const style = document.createElement('style');
  style.textContent = `html button[data-autopod="${instance}"][hidden]{display:inline-block!important}`;
  document.head.append(style);
  document.addEventListener('click', async event => {
    const button = event.target.closest?.(`button[data-autopod="${instance}"]`);
    if (!button || event.detail > 1) return;  // a double click is one press
    const said = button.parentElement.querySelector('[role=status]');
    const tell = text => { if (said) said.textContent = ` ${text}` };
    button.disabled = true;
    tell('sent …');
    const action = {id: randomId(), action: button.dataset.act, target: button.dataset.target, yes: false};
    try { tell((await post(url, token, action))?.text ?? 'The kernel did not take it.') }
    catch (error) { tell('The kernel does not answer.') }
    button.disabled = false;
  });
}

function render({model, el}) {
  let cfg = null, url = null, heard = 0, rests = false;
  const presses = new Map(), texts = new Map();  // by the id of a press: what waits for its answer, what is said of it
  el.classList.add('autopod-line');
  const live = document.createElement('span'), page = document.createElement('button'), said = document.createElement('span');
  live.className = 'autopod-live'; said.className = 'autopod-said';
  said.setAttribute('role', 'status'); said.setAttribute('aria-live', 'polite');
  page.className = 'autopod-page'; page.type = 'button'; page.textContent = 'Control page ↗'; page.hidden = true;
  page.title = 'A page of its own with Stop and Kill, which works while a cell runs and after a reload';
  el.append(live, page, said);
  const showSaid = () => { said.textContent = [...texts.values()].join(' ') };
  const say = text => { texts.clear(); texts.set('', text); showSaid() };
  const isStale = () => heard && !rests && Date.now() - heard > STALE_MS;

  function showLive() {
    const stale = isStale();
    live.textContent = !heard ? '… connecting to the kernel' : stale ? `⚠ stale: the kernel does not answer. ${RESTARTED}` : rests ? '○ at rest' : '● live';
    live.dataset.state = !heard ? 'none' : stale ? 'stale' : rests ? 'rests' : 'live';
    live.title = stale ? 'The reaper ends pods that nobody owns; `%autopod kill POD` in another notebook ends one now.' : '';
  }

  async function connect() {
    url = await findUrl(cfg);
    page.hidden = !url;
    if (url) wakeCards(cfg.instance, url, cfg.token);
  }

  function onMessage(message) {
    if (message?.type === 'beat') {
      const fresh = !cfg || cfg.port !== message.port || cfg.instance !== message.instance;
      heard = Date.now(); rests = message.rests;
      if (message.token) cfg = message;
      if (fresh && cfg) connect();
      showLive();
    } else if (message?.type === 'answer') answered(message);
    else if (message?.type === 'news') say(message.text);
  }

  function answered(answer) {
    const press = presses.get(answer.id);
    if (!press) return;  // it came by the other road
    clearTimeout(press.timer);
    presses.delete(answer.id);
    press.button.removeAttribute('aria-busy');
    if (answer.wants_yes) arm(press.button);
    texts.set(answer.id, answer.text);
    showSaid();
    el.dispatchEvent(new CustomEvent('autopod-taken', {bubbles: true, detail: {id: answer.id}}));
  }

  function arm(button) {  // the second press, asked for in the browser: the kernel may be busy
    if (button.dataset.armed) return;
    const text = button.textContent;
    button.dataset.armed = 'yes';
    button.textContent = 'Kill anyway';
    setTimeout(() => { delete button.dataset.armed; button.textContent = text; if (said.dataset.arms) { say(''); delete said.dataset.arms } }, SECOND_PRESS_MS);
  }

  async function press(button, {action, target, unsaved}) {
    const yes = Boolean(button.dataset.armed);
    if (unsaved && action === 'kill' && !yes) {
      arm(button);
      said.dataset.arms = 'yes';
      say('Results are not here yet and would be lost: press again within 5 s to kill it all the same.');
      return;
    }
    delete said.dataset.arms;
    const id = randomId(), body = {id, action, target, yes};
    if ([...presses.values()].every(other => other.late)) { presses.clear(); texts.clear() }  // else its words stand beside theirs
    button.setAttribute('aria-busy', 'true');
    texts.set(id, 'sent …');
    showSaid();
    const mine = {button, late: false, timer: setTimeout(() => {
      mine.late = true;
      button.removeAttribute('aria-busy');
      texts.set(id, isStale() ? `The kernel does not answer. ${RESTARTED} ${ELSEWHERE}` : `The kernel has not taken it yet: C code may hold Python’s lock. ${ELSEWHERE}`);
      showSaid();
    }, ANSWER_MS)};
    presses.set(id, mine);
    try { model.send({type: 'act', ...body}) } catch (error) { /* the other road */ }
    if (cfg && url) try { const answer = await post(url, cfg.token, body); if (answer) answered({id, ...answer}) } catch (error) { url = null; connect() }
  }

  function onClick(event) {
    const button = event.target.closest?.('button.autopod-act');
    const panel = el.closest('.autopod-panel');
    if (!button || !panel || !panel.contains(button) || button.closest('.autopod-panel') !== panel) return;
    const action = actionOf(button);
    if (!action) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    if (!button.disabled && !button.hasAttribute('aria-busy') && event.detail < 2) press(button, action);  // a double click is one press
  }

  page.onclick = () => { if (url && cfg) window.open(`${url}#t=${encodeURIComponent(cfg.token)}`, '_blank', 'noopener') };
  model.on('msg:custom', onMessage);
  document.addEventListener('click', onClick, true);
  const timer = setInterval(showLive, 1000);
  model.send({type: 'hello'});
  showLive();
  return () => { clearInterval(timer); document.removeEventListener('click', onClick, true); model.off('msg:custom', onMessage) };
}

export default {render};
