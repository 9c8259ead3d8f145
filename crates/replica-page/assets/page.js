// What changes on the page: parts that the server sends, numbers and times in the reader's own form, and requests with a token.
"use strict";

(() => {
  const locale = document.documentElement.lang === (navigator.language || "").slice(0, 2)
    ? navigator.language : document.documentElement.lang;
  const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
  const digits = new Map();
  const clock = new Intl.DateTimeFormat(locale, { timeStyle: "medium" });
  const date = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });

  function number(text, places) {
    if (!places) return whole.format(Number(text));
    if (!digits.has(places)) {
      const options = { minimumFractionDigits: places, maximumFractionDigits: places };
      digits.set(places, new Intl.NumberFormat(locale, options));
    }
    return digits.get(places).format(Number(text));
  }

  function moment(at) {
    const isToday = at.toDateString() === new Date().toDateString();
    return (isToday ? clock : date).format(at);
  }

  // Numbers and times below `root`, in the reader's own form.
  function localise(root) {
    for (const data of root.querySelectorAll("data[value]")) {
      data.textContent = number(data.value, Number(data.dataset.digits || 0));
    }
    for (const time of root.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      time.textContent = moment(at);
      time.title = date.format(at);
    }
  }

  // Replaces the content of a part, unless somebody is about to use a button in it.
  function show(name, html) {
    const part = document.querySelector(`[data-part="${name}"]`);
    if (!part) return;
    const template = document.createElement("template");
    template.innerHTML = html;
    localise(template.content);
    const focused = part.contains(document.activeElement) && document.activeElement !== part
      ? document.activeElement.dataset.opens : undefined;
    part.replaceChildren(template.content);
    if (focused) part.querySelector(`[data-opens="${focused}"]`)?.focus();
    if (name === "headline") {
      document.title = `${part.firstElementChild.dataset.title} · df2redis`;
    }
  }

  // The connection to the run.
  const touch = document.querySelector(".touch");
  let source;
  let failures = 0;

  function tell(state) {
    if (touch.className === `touch ${state}`) return;
    touch.className = `touch ${state}`;
    touch.textContent = touch.dataset[state];
  }

  function listen() {
    source = new EventSource(document.body.dataset.events);
    source.onmessage = (event) => {
      failures = 0;
      tell("live");
      for (const [name, html] of Object.entries(JSON.parse(event.data))) show(name, html);
    };
    source.onerror = () => {
      failures += 1;
      tell(failures > 1 && source.readyState === EventSource.CLOSED ? "full" : "lost");
      // The browser tries again by itself unless the server has refused.
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, Math.min(30000, 2000 * failures));
    };
  }

  // Requests that change the run. The token is kept by this tab alone, and goes with it.
  let token = "";

  async function request(method, path, body) {
    const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
    const response = await fetch(`/api/v1/${path}`, { method, headers, body: body || undefined });
    const answer = await response.json();
    if (response.ok) return answer;
    const { message, action } = answer.error;
    throw new Error(action ? `${message}; ${action}` : message);
  }

  function answer(form, tone, text) {
    const line = form.querySelector(".answer");
    line.className = `answer ${tone}`;
    line.textContent = text;
  }

  async function send(form, button) {
    token = form.elements.token.value.trim();
    const { method, path, body } = form.dataset;
    const isDry = button.name === "dry-run";
    button.disabled = true;
    try {
      const told = await request(method, path, isDry ? '{"dry_run":true}' : body);
      if (isDry) return await dryRun(form);
      answer(form, "", "");
      if (method === "GET") return keys(form, told);
      form.closest("dialog").close();
    } catch (error) {
      answer(form, "bad", error instanceof TypeError ? form.dataset.unreachable : error.message);
    } finally {
      button.disabled = false;
      confirmable(form);
    }
  }

  // The keys that differ, one a line.
  function keys(form, told) {
    const list = form.querySelector(".keys");
    const lines = told.keys.map((key) => key.line);
    if (told.more > 0) lines.push(form.dataset.more.replace("{0}", number(told.more)));
    list.replaceChildren(...lines.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
    list.hidden = false;
  }

  // Waits for the figures of a dry run.
  async function dryRun(form) {
    answer(form, "", "…");
    for (let look = 0; look < 300; look += 1) {
      const state = await request("GET", "cutover");
      if (state.is_decided) return answer(form, state.stage.stage === "dry-run" ? "good" : "bad", state.text);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  // Writes are only stopped once the name of the target has been typed.
  function confirmable(form) {
    const button = form.elements["cut-over"];
    if (button) button.disabled = form.elements.target.value.trim() !== form.dataset.target;
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.opens) {
      const dialog = document.getElementById(`ask-${button.dataset.opens}`);
      const form = dialog.querySelector("form");
      form.elements.token.value = token;
      answer(form, "", "");
      confirmable(form);
      dialog.showModal();
    } else if (button && "closes" in button.dataset) {
      button.closest("dialog").close();
    }
  });

  document.addEventListener("input", (event) => {
    if (event.target.form?.dataset.target) confirmable(event.target.form);
  });

  document.addEventListener("submit", (event) => {
    event.preventDefault();
    // A return in a field is no word to stop writes.
    if (event.submitter) send(event.target, event.submitter);
  });

  localise(document);
  listen();
})();
