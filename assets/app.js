// Optional enhancement layer. Every page works without it. No eval, no inline handlers.
(() => {
  const root = document.documentElement, $ = (s, c = document) => c.querySelector(s);
  root.classList.add('js');
  const on = (e, f, o) => document.addEventListener(e, f, o);

  // --- toasts raised by the client itself (network loss, upstream 5xx) -------------------
  const raise = (id) => {
    const t = $('#' + id), box = $('#toasts');
    if (!t || !box || box.querySelector(`[data-t="${id}"]`)) return;
    const n = t.content.firstElementChild.cloneNode(true);
    n.dataset.t = id; box.append(n);
  };
  on('htmx:error', (e) => { // fetch says TypeError; one without a request is a fault in the page
    const c = e.detail.ctx;
    if (c && (c.request.signal?.reason === 'timeout' || !c.response && e.detail.error instanceof TypeError)) raise('toast-offline');
  });
  on('htmx:response:error', (e) => { if (e.detail.ctx.response.status >= 500) raise('toast-5xx'); });
  addEventListener('online', () => $('[data-t="toast-offline"]')?.remove());

  // --- aria-busy on the region being refreshed ------------------------------------------
  const busy = (e, v) => { const t = e.detail.ctx?.target; if (t instanceof Element && !t.matches('[data-quiet]')) v ? t.setAttribute('aria-busy', 'true') : t.removeAttribute('aria-busy'); };
  on('htmx:before:request', (e) => busy(e, true));
  on('htmx:finally:request', (e) => busy(e, false));

  // --- live pill: what the stream is doing ----------------------------------------------
  const live = (v) => { root.dataset.live = v; };
  on('htmx:sse:after:connection', () => live('on'));
  on('htmx:sse:error', () => live('retry'));
  on('htmx:sse:before:connection', (e) => { if (e.detail.connection.attempt) live('retry'); });
  // 'message': the server said so; 'cleanup': the region was replaced by one without a stream
  on('htmx:sse:close', (e) => live(/^(message|cleanup)$/.test(e.detail.reason) ? 'done' : 'off'));

  // --- delegated clicks: copy, dismiss -----------------------------------------------------
  on('click', async (e) => {
    const b = e.target.closest('[data-copy],[data-dismiss]');
    if (!b) return;
    if (b.dataset.dismiss !== undefined) return b.closest('.toast')?.remove();
    const src = $(b.dataset.copy);
    try { await navigator.clipboard.writeText(src.value ?? src.textContent); b.dataset.done = ''; setTimeout(() => delete b.dataset.done, 2000); } catch {}
  });
})();
