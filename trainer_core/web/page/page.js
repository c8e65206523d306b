// The terminal's own script reads this address when the page has loaded. The page may have been
// reached through a tunnel, so the address is the one that the browser knows.
const scheme = window.location.protocol === "https:" ? "wss:" : "ws:";
const terminal = document.getElementById("terminal");
terminal.dataset.sessionWebsocketUrl = `${scheme}//${window.location.host}/ws`;
document.getElementById("again").addEventListener("click", () => window.location.reload());
// Keys go to the dashboard without a click; its text area is made as the page's last act of loading.
window.addEventListener("load", () => {
  setTimeout(() => terminal.querySelector("textarea")?.focus());
});
