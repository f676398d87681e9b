// Elements, and nothing of what anyone wrote is ever read as HTML.

/** An element with properties and children; strings become text. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && typeof value !== "string") element[name] = value;
    else if (name === "className" || name === "textContent" || name === "value") element[name] = value;
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export const find = (id) => document.getElementById(id);

/** Call soon, and once, however often it is asked for meanwhile. */
export function soon(call, wait) {
  let timer;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...values), wait);
  };
}

/** Call before the screen is next drawn, and once; what takes long is called less often. */
export function paced(call) {
  let asked = false;
  let rest = 0; // milliseconds
  return () => {
    if (asked) return;
    asked = true;
    setTimeout(() => {
      requestAnimationFrame(() => {
        asked = false;
        const begin = performance.now();
        call();
        rest = 3 * (performance.now() - begin);
      });
    }, rest);
  };
}

/** What this browser remembers; nothing where it may not. */
export const kept = {
  get(name, otherwise) {
    try {
      return JSON.parse(localStorage.getItem(`groundup.${name}`)) ?? otherwise;
    } catch {
      return otherwise;
    }
  },
  /** Whether it could. */
  set(name, value) {
    try {
      localStorage.setItem(`groundup.${name}`, JSON.stringify(value));
      return true;
    } catch {
      return false; // full, or forbidden
    }
  },
};
