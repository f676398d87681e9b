// A conversation with a model. What was said is kept in this browser.

import { get, write } from "./api.js";
import { beforePaint, find, kept, make } from "./dom.js";
import { markdown } from "./markdown.js";
import { settings } from "./options.js";
import { describe, explorable, likely } from "./tokens.js";

const MOST_TALKS = 100;

let models = [];
let talks = kept.get("talks", []); // {id, title, model, messages: [{role, content, note, tokens}]}
let talk = null;
let writing = null; // the AbortController of the answer that is being written

const messages = find("messages");
const input = find("input");
const status = find("status");
const current = settings(find("settings"), () => drawMessages());

function model() {
  return models.find((one) => one.id === find("model").value) ?? models[0];
}

function keep() {
  if (talk.messages.length && !talks.includes(talk)) talks.unshift(talk);
  talks = talks.slice(0, MOST_TALKS);
  const bare = talks.map((one) => ({ ...one, messages: one.messages.map(({ tokens, ...rest }) => rest) }));
  kept.set("talks", bare);
  drawTalks();
}

function open(other) {
  writing?.abort();
  talk = other ?? { id: crypto.randomUUID?.() ?? String(Math.random()), title: "", messages: [] };
  if (talk.model && models.some((one) => one.id === talk.model)) find("model").value = talk.model;
  drawTalks();
  drawMessages();
  show("talks-panel", false);
  input.focus();
}

function drawTalks() {
  const rows = talks.map((one) => {
    const title = one.title || "Untitled";
    const go = make("button", { type: "button", className: "open", title }, title);
    go.addEventListener("click", () => open(one));
    const remove = make("button", { type: "button", className: "quiet", "aria-label": `Delete: ${title}` }, "✕");
    remove.addEventListener("click", () => {
      talks = talks.filter((other) => other !== one);
      if (one === talk) open(null);
      keep();
    });
    return make("li", one === talk ? { "aria-current": "true" } : {}, go, remove);
  });
  find("talks").replaceChildren(...rows);
}

function drawMessages() {
  if (!talk) return;
  if (!talk.messages.length) {
    const hello = model()?.converses
      ? "Ask something. The model runs on the machine that serves this page."
      : "This model was not taught to converse: it continues your text.";
    const title = model() ? `${model().id}` : "";
    messages.replaceChildren(make("div", { className: "welcome" }, make("h2", {}, title), make("p", {}, hello)));
    return;
  }
  messages.replaceChildren(...talk.messages.map((message, index) => drawMessage(message, index)));
  messages.scrollTop = messages.scrollHeight;
}

function drawMessage(message, index) {
  const mine = message.role === "user";
  const box = make("article", { className: `message ${message.role}` });
  box.append(make("div", { className: "who" }, mine ? "You" : (message.model ?? "Model")));
  const body = make("div", { className: "body" });
  fill(body, message);
  const actions = make("div", { className: "actions" });
  const action = (label, act) => {
    const button = make("button", { type: "button", className: "quiet" }, label);
    button.addEventListener("click", act);
    actions.append(button);
  };
  action("Copy", () => copy(message.content));
  if (mine) action("Edit", () => edit(box, body, index));
  else action("Regenerate", () => answer(index));
  if (message.note) actions.append(make("span", { className: "note" }, message.note));
  box.append(body, actions);
  return box;
}

/** What a message says: an answer as Markdown, or as tokens in colours. */
function fill(body, message) {
  if (message.role === "user") {
    body.textContent = message.content;
  } else if (current().options.logprobs && message.tokens?.length) {
    body.className = "body tokens";
    body.replaceChildren(...likely(message.tokens));
  } else if (message.plain) {
    body.className = "body plain";
    body.textContent = message.content;
  } else {
    body.className = "body prose";
    body.replaceChildren(markdown(message.content));
  }
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    status.textContent = "Copied.";
  } catch {
    status.textContent = "This browser does not let the page copy.";
  }
}

