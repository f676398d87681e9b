// A conversation with a model.

import { get, write } from "./api.js";
import { find, kept, make, paced } from "./dom.js";
import { markdown } from "./markdown.js";
import { settings } from "./options.js";
import * as talks from "./talks.js";
import { describe, explorable, likely } from "./tokens.js";

const EVERY = 1000; // milliseconds between two times that an answer is kept while it is written

let models = [];
let talk = talks.fresh(); // {id, title, model, messages: [{role, content, note, tokens}]}
let writing = null; // the AbortController of the answer that is being written

const messages = find("messages");
const input = find("input");
const articles = new WeakMap(); // message → the element that shows it
const current = settings(find("settings"), () => talk.messages.forEach(redraw));

const model = () => models.find((one) => one.id === find("model").value) ?? models[0];
const tell = (text) => {
  find("status").textContent = text;
};

function keep(one) {
  if (one.messages.length && !talks.keep(one)) tell("This browser has no room to keep the conversation.");
  drawTalks();
}

function open(other) {
  if (other?.id === talk.id) return;
  writing?.abort();
  talk = other ?? talks.fresh();
  if (models.some((one) => one.id === talk.model)) find("model").value = talk.model;
  drawTalks();
  drawMessages();
  input.focus();
}

function drawTalks() {
  const focused = document.activeElement?.closest?.("li")?.dataset.id;
  const rows = talks.all().map((one) => {
    const title = one.title || "Untitled";
    const here = one.id === talk.id ? { "aria-current": "true" } : {};
    const go = make("button", { type: "button", className: "open", title, ...here }, title);
    go.addEventListener("click", () => {
      open(one);
      show("talks-panel", false);
    });
    const remove = make("button", { type: "button", className: "quiet", "aria-label": `Delete: ${title}` }, "✕");
    remove.addEventListener("click", () => {
      talks.forget(one.id);
      if (one.id === talk.id) open(null);
      drawTalks();
      find("new").focus();
    });
    return make("li", { "data-id": one.id }, go, remove);
  });
  find("talks").replaceChildren(...rows);
  if (focused) find("talks").querySelector(`[data-id="${CSS.escape(focused)}"] .open`)?.focus();
}

function drawMessages() {
  if (talk.messages.length) {
    messages.replaceChildren(...talk.messages.map(drawMessage));
    messages.scrollTop = messages.scrollHeight;
    return;
  }
  const hello = model()?.converses
    ? "Ask something. The model runs on the machine that serves this page."
    : "This model was not taught to converse: it continues your text.";
  messages.replaceChildren(make("div", { className: "welcome" }, make("h2", {}, model()?.id ?? ""), make("p", {}, model() ? hello : "")));
}

function drawMessage(message) {
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
  if (mine) action("Edit", () => edit(message));
  else action("Regenerate", () => answer(talk.messages.indexOf(message)));
  if (message.note) actions.append(make("span", { className: "note" }, message.note));
  box.append(body, actions);
  articles.set(message, box);
  return box;
}

/** Show one message anew, where it is shown, and leave the others as they are. */
function redraw(message) {
  const box = articles.get(message);
  if (!box?.isConnected || box.querySelector("textarea")) return;
  const was = box.classList.contains("writing");
  const drawn = drawMessage(message);
  drawn.classList.toggle("writing", was);
  box.replaceWith(drawn);
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
    tell("Copied.");
  } catch {
    tell("This browser does not let the page copy.");
  }
}

function edit(message) {
  const box = articles.get(message);
  const area = make("textarea", { "aria-label": "The message, changed", rows: "3" });
  area.value = message.content;
  const again = make("button", { type: "button", className: "primary" }, "Send again");
  const leave = make("button", { type: "button" }, "Leave as it was");
  again.addEventListener("click", () => {
    const index = talk.messages.indexOf(message);
    if (!area.value.trim() || !model()) return;
    if (index === 0) talk.title = titled(area.value);
    answer(index + 1, { ...message, content: area.value });
  });
  leave.addEventListener("click", () => box.replaceWith(drawMessage(message)));
  box.replaceChildren(box.firstChild, area, make("div", { className: "actions" }, again, leave));
  area.focus();
}

const titled = (text) => text.trim().split("\n")[0].slice(0, 60);

/**
 * Write the answer that stands at an index. What stood there and behind it goes, as soon as there is
 * something in its place. said: in place of the message before it.
 */
