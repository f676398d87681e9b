// Tokens as spans of text: colours, and what each one is.

import { make } from "./dom.js";

const BOM = "\ufeff"; // a mark at the beginning of files, which has no width
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }); // it is left where it stands

/** The bytes as text, or null where they are no whole characters. */
export function asText(bytes) {
  try {
    return strict.decode(new Uint8Array(bytes));
  } catch {
    return null;
  }
}

export const hex = (bytes) => bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");

/** White space that can be seen. */
export const visible = (text) =>
  text.replaceAll(BOM, "‹BOM›").replaceAll(" ", "·").replaceAll("\t", "→\t").replace(/\r\n|\n|\r/g, (end) => `↵${end}`);

/** Let the arrow keys lead from one token to the next, and tell of the one that is looked at. */
export function explorable(box, tell) {
  const told = (event) => {
    const token = event.target.closest?.(".token");
    if (token) tell(token);
  };
  box.addEventListener("pointerover", told);
  box.addEventListener("focusin", told);
  box.addEventListener("click", told);
  box.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity };
    const token = event.target.closest?.(".token");
    if (!token || !(event.key in steps)) return;
    const all = [...box.querySelectorAll(".token")];
    const to = Math.min(all.length - 1, Math.max(0, all.indexOf(token) + steps[event.key]));
    token.tabIndex = -1;
    all[to].tabIndex = 0;
    all[to].focus();
    event.preventDefault();
  });
}

/** Spans of what a model wrote: the less likely a token was, the stronger its colour. */
export function likely(tokens) {
  const spans = [];
  let bytes = [];
  let group = [];
  const close = () => {
    const text = asText(bytes) ?? `‹${hex(bytes)}›`;
    const least = Math.min(...group.map((token) => token.logprob));
    const span = make("span", { className: "token", tabIndex: spans.length ? -1 : 0 }, text);
    span.style.backgroundColor = shade(Math.exp(least));
    span.told = group;
    spans.push(span);
    bytes = [];
    group = [];
  };
  for (const token of tokens) {
    bytes.push(...token.bytes);
    group.push(token);
    if (asText(bytes) !== null || bytes.length > 8) close();
  }
  if (group.length) close();
  return spans;
}

const shade = (probability) =>
  `color-mix(in oklab, var(--series-2) ${Math.round(55 * (1 - probability))}%, transparent)`;

/** A sentence about the tokens of one span, and what else could have stood there. */
export function describe(token) {
  const percent = (logprob) => `${(100 * Math.exp(logprob)).toFixed(1)} %`;
  const shown = (one) => JSON.stringify(one.token);
  return token.told
    .map((one) => {
      const others = one.top_logprobs.map((other) => `${shown(other)} ${percent(other.logprob)}`);
      return `${shown(one)}: ${percent(one.logprob)}${others.length ? `. Likeliest: ${others.join(", ")}` : ""}`;
    })
    .join("; ");
}
