// Puts each new picture where the old one is.
const state = document.getElementById("state");
const live = new EventSource("/live");
live.onmessage = ({ data }) => {
  document.getElementById("now").innerHTML = data;
  state.textContent = "Live";
  state.dataset.kind = "live";
};
live.onerror = () => {
  state.textContent = "Reconnecting";
  state.dataset.kind = "gone";
};
