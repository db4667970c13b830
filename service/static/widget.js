// The chat window that a website embeds: one custom element, <policy-chat>. It leaves no name, no
// cookie and no style behind on its page, loads nothing from elsewhere, and puts what the server
// says into the page as text only, never as markup.
//
//   <script src="…/widget.js" data-site="KEY" defer></script>
//
// Attributes (of the element, or of the script with "data-" before them): site, server, region,
// position (right or left), theme (light, dark or auto), heading, greeting, examples (separated
// by "|"), embedded (fills its place in the page instead of floating above it).
(() => {
  "use strict";

  const TAG = "policy-chat";
  if (customElements.get(TAG)) return;

  const ATTRIBUTES = ["site", "server", "region", "position", "theme", "heading", "greeting", "examples"];
  const script = document.currentScript;
  // Where the script came from is where the questions go, also below a path of a shared host.
  const home = new URL(".", script ? script.src : document.baseURI).href;

  const QUIET = 150; // milliseconds without typing before suggestions are fetched
  const PATIENCE = 20000; // milliseconds before a request is given up
  const SOON = 250; // milliseconds before "searching" is shown: most answers are quicker
  const POLL = 3000; // milliseconds between looks for an operator's words
  const POLL_AWAY = 10000; // the same while the window is closed
  const POLL_MOST = 60000; // the longest pause after failures
  const LONGEST = 500; // characters of a question
  const KEPT = 60; // turns that are kept for this tab
  const FULL_SCREEN = "(max-width: 40em), (max-height: 27em)";

  const TITLES = {
    answered: "回答",
    answered_clause: "政策原文",
    clarify: "您是不是想问",
    unanswerable: "没有确切答案",
    handed_off: "转人工",
    blocked: "暂时不能自动回答",
    error: "暂时无法回答",
  };
  const SPEAKERS = { person: "您问：", answer: "回答：", operator: "人工客服：", system: "提示：" };
  const GENERATED = "内容由AI生成，仅供参考，以政策原文为准";
  const SURENESS = [[0.9, "很高"], [0.75, "较高"], [0.6, "一般"], [0, "不高，请核对原文"]];
  const ICONS = {
    chat: "M4 4h16a2 2 0 0 1 2 2v9a2 2 0 0 1-2 2h-7l-5 4v-4H4a2 2 0 0 1-2-2V6a2 2 0 0 1 2-2zM7 9h10M7 12.5h6",
    close: "M5 5l14 14M19 5L5 19",
    down: "M5 9l7 7 7-7",
  };

  const CSS = `
:host { display: block; }
/* The page's own rules reach the element itself, but nothing below it: all is set from here on. */
.root {
  all: initial;
  --primary: var(--policy-chat-primary, #123f75);
  --on-primary: var(--policy-chat-on-primary, #ffffff);
  --accent: var(--policy-chat-accent, #a8201a);
  --link: var(--policy-chat-link, #14509a);
  --surface: var(--policy-chat-surface, #ffffff);
  --ground: var(--policy-chat-ground, #f4f6f9);
  --wash: var(--policy-chat-wash, #e9f0f8);
  --ink: var(--policy-chat-ink, #1b2430);
  --quiet: var(--policy-chat-quiet, #4d5968);
  --line: #d3dae3; --edge: #76828f;
  --good: #1c5b37; --good-wash: #eaf5ee;
  --care: #754300; --care-wash: #fff5e0;
  --bad: #a8201a; --bad-wash: #fdeeec;
  --ring: var(--accent);
  --radius: var(--policy-chat-radius, 12px);
  --x: var(--policy-chat-offset-x, 20px);
  --y: var(--policy-chat-offset-y, 20px);
  display: block;
  /* Not the root's size, which many pages set to something odd for their own arithmetic. */
  font-size: medium;
  font-family: var(--policy-chat-font, "PingFang SC", "HarmonyOS Sans SC", "Hiragino Sans GB",
    "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", sans-serif);
  line-height: 1.75;
  color: var(--ink);
  color-scheme: light;
  -webkit-text-size-adjust: 100%;
  text-size-adjust: 100%;
}
:host([hidden]), [hidden] { display: none !important; }
:host([theme="dark"]) .root { DARK }
@media (prefers-color-scheme: dark) { :host([theme="auto"]) .root { DARK } }
*, *::before, *::after { box-sizing: border-box; }
h2, h3, p, ul, ol, dl, dd, blockquote { margin: 0; padding: 0; font: inherit; list-style: none; }
a { color: var(--link); text-underline-offset: 0.2em; text-decoration-thickness: 1px; }
a:hover { text-decoration-thickness: 2px; }
button, input, textarea { margin: 0; font: inherit; letter-spacing: inherit; color: inherit; }
button { cursor: pointer; touch-action: manipulation; }
svg { flex: none; width: 1.4em; height: 1.4em; fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linecap: round; stroke-linejoin: round; }
:focus-visible { outline: 3px solid var(--ring); outline-offset: 2px; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

.launcher {
  position: fixed;
  z-index: var(--policy-chat-z-index, 2147483000);
  bottom: calc(var(--y) + env(safe-area-inset-bottom, 0px));
  right: calc(var(--x) + env(safe-area-inset-right, 0px));
  display: inline-flex;
  align-items: center;
  gap: 0.5em;
  height: 3.5em;
  padding: 0 1.375em 0 1.125em;
  border: 1px solid transparent;
  border-radius: 1.75em;
  background: var(--primary);
  color: var(--on-primary);
  font-weight: 600;
  letter-spacing: 0.06em;
  box-shadow: 0 6px 20px rgb(11 37 69 / 28%);
}
:host([position="left"]) .launcher { right: auto; left: calc(var(--x) + env(safe-area-inset-left, 0px)); }
.launcher:hover { filter: brightness(1.14); }
.launcher span { font-size: 1.0625em; }
.launcher:focus-visible { outline-offset: 3px; box-shadow: 0 0 0 3px var(--surface); }
.launcher[data-unread]::after {
  content: attr(data-unread);
  position: absolute;
  top: -0.4em;
  right: -0.2em;
  min-width: 1.75em;
  padding: 0 0.4em;
  border: 2px solid var(--surface);
  border-radius: 1em;
  background: #a8201a;
  color: #fff;
  font-size: 0.8125em;
  line-height: 1.5;
  text-align: center;
}

.panel {
  position: fixed;
  z-index: var(--policy-chat-z-index, 2147483000);
  bottom: calc(var(--y) + 4.05em + env(safe-area-inset-bottom, 0px));
  right: calc(var(--x) + env(safe-area-inset-right, 0px));
  display: flex;
  flex-direction: column;
  width: min(var(--policy-chat-width, 26em), calc(100vw - 2 * var(--x)));
  height: min(var(--policy-chat-height, 44em), calc(100vh - 2 * var(--y) - 4.05em));
  overflow: hidden;
  border: 1px solid var(--line);
  border-radius: var(--radius);
  background: var(--ground);
  color: var(--ink);
  font-size: 1.0625em;
  overflow-wrap: anywhere;
  box-shadow: 0 18px 48px rgb(11 37 69 / 26%);
}
:host([position="left"]) .panel { right: auto; left: calc(var(--x) + env(safe-area-inset-left, 0px)); }
/* 24 pixels are the 18 points that the guideline for elder-friendly pages asks for. */
.large .panel { font-size: 1.5em; bottom: calc(var(--y) + 2.9em + env(safe-area-inset-bottom, 0px)); height: min(var(--policy-chat-height, 44em), calc(100vh - 2 * var(--y) - 2.9em)); }

.head { flex: none; display: flex; flex-wrap: wrap; justify-content: flex-end; align-items: center; gap: 0.25em; padding: 0.375em 0.375em 0.375em 0.875em; border-bottom: 3px solid var(--accent); background: var(--primary); color: var(--on-primary); }
.seal { flex: none; display: grid; place-items: center; width: 1.75em; height: 1.75em; margin-right: 0.375em; border-radius: 0.25em; background: #fff; color: #a8201a; font-weight: 700; line-height: 1; }
.name { flex: 1; min-width: min-content; line-height: 1.3; }
.name h2 { font-size: 1.125em; font-weight: 600; letter-spacing: 0.06em; word-break: keep-all; overflow-wrap: normal; }
.name p { font-size: 0.8125em; opacity: 0.9; }
.head button { display: inline-flex; align-items: center; justify-content: center; min-width: 44px; min-height: 44px; padding: 0 0.5em; border: 1px solid transparent; border-radius: 0.5em; background: none; color: inherit; }
.head button span { font-size: 0.9375em; }
.head button:hover { background: rgb(255 255 255 / 16%); }
.head button[aria-pressed="true"] { border-color: currentColor; background: rgb(255 255 255 / 20%); }
.head :focus-visible { outline-color: var(--on-primary); outline-offset: -3px; }

.log { position: relative; flex: 1; min-height: 0; overflow-y: auto; overscroll-behavior: contain; padding: 1em; scrollbar-width: thin; }
.log:focus-visible { outline-offset: -3px; }
.turn + .turn { margin-top: 1em; }
.turn--person { display: flex; justify-content: flex-end; }
.said { width: fit-content; max-width: 88%; padding: 0.5em 0.875em; border: 1px solid transparent; border-radius: 0.875em; white-space: pre-line; }
.turn--person .said { border-bottom-right-radius: 0.1875em; background: var(--primary); color: var(--on-primary); }
.turn--operator .said { border-color: var(--good); border-bottom-left-radius: 0.1875em; background: var(--good-wash); }
.who { color: var(--quiet); font-size: 0.875em; }
.turn--system { color: var(--quiet); text-align: center; font-size: 0.9375em; }
.turn--system .said { max-width: none; width: auto; padding: 0; }

.card { padding: 0.875em 1em 0; border: 1px solid var(--line); border-top: 3px solid var(--primary); border-radius: 0.375em 0.375em 0.875em 0.875em; background: var(--surface); }
.card::after { content: ""; display: block; height: 0.875em; }
.card > * + * { margin-top: 0.75em; }
.card--unanswerable, .card--clarify { border-top-color: var(--edge); }
.card--handed_off, .card--blocked, .card--error { border-top-color: var(--accent); }
.card__head { display: flex; flex-wrap: wrap; align-items: center; gap: 0.25em 0.5em; }
.card__head h3 { font-weight: 600; }
.sure, .fine { color: var(--quiet); font-size: 0.875em; }
.badge { display: inline-block; padding: 0 0.5em; border: 1px solid var(--edge); border-radius: 0.25em; font-size: 0.8125em; line-height: 1.6; white-space: nowrap; }
.badge--reviewed { border-color: var(--primary); background: var(--primary); color: var(--on-primary); }
.badge--in_force { border-color: var(--good); background: var(--good-wash); color: var(--good); }
.badge--not_yet, .badge--amended { border-color: var(--care); background: var(--care-wash); color: var(--care); }
.badge--repealed, .badge--expired { border-color: var(--bad); background: var(--bad-wash); color: var(--bad); }
.badge--sample { border-style: dashed; }
.made { padding: 0.25em 0.75em; border: 1px solid var(--care); border-radius: 0.375em; background: var(--care-wash); color: var(--care); font-size: 0.9375em; }
.line + .line { margin-top: 0.375em; }
.line:empty { height: 0.375em; }
.line--numbered { padding-left: 1.25em; text-indent: -1.25em; }
.notice { padding: 0.5em 0.75em; border-left: 4px solid var(--care); background: var(--care-wash); }
.quote { padding: 0.625em 0.875em; border-left: 4px solid var(--primary); background: var(--wash); }
.quote__from { margin-top: 0.375em; color: var(--quiet); font-size: 0.9375em; }
.facts { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 0.25em 0.875em; padding-top: 0.625em; border-top: 1px solid var(--line); font-size: 0.9375em; }
.facts dt { color: var(--quiet); }
.sources { padding-top: 0.625em; border-top: 1px solid var(--line); }
.sources h3 { color: var(--quiet); font-size: 0.9375em; }
.source { padding-block: 0.25em; }
.source a { display: inline-block; padding-block: 0.25em; }
.source__facts { display: flex; flex-wrap: wrap; align-items: center; gap: 0.25em 0.5em; color: var(--quiet); font-size: 0.875em; }
.phone { display: inline-flex; align-items: center; min-height: 44px; margin-block: -0.5em; font-weight: 600; }
.row { display: flex; flex-wrap: wrap; align-items: center; gap: 0.5em; }
.rate { padding-top: 0.75em; border-top: 1px solid var(--line); }
.rate > * + * { margin-top: 0.5em; }
.rate label { display: block; font-size: 0.9375em; }
.rate textarea { display: block; width: 100%; margin-top: 0.25em; padding: 0.5em 0.75em; border: 1px solid var(--edge); border-radius: 0.5em; background: var(--surface); resize: vertical; }
.good { color: var(--good); font-weight: 600; }
.more { margin-top: 0.75em; }
.more h3 { color: var(--quiet); font-size: 0.9375em; }

.button { display: inline-flex; align-items: center; justify-content: center; min-height: 44px; padding: 0.25em 1em; border: 1px solid var(--edge); border-radius: 0.5em; background: var(--surface); color: var(--ink); text-align: center; text-decoration: none; }
.button:hover { border-color: var(--link); background: var(--wash); }
.button--main { border-color: var(--primary); background: var(--primary); color: var(--on-primary); font-weight: 600; }
.button--main:hover { border-color: var(--primary); background: var(--primary); filter: brightness(1.14); }
.button[aria-pressed="true"] { border-color: var(--link); background: var(--wash); color: var(--link); font-weight: 600; box-shadow: inset 0 0 0 1px var(--link); }
.choices { display: grid; gap: 0.5em; margin-top: 0.5em; }
.choices button { display: flex; align-items: center; justify-content: space-between; gap: 0.75em; width: 100%; min-height: 44px; padding: 0.4375em 0.875em; border: 1px solid var(--line); border-radius: 0.5em; background: var(--surface); color: var(--link); line-height: 1.5; text-align: left; }
.choices button::after { content: ""; flex: none; width: 0.5em; height: 0.5em; border: solid var(--edge); border-width: 2px 2px 0 0; transform: rotate(45deg); }
.choices button:hover { border-color: var(--link); background: var(--wash); }

.state, .wait { flex: none; padding: 0.375em 1em; border-top: 1px solid var(--line); background: var(--wash); color: var(--link); font-size: 0.9375em; }
.wait { border: 0; background: none; color: var(--quiet); }
.trouble { flex: none; max-height: 50%; overflow-y: auto; padding: 0.625em 1em; border-top: 3px solid var(--bad); background: var(--bad-wash); }
/* Empty they stay in place: a region that is only now inserted is not announced everywhere. */
.state:empty, .wait:empty, .trouble:empty { padding: 0; border: 0; }
.trouble > * + * { margin-top: 0.5em; }

.foot { position: relative; flex: none; padding: 0.5em 0.875em calc(0.5em + env(safe-area-inset-bottom, 0px)); border-top: 1px solid var(--line); background: var(--surface); }
.foot form { position: relative; display: flex; gap: 0.5em; margin-top: 0.5em; }
.foot .field { flex: 1; min-width: 0; }
.foot input { display: block; width: 100%; height: 100%; min-height: max(46px, 2.625em); padding: 0.25em 0.75em; border: 2px solid var(--link); border-radius: 0.5em; background: var(--surface); }
.foot input::placeholder { color: var(--quiet); opacity: 1; }
.foot input:focus-visible { outline-offset: 0; }
.foot .row .button { padding-block: 0; padding-inline: 0.8em; border-radius: 1.5em; font-size: 0.9375em; }
.large .foot .row { gap: 0.25em; }
.large .foot .row .button { padding-inline: 0.5em; }
.button--plain { margin-left: auto; border-color: transparent; background: none; color: var(--link); }
.foot .fine { margin-top: 0.25em; font-size: 0.8125em; line-height: 1.5; }
.list { position: absolute; z-index: 1; left: 0; right: 0; bottom: calc(100% + 4px); max-height: 15em; overflow-y: auto; border: 1px solid var(--edge); border-radius: 0.5em; background: var(--surface); box-shadow: 0 -6px 20px rgb(11 37 69 / 20%); }
.list li { display: flex; align-items: center; min-height: 44px; padding: 0.375em 0.875em; line-height: 1.5; cursor: pointer; }
.list li + li { border-top: 1px solid var(--line); }
.list li:hover { background: var(--wash); }
.list [aria-selected="true"], .list [aria-selected="true"]:hover { background: var(--primary); color: var(--on-primary); }

@media ${FULL_SCREEN} {
  .panel, .large .panel, :host([position="left"]) .panel { inset: 0; width: auto; height: auto; border: 0; border-radius: 0; box-shadow: none; }
  .panel--keyboard .foot .row, .panel--keyboard .foot .fine { display: none; }
  .panel--keyboard .foot form { margin-top: 0; }
  .panel--keyboard .foot { padding-bottom: 0.5em; }
  .head { padding-top: calc(0.375em + env(safe-area-inset-top, 0px)); padding-inline: calc(0.875em + env(safe-area-inset-left, 0px)) calc(0.375em + env(safe-area-inset-right, 0px)); }
  .open .launcher { display: none; }
}
:host([embedded]) { height: 100%; }
:host([embedded]) .panel { position: relative; inset: auto; width: 100%; height: 100%; border: 0; border-radius: 0; box-shadow: none; }
:host([embedded]) .root { height: 100%; }
:host([embedded]) .turn, :host([embedded]) .foot > * { max-width: 46em; margin-inline: auto; }
@media (prefers-reduced-motion: no-preference) {
  .open .panel { animation: rise 0.18s ease-out; }
  .wait span { animation: pulse 1.2s ease-in-out infinite; }
  @keyframes rise { from { opacity: 0; transform: translateY(8px); } }
  @keyframes pulse { 50% { opacity: 0.45; } }
}
@media (forced-colors: active) {
  .panel, .launcher, .said, .card { border-color: CanvasText; }
  .button[aria-pressed="true"], .head button[aria-pressed="true"], .list [aria-selected="true"] { outline: 2px solid Highlight; outline-offset: -4px; }
  .choices button::after { border-color: CanvasText; }
}
@media print {
  :host(:not([embedded])) { display: none; }
  :host([embedded]), :host([embedded]) .root, :host([embedded]) .panel { height: auto; }
  .panel { display: block; overflow: visible; background: none; color: #000; }
  .log { overflow: visible; padding: 1em 0; }
  .head button, .foot, .rate, .row, .more, .state, .wait, .trouble { display: none; }
  .card { break-inside: avoid; }
}`.replace(/DARK/g, `
  --primary: var(--policy-chat-primary, #1d5799);
  --accent: var(--policy-chat-accent, #d65a52);
  --link: var(--policy-chat-link, #9cc4f5);
  --surface: var(--policy-chat-surface, #17212d);
  --ground: var(--policy-chat-ground, #0f1720);
  --wash: var(--policy-chat-wash, #1f3148);
  --ink: var(--policy-chat-ink, #e8edf3);
  --quiet: var(--policy-chat-quiet, #b0bbc8);
  --line: #33414f; --edge: #8b98a8; --ring: #ffb4ad;
  --good: #93d9ae; --good-wash: #17301f;
  --care: #f0c97f; --care-wash: #372a10;
  --bad: #ffaaa3; --bad-wash: #3b1a18;
  color-scheme: dark;`);

  let shared = null;

  function dress(root) {
    try {
      if (!shared) (shared = new CSSStyleSheet()).replaceSync(CSS);
      root.adoptedStyleSheets = [shared];
    } catch {
      // Browsers of before 2023 on Apple devices; a strict policy of the page may then refuse it.
      root.append(make("style", {}, CSS));
    }
  }

  // An element with attributes (a function listens) and children; strings become text.
  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") element.addEventListener(name, value);
      else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }

  function icon(name) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    path.setAttribute("d", ICONS[name]);
    svg.append(path);
    return svg;
  }

  const button = (words, press, kind = "") => make("button", { type: "button", class: `button ${kind}`, click: press }, words);

  // ---- What the server is asked -------------------------------------------------------------

  // A request that brought no answer; `message` is fit for the person who waits for it.
  class Trouble extends Error {
    constructor(message, status = 0) {
      super(message);
      this.status = status;
    }
  }

  class Service {
    constructor(base, site, region) {
      Object.assign(this, { base, site, region });
    }

    ask(question, conversation) {
      const body = { question, channel: "widget", conversation_id: conversation };
      return this.send("ask", { body: this.region ? { ...body, region: this.region } : body });
    }

    rate(answer, helpful, comment) {
      return this.send("feedback", { body: { answer_id: answer, helpful, comment } });
    }

    greeting() {
      return this.send("greeting", {});
    }

    async suggest(text, signal) {
      return (await this.send("suggest", { query: { q: text }, signal })).suggestions.map((each) => each.text);
    }

    messages(conversation, after) {
      return this.send(`conversations/${encodeURIComponent(conversation)}/messages`, { query: { after } });
    }

    // The address of one of the service's own pages; empty for anything else.
    page(path) {
      if (typeof path !== "string" || !path.startsWith("/")) return "";
      try {
        const found = new URL(path.replace(/^\/+/, ""), this.base);
        return found.origin === new URL(this.base).origin ? found.href : "";
      } catch {
        return "";
      }
    }

    // A question names its site in a header. What is only read names it in the address: a header
    // would make the browser ask for leave before every single request.
    async send(path, { body, query = {}, signal }) {
      const address = new URL(`api/v1/${path}`, this.base);
      const options = { credentials: "omit", cache: "no-store", referrerPolicy: "no-referrer" };
      const stop = new AbortController();
      const timer = setTimeout(() => stop.abort(), PATIENCE);
      signal?.addEventListener("abort", () => stop.abort());
      if (body) {
        options.method = "POST";
        options.headers = { "Content-Type": "application/json" };
        if (this.site) options.headers["X-Site"] = this.site;
        options.body = JSON.stringify(body);
      } else {
        for (const [name, value] of Object.entries(query)) address.searchParams.set(name, value);
        if (this.site) address.searchParams.set("site", this.site);
      }
      try {
        const response = await fetch(address.href, { ...options, signal: stop.signal });
        const found = await response.json().catch(() => null);
        if (response.ok && found && found.ok) return found;
        throw refusal(response, found);
      } catch (error) {
        if (error instanceof Trouble) throw error;
        if (stop.signal.aborted) throw new Trouble("等的时间有点长，服务还没有回应。");
        throw new Trouble(navigator.onLine === false ? "网络断开了。" : "暂时连不上服务。");
      } finally {
        clearTimeout(timer);
      }
    }
  }

  function refusal(response, found) {
    const said = found?.error?.message || "服务出了点问题，请稍后再试，或拨打12345。";
    const seconds = Number(response.headers.get("Retry-After"));
    const wait = response.status === 429 && seconds > 0 ? `（约${Math.ceil(seconds)}秒后可以再问）` : "";
    return new Trouble(said + wait, response.status);
  }

  // ---- What this tab remembers --------------------------------------------------------------

  // A value in the tab's own storage; where a browser forbids that, it lasts as long as the page.
  class Remembered {
    constructor(key, initial) {
      this.key = `${TAG}:${key}`;
      this.value = initial;
      try {
        const held = JSON.parse(sessionStorage.getItem(this.key));
        if (held && typeof held === typeof initial) this.value = initial === Object(initial) ? { ...initial, ...held } : held;
      } catch {
        // Nothing readable is held.
      }
    }

    keep(changes) {
      this.value = changes === Object(changes) ? { ...this.value, ...changes } : changes;
      try {
        sessionStorage.setItem(this.key, JSON.stringify(this.value));
      } catch {
        // Full or forbidden: the conversation goes on without it.
      }
    }
  }

  // As much of an answer as is shown.
  function essence(body) {
    const { answer_id, outcome, text, notice, ai_generated, confidence, entry, options, suggestions, contact } = body;
    const citations = (body.citations || []).map((cited, at) => (at ? { ...cited, text: "" } : cited));
    return { answer_id, outcome, text, notice, ai_generated, confidence, entry: entry && { ...entry, answer: "" }, options, suggestions, contact, citations };
  }

  // ---- How an answer looks ------------------------------------------------------------------

  const NUMBER = /^\s*(?:\d{1,2}[.．、](?!\d)|[（(][一二三四五六七八九十\d]{1,3}[）)]|[一二三四五六七八九十]+、|[①-⑳])/;

  function lines(text) {
    return text.split(/\r?\n/).map((line) => make("div", { class: NUMBER.test(line) ? "line line--numbered" : "line" }, line));
  }

  function day(iso) {
    const [year, month, date] = iso.split("-").map(Number);
    return `${year}年${month}月${date}日`;
  }

  // The day in China on which something happened.
  function localDay(moment) {
    const utc = new Date(/[zZ]|[+-]\d\d:\d\d$/.test(moment) ? moment : `${moment}Z`);
    return Number.isNaN(utc.getTime()) ? "" : day(new Date(utc.getTime() + 8 * 3600e3).toISOString().slice(0, 10));
  }

  function sureness(confidence) {
    return SURENESS.find(([least]) => confidence >= least)[1];
  }

  function phone(number) {
    const found = /\+?\d[\d\- ()（）]{1,18}\d|\d{3,}/.exec(number);
    return found ? make("a", { class: "phone", href: `tel:${found[0].replace(/[^\d+]/g, "")}` }, number) : number;
  }

  function outward(href, words, kind) {
    return make("a", { href, class: kind, target: "_blank", rel: "noopener" }, words, make("span", { class: "unseen" }, "（在新窗口打开）"));
  }

  const badge = (words, kind) => make("span", { class: `badge badge--${kind}` }, words);

  const placeOf = ({ title, locator }) => `《${title}》${(locator || "").replace(/[、.]+$/, "")}`;

  function source(cited, service) {
    const name = placeOf(cited);
    const address = service.page(cited.url);
    const facts = make("p", { class: "source__facts" });
    facts.append(badge(cited.validity_text || "", cited.validity));
    if (cited.expires_on && cited.validity === "in_force") facts.append(`有效期至${day(cited.expires_on)}`);
    for (const fact of [cited.document_number, cited.issuer]) if (fact) facts.append(make("span", {}, fact));
    const item = make("li", { class: "source" }, make("p", {}, address ? outward(address, name) : name), facts);
    const next = cited.successor && service.page(`/documents/${Number(cited.successor.document_id)}`);
    if (next) item.append(make("p", { class: "fine" }, "现在适用 ", outward(next, `《${cited.successor.title}》`)));
    return item;
  }

  function facts(entry) {
    const rows = [
      ["责任单位", entry.department],
      ["咨询电话", phone(entry.phone || "12345")],
      ["适用地区", entry.region_name],
      ["更新日期", entry.updated_at && localDay(entry.updated_at)],
      ["有效期至", entry.expires_on && day(entry.expires_on)],
    ];
    const list = make("dl", { class: "facts" });
    for (const [name, value] of rows) if (value) list.append(make("dt", {}, name), make("dd", {}, value));
    return list;
  }

  function words(body) {
    const [first] = body.citations;
    const made = body.ai_generated ? [make("p", { class: "made" }, GENERATED)] : [];
    if (body.outcome !== "answered_clause" || !first) return [make("div", { class: "text" }, ...lines(body.text)), ...made];
    // The text repeats the clause, which is set apart here.
    const lead = body.text.split("\n\n")[0];
    const ended = body.citations.some((cited) => !["in_force", "unknown"].includes(cited.validity));
    const from = `——${placeOf(first)}${first.document_number ? `（${first.document_number}）` : ""}`;
    return [
      made.length ? make("div", { class: "text" }, ...lines(lead)) : make("p", { class: ended ? "notice" : "" }, lead),
      ...made,
      make("blockquote", { class: "quote" }, ...lines(first.text), make("p", { class: "quote__from" }, from)),
    ];
  }

  function heading(body) {
    const { entry, outcome } = body;
    const head = make("div", { class: "card__head" }, make("h3", {}, (!body.ai_generated && TITLES[outcome]) || TITLES.answered));
    if (body.ai_generated) head.append(badge("AI生成", "amended"));
    else if (entry) head.append(badge("人工审核", "reviewed"));
    else if (outcome === "answered_clause") head.append(badge("原文摘录", "reviewed"));
    if (entry && String(entry.code || "").startsWith("SAMPLE-")) head.append(badge("示例条目", "sample"));
    if (entry || outcome === "answered_clause") head.append(make("span", { class: "sure" }, `把握${sureness(body.confidence)}`));
    return head;
  }

  // Everything of an answer but what a person can do with it.
  function card(body, service) {
    const { outcome, entry, contact } = body;
    const shown = make("div", { class: `card card--${outcome}` });
    const remark = outcome === "answered" && !entry && !body.citations.length && !body.ai_generated;
    if (!remark) shown.append(heading(body));
    if (body.notice) shown.append(make("p", { class: "fine" }, body.notice));
    shown.append(...words(body));
    if (entry) shown.append(facts(entry));
    if (body.citations.length) {
      const list = make("ol", {}, ...body.citations.map((cited) => source(cited, service)));
      shown.append(make("div", { class: "sources" }, make("h3", {}, "政策依据"), list));
    }
    if (!entry && !remark && contact && outcome !== "clarify") {
      shown.append(make("p", { class: "contact" }, "您可以联系：", make("strong", {}, contact.department), " ", phone(contact.phone)));
    }
    return shown;
  }

  function plainText(body, service) {
    const basis = body.citations.map(placeOf).join("；");
    const address = service.page(body.entry ? body.entry.url : body.citations[0]?.url);
    return [body.text, body.ai_generated && GENERATED, basis && `依据：${basis}`, address].filter(Boolean).join("\n\n");
  }

  async function copy(text, root) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Pages without TLS, and frames, have no clipboard; the old way still works there.
      const held = make("textarea", { class: "unseen", readonly: true });
      const focused = root.activeElement;
      held.value = text;
      root.append(held);
      held.select();
      const done = document.execCommand("copy");
      held.remove();
      focused?.focus();
      return done;
    }
  }

  // ---- Suggestions: an editable combobox with a list (ARIA Authoring Practices) -------------

  class Suggestions {
    constructor(input, list, said, { fetch: fetchFor, choose }) {
      Object.assign(this, { input, list, said, fetchFor, choose, active: -1, timer: 0, running: null, composing: false, paused: false });
      input.addEventListener("compositionstart", () => { this.composing = true; });
      input.addEventListener("compositionend", () => { this.composing = false; this.later(); });
      input.addEventListener("input", (event) => { if (!event.isComposing) this.later(); });
      input.addEventListener("blur", () => this.close());
      // Keeps the focus in the field, so that a tap is not taken for leaving it.
      list.addEventListener("mousedown", (event) => event.preventDefault());
      list.addEventListener("click", (event) => this.take(event.target.closest("li")));
    }

    get open() { return !this.list.hidden; }

    later() {
      clearTimeout(this.timer);
      const text = this.input.value.trim();
      if (this.composing) return;
      if (!text || this.paused) this.close();
      else this.timer = setTimeout(() => this.find(text), QUIET);
    }

    async find(text) {
      this.running?.abort();
      const running = (this.running = new AbortController());
      try {
        const found = await this.fetchFor(text, running.signal);
        if (running.signal.aborted || this.composing || this.input.value.trim() !== text) return;
        this.show(found);
      } catch {
        // Without suggestions the field is still a field.
      }
    }

    show(texts) {
      this.mark(-1);
      this.list.replaceChildren(
        ...texts.map((text, at) => make("li", { id: `suggestion-${at}`, role: "option", "aria-selected": "false" }, text)),
      );
      this.list.hidden = texts.length === 0;
      this.input.setAttribute("aria-expanded", String(this.open));
      this.said.textContent = this.open ? `有${texts.length}条提示，按上下键选择` : "";
    }

    close() {
      clearTimeout(this.timer);
      this.running?.abort();
      this.show([]);
    }

    mark(at) {
      const options = this.list.children;
      options[this.active]?.setAttribute("aria-selected", "false");
      this.active = at;
      const option = options[at];
      if (!option) return this.input.removeAttribute("aria-activedescendant");
      option.setAttribute("aria-selected", "true");
      this.input.setAttribute("aria-activedescendant", option.id);
      // scrollIntoView would move the page around the window as well.
      const { offsetTop, offsetHeight } = option;
      this.list.scrollTop = Math.min(offsetTop, Math.max(this.list.scrollTop, offsetTop + offsetHeight - this.list.clientHeight));
      return undefined;
    }

    take(option) {
      if (!option) return;
      const text = option.textContent;
      this.close();
      this.choose(text);
    }

    // Whether a key was meant for the list.
    press(key) {
      const count = this.list.children.length;
      if (!this.open) return false;
      if (key === "ArrowDown") this.mark((this.active + 1) % count);
      else if (key === "ArrowUp") this.mark(this.active <= 0 ? count - 1 : this.active - 1);
      else if (key === "Escape") this.close();
      else if (key === "Enter" && this.active >= 0) this.take(this.list.children[this.active]);
      else return false;
      return true;
    }
  }

  // ---- The element --------------------------------------------------------------------------

  const EMPTY = { conversation: null, turns: [], pending: "", handoff: "none", after: 0, open: false };

  class PolicyChat extends HTMLElement {
    connectedCallback() {
      if (!this.root) this.build();
      this.stop = new AbortController();
      const options = { signal: this.stop.signal };
      const fit = () => this.fit();
      this.narrow = matchMedia(FULL_SCREEN);
      this.narrow.addEventListener("change", fit, options);
      window.visualViewport?.addEventListener("resize", fit, options);
      window.visualViewport?.addEventListener("scroll", fit, options);
      window.addEventListener("online", () => this.online(), options);
      document.addEventListener("visibilitychange", () => this.follow(), options);
      this.fit();
      this.follow();
    }

    disconnectedCallback() {
      this.stop.abort();
      clearTimeout(this.polling);
    }

    get embedded() { return this.hasAttribute("embedded"); }
    get shown() { return this.embedded || !this.panel.hidden; }
    get name() { return this.getAttribute("heading") || "政策问答"; }

    // Shows the window and puts the cursor into its field.
    open({ focus = true } = {}) {
      this.panel.hidden = false;
      this.root.classList.add("open");
      this.launcher.setAttribute("aria-expanded", "true");
      this.launcher.setAttribute("aria-label", `收起${this.name}`);
      this.launcher.replaceChildren(icon("down"), make("span", {}, "收起"));
      this.launcher.removeAttribute("data-unread");
      this.unread = 0;
      this.memory.keep({ open: true });
      this.fit();
      this.greet();
      this.follow();
      this.showLast();
      if (focus) this.input.focus({ preventScroll: true });
    }

    // Hides the window and gives the focus back to where it was opened.
    close() {
      this.suggestions.close();
      this.panel.hidden = true;
      this.root.classList.remove("open");
      this.rest();
      this.memory.keep({ open: false });
      this.launcher.focus({ preventScroll: true });
    }

    // ---- Building

    build() {
      const base = this.getAttribute("server") || home;
      const site = this.getAttribute("site") || "";
      const server = new URL(base.endsWith("/") ? base : `${base}/`, document.baseURI).href;
      this.service = new Service(server, site, this.getAttribute("region") || "");
      this.memory = new Remembered(`${server}:${site}`, EMPTY);
      this.large = new Remembered("large", false);
      this.unread = 0;
      this.busy = false;
      this.failures = 0;
      const shadow = this.attachShadow({ mode: "open" });
      dress(shadow);
      this.said = make("p", { class: "unseen", role: "status" });
      this.launcher = make("button", { type: "button", class: "launcher", "aria-controls": "panel", click: () => (this.shown ? this.close() : this.open()) });
      this.panel = make(
        "section",
        { id: "panel", class: "panel", role: this.embedded ? "region" : "dialog", "aria-labelledby": "name", keydown: (event) => this.key(event) },
        this.head(),
        this.transcript(),
        this.foot(),
      );
      // The page's own shortcuts must not hear what is typed here.
      for (const name of ["keydown", "keyup", "keypress"]) this.panel.addEventListener(name, (event) => event.stopPropagation());
      this.root = make("div", { class: "root", lang: "zh-CN" }, this.said);
      if (this.embedded) this.root.append(this.panel);
      else this.root.append(this.launcher, this.panel);
      this.rest();
      this.resize();
      this.restore();
      shadow.append(this.root);
      if (this.embedded) this.greet();
      else {
        this.panel.hidden = true;
        // A window over the whole screen would hide the page that was just opened.
        if (this.memory.value.open && !matchMedia(FULL_SCREEN).matches) this.open({ focus: false });
      }
    }

    head() {
      const press = (words, listen, attributes = {}) => make("button", { type: "button", click: listen, ...attributes }, make("span", {}, words));
      this.larger = press("大字", () => { this.large.keep(!this.large.value); this.resize(); this.showLast(); }, { "aria-label": "大字版", "aria-pressed": "false" });
      this.place = make("p", {});
      const close = make("button", { type: "button", "aria-label": `关闭${this.name}`, click: () => this.close() }, icon("close"));
      return make(
        "div",
        { class: "head" },
        make("span", { class: "seal", "aria-hidden": "true" }, "政"),
        make("div", { class: "name" }, make("h2", { id: "name" }, this.name), this.place),
        this.larger,
        this.embedded ? null : close,
      );
    }

    transcript() {
      this.log = make("div", { class: "log", role: "log", "aria-label": "问答记录", tabindex: "0" });
      return this.log;
    }

    foot() {
      this.state = make("p", { class: "state", role: "status" });
      this.wait = make("p", { class: "wait", role: "status" });
      this.trouble = make("div", { class: "trouble", role: "alert" });
      this.input = make("input", {
        id: "question", type: "text", role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": "list",
        "aria-describedby": "note", maxlength: LONGEST, autocomplete: "off", enterkeyhint: "send", placeholder: "请输入您的问题",
      });
      const list = make("ul", { id: "list", class: "list", role: "listbox", "aria-label": "输入提示", hidden: true });
      const form = make(
        "form",
        { submit: (event) => { event.preventDefault(); this.submit(); } },
        make("div", { class: "field" }, make("label", { class: "unseen", for: "question" }, "请输入您的问题"), this.input),
        make("button", { type: "submit", class: "button button--main" }, "发送"),
        list,
      );
      this.person = button("转人工", () => this.ask("转人工"));
      this.hotline = make("a", { class: "button", href: "tel:12345" }, "拨打12345");
      this.again = button("清空", () => this.restart(), "button--plain");
      this.again.setAttribute("aria-label", "清空对话");
      this.again.hidden = true;
      const hints = make("span", { class: "unseen", role: "status" });
      this.suggestions = new Suggestions(this.input, list, hints, {
        fetch: (text, signal) => this.service.suggest(text, signal),
        choose: (text) => { this.input.value = ""; this.ask(text); },
      });
      const bar = make("div", { class: "foot" }, make("div", { class: "row" }, this.person, this.hotline, this.again), form, hints);
      bar.append(make("p", { class: "fine", id: "note" }, "请勿填写身份证号等个人信息，答案以政策原文为准。"));
      const whole = document.createDocumentFragment();
      whole.append(this.wait, this.trouble, this.state, bar);
      return whole;
    }

    // The launcher as it is while the window is closed.
    rest() {
      const count = this.unread ? `，有${this.unread}条新回复` : "";
      this.launcher.setAttribute("aria-expanded", "false");
      this.launcher.setAttribute("aria-label", `打开${this.name}${count}`);
      this.launcher.replaceChildren(icon("chat"), make("span", {}, this.name));
      if (this.unread) this.launcher.setAttribute("data-unread", this.unread);
    }

    resize() {
      this.root.classList.toggle("large", this.large.value);
      this.larger.setAttribute("aria-pressed", String(this.large.value));
    }

    // On a phone the window fills what the keyboard leaves of the screen.
    fit() {
      const full = this.narrow?.matches && !this.embedded;
      const seen = window.visualViewport;
      const keyboard = full && seen && window.innerHeight - seen.height > 120;
      const style = this.panel.style;
      this.panel.setAttribute("aria-modal", String(Boolean(full)));
      if (this.embedded) this.panel.removeAttribute("aria-modal");
      this.panel.classList.toggle("panel--keyboard", Boolean(keyboard));
      style.top = keyboard ? `${seen.offsetTop}px` : "";
      style.bottom = keyboard ? "auto" : "";
      style.height = keyboard ? `${seen.height}px` : "";
    }

    // ---- Keys

    key(event) {
      // While a word is being composed the keys belong to the input method (229: old Safari).
      if (event.isComposing || event.keyCode === 229) return;
      const inField = event.composedPath()[0] === this.input;
      if (inField && this.suggestions.press(event.key)) event.preventDefault();
      else if (event.key === "Escape" && !this.embedded) { event.preventDefault(); this.close(); }
      else if (event.key === "Tab" && this.panel.getAttribute("aria-modal") === "true") this.turnRound(event);
    }

    // Nothing behind a window that fills the screen can be seen, so the focus stays inside.
    turnRound(event) {
      const stops = [...this.panel.querySelectorAll("button, a[href], input, textarea, [tabindex='0']")].filter((each) => each.getClientRects().length);
      const [first, last] = event.shiftKey ? [stops[stops.length - 1], stops[0]] : [stops[0], stops[stops.length - 1]];
      if (this.shadowRoot.activeElement !== last) return;
      event.preventDefault();
      first.focus();
    }

    // ---- Asking

    submit() {
      const text = this.input.value.trim();
      if (this.suggestions.composing || this.busy) return;
      if (!text) { this.input.focus(); return; }
      this.input.value = "";
      this.suggestions.close();
      this.ask(text);
    }

    // Puts a question into the transcript and gets its answer.
    ask(text) {
      if (this.busy) return;
      this.add({ who: "person", text });
      this.memory.keep({ pending: text });
      this.showLast();
      this.find(text);
    }

    async find(text) {
      this.busy = true;
      this.trouble.replaceChildren();
      const timer = setTimeout(() => this.wait.replaceChildren(make("span", {}, "正在查找政策，请稍候……")), SOON);
      try {
        const body = await this.service.ask(text, this.memory.value.conversation);
        this.memory.keep({ conversation: body.conversation_id, pending: "" });
        // While an operator has the conversation, the answer is theirs to give.
        if (body.text) this.add({ who: "answer", body: essence(body), rated: "" });
        if (body.outcome === "handed_off") this.handOver();
        this.showLast();
      } catch (error) {
        this.fail(text, error);
      } finally {
        clearTimeout(timer);
        this.wait.replaceChildren();
        this.busy = false;
      }
    }

    fail(text, error) {
      const row = make("div", { class: "row" }, button("重试", () => { this.input.focus({ preventScroll: true }); this.find(text); }, "button--main"));
      if (error.status === 403) row.append(outward(`${this.service.base}?q=${encodeURIComponent(text)}`, "打开政策问答网页", "button"));
      const said = error instanceof Trouble ? error.message : "出了点问题。";
      const kept = error.status ? "" : "您的问题还在，请点“重试”，也可以拨打12345。";
      this.trouble.replaceChildren(make("p", {}, said + kept), row);
      this.showLast();
    }

    online() {
      const said = this.trouble.querySelector("p");
      if (said && this.memory.value.pending) said.textContent = "网络已经恢复，请点“重试”。";
      this.follow();
    }

    // ---- The transcript

    add(turn) {
      const turns = [...this.memory.value.turns, turn].slice(-KEPT);
      this.memory.keep({ turns });
      this.show(turn);
    }

    show(turn) {
      const shown = make("div", { class: `turn turn--${turn.who}` }, make("span", { class: "unseen" }, SPEAKERS[turn.who]));
      if (turn.who === "answer") shown.append(...this.answer(turn));
      else {
        if (turn.who === "operator") shown.append(make("p", { class: "who", "aria-hidden": "true" }, "人工客服"));
        shown.append(make("p", { class: "said" }, turn.text));
      }
      this.log.append(shown);
      this.again.hidden = this.handedOver;
    }

    answer(turn) {
      const { body } = turn;
      const shown = card(body, this.service);
      if (body.options.length) shown.append(this.choices(body.options.map(({ label, question }) => [label, question])));
      const solid = body.entry || body.citations.length;
      if (solid) shown.append(this.tools(body));
      if (body.outcome === "error") shown.append(button("再问一次", () => this.ask(this.questionBefore(turn))));
      if (solid || body.outcome === "unanswerable") shown.append(this.rating(turn));
      if (!body.suggestions.length || body.outcome === "error") return [shown];
      const title = make("h3", {}, body.outcome === "unanswerable" ? "您也可以看看" : "相关问题");
      return [shown, make("div", { class: "more" }, title, this.choices(body.suggestions.map((each) => [each, each])))];
    }

    questionBefore(turn) {
      const { turns } = this.memory.value;
      const at = turns.indexOf(turn);
      return turns.slice(0, at < 0 ? undefined : at).reverse().find((each) => each.who === "person")?.text || "";
    }

    choices(pairs) {
      const press = (question) => () => this.ask(question);
      return make("div", { class: "choices" }, ...pairs.map(([label, question]) => make("button", { type: "button", click: press(question) }, label)));
    }

    tools(body) {
      const done = make("span", { class: "good", role: "status" });
      const row = make("div", { class: "row" });
      row.append(button("复制回答", async () => {
        done.textContent = (await copy(plainText(body, this.service), this.shadowRoot)) ? "已复制" : "复制不了，请长按文字复制";
      }));
      const address = body.entry && this.service.page(body.entry.url);
      if (address) row.append(outward(address, "查看完整条目", "button"));
      row.append(done);
      return row;
    }

    rating(turn) {
      const { answer_id } = turn.body;
      const done = make("p", { class: "good", role: "status" });
      const words = make("textarea", { id: `words-${answer_id}`, rows: "2", maxlength: "1000" });
      const label = make("label", { for: words.id }, "想补充几句吗？（可不填，请不要写个人信息）");
      const more = make("form", { hidden: true }, label, words, make("div", { class: "row" }, make("button", { type: "submit", class: "button" }, "提交")));
      const choice = (value, text) => button(text, () => give(value, ""));
      const buttons = { yes: choice("yes", "有帮助"), no: choice("no", "没帮助") };
      const give = async (value, comment) => {
        try {
          await this.service.rate(answer_id, value === "yes", comment);
          turn.rated = value;
          this.memory.keep({});
          mark();
          more.hidden = Boolean(comment);
          done.textContent = comment ? "谢谢，我们已经记下，会交给责任单位核对。" : "谢谢您的评价。";
        } catch (error) {
          done.textContent = `${error.message}请再点一次。`;
        }
      };
      const mark = () => { for (const [value, each] of Object.entries(buttons)) each.setAttribute("aria-pressed", String(turn.rated === value)); };
      more.addEventListener("submit", (event) => { event.preventDefault(); give(turn.rated, words.value.trim()); });
      mark();
      const group = make("div", { class: "row", role: "group", "aria-label": "这个回答有帮助吗？" }, make("span", { "aria-hidden": "true" }, "有帮助吗？"), buttons.yes, buttons.no);
      return make("div", { class: "rate" }, group, more, done);
    }

    // The latest question at the top, so that an answer is read from its beginning.
    showLast() {
      const asked = [...this.log.querySelectorAll(".turn--person, .turn--operator, .turn--system")].pop();
      this.log.scrollTop = asked ? asked.offsetTop - 12 : 0;
    }

    restore() {
      const { turns, pending } = this.memory.value;
      this.welcome = make("div", { class: "turn turn--answer" });
      this.log.append(this.welcome);
      turns.forEach((turn) => this.show(turn));
      this.showHandoff();
      if (pending) this.fail(pending, new Trouble("上次的问题还没有得到回答。"));
    }

    restart() {
      this.memory.keep({ ...EMPTY, open: this.memory.value.open });
      this.log.replaceChildren(this.welcome);
      this.trouble.replaceChildren();
      this.again.hidden = true;
      this.showHandoff();
      this.input.focus({ preventScroll: true });
    }

    // Greets with what the page says, else with what the server says; fetched on first opening.
    async greet() {
      if (this.greeted) return;
      this.greeted = true;
      const own = (this.getAttribute("examples") || "").split("|").map((each) => each.trim()).filter(Boolean);
      const fallback = "您好，请直接说您想办的事。";
      const paint = (greeting, examples, notice) => {
        const kids = [make("div", { class: "card" }, ...lines(this.getAttribute("greeting") || greeting))];
        if (notice) kids.unshift(make("p", { class: "notice" }, make("strong", {}, `${notice.level}：`), notice.text));
        if (examples.length) kids.push(make("div", { class: "more" }, make("h3", {}, "大家常问"), this.choices(examples.slice(0, 6).map((each) => [each, each]))));
        this.welcome.replaceChildren(...kids);
      };
      if (own.length) paint(fallback, own);
      try {
        const found = await this.service.greeting();
        paint(found.greeting, own.length ? own : found.examples, found.notice);
        this.place.textContent = found.region_name;
        this.hotline.textContent = `拨打${found.hotline.phone}`;
        this.hotline.href = `tel:${found.hotline.phone.replace(/[^\d+]/g, "")}`;
      } catch {
        paint(fallback, own);
        this.greeted = false; // next time perhaps
      }
      this.showLast();
    }

    // ---- Operators

    get handedOver() { return ["waiting", "claimed"].includes(this.memory.value.handoff); }

    handOver() {
      if (!this.handedOver) this.memory.keep({ handoff: "waiting", unsure: true });
      this.poll();
    }

    showHandoff() {
      const { handoff, unsure } = this.memory.value;
      const said = { waiting: "正在为您转接人工，请稍候。您可以先把情况写在下面。", claimed: "人工客服正在为您服务。" };
      const text = unsure ? "" : said[handoff] || "";
      // A live region speaks whenever it is written to.
      if (this.state.textContent !== text) {
        this.state.textContent = text;
        this.showLast();
      }
      this.person.hidden = this.handedOver;
      this.again.hidden = this.handedOver || !this.memory.value.turns.length;
      this.suggestions.paused = handoff === "claimed";
    }

    // Looks for an operator's words as long as there may be any, and rests while nobody looks.
    follow() {
      clearTimeout(this.polling);
      if (!this.handedOver || document.hidden || this.stop?.signal.aborted) return;
      const pause = this.shown ? POLL : POLL_AWAY;
      this.polling = setTimeout(() => this.poll(), Math.min(pause * 2 ** this.failures, POLL_MOST));
    }

    async poll() {
      clearTimeout(this.polling);
      const { conversation, after } = this.memory.value;
      if (this.looking || !conversation) return;
      this.looking = true;
      try {
        const found = await this.service.messages(conversation, after);
        this.failures = 0;
        if (conversation === this.memory.value.conversation) this.hear(found);
      } catch (error) {
        this.failures += 1;
        // No such conversation, or nobody there to talk to.
        if (error.status === 404) this.hear({ state: "none", messages: [] });
      } finally {
        this.looking = false;
        this.follow();
      }
    }

    hear({ state, messages }) {
      const ended = this.memory.value.handoff === "claimed" && state === "closed";
      const fresh = messages.filter((each) => each.id > this.memory.value.after);
      this.memory.keep({ handoff: state, unsure: false, after: Math.max(this.memory.value.after, ...fresh.map((each) => each.id)) });
      for (const { author, text } of fresh) this.add({ who: author === "operator" ? "operator" : "system", text });
      if (ended && !fresh.some((each) => each.author === "system")) this.add({ who: "system", text: "人工服务已结束，您可以继续提问。" });
      this.showHandoff();
      if (fresh.length) this.notify(fresh);
    }

    notify(fresh) {
      if (this.shown) { this.showLast(); return; }
      this.unread += fresh.length;
      this.rest();
      this.said.textContent = `${this.name}有${this.unread}条新回复`;
    }
  }

  customElements.define(TAG, PolicyChat);

  // A script with a site puts the element into the page, unless the page has one already.
  function place() {
    if (document.querySelector(TAG)) return;
    const element = document.createElement(TAG);
    for (const name of ATTRIBUTES) {
      const value = script.getAttribute(`data-${name}`);
      if (value) element.setAttribute(name, value);
    }
    document.body.append(element);
  }

  if (script && script.hasAttribute("data-site")) {
    if (document.body && document.readyState !== "loading") place();
    else document.addEventListener("DOMContentLoaded", place);
  }
})();
