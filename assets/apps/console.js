// The browser's side of the console: a log, a line, a WebSocket that comes back.
const at = (id) => document.getElementById(id);
const out = at("out"), field = at("in"), state = at("state");
const history = [];
const decoder = () => new TextDecoder("utf-8");
let socket, text = decoder(), shell = 0, said = 0, back = 0, column = 0, again = 500, rest = "";

const say = (words, kind) => {
  state.textContent = words;
  document.querySelector(".status").dataset.kind = kind;
};
const usable = (yes) => {
  for (const part of [field, at("stop"), at("eof")]) part.disabled = !yes;
};

// What a terminal would do with it, as far as lines go.
const show = (more) => {
  more = rest + more;
  const cut = more.lastIndexOf("\x1b");
  rest = cut >= 0 && more.length - cut < 64 && !/^\x1b(\[[0-9;?]*[ -\/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\^_=>()][0-9A-B]?)/.test(more.slice(cut)) ? more.slice(cut) : "";
  more = more.slice(0, more.length - rest.length)
    .replace(/\x1b\[[0-9;?]*[ -\/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)|\x1b[@-Z\\^_=>()][0-9A-B]?/g, "")
    .replace(/\r+\n/g, "\n").replace(/[\x00\x07\x0e\x0f]/g, "");
  const near = out.scrollHeight - out.scrollTop - out.clientHeight < 40;
  let last = out.lastChild;
  for (const part of more.split(/(\n|\r|\x08)/)) {
    if (!last) { last = out.appendChild(document.createTextNode("")); column = 0; }
    if (part === "\n") { last.data += "\n"; last = null; }
    else if (part === "\r") column = 0;
    else if (part === "\b") column = Math.max(0, column - 1);
    else { last.data = last.data.slice(0, column) + part + last.data.slice(column + part.length); column += part.length; }
  }
  while (out.childNodes.length > 5000) out.firstChild.remove();
  if (near) out.scrollTop = out.scrollHeight;
};
const note = (words) => {
  if (out.lastChild && !out.lastChild.data.endsWith("\n")) show("\n");
  show(`[${words}]\n`);
};

const open = () => {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/socket?shell=${shell}&said=${said}`);
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => {
    if (typeof data !== "string") {
      said += data.byteLength;
      return show(text.decode(data, { stream: true }));
    }
    const news = JSON.parse(data);
    if (news.skipped) { said += news.skipped; text = decoder(); return note(`${news.skipped} bytes are not kept any more`); }
    if (news.shell !== shell) {
      if (shell) note("a new shell");
      shell = news.shell; said = news.at; text = decoder(); rest = "";
    }
    again = 500;
    const ended = news.ended !== null;
    at("again").hidden = !ended;
    usable(!ended);
    document.body.dataset.terminal = news.terminal;
    if (ended) { note(`the shell has ended with code ${news.ended}`); say("The shell has ended.", "ended"); }
    else { say("Connected.", "live"); field.focus({ preventScroll: true }); }
  };
  socket.onclose = () => {
    usable(false);
    say("The connection is gone; trying again.", "gone");
    setTimeout(open, again);
    again = Math.min(again * 2, 10000);
  };
};
const tell = (what) => socket.readyState === 1 && socket.send(JSON.stringify(what));

at("line").onsubmit = (event) => {
  event.preventDefault();
  if (field.disabled) return;
  const line = field.value;
  if (line.trim() && history.at(-1) !== line) history.push(line);
  back = history.length;
  if (document.body.dataset.terminal === "false") show(line + "\n");
  tell({ type: line + "\n" });
  field.value = "";
  out.scrollTop = out.scrollHeight;
};
field.onkeydown = (event) => {
  const { key, ctrlKey } = event;
  if (key === "ArrowUp" || key === "ArrowDown") {
    back = Math.max(0, Math.min(history.length, back + (key === "ArrowUp" ? -1 : 1)));
    field.value = history[back] ?? "";
  } else if (ctrlKey && key === "c" && field.selectionStart === field.selectionEnd) tell("interrupt");
  else if (ctrlKey && key === "d" && !field.value) tell("end");
  else return;
  event.preventDefault();
};
at("stop").onclick = () => tell("interrupt");
at("eof").onclick = () => tell("end");
at("clear").onclick = () => out.replaceChildren();
at("again").onclick = () => tell("again");
say("Connecting…", "gone");
open();
