// Conversations, as this browser keeps them: other tabs write there, too, and what they wrote stays.

import { kept } from "./dom.js";

const MOST = 100;

/** A new one, which is kept as soon as something is said. */
export const fresh = () => ({ id: crypto.randomUUID?.() ?? String(Math.random()), title: "", messages: [] });

export const all = () => kept.get("talks", []);

export const get = (id) => all().find((one) => one.id === id);

/** Keep one as it is now; where there is no room, in place of the oldest. Whether it is kept. */
export function keep(talk) {
  const messages = talk.messages.map(({ tokens, ...rest }) => rest);
  const others = all().filter((one) => one.id !== talk.id);
  for (let most = MOST - 1; most >= 0; most = Math.min(most, others.length) - 1) {
    if (kept.set("talks", [{ ...talk, messages }, ...others.slice(0, most)])) return true;
  }
  return false;
}

export const forget = (id) => kept.set("talks", all().filter((one) => one.id !== id));
