// The curves of all runs in a folder, while they grow.

import { get } from "./api.js";
import { chart, led, short, smoothed } from "./chart.js";
import { find, kept, make, paced } from "./dom.js";

const SERIES = 8;
const EVERY = 2000; // milliseconds
const LIVE = 30; // seconds since a run went on, up to which it is called live

const curves = new Map(); // name → {name, records, after, file, series, following}
const chosen = new Set(kept.get("curves", []));
const names = { x: "", y: "" };
let begun = false; // whether there has been a run to show
let changed = true; // whether the chart does not show yet what is known
let plotted = []; // what the chart shows
let at = null; // where along it the cross stands

const shown = () => [...chosen].map((name) => curves.get(name)).filter((curve) => curve?.records.length);

async function look() {
  let told = "";
  try {
    const { data } = await get("/curves");
    for (const { name } of data) {
      if (!curves.has(name)) curves.set(name, { name, records: [], after: 0, file: "", series: 0, following: null });
    }
    for (const name of curves.keys()) if (!data.some((one) => one.name === name)) changed = curves.delete(name);
    // The newest to begin with; later nothing is shown where nothing is ticked.
    if (!begun && data.length && ![...chosen].some((name) => curves.has(name))) choose(data[0].name, true);
    begun ||= data.length > 0;
    if (!data.length) told = "No run has written a curve here yet. Start the server with --runs FOLDER to show another folder.";
    drawList(data);
    await Promise.all([...chosen].filter((name) => curves.has(name)).map((name) => follow(curves.get(name))));
  } catch (error) {
    told = error.message;
  }
  if (find("status").textContent !== told) find("status").textContent = told;
  if (!changed) return;
  changed = false;
  drawFields();
  draw();
}

/** Read what a curve has got since. Who asks meanwhile waits for the same reading: two would take it twice. */
function follow(curve) {
  curve.following ??= read(curve).finally(() => {
    curve.following = null;
  });
  return curve.following;
}

async function read(curve) {
  const path = curve.name.split("/").map(encodeURIComponent).join("/");
  for (;;) {
    const told = await get(`/curves/${path}?after=${curve.after}&file=${curve.file}`);
    if (told.fresh) curve.records = [];
    curve.records.push(...told.records);
    if (told.fresh || told.records.length) changed = true;
    Object.assign(curve, { after: told.after, file: told.file });
    if (!told.more) return;
  }
}

function choose(name, is) {
  if (is) chosen.add(name);
  else chosen.delete(name);
  const taken = new Set([...chosen].map((one) => curves.get(one)?.series));
  const curve = curves.get(name);
  if (is && curve) curve.series = [...Array(SERIES).keys()].map((i) => i + 1).find((i) => !taken.has(i)) ?? 1 + (chosen.size % SERIES);
  changed = true;
  kept.set("curves", [...chosen]);
}

let listed = "";

function drawList(data) {
  for (const name of chosen) if (curves.get(name) && !curves.get(name).series) choose(name, true);
  const rows = data.map(({ name, age }) => ({ name, live: age < LIVE, series: chosen.has(name) ? curves.get(name).series : 0 }));
  if (JSON.stringify(rows) === listed) return; // so that what has the keyboard's focus keeps it
  listed = JSON.stringify(rows);
  const focused = document.activeElement?.dataset?.run;
  find("runs").replaceChildren(
    ...rows.map(({ name, live, series }) => {
      const box = make("input", { type: "checkbox", checked: series > 0, "data-run": name });
      box.addEventListener("change", () => {
        choose(name, box.checked);
        look();
      });
      const parts = [box, make("span", { className: series ? `swatch s${series}` : "swatch" }), make("span", {}, name)];
      if (live) parts.push(make("span", { className: "live" }, "live"));
      return make("li", {}, make("label", {}, ...parts));
    }),
  );
  if (focused) document.querySelector(`[data-run="${CSS.escape(focused)}"]`)?.focus();
}

function drawFields() {
  const numbers = new Set();
  for (const { records } of shown()) for (const record of records) for (const [key, value] of Object.entries(record)) if (typeof value === "number") numbers.add(key);
  const along = ["step", "tokens", "seconds"].filter((name) => numbers.has(name));
  const up = [...numbers].filter((name) => !["step", "seconds"].includes(name));
  fields("x", along.length ? along : ["step"]);
  fields("y", up);
}

function fields(id, options) {
  const select = find(id);
  if ([...select.options].map((one) => one.value).join() !== options.join()) {
    select.replaceChildren(...options.map((name) => make("option", { value: name }, name.replaceAll("_", " "))));
  }
  const wanted = names[id] || kept.get(`axis-${id}`, id === "y" ? "loss" : "step");
  if (options.includes(wanted)) select.value = wanted;
}

const draw = paced(() => {
  const [x, y] = [find("x").value, find("y").value];
  const amount = Number(find("smooth").value);
  find("smooth-told").value = amount ? amount.toFixed(2) : "none";
  plotted = [];
  for (const { name, series, records } of shown()) {
    const points = records.filter((one) => typeof one[x] === "number" && typeof one[y] === "number").map((one) => [one[x], one[y]]);
    if (amount) plotted.push({ name, series, points, faint: true });
    plotted.push({ name, series, points: smoothed(points, amount) });
  }
  const all = plotted.filter((curve) => !curve.faint);
  const tell = (value, near) => {
    at = value;
    legend(all.map((curve) => [curve, near.find((one) => one.curve === curve)?.point]));
  };
  const options = { xName: x, yName: y.replaceAll("_", " "), logX: find("log-x").checked, logY: find("log-y").checked, at, tell };
  find("chart").replaceChildren(chart(plotted, options));
  last(all);
});

let legended = "";

function legend(curves) {
  const rows = curves.map(([{ name, series }, point]) => ({ series, text: name + (point ? `: ${short(point[1])} at ${short(point[0])}` : "") }));
  if (JSON.stringify(rows) === legended) return; // so that a screen reader does not say it again
  legended = JSON.stringify(rows);
  find("legend").replaceChildren(...rows.map(({ series, text }) => make("li", {}, make("span", { className: `swatch s${series}` }), text)));
}

function last(plotted) {
  const rows = plotted
    .filter(({ points }) => points.length)
    .map(({ name, points }) => make("tr", {}, make("th", { scope: "row" }, name), ...points.at(-1).toReversed().map((value) => make("td", {}, short(value)))));
  for (const axis of ["x", "y"]) find(`last-${axis}`).textContent = find(axis).value.replaceAll("_", " ");
  find("values").tBodies[0].replaceChildren(...rows);
}

for (const id of ["x", "y"]) {
  find(id).addEventListener("change", () => {
    names[id] = find(id).value;
    kept.set(`axis-${id}`, names[id]);
    at = null;
    draw();
  });
}
find("chart").addEventListener("keydown", (event) => {
  const to = led(plotted, { at, logX: find("log-x").checked, logY: find("log-y").checked }, event.key);
  if (to === null || event.altKey || event.ctrlKey || event.metaKey) return; // these lead elsewhere: back, for one
  event.preventDefault();
  at = to;
  draw();
});
for (const id of ["smooth", "log-x", "log-y"]) find(id).addEventListener("input", draw);

/** Look again, some time after the last look has ended. */
async function watch() {
  if (!document.hidden) await look();
  setTimeout(watch, EVERY);
}

watch();