function edit(box, body, index) {
  const message = talk.messages[index];
  const area = make("textarea", { "aria-label": "The message, changed", rows: "3" });
  area.value = message.content;
  const again = make("button", { type: "button", className: "primary" }, "Send again");
  const leave = make("button", { type: "button" }, "Leave as it was");
  again.addEventListener("click", () => {
    if (!area.value.trim()) return;
    message.content = area.value;
    if (index === 0) talk.title = titled(area.value);
    answer(index + 1);
  });
  leave.addEventListener("click", () => drawMessages());
  box.replaceChildren(box.firstChild, area, make("div", { className: "actions" }, again, leave));
  area.focus();
}

const titled = (text) => text.trim().split("\n")[0].slice(0, 60);

/** Write the answer that stands at an index; what stood there and behind it goes. */
async function answer(index) {
  writing?.abort();
  const stop = new AbortController();
  writing = stop;
  const { system, options } = current();
  const at = talk;
  at.messages = at.messages.slice(0, index);
  const said = at.messages.map(({ role, content }) => ({ role, content }));
  if (system && model().converses) said.unshift({ role: "system", content: system });
  const message = { role: "assistant", content: "", tokens: [], model: model().id, plain: !model().converses };
  at.messages.push(message);
  at.model = model().id;
  at.title ||= titled(at.messages[0].content);
  keep();
  drawMessages();
  const box = messages.lastElementChild;
  const body = box.querySelector(".body");
  box.classList.add("writing");
  busy(true);
  const draw = beforePaint(() => {
    if (at !== talk || writing !== stop) return;
    const low = messages.scrollHeight - messages.scrollTop - messages.clientHeight < 80;
    fill(body, message);
    if (low) messages.scrollTop = messages.scrollHeight;
  });
  const begin = performance.now();
  let first = null;
  let usage = null;
  let ended = "";
  try {
    for await (const told of write(model(), said, options, stop.signal)) {
      if (told.text || told.tokens.length) first ??= performance.now();
      message.content += told.text;
      message.tokens.push(...told.tokens);
      usage = told.usage ?? usage;
      if (told.finish === "length") ended = "cut off at the most tokens";
      draw();
    }
  } catch (error) {
    ended = error.name === "AbortError" ? "stopped" : error.message;
  }
  const seconds = (performance.now() - (first ?? begin)) / 1000;
  const figures = [];
  if (usage) {
    const count = usage.completion_tokens;
    figures.push(`${count} token${count === 1 ? "" : "s"}`);
    if (count > 1 && seconds > 0) figures.push(`${((count - 1) / seconds).toFixed(0)} a second`);
  }
  message.note = [...figures, ended].filter(Boolean).join(", ");
  if (writing === stop) {
    writing = null;
    busy(false);
  }
  keep();
  if (at === talk && writing === null) drawMessages();
}

function busy(is) {
  messages.setAttribute("aria-busy", String(is));
  find("send").textContent = is ? "Stop" : "Send";
  status.textContent = is ? "Writing…" : "";
}

function send() {
  if (writing) {
    writing.abort();
    return;
  }
  const text = input.value;
  if (!text.trim() || !models.length) return;
  input.value = "";
  talk.messages.push({ role: "user", content: text });
  answer(talk.messages.length);
}

function show(panel, shown) {
  find(panel).classList.toggle("shown", shown);
  const button = document.querySelector(`[aria-controls="${panel}"]`);
  button.setAttribute("aria-expanded", String(shown));
}

for (const panel of ["talks-panel", "settings-panel"]) {
  const button = document.querySelector(`[aria-controls="${panel}"]`);
  button.addEventListener("click", (event) => {
    event.stopPropagation();
    show(panel, !find(panel).classList.contains("shown"));
  });
  document.addEventListener("click", (event) => {
    if (!find(panel).contains(event.target)) show(panel, false);
  });
}
find("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
input.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || writing) return;
  event.preventDefault();
  send();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  writing?.abort();
  show("talks-panel", false);
  show("settings-panel", false);
});
find("new").addEventListener("click", () => open(null));
find("model").addEventListener("change", () => {
  kept.set("model", find("model").value);
  drawMessages();
});
explorable(messages, (token) => {
  if (token.told) status.textContent = describe(token);
});

try {
  models = (await get("/v1/models")).data;
  find("model").replaceChildren(...models.map((one) => make("option", { value: one.id }, one.id)));
  const last = kept.get("model", "");
  if (models.some((one) => one.id === last)) find("model").value = last;
} catch (error) {
  status.textContent = error.message;
  status.className = "error";
}
open(null);
