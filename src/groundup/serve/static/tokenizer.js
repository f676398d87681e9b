// A text as the tokens of several tokenizers, as it is typed.

import { get, post } from "./api.js";
import { find, kept, make, soon } from "./dom.js";
import { asText, explorable, hex, visible } from "./tokens.js";

const MOST = 6;
const DRAWN = 4000; // tokens; more would make typing slow
const EXAMPLE = `def mean(values):
    """The average, 3.14159 say, of Größen, 数 and 🙂."""
    return sum(values) / len(values)
`;

let tokenizers = [];
let columns = [];
const text = find("text");
const encoder = new TextEncoder();

function add(chosen) {
  const options = tokenizers.map((one) => make("option", { value: one.id }, `${one.id} (${one.vocab_size.toLocaleString("en")})`));
  const select = make("select", {}, ...options);
  select.value = chosen ?? tokenizers[columns.length % tokenizers.length].id;
  const remove = make("button", { type: "button", className: "quiet end" }, "✕");
  const figures = make("dl", { className: "figures" });
  const box = make("div", { className: "tokens", role: "group", "aria-label": "Tokens" });
  const told = make("p", { className: "told", role: "status" });
  const ids = make("div", { className: "ids", tabIndex: 0, role: "region", "aria-label": "Ids" });
  const card = make("section", { className: "card" }, make("header", {}, select, remove), figures, box, told, ids);
  const column = { select, remove, figures, box, told, ids, card, asked: null, failed: "" };
  select.addEventListener("change", () => {
    remember();
    read(column);
  });
  remove.addEventListener("click", () => {
    columns = columns.filter((one) => one !== column);
    card.remove();
    remember();
    tell();
    find("add").focus();
  });
  explorable(box, (token) => {
    told.textContent = token.title;
  });
  columns.push(column);
  find("columns").append(card);
  remember();
  read(column);
}

/** Keep which ones are shown, name what stands in each column by its number, and offer what is possible. */
function remember() {
  columns.forEach(({ select, remove }, i) => {
    select.setAttribute("aria-label", `Tokenizer, column ${i + 1}`);
    remove.setAttribute("aria-label", `Remove column ${i + 1}`);
  });
  kept.set("tokenizers", columns.map((column) => column.select.value));
  find("add").disabled = columns.length >= MOST || !tokenizers.length;
}

function tell() {
  find("status").textContent = columns.map((one) => one.failed).find(Boolean) ?? "";
}

async function read(column) {
  column.asked?.abort();
  column.asked = new AbortController();
  const asked = { model: column.select.value, text: text.value, special: find("special").checked, detail: true };
  try {
    draw(column, await post("/tokenize", asked, column.asked.signal));
    column.failed = "";
  } catch (error) {
    if (error.name === "AbortError") return;
    column.failed = error.message;
    // What stands there is of another text.
    for (const part of [column.figures, column.box, column.told, column.ids]) part.replaceChildren();
  }
  tell();
}

function draw({ select, figures, box, told, ids }, { tokens, bytes }) {
  const known = tokenizers.find((one) => one.id === select.value);
  const special = new Set(Object.values(known.special_tokens));
  const size = encoder.encode(text.value).length;
  const letters = [...text.value].length;
  const figure = (name, value) => make("div", {}, make("dt", {}, name), make("dd", {}, value));
  const ratio = (count) => (tokens.length ? (count / tokens.length).toFixed(2) : "–");
  figures.replaceChildren(
    figure("Tokens", tokens.length.toLocaleString("en")),
    figure("Bytes a token", ratio(size)),
    figure("Characters a token", ratio(letters)),
    figure("Different ones", new Set(tokens).size.toLocaleString("en")),
  );
  const shown = tokens.slice(0, DRAWN).map((id, i) => span(id, bytes[i], i, special.has(id)));
  box.replaceChildren(...shown);
  told.textContent = tokens.length > DRAWN ? `The first ${DRAWN.toLocaleString("en")} are shown.` : "";
  ids.hidden = !find("ids").checked;
  ids.textContent = ids.hidden ? "" : `[${tokens.slice(0, DRAWN).join(", ")}${tokens.length > DRAWN ? ", …" : ""}]`;
}

function span(id, inHex, index, special) {
  const bytes = (inHex.match(/../g) ?? []).map((pair) => parseInt(pair, 16));
  const whole = asText(bytes);
  const shown = whole === null ? `‹${hex(bytes)}›` : find("spaces").checked ? visible(whole) : whole;
  const token = make("span", { className: `token c${index % 6}`, tabIndex: index ? -1 : 0 }, shown);
  if (special) token.classList.add("special");
  if (whole === null) token.classList.add("bytes");
  const what = special ? "a special token" : whole === null ? "part of a character" : JSON.stringify(whole);
  token.title = `${id}: ${what}, ${bytes.length} byte${bytes.length === 1 ? "" : "s"} ${hex(bytes)}`;
  return token;
}

function readAll() {
  const size = encoder.encode(text.value).length;
  find("size").value = `${[...text.value].length.toLocaleString("en")} characters, ${size.toLocaleString("en")} bytes`;
  kept.set("text", text.value.slice(0, 100_000));
  for (const column of columns) read(column);
}

text.value = kept.get("text", EXAMPLE);
text.addEventListener("input", soon(readAll, 80));
for (const id of ["special", "ids", "spaces"]) find(id).addEventListener("change", readAll);
find("add").addEventListener("click", () => {
  add();
  if (find("add").disabled) columns.at(-1).select.focus(); // it was the last that has room
});

try {
  tokenizers = (await get("/tokenizers")).data;
  const before = kept.get("tokenizers", []).filter((id) => tokenizers.some((one) => one.id === id));
  for (const id of before.length ? before : tokenizers.slice(0, 2).map((one) => one.id)) add(id);
  readAll();
} catch (error) {
  find("status").textContent = error.message;
}
