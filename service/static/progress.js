// Keeps a page about work under way up to date; without it, the page has a link to reload.
"use strict";

(() => {
  const PAUSE = 1500;
  const box = document.getElementById("progress");
  const look = async () => {
    try {
      const response = await fetch(location.href, { headers: { "X-Background": "1", Accept: "text/html" } });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const fresh = page.getElementById("progress");
      if (!response.ok || !fresh || fresh.dataset.working !== "yes") {
        location.reload();
        return;
      }
      if (!box.contains(document.activeElement)) box.replaceChildren(...fresh.childNodes);
    } catch {
      // The network is away for a moment: the next look may succeed.
    }
    setTimeout(look, PAUSE);
  };
  if (box && box.dataset.working === "yes") setTimeout(look, PAUSE);
})();
