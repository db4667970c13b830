/* Comforts of the pages of entries: counting, searching while typing, keeping what was typed in
   this tab. Everything works without them. */
"use strict";

(() => {
  for (const area of document.querySelectorAll("textarea[data-count]")) {
    const said = document.createElement("p");
    said.className = "field__count";
    area.after(said);
    const count = () => { said.textContent = `${area.value.length} 字，最多 ${area.maxLength} 字`; };
    area.addEventListener("input", count);
    count();
  }

  // Enter in the finder of clauses finds, and does not save.
  for (const field of document.querySelectorAll("input[data-button]")) {
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault();
      document.getElementById(field.dataset.button).click();
    });
  }

  for (const form of document.querySelectorAll("form[data-live]")) {
    let waiting = 0;
    let latest = 0;
    const refresh = async () => {
      const number = ++latest;
      const address = `${form.action}?${new URLSearchParams(new FormData(form))}`;
      const response = await fetch(address, { headers: { Accept: "text/html" } }).catch(() => null);
      if (!response?.ok || number !== latest) return;
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const fresh = page.querySelector(form.dataset.live);
      const shown = document.querySelector(form.dataset.live);
      if (fresh && shown) shown.replaceChildren(...fresh.childNodes);
    };
    const soon = (event) => {
      if (event.isComposing) return;
      clearTimeout(waiting);
      waiting = setTimeout(refresh, 250);
    };
    form.addEventListener("input", soon);
    form.addEventListener("compositionend", soon);
  }

  // What was typed survives a lost session or connection, in this tab alone.
  const form = document.querySelector("form[data-keep]");
  if (!form) return;
  const key = `draft ${form.getAttribute("action")} ${form.dataset.keep}`;
  const fields = [...form.querySelectorAll("textarea[name], input[name]:not([type=hidden])")];
  const typed = () => Object.fromEntries(fields.map((each) => [each.name, each.value]));
  const shown = JSON.stringify(typed());
  const kept = sessionStorage.getItem(key);
  if (kept && kept !== shown && !document.querySelector("[role=alert], #found")) {
    const offer = document.createElement("p");
    offer.className = "notice";
    offer.setAttribute("role", "status");
    offer.textContent = "上次写的内容没有存到服务器，还留在这个页面里。";
    const restore = document.createElement("button");
    restore.type = "button";
    restore.className = "button";
    restore.textContent = "恢复上次写的";
    restore.addEventListener("click", () => {
      const values = JSON.parse(kept);
      for (const each of fields) {
        if (each.name in values) each.value = values[each.name];
        each.dispatchEvent(new Event("input", { bubbles: true }));
      }
      offer.remove();
    });
    offer.append(" ", restore);
    form.before(offer);
  }
  form.addEventListener("input", () => sessionStorage.setItem(key, JSON.stringify(typed())));
})();
