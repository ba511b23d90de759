// Shows how far the files of a form are, and lets that be ended. Without it the browser shows what it shows.
(() => {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  const size = (n) => { let u = 0; while (n >= 1e3 && u < 4) { n /= 1e3; u++; } return (u ? Math.floor(n * 10) / 10 : n) + ' ' + units[u]; };
  const span = (s) => s < 90 ? Math.ceil(s) + ' s' : s < 5400 ? Math.round(s / 60) + ' min' : (s / 3600).toFixed(1) + ' h';
  const kept = ' Files that had arrived whole are among your uploads; of the others nothing is kept.';
  let going = false;
  addEventListener('beforeunload', (e) => { if (going) e.preventDefault(); });

  const parts = (form) => {
    const box = form.querySelector('[data-sending]');
    if (!box) return;
    const [note, shown, said] = box.children;
    return { box, note, shown, said, bar: shown.querySelector('progress'), told: shown.querySelector('span'), stop: shown.querySelector('button') };
  };
  const fail = (p, why) => { p.note.hidden = false; p.note.lastElementChild.textContent = why; };

  document.addEventListener('submit', (e) => {
    const form = e.target, p = parts(form);
    if (!p || e.defaultPrevented) return;
    const files = [...form.querySelectorAll('[type=file]')].flatMap((one) => [...one.files]);
    if (!files.length) return;
    e.preventDefault();
    if (going) return;
    p.note.hidden = true;
    const most = +p.box.dataset.most, free = +p.box.dataset.free, all = files.reduce((sum, f) => sum + f.size, 0);
    const large = most && files.find((f) => f.size > most);
    if (large) return fail(p, large.name.replace(/\p{C}/gu, '?') + ' has ' + size(large.size) + '; ' + size(most) + ' at most can be uploaded.');
    if (most && all > free) return fail(p, 'They have ' + size(all) + ' together, and there is room for ' + size(free) + '. Choose fewer, or delete files that you do not need.');
    send(form, p, e.submitter);
  });

  const send = (form, p, button) => {
    const ask = new XMLHttpRequest(), begun = performance.now();
    let said = 0, came = 'nothing of it';
    const say = (text) => { p.said.textContent = text; };
    const end = () => { going = false; p.shown.hidden = true; if (button) button.disabled = false; };
    ask.upload.onprogress = (at) => {
      const took = (performance.now() - begun) / 1e3, part = at.loaded / at.total;
      came = size(at.loaded) + ' of ' + size(at.total);
      p.bar.max = at.total; p.bar.value = at.loaded;
      p.told.textContent = came + ', ' + Math.floor(part * 100) + '%' + (took > 3 && part < 1 ? ', about ' + span(took / part - took) + ' left' : '');
      if (part >= said + .25) { said = Math.floor(part * 4) / 4; say(said * 100 + ' percent uploaded'); }
    };
    ask.upload.onload = () => { p.bar.removeAttribute('value'); p.told.textContent = 'All of it is sent, and is being stored.'; say(p.told.textContent); };
    ask.onload = () => {
      end();
      const to = ask.getResponseHeader('HX-Redirect');
      if (to) return location.assign(to);
      const page = new DOMParser().parseFromString(ask.responseText, 'text/html'), main = page.querySelector('#main');
      if (!main) return fail(p, page.body.textContent.trim() || 'The server answered with ' + ask.status + '. Try again in a minute.');
      document.title = page.title;
      document.querySelector('#main').replaceWith(main);
      htmx.process(main);
      main.querySelector('[autofocus]')?.focus();
    };
    ask.onerror = () => { end(); fail(p, 'The connection broke off after ' + came + '.' + kept + ' Check your connection and send the rest again.'); };
    ask.onabort = () => { end(); say(''); fail(p, 'You cancelled it after ' + came + '.' + kept); };
    p.stop.onclick = () => ask.abort();
    p.bar.removeAttribute('value'); p.told.textContent = 'Connecting'; p.shown.hidden = false; going = true; say('Uploading');
    if (button) button.disabled = true;
    p.stop.focus();
    ask.open('POST', form.action);
    ask.setRequestHeader('HX-Request', 'true');
    ask.setRequestHeader('HX-Request-Type', 'partial');
    ask.setRequestHeader('HX-Current-URL', location.href);
    ask.send(new FormData(form));
  };
})();
