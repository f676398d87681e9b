// One prompt, several models: side by side, as they write.

import { get, write } from "./api.js";
import { find, make, paced } from "./dom.js";

const MOST = 6;
const FIELDS = { temperature: "temperature", max_tokens: "most", seed: "seed" }; // the API's name → the field's id

let models = [];
let columns = [];

function add(chosen) {
  const select = make("select", {}, ...models.map((one) => make("option", { value: one.id }, one.id)));
  select.value = chosen ?? models[columns.length % models.length].id;
  const remove = make("button", { type: "button", className: "quiet end" }, "✕");
  const figures = make("dl", { className: "figures" });
  const answer = make("div", { className: "answer mono", role: "log", tabIndex: 0 });
  const card = make("section", { className: "card" }, make("header", {}, select, remove), figures, answer);
  const column = { select, remove, figures, answer, card, stop: null };
  remove.addEventListener("click", () => {
    column.stop?.abort();
    columns = columns.filter((one) => one !== column);
    card.remove();
    arrange();
    find("add").focus();
  });
  columns.push(column);
  find("columns").append(card);
  arrange();
}

/** Name what stands in each column by its number, and offer what is possible. */
function arrange() {
  columns.forEach(({ select, remove, answer }, i) => {
    select.setAttribute("aria-label", `Model, column ${i + 1}`);
    remove.setAttribute("aria-label", `Remove column ${i + 1}`);
    answer.setAttribute("aria-label", `Answer, column ${i + 1}`);
  });
  find("add").disabled = columns.length >= MOST || !models.length;
  find("run").disabled = !columns.length;
}

async function run(column) {
  column.stop?.abort();
  const stop = new AbortController();
  column.stop = stop;
  const { select, figures, answer } = column;
  const model = models.find((one) => one.id === select.value);
  const options = { asChat: find("as-chat").checked };
  for (const [name, id] of Object.entries(FIELDS)) {
    const { value } = find(id);
    if (value !== "") options[name] = Number(value); // of an empty one the server decides
  }
  answer.textContent = "";
  answer.classList.remove("error");
  answer.setAttribute("aria-busy", "true");
  figures.replaceChildren();
  const told = { text: "", usage: null, finish: "", first: null, begin: performance.now() };
  const mine = () => column.stop === stop;
  const draw = paced(() => {
    if (mine()) answer.textContent = told.text;
  });
  try {
    for await (const piece of write(model, [{ role: "user", content: find("prompt").value }], options, stop.signal)) {
      if (piece.text) told.first ??= performance.now();
      told.text += piece.text;
      told.usage = piece.usage ?? told.usage;
      told.finish = piece.finish ?? told.finish;
      draw();
    }
  } catch (error) {
    told.finish = "stopped";
    if (error.name !== "AbortError") {
      told.text += `\n${error.message}`;
      if (mine()) answer.classList.add("error");
    }
  }
  if (!mine()) return;
  answer.textContent = told.text;
  answer.setAttribute("aria-busy", "false");
  figures.replaceChildren(...drawFigures(told, performance.now()));
}

function drawFigures({ usage, finish, first, begin }, end) {
  const figure = (name, value) => make("div", {}, make("dt", {}, name), make("dd", {}, value));
  const figures = [];
  if (usage) {
    const count = usage.completion_tokens;
    figures.push(figure("Tokens read", String(usage.prompt_tokens)), figure("Tokens written", String(count)));
    if (first !== null && count > 1) figures.push(figure("A second", ((1000 * (count - 1)) / Math.max(1, end - first)).toFixed(0)));
  }
  if (first !== null) figures.push(figure("First after", `${((first - begin) / 1000).toFixed(2)} s`));
  figures.push(figure("Ended", finish === "length" ? "cut off" : finish || "stopped"));
  return figures;
}

let turns = 0;

find("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  turns += 1;
  const turn = turns;
  find("stop").disabled = false;
  find("status").textContent = "Writing…";
  await Promise.all(columns.map(run));
  if (turn !== turns) return; // it was asked again meanwhile
  if (document.activeElement === find("stop")) find("run").focus(); // what is disabled has no focus
  find("stop").disabled = true;
  find("status").textContent = "";
});
find("stop").addEventListener("click", () => columns.forEach((column) => column.stop?.abort()));
find("add").addEventListener("click", () => {
  add();
  if (find("add").disabled) columns.at(-1).select.focus(); // it was the last that has room
});

try {
  models = (await get("/v1/models")).data;
  add(models[0].id);
  add((models[1] ?? models[0]).id);
} catch (error) {
  find("status").textContent = error.message;
  find("status").className = "error";
  arrange();
}
