// A conversation with a model.

import { get, write } from "./api.js";
import { find, kept, make, paced } from "./dom.js";
import { markdown } from "./markdown.js";
import { settings } from "./options.js";
import * as talks from "./talks.js";
import { describe, explorable, likely } from "./tokens.js";

const EVERY = 1000; // milliseconds between two times that an answer is kept while it is written
const UNDO = 10_000; // milliseconds for which what was deleted can be brought back
const SAID = 3000; // milliseconds for which an answer stands where screen readers hear of it

let models = [];
let talk = talks.fresh(); // {id, title, model, messages: [{role, content, note, tokens}]}
let writing = null; // the AbortController of the answer that is being written

const messages = find("messages");
const input = find("input");
const articles = new WeakMap(); // message → the element that shows it
const deleted = new Set(); // the ids of conversations that are not to be kept again
const { current, converse } = settings(find("settings"), () => talk.messages.forEach(redraw));

const model = () => models.find((one) => one.id === find("model").value) ?? models[0];
const tell = (text) => {
  find("status").textContent = text;
};

function keep(one) {
  if (deleted.has(one.id)) return; // its answer was being written
  if (one.messages.length && !talks.keep(one)) tell("This browser has no room to keep the conversation.");
  drawTalks();
}

function open(other) {
  if (other?.id === talk.id) return;
  writing?.abort();
  talk = other ?? talks.fresh();
  deleted.delete(talk.id); // another tab may have kept it again
  if (models.some((one) => one.id === talk.model)) find("model").value = talk.model;
  converse(model()?.converses ?? true);
  drawTalks();
  drawMessages();
  input.focus();
}

let listed = "";

function drawTalks() {
  const rows = talks.all().map(({ id, title }) => ({ id, title: title || "Untitled", here: id === talk.id }));
  if (JSON.stringify(rows) === listed) return; // it is asked for each second while an answer is written
  listed = JSON.stringify(rows);
  const focused = document.activeElement;
  const row = focused?.closest("#talks li")?.dataset.id;
  find("talks").replaceChildren(...rows.map(drawTalk));
  if (row) (find("talks").querySelector(`[data-id="${CSS.escape(row)}"] .${focused.className}`) ?? find("new")).focus();
}

function drawTalk({ id, title, here }) {
  const go = make("button", { type: "button", className: "open", title, "aria-current": here ? "true" : null }, title);
  go.addEventListener("click", () => {
    close();
    open(talks.get(id));
  });
  const remove = make("button", { type: "button", className: "quiet", "aria-label": `Delete: ${title}` }, "✕");
  remove.addEventListener("click", () => forget(id));
  return make("li", { "data-id": id }, go, remove);
}

function forget(id) {
  const lost = id === talk.id ? talk : talks.get(id);
  deleted.add(id);
  talks.forget(id);
  if (lost === talk) open(null);
  drawTalks();
  find("new").focus();
  if (lost) offer(lost);
}

let undoing; // the timer at whose end the offer goes

/** Offer to bring back a conversation that was deleted. */
function offer(lost) {
  const end = () => {
    if (find("deleted").contains(document.activeElement)) find("new").focus();
    find("deleted").replaceChildren();
  };
  const undo = make("button", { type: "button", className: "quiet" }, "Undo");
  undo.addEventListener("click", () => {
    end();
    deleted.delete(lost.id);
    keep(lost);
  });
  find("deleted").replaceChildren("Deleted. ", undo);
  clearTimeout(undoing);
  undoing = setTimeout(end, UNDO);
}

/** Draw messages. What stands in the place of what had the keyboard's focus has it then. */
function holding(draw) {
  const focused = document.activeElement;
  const index = [...messages.children].indexOf(focused?.closest(".message"));
  const alike = () => [...(messages.children[index]?.querySelectorAll(focused.localName) ?? [])];
  const place = alike().indexOf(focused);
  draw();
  if (place < 0 || document.activeElement === focused) return;
  (focused.isConnected ? focused : (alike()[place] ?? input)).focus({ preventScroll: true });
}

function drawMessages() {
  if (talk.messages.length) {
    holding(() => messages.replaceChildren(...talk.messages.map((message) => (edited(message) ? articles.get(message) : drawMessage(message)))));
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

/** Whether a message is being changed, which nothing may take away. */
function edited(message) {
  const box = articles.get(message);
  return box?.isConnected && box.querySelector("textarea") !== null;
}

/** Show one message anew, where it is shown, and leave the others as they are. */
function redraw(message) {
  const box = articles.get(message);
  if (!box?.isConnected || edited(message)) return;
  const was = box.classList.contains("writing");
  const drawn = drawMessage(message);
  drawn.classList.toggle("writing", was);
  holding(() => box.replaceWith(drawn));
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
    input.focus();
  });
  leave.addEventListener("click", () => holding(() => box.replaceWith(drawMessage(message))));
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
    holding(() => fill(body, message));
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
  if (at === talk && at.messages.includes(message)) announce(articles.get(message).querySelector(".body").textContent);
}

let announcing; // the timer at whose end nothing stands there

/** Let screen readers say an answer. It goes soon, as it would be found twice. */
function announce(text) {
  find("said").textContent = text;
  clearTimeout(announcing);
  announcing = setTimeout(() => {
    find("said").textContent = "";
  }, SAID);
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

const drawer = () => document.querySelector("aside.shown");
const opener = (panel) => document.querySelector(`[aria-controls="${panel.id}"]`);

/** Lay a panel over the page, where a narrow window has no other place for it: the rest waits behind it. */
function show(panel) {
  panel.classList.add("shown");
  panel.setAttribute("role", "dialog");
  panel.setAttribute("aria-modal", "true");
  opener(panel).setAttribute("aria-expanded", "true");
  for (const part of document.querySelectorAll(".skip, .bar, .column, aside")) part.inert = part !== panel;
  panel.querySelector(".close").focus();
}

/** Close the drawer that is open, if there is one. */
function close() {
  const panel = drawer();
  if (!panel) return;
  panel.classList.remove("shown");
  panel.removeAttribute("role");
  panel.removeAttribute("aria-modal");
  opener(panel).setAttribute("aria-expanded", "false");
  for (const part of document.querySelectorAll(".skip, .bar, .column, aside")) part.inert = false;
  opener(panel).focus();
}

for (const panel of document.querySelectorAll("aside")) {
  opener(panel).addEventListener("click", () => show(panel));
  panel.querySelector(".close").addEventListener("click", close);
}
document.addEventListener("click", (event) => {
  const panel = drawer();
  const path = event.composedPath();
  if (panel && !path.includes(panel) && !path.includes(opener(panel))) close(); // the shadow beside it
});
matchMedia("(max-width: 60rem)").addEventListener("change", close); // as in the sheet of styles
find("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
const composing = (event) => event.isComposing || event.keyCode === 229; // Safari's way to say it
input.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || composing(event) || writing) return;
  event.preventDefault();
  send();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || composing(event)) return;
  if (drawer()) close();
  else writing?.abort();
});
find("new").addEventListener("click", () => {
  close();
  open(null);
});
find("model").addEventListener("change", () => {
  kept.set("model", find("model").value);
  converse(model().converses);
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
converse(model()?.converses ?? true);
drawTalks();
drawMessages();
input.focus();
