// The settings of how answers are written: what they are called, their bounds, and what they do.

import { kept, make } from "./dom.js";

const FIELDS = [
  { name: "temperature", label: "Temperature", type: "range", min: 0, max: 2, step: 0.05, start: 0.7, help: "0 writes the likeliest token; more dares more." },
  { name: "top_p", label: "Top-p", type: "range", min: 0.05, max: 1, step: 0.05, start: 1, help: "Only the likeliest tokens that together are so probable." },
  { name: "min_p", label: "Min-p", type: "range", min: 0, max: 1, step: 0.01, start: 0, help: "None that is less likely than this share of the likeliest." },
  { name: "top_k", label: "Top-k", type: "number", min: 1, step: 1, start: "", help: "Only so many of the likeliest. Empty: all." },
  { name: "max_tokens", label: "Most tokens", type: "number", min: 1, step: 1, start: 512, help: "Where an answer ends at the latest." },
  { name: "frequency_penalty", label: "Against repetition", type: "range", min: 0, max: 2, step: 0.1, start: 0, help: "Taken from a token each time that it was written." },
  { name: "presence_penalty", label: "Towards new words", type: "range", min: 0, max: 2, step: 0.1, start: 0, help: "Taken once from every token that was written." },
  { name: "repetition_penalty", label: "Against all that was said", type: "range", min: 1, max: 2, step: 0.05, start: 1, help: "Divides tokens that were read or written. 1: none." },
  { name: "seed", label: "Seed", type: "number", step: 1, start: "", help: "The same seed, the same answer. Empty: a new one each time." },
  { name: "stop", label: "Stop at", type: "text", start: "", help: "A text before which the answer ends." },
];

/**
 * Fill a box with the settings. Returns `current`, what they are at the moment, as the API names them;
 * and `converse`, to be called with whether the model that is chosen was taught to.
 * coloured: is called when tokens are to be shown in another way.
 */
export function settings(box, coloured) {
  const values = kept.get("options", {});
  const system = make("textarea", { id: "system", rows: "3" });
  system.value = values.system ?? "";
  const colours = make("input", { id: "logprobs", type: "checkbox", checked: values.logprobs ?? false });
  const inputs = new Map();

  const keep = () => {
    const told = { system: system.value, logprobs: colours.checked };
    for (const [name, input] of inputs) told[name] = input.value;
    kept.set("options", told);
  };
  const field = (label, input, help, told) => {
    const hint = make("small", { id: `${input.id}-help` }, help);
    input.setAttribute("aria-describedby", hint.id);
    return make("div", { className: "field" }, make("label", { for: input.id }, label, ...(told ? [told] : [])), input, hint);
  };

  box.append(field("System", system, ""));
  for (const { name, label, start, help, ...rest } of FIELDS) {
    const input = make("input", { id: `option-${name}`, ...Object.fromEntries(Object.entries(rest).map(([k, v]) => [k, String(v)])) });
    input.value = values[name] ?? start;
    const told = rest.type === "range" ? make("output", { for: input.id }, input.value) : null;
    input.addEventListener("input", () => {
      if (told) told.value = input.value;
      keep();
    });
    inputs.set(name, input);
    box.append(field(label, input, help, told));
  }
  box.append(make("label", { className: "check" }, colours, "Show how likely tokens were"));
  const reset = make("button", { type: "button", className: "quiet" }, "As they were at first");
  reset.addEventListener("click", () => {
    for (const { name, start } of FIELDS) {
      inputs.get(name).value = start;
      inputs.get(name).dispatchEvent(new Event("input"));
    }
  });
  box.append(reset);
  system.addEventListener("input", keep);
  colours.addEventListener("input", () => {
    keep();
    coloured();
  });

  const converse = (can) => {
    system.disabled = !can;
    box.querySelector("#system-help").textContent = can
      ? "What the model is told before the conversation."
      : "This model was not taught to converse: it is told nothing before your text.";
  };
  const current = () => {
    const options = { logprobs: colours.checked };
    for (const { name, type } of FIELDS) {
      const { value } = inputs.get(name);
      if (value !== "") options[name] = type === "text" ? value : Number(value);
    }
    return { system: system.value.trim(), options };
  };
  return { current, converse };
}
