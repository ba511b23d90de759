// Tells the server how far this browser's clock is ahead of UTC, for "Local times".
(() => {
  const told = () => /(?:^|; )jg_zone=([^;]*)/.exec(document.cookie)?.[1];
  const now = String(-new Date().getTimezoneOffset());
  if (told() === now) return;
  document.cookie = 'jg_zone=' + now + '; path=/portal; max-age=31536000; samesite=lax';
  // without cookies it would go on for ever
  if (told() === now && new URLSearchParams(location.search).get('time') === 'local') location.reload();
})();
