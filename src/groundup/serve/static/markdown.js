// Markdown as elements. Model output is a stranger's text: every character of it becomes text, never
// HTML; links lead to http, https and mail alone, and pictures are not loaded.

import { make } from "./dom.js";

/** A fragment of the document. */
export function markdown(text) {
  const fragment = document.createDocumentFragment();
  fragment.append(...blocks(text.replaceAll("\r\n", "\n").split("\n")));
  return fragment;
}

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}>\s?/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const ROW = /^\s*\|.*\|\s*$/;
const DIVIDER = /^\s*\|(?:\s*:?-+:?\s*\|)+\s*$/;

function blocks(lines, depth = 0) {
  const made = [];
  let at = 0;
  const begins = (line) =>
    FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line);
  while (at < lines.length) {
    const line = lines[at];
    let match;
    if (!line.trim()) {
      at += 1;
    } else if ((match = FENCE.exec(line))) {
      const [, fence, language] = match;
      const inside = [];
      const closes = new RegExp(`^ {0,3}${fence[0]}{${fence.length},}\\s*$`);
      for (at += 1; at < lines.length && !closes.test(lines[at]); at += 1) inside.push(lines[at]);
      at += 1;
      const code = make("code", language ? { "data-language": language } : {}, inside.join("\n"));
      made.push(make("pre", { tabIndex: 0 }, code));
    } else if ((match = HEADING.exec(line))) {
      made.push(make(`h${Math.min(4, match[1].length + 1)}`, {}, ...inline(match[2])));
      at += 1;
    } else if (RULE.test(line)) {
      made.push(make("hr"));
      at += 1;
    } else if (QUOTE.test(line) && depth < 8) {
      const inside = [];
      for (; at < lines.length && QUOTE.test(lines[at]); at += 1) inside.push(lines[at].replace(QUOTE, ""));
      made.push(make("blockquote", {}, ...blocks(inside, depth + 1)));
    } else if (ITEM.test(line) && depth < 8) {
      const [list, next] = items(lines, at, depth);
      made.push(list);
      at = next;
    } else if (ROW.test(line) && DIVIDER.test(lines[at + 1] ?? "")) {
      const rows = [];
      for (; at < lines.length && ROW.test(lines[at]); at += 1) rows.push(lines[at]);
      made.push(table(rows));
    } else {
      const inside = [line];
      for (at += 1; at < lines.length && lines[at].trim() && !begins(lines[at]); at += 1) inside.push(lines[at]);
      made.push(make("p", {}, ...inline(inside.join("\n"))));
    }
  }
  return made;
}

/** A list that begins at a line, and the line behind it. */
function items(lines, from, depth) {
  const [, indent, sign] = ITEM.exec(lines[from]);
  const ordered = /\d/.test(sign);
  const list = make(ordered ? "ol" : "ul", ordered ? { start: parseInt(sign, 10) } : {});
  let at = from;
  while (at < lines.length) {
    const match = ITEM.exec(lines[at]);
    if (!match || match[1].length > indent.length + 1 || match[1].length < indent.length) break;
    if (/\d/.test(match[2]) !== ordered) break;
    const inside = [match[3]];
    const width = match[1].length + match[2].length + 1;
    for (at += 1; at < lines.length; at += 1) {
      const blank = !lines[at].trim();
      if (blank && !/^ {2,}\S/.test(lines[at + 1] ?? "")) break;
      if (!blank && lines[at].search(/\S/) <= indent.length && ITEM.test(lines[at])) break;
      if (!blank && !/^ {2,}/.test(lines[at]) && inside.at(-1) === "") break;
      inside.push(lines[at].replace(new RegExp(`^ {0,${width}}`), ""));
    }
    const made = blocks(inside, depth + 1);
    const tight = made.length && made[0].tagName === "P";
    list.append(make("li", {}, ...(tight ? [...made[0].childNodes, ...made.slice(1)] : made)));
    while (at < lines.length && !lines[at].trim() && ITEM.test(lines[at + 1] ?? "")) at += 1;
  }
  return [list, at];
}

function table(rows) {
  const cells = (row) => row.trim().slice(1, -1).split(/(?<!\\)\|/).map((cell) => cell.trim());
  const line = (row, tag) => make("tr", {}, ...cells(row).map((cell) => make(tag, {}, ...inline(cell))));
  const body = rows.slice(2).map((row) => line(row, "td"));
  return make("table", {}, make("thead", {}, line(rows[0], "th")), make("tbody", {}, ...body));
}

// Code first, as nothing in it is a sign; then links, and the longer signs before the shorter.
const SPANS = [
  [/(`+)([^]*?[^`])\1(?!`)/, (match) => make("code", {}, match[2].replace(/^ (.*) $/, "$1"))],
  [/\\([!-/:-@[-`{-~])/, (match) => match[1]],
  [/!?\[([^\]\n]*)\]\(\s*<?([^\s)>]+)>?(?:\s+"[^"\n]*")?\s*\)/, (match, depth) => link(match[2], inline(match[1], depth))],
  [/\bhttps?:\/\/[^\s<>"')\]]*[\w/#=&-]/, (match) => link(match[0], [match[0]])],
  [/\*\*(?=\S)([^]*?\S)\*\*/, (match, depth) => make("strong", {}, ...inline(match[1], depth))],
  [/(?<!\w)__(?=\S)([^]*?\S)__(?!\w)/, (match, depth) => make("strong", {}, ...inline(match[1], depth))],
  [/~~(?=\S)([^]*?\S)~~/, (match, depth) => make("del", {}, ...inline(match[1], depth))],
  [/\*(?=[^\s*])([^*]*?[^\s*])\*/, (match, depth) => make("em", {}, ...inline(match[1], depth))],
  [/(?<!\w)_(?=[^\s_])([^_]*?[^\s_])_(?!\w)/, (match, depth) => make("em", {}, ...inline(match[1], depth))],
];

function inline(text, depth = 0) {
  if (depth > 8) return [text];
  const made = [];
  let rest = text;
  while (rest) {
    let first = null;
    for (const [expression, build] of SPANS) {
      const match = expression.exec(rest);
      if (match && (first === null || match.index < first.match.index)) first = { match, build };
    }
    if (first === null) break;
    const { match, build } = first;
    made.push(rest.slice(0, match.index), build(match, depth + 1));
    rest = rest.slice(match.index + match[0].length);
  }
  made.push(rest);
  return made.filter((part) => part !== "");
}

/** A link; where it leads elsewhere than to a page or to mail, its text alone. */
function link(target, children) {
  let address;
  try {
    address = new URL(target);
  } catch {
    address = null;
  }
  if (!address || !["http:", "https:", "mailto:"].includes(address.protocol)) {
    return make("span", { title: "This link leads to no page." }, ...children);
  }
  const safe = { href: address.href, title: address.href, target: "_blank", rel: "noopener noreferrer nofollow" };
  return make("a", safe, ...children);
}