async function answer(index, said = null) {
  const by = model();
  if (!by) {
    tell("There is no model to ask.");
    return;
  }
  writing?.abort();
  const stop = new AbortController();
  const { system, options } = current();
  const at = talk;
  const before = at.messages;
  const asked = before.slice(0, index);
  if (said) asked[index - 1] = said;
  const message = { role: "assistant", content: "", tokens: [], model: by.id, plain: !by.converses };
  at.messages = [...asked, message];
  at.model = by.id;
  at.title ||= titled(asked[0].content);
  writing = stop;
  if (asked.length === before.length) keep(at); // what was just said
  drawMessages();
  articles.get(message).classList.add("writing");
  busy(true);

  const draw = paced(() => {
    const body = articles.get(message)?.querySelector(".body");
    if (!body?.isConnected || writing !== stop) return;
    const low = messages.scrollHeight - messages.scrollTop - messages.clientHeight < 80;
    fill(body, message);
    if (low) messages.scrollTop = messages.scrollHeight;
  });
  const { usage, ended, seconds, failed } = await follow(message, by, request(asked, by, system), options, stop, () => {
    draw();
    keepSometimes(at);
  });
  message.note = note(usage, seconds, ended);
  articles.get(message)?.classList.remove("writing");
  if (writing === stop) {
    writing = null;
    busy(false);
  }
  if (failed && !message.content) at.messages = before.length > asked.length ? before : at.messages;
  if (failed) tell(ended);
  keep(at);
  if (at === talk && at.messages === before) drawMessages();
  else redraw(message);
}

/** What the model is told: all that was said, but for answers that never came. */
function request(asked, by, system) {
  const said = asked.filter(({ role, content }) => role === "user" || content);
  const told = said.map(({ role, content }) => ({ role, content }));
  return system && by.converses ? [{ role: "system", content: system }, ...told] : told;
}

/** Take what is written into the message. step: is called after each piece. */
async function follow(message, by, told, options, stop, step) {
  const begin = performance.now();
  let first = null;
  let usage = null;
  let ended = "";
  let failed = false;
  try {
    for await (const piece of write(by, told, options, stop.signal)) {
      if (piece.text || piece.tokens.length) first ??= performance.now();
      message.content += piece.text;
      message.tokens.push(...piece.tokens);
      usage = piece.usage ?? usage;
      if (piece.finish === "length") ended = "cut off at the most tokens";
      step();
    }
  } catch (error) {
    failed = error.name !== "AbortError";
    ended = failed ? error.message : "stopped";
  }
  return { usage, ended, failed, seconds: (performance.now() - (first ?? begin)) / 1000 };
}

function note(usage, seconds, ended) {
  const figures = [];
  if (usage) {
    const count = usage.completion_tokens;
    figures.push(`${count} token${count === 1 ? "" : "s"}`);
    if (count > 1 && seconds > 0) figures.push(`${((count - 1) / seconds).toFixed(0)} a second`);
  }
  return [...figures, ended].filter(Boolean).join(", ");
}

let last = 0;

function keepSometimes(one) {
  if (performance.now() - last < EVERY) return;
  last = performance.now();
  keep(one);
}

function busy(is) {
  messages.setAttribute("aria-busy", String(is));
  find("send").textContent = is ? "Stop" : "Send";
  tell(is ? "Writing…" : "");
}

function send() {
  if (writing) {
    writing.abort();
    return;
  }
  const text = input.value;
  if (!text.trim() || !model()) return;
  input.value = "";
  talk.messages.push({ role: "user", content: text });
  answer(talk.messages.length);
}

function show(panel, shown) {
  const was = find(panel).classList.contains("shown");
  find(panel).classList.toggle("shown", shown);
  const button = document.querySelector(`[aria-controls="${panel}"]`);
  button.setAttribute("aria-expanded", String(shown));
  if (shown) find(panel).querySelector("button, textarea, input").focus();
  else if (was && find(panel).contains(document.activeElement)) button.focus();
}

for (const panel of ["talks-panel", "settings-panel"]) {
  const button = document.querySelector(`[aria-controls="${panel}"]`);
  button.addEventListener("click", () => show(panel, !find(panel).classList.contains("shown")));
  document.addEventListener("click", (event) => {
    const path = event.composedPath();
    if (!path.includes(find(panel)) && !path.includes(button)) show(panel, false);
  });
}
find("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
input.addEventListener("keydown", (event) => {
  const composing = event.isComposing || event.keyCode === 229; // Safari's way to say it
  if (event.key !== "Enter" || event.shiftKey || composing || writing) return;
  event.preventDefault();
  send();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  writing?.abort();
  show("talks-panel", false);
  show("settings-panel", false);
});
find("new").addEventListener("click", () => {
  open(null);
  show("talks-panel", false);
});
find("model").addEventListener("change", () => {
  kept.set("model", find("model").value);
  if (!talk.messages.length) drawMessages();
});
explorable(messages, (token) => {
  if (token.told && !writing) tell(describe(token));
});
window.addEventListener("storage", drawTalks); // another tab has kept something
window.addEventListener("pagehide", () => writing && keep(talk));

try {
  models = (await get("/v1/models")).data;
  find("model").replaceChildren(...models.map((one) => make("option", { value: one.id }, one.id)));
  const remembered = kept.get("model", "");
  if (models.some((one) => one.id === remembered)) find("model").value = remembered;
} catch (error) {
  tell(error.message);
  find("status").className = "error";
}
drawTalks();
drawMessages();
input.focus();
