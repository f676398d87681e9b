// One prompt, several models: side by side, as they write.

import { get, write } from "./api.js";
import { beforePaint, find, make } from "./dom.js";

const MOST = 6;

let models = [];
let columns = [];
let stop = null;

function add(chosen) {
  const select = make("select", { "aria-label": "Model" }, ...models.map((one) => make("option", { value: one.id }, one.id)));
  select.value = chosen ?? models[columns.length % models.length].id;
  const remove = make("button", { type: "button", className: "quiet end", "aria-label": "Remove this column" }, "✕");
  const figures = make("dl", { className: "figures" });
  const answer = make("div", { className: "answer mono", role: "log", tabIndex: 0, "aria-label": "Answer" });
  const card = make("section", { className: "card" }, make("header", {}, select, remove), figures, answer);
  const column = { select, figures, answer, card };
  remove.addEventListener("click", () => {
    columns = columns.filter((one) => one !== column);
    card.remove();
    limits();
  });
  columns.push(column);
  find("columns").append(card);
  limits();
}

function limits() {
  find("add").disabled = columns.length >= MOST;
}

async function run({ select, figures, answer }, signal) {
  const model = models.find((one) => one.id === select.value);
  const options = {
    temperature: Number(find("temperature").value),
    max_tokens: Number(find("most").value),
    seed: Number(find("seed").value),
    asChat: find("as-chat").checked,
  };
  answer.textContent = "";
  answer.classList.remove("error");
  figures.replaceChildren();
  let text = "";
  let usage = null;
  let finish = "";
  let first = null;
  const begin = performance.now();
  const draw = beforePaint(() => {
    answer.textContent = text;
  });
  try {
    for await (const told of write(model, [{ role: "user", content: find("prompt").value }], options, signal)) {
      if (told.text) first ??= performance.now();
      text += told.text;
      usage = told.usage ?? usage;
      finish = told.finish ?? finish;
      draw();
    }
  } catch (error) {
    if (error.name !== "AbortError") {
      text += `\n${error.message}`;
      answer.classList.add("error");
    }
    finish = "stopped";
  }
  draw();
  const end = performance.now();
  const figure = (name, value) => make("div", {}, make("dt", {}, name), make("dd", {}, value));
  const told = [];
  if (usage) {
    const count = usage.completion_tokens;
    told.push(figure("Tokens read", String(usage.prompt_tokens)), figure("Tokens written", String(count)));
    if (first !== null && count > 1) told.push(figure("A second", ((1000 * (count - 1)) / Math.max(1, end - first)).toFixed(0)));
  }
  if (first !== null) told.push(figure("First after", `${((first - begin) / 1000).toFixed(2)} s`));
  told.push(figure("Ended", finish === "length" ? "cut off" : finish || "stopped"));
  figures.replaceChildren(...told);
}

find("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  stop?.abort();
  stop = new AbortController();
  const { signal } = stop;
  find("stop").disabled = false;
  find("status").textContent = "Writing…";
  await Promise.all(columns.map((column) => run(column, signal)));
  if (!signal.aborted || stop.signal === signal) {
    find("stop").disabled = true;
    find("status").textContent = "";
  }
});
find("stop").addEventListener("click", () => stop?.abort());
find("add").addEventListener("click", () => add());

try {
  models = (await get("/v1/models")).data;
  add(models[0].id);
  add((models[1] ?? models[0]).id);
} catch (error) {
  find("status").textContent = error.message;
  find("status").className = "error";
}
