// The operators' console: answers while typing, keys from the first letter to the read-out, and
// conversations that stay fresh. Every step also works as a plain page without this script.
"use strict";

(() => {
  const WAIT = 120; // milliseconds of quiet before what is typed is looked up
  const FRESH = 3000; // milliseconds between looks at a conversation or the queue
  const SHOWN = 4000; // milliseconds for which a short message stays

  const csrf = document.querySelector('meta[name="csrf"]').content;
  const toast = document.querySelector("[data-toast]");
  const part = (name) => document.querySelector(`[data-part="${name}"]`);
  let clearing = 0;

  function say(text) {
    clearTimeout(clearing);
    toast.textContent = text;
    clearing = setTimeout(() => { toast.textContent = ""; }, SHOWN);
  }

  // Pages are made by the server alone, where everything is escaped; here they are only put in place.
  function put(html, only) {
    const page = new DOMParser().parseFromString(html, "text/html");
    const pieces = only ? [[only, page.body]] : [...page.querySelectorAll("[data-part]")].map((each) => [each.dataset.part, each]);
    for (const [name, piece] of pieces) {
      const place = part(name);
      // A wrap-up that somebody has begun stays as it is.
      const begun = name === "call" && place?.querySelector("[data-wrap-up]") && piece.querySelector("[data-wrap-up]");
      if (place && !begun) place.replaceChildren(...piece.childNodes);
    }
    dress();
  }

  function dress() {
    for (const each of document.querySelectorAll("[data-scripted]")) each.hidden = false;
    for (const each of document.querySelectorAll("[data-elapsed]:not([data-from])")) {
      each.dataset.from = String(performance.now() - 1000 * Number(each.dataset.elapsed));
    }
    tick();
  }

  function tick() {
    for (const each of document.querySelectorAll("[data-from]")) {
      const seconds = Math.floor((performance.now() - Number(each.dataset.from)) / 1000);
      each.textContent = `，已 ${Math.floor(seconds / 60)} 分 ${seconds % 60} 秒`;
    }
  }

  async function get(address, options = {}) {
    const response = await fetch(address, options);
    if (response.redirected && new URL(response.url).pathname === "/sign-in") throw new Error("登录已过期，请重新登录");
    if (!response.ok) throw new Error(await reason(response));
    return response;
  }

  async function reason(response) {
    try {
      return (await response.json()).error.message;
    } catch {
      return "服务没有响应，请再试一次";
    }
  }

  function post(address, fields) {
    return get(address, {
      method: "POST",
      headers: { "X-CSRF-Token": csrf, Accept: "application/json" },
      body: fields instanceof FormData ? fields : new URLSearchParams(fields),
    });
  }

  // Old browsers and plain HTTP have no clipboard of their own.
  async function toClipboard(text) {
    if (navigator.clipboard) {
      try {
        await navigator.clipboard.writeText(text);
        return true;
      } catch { /* not allowed: the old way may still be */ }
    }
    const field = document.createElement("textarea");
    const focused = document.activeElement;
    field.value = text;
    field.className = "unseen";
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    focused?.focus();
    return done;
  }

  function desk(form) {
    const input = form.querySelector("input");
    const answer = part("answer");
    const help = document.querySelector("[data-keys]");
    let timer = 0;
    let running = null;
    let opening = null;
    let composing = false;
    let chosen = false; // by an arrow key, so that a digit means a result and is no text
    let searched = input.value.trim();
    let active = -1;

    const options = () => [...document.querySelectorAll("[data-hits] .hit")];
    const shown = () => answer.querySelector("[data-key]")?.dataset.key || "";
    for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false" })) {
      input.setAttribute(name, value);
    }

    function list() {
      const hits = document.querySelector("[data-hits]");
      input.setAttribute("aria-expanded", String(Boolean(hits)));
      input.removeAttribute("aria-activedescendant");
      if (!hits) return input.removeAttribute("aria-controls");
      input.setAttribute("aria-controls", hits.id);
      hits.setAttribute("role", "listbox");
      hits.setAttribute("aria-label", "查询结果");
      for (const hit of options()) {
        hit.setAttribute("role", "option");
        hit.setAttribute("aria-selected", "false");
        const link = hit.querySelector("a");
        if (!link) continue;
        const plain = document.createElement("span");
        plain.className = link.className;
        plain.append(...link.childNodes);
        link.replaceWith(plain);
      }
      return undefined;
    }

    function mark(number) {
      const hits = options();
      hits[active]?.setAttribute("aria-selected", "false");
      active = number;
      const hit = hits[active];
      if (!hit) return;
      hit.setAttribute("aria-selected", "true");
      hit.scrollIntoView({ block: "nearest" });
      input.setAttribute("aria-activedescendant", hit.id);
    }

    async function preview(key) {
      opening?.abort();
      if (key === shown()) return;
      opening = new AbortController();
      const query = new URLSearchParams({ key, q: searched });
      const response = await get(`/operator/passage?${query}`, { signal: opening.signal });
      put(await response.text());
      answer.scrollTop = 0;
    }

    async function search() {
      clearTimeout(timer);
      timer = 0;
      running?.abort();
      running = new AbortController();
      const text = input.value.trim();
      const response = await get(`/operator/results?${new URLSearchParams({ q: text })}`, { signal: running.signal });
      const html = await response.text();
      if (text !== input.value.trim()) return;
      searched = text;
      active = -1;
      chosen = false;
      put(html, "results");
      list();
      if (options().length) {
        mark(0);
        await preview(options()[0].dataset.key);
      }
    }

    const quietly = (work) => work.catch((error) => {
      if (error.name !== "AbortError") say(error.message);
    });

    function later() {
      clearTimeout(timer);
      if (!composing) timer = setTimeout(() => quietly(search()), WAIT);
    }

    async function record(fields) {
      put(await (await post("/operator/lookups", { q: searched, ...fields })).text());
    }

    async function open(number) {
      if (timer || searched !== input.value.trim()) await search();
      const hit = options()[number];
      if (!hit) {
        if (searched) await record({ key: "" });
        return;
      }
      mark(number);
      await show(hit.dataset.key);
    }

    async function show(key) {
      await preview(key);
      answer.focus();
      await record({ key });
    }

    function move(step) {
      const count = options().length;
      if (!count) return;
      chosen = true;
      mark((active + step + count) % count);
      quietly(preview(options()[active].dataset.key));
    }

    async function copy(full) {
      const text = answer.querySelector(full ? "[data-full]" : "[data-spoken]") || answer.querySelector("[data-spoken]");
      if (!text) return;
      const done = await toClipboard(text.innerText.trim());
      say(done ? (full ? "已复制全文" : "已复制口播版") : "复制不了，请选中文字复制");
      if (done) await record({ key: shown(), copied: "yes" });
    }

    function back() {
      input.focus();
      input.select();
    }

    async function toggle(form) {
      const button = form.querySelector("button");
      const body = await (await post(form.action, new FormData(form))).json();
      const on = body.kept ?? body.reported;
      button.setAttribute("aria-pressed", String(on));
      const name = button.firstChild.textContent.trim();
      say(on ? `${name}：已记下，再按一次撤销` : `${name}：已撤销`);
      if ("kept" in body) await record({ key: shown() });
    }

    const press = (letter) => () => answer.querySelector(`[data-mark="${letter}"]`)?.requestSubmit();
    const keys = {
      c: () => quietly(copy(false)),
      v: () => quietly(copy(true)),
      x: press("x"),
      o: press("o"),
      f: press("f"),
      t: () => answer.querySelector("[data-ticket]")?.click(),
      e: () => document.getElementById("code")?.focus(),
      "/": back,
      "?": () => help.showModal(),
      ArrowDown: () => move(1),
      ArrowUp: () => move(-1),
    };

    input.addEventListener("compositionstart", () => { composing = true; });
    input.addEventListener("compositionend", () => { composing = false; later(); });
    input.addEventListener("input", () => { chosen = false; later(); });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      quietly(open(Math.max(active, 0)));
    });
    input.addEventListener("keydown", (event) => {
      // While a word is being composed the keys belong to the input method.
      if (event.isComposing || composing || event.ctrlKey || event.metaKey) return;
      const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code);
      if (digit && (event.altKey || chosen) && options()[digit[1] - 1]) {
        event.preventDefault();
        quietly(open(digit[1] - 1));
      } else if (event.altKey && event.code === "KeyC") {
        event.preventDefault();
        quietly(copy(false));
      } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        keys[event.key]();
      } else if (event.key === "Escape") {
        event.preventDefault();
        input.select();
      }
    });
    // Single letters act only while the answer has the focus (WCAG 2.1.4).
    answer.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
      const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      const hit = /^[1-9]$/.test(name) ? options()[Number(name) - 1] : null;
      if (!hit && !keys[name]) return;
      event.preventDefault();
      if (hit) quietly(open(Number(name) - 1));
      else keys[name]();
    });
    document.addEventListener("keydown", (event) => {
      const elsewhere = event.target !== input && !help.open;
      if (event.key === "Escape" && elsewhere && !event.isComposing) back();
    });
    document.addEventListener("click", (event) => {
      const at = (selector) => event.target.closest(selector);
      const hit = at("[data-hits] .hit");
      const key = at("[data-open]")?.dataset.open;
      if (hit) quietly(open(options().indexOf(hit)));
      else if (key) {
        event.preventDefault();
        quietly(show(key));
      } else if (at("[data-copy-spoken]")) quietly(copy(false));
      else if (at("[data-copy-full]")) quietly(copy(true));
      else if (at("[data-help]")) help.showModal();
    });
    document.addEventListener("submit", (event) => {
      if (!event.target.matches("[data-mark]")) return;
      event.preventDefault();
      quietly(toggle(event.target));
    });
    document.addEventListener("keydown", (event) => {
      const select = event.target.closest?.("[data-wrap-up] select");
      if (select?.value && event.key === "Enter") select.form.requestSubmit();
    });
    list();
    if (options().length) mark(Math.max(0, options().findIndex((hit) => hit.dataset.key === shown())));
    // What a telephone system asked for needs to be neither in the address nor in the history.
    if (location.search) history.replaceState(null, "", location.pathname);
    input.focus();
    input.setSelectionRange(input.value.length, input.value.length);
  }

  // A place that is fetched again and again, in the background: it keeps nobody signed in.
  function live(place) {
    const name = place.dataset.part;
    let before = "";
    const end = () => { if (name === "messages") place.scrollTop = place.scrollHeight; };
    async function look() {
      const headers = { "X-Background": "1", Accept: "text/html" };
      const html = await (await get(place.dataset.live, { headers })).text();
      const changed = html !== before;
      if (changed && before) {
        put(html, name === "messages" ? name : "");
        end();
      }
      before = html;
    }
    end();
    every(look);
    return look;
  }

  // Goes on after a failure, says so once, and ends where nobody is signed in any more.
  function every(work) {
    let failed = false;
    async function step() {
      try {
        if (!document.hidden) await work();
        failed = false;
      } catch (error) {
        if (!failed) say(error.message === "Failed to fetch" ? "网络断了，正在重连" : error.message);
        failed = true;
      }
      setTimeout(step, FRESH);
    }
    step();
  }

  async function watchQueue() {
    const headers = { "X-Background": "1", Accept: "application/json" };
    const body = await (await get("/operator/queue", { headers })).json();
    const count = body.waiting + body.unread;
    const badge = document.querySelector("[data-waiting]");
    badge.hidden = !count;
    badge.querySelector("[data-waiting-count]").textContent = String(count);
    document.title = `${count ? `（${count}）` : ""}${document.title.replace(/^（\d+）/, "")}`;
  }

  function reply(form, look) {
    const field = form.querySelector("textarea");
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const button = form.querySelector("button");
      button.disabled = true;
      try {
        await post(form.action, new FormData(form));
        field.value = "";
        await look();
      } catch (error) {
        say(error.message); // the words stay in the field
      }
      button.disabled = false;
      field.focus();
    });
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) form.requestSubmit();
    });
    document.addEventListener("click", (event) => {
      const button = event.target.closest("[data-fill]");
      if (!button) return;
      const text = button.parentElement.querySelector("[data-proposal]").textContent;
      field.value = field.value ? `${field.value}\n${text}` : text;
      field.focus();
    });
  }

  dress();
  setInterval(tick, 1000);
  document.querySelectorAll("[data-find]").forEach(desk);
  const looks = [...document.querySelectorAll("[data-live]")].map(live);
  document.querySelectorAll("[data-reply]").forEach((form) => reply(form, looks[0]));
  every(watchQueue);
})();
