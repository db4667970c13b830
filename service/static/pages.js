// Makes pages quicker to use where JavaScript runs; every page works without it.
"use strict";

(() => {
  const WAIT = 150; // milliseconds of quiet before suggestions are fetched

  // Suggestions: an editable combobox with a list (ARIA Authoring Practices, list autocomplete).
  function suggest(field) {
    const input = field.querySelector("input");
    const form = input.form;
    const list = document.createElement("ul");
    const said = document.createElement("span");
    let options = [];
    let active = -1;
    let timer = 0;
    let running = null;
    let composing = false;

    list.className = "listbox";
    list.id = `${input.id}-suggestions`;
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "输入提示");
    list.hidden = true;
    said.className = "unseen";
    said.setAttribute("role", "status");
    field.append(list, said);
    const attributes = {
      role: "combobox",
      "aria-autocomplete": "list",
      "aria-expanded": "false",
      "aria-controls": list.id,
    };
    for (const [name, value] of Object.entries(attributes)) input.setAttribute(name, value);

    function close() {
      clearTimeout(timer);
      running?.abort();
      list.hidden = true;
      active = -1;
      input.setAttribute("aria-expanded", "false");
      input.removeAttribute("aria-activedescendant");
    }

    function mark(number) {
      options[active]?.setAttribute("aria-selected", "false");
      active = number;
      const option = options[active];
      if (!option) {
        input.removeAttribute("aria-activedescendant");
        return;
      }
      option.setAttribute("aria-selected", "true");
      option.scrollIntoView({ block: "nearest" });
      input.setAttribute("aria-activedescendant", option.id);
    }

    function choose(option) {
      input.value = option.textContent;
      close();
      form.requestSubmit();
    }

    function show(texts) {
      options = texts.map((text, number) => {
        const option = document.createElement("li");
        option.id = `${list.id}-${number}`;
        option.setAttribute("role", "option");
        option.setAttribute("aria-selected", "false");
        option.textContent = text;
        // Keeps the focus in the field, so that a click is not taken for leaving it.
        option.addEventListener("mousedown", (event) => event.preventDefault());
        option.addEventListener("click", () => choose(option));
        return option;
      });
      active = -1;
      input.removeAttribute("aria-activedescendant");
      list.replaceChildren(...options);
      list.hidden = options.length === 0;
      input.setAttribute("aria-expanded", String(!list.hidden));
      said.textContent = list.hidden ? "" : `有 ${options.length} 条提示，按上下键选择`;
    }

    async function fetchFor(text) {
      running?.abort();
      running = new AbortController();
      try {
        const address = `/api/v1/suggest?q=${encodeURIComponent(text)}`;
        const response = await fetch(address, { signal: running.signal });
        const body = await response.json();
        const current = input.value.trim() === text && document.activeElement === input;
        if (body.ok && current) show(body.suggestions.map((each) => each.text));
      } catch {
        // Without suggestions the field is still a field.
      }
    }

    function later() {
      clearTimeout(timer);
      const text = input.value.trim();
      if (composing) return;
      if (!text) close();
      else timer = setTimeout(fetchFor, WAIT, text);
    }

    input.addEventListener("compositionstart", () => { composing = true; });
    input.addEventListener("compositionend", () => { composing = false; later(); });
    input.addEventListener("input", later);
    input.addEventListener("blur", close);
    form.addEventListener("submit", close);
    input.addEventListener("keydown", (event) => {
      // While a word is being composed the keys belong to the input method.
      if (event.isComposing || composing || list.hidden) return;
      const count = options.length;
      const moves = {
        ArrowDown: () => mark((active + 1) % count),
        ArrowUp: () => mark(active < 0 ? count - 1 : active - 1),
        Escape: close,
        Enter: () => choose(options[active]),
      };
      if (!moves[event.key] || (event.key === "Enter" && active < 0)) return;
      event.preventDefault();
      moves[event.key]();
    });
  }

  // Feedback without leaving the page; when that fails, the form is sent as usual.
  function feedback(form) {
    const status = form.querySelector("[data-feedback-status]");
    form.addEventListener("submit", async (event) => {
      const pressed = event.submitter;
      if (!pressed) return;
      event.preventDefault();
      try {
        const response = await fetch("/api/v1/feedback", {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify({
            answer_id: form.elements.answer_id.value,
            helpful: pressed.value === "yes",
            comment: form.elements.comment.value,
          }),
        });
        if (!response.ok) throw new Error(String(response.status));
        status.textContent = "谢谢您的评价，我们已经记下。";
        for (const button of form.querySelectorAll("button")) {
          button.setAttribute("aria-pressed", String(button === pressed));
        }
      } catch {
        const choice = document.createElement("input");
        choice.type = "hidden";
        choice.name = pressed.name;
        choice.value = pressed.value;
        form.append(choice);
        form.submit();
      }
    });
  }

  function copy(card) {
    const button = card.querySelector("[data-copy-button]");
    const text = card.querySelector("[data-copy]");
    if (!button || !text || !navigator.clipboard) return;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const status = card.querySelector("[data-copy-status]");
      const sources = [...card.querySelectorAll(".source__title")].map((each) => each.textContent.trim());
      const basis = sources.length ? `\n\n依据：${sources.join("；")}` : "";
      try {
        await navigator.clipboard.writeText(`${text.innerText.trim()}${basis}\n${location.href}`);
        status.textContent = "已复制";
      } catch {
        status.textContent = "复制不了，请长按文字复制";
      }
    });
  }

  // Lists beside the text are open where there is room for them.
  function openWhereWide() {
    const large = document.documentElement.classList.contains("large-text");
    if (large || !matchMedia("(min-width: 60em)").matches) return;
    for (const fold of document.querySelectorAll("[data-open-wide]")) fold.open = true;
  }

  openWhereWide();
  document.querySelectorAll("[data-suggest]").forEach(suggest);
  document.querySelectorAll("[data-feedback]").forEach(feedback);
  document.querySelectorAll("[data-answer]").forEach(copy);
})();
