// Markdown as elements. Model output is a stranger's text: every character of it becomes text, never
// HTML; links lead to http, https and mail alone, and pictures are not loaded. Whatever the text, it
// takes a time that grows with its length: what may stand between two signs has a bound.

import { make } from "./dom.js";

/** A fragment of the document. */
export function markdown(text) {
  const fragment = document.createDocumentFragment();
  fragment.append(...blocks(text.split(/\r\n|[\n\r\u2028\u2029]/)));
  return fragment;
}

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const HEADING = /^ {0,3}(#{1,6})[ \t]+(.*)$/;
const RULE = /^ {0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const QUOTE = /^ {0,3}>[ \t]?/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])[ \t]+(.*)$/;
const ROW = /^\s*\|.*\|\s*$/;
const DIVIDER = /^\s*\|(?:[ \t]*:?-+:?[ \t]*\|)+\s*$/;
const DEEPEST = 8;

/** The fence with which a line opens a block of code, and the code's language; null for other lines. */
function opened(line) {
  const match = FENCE.exec(line);
  if (!match) return null;
  const behind = line.slice(match[0].length);
  if (match[1][0] === "`" && behind.includes("`")) return null; // code within a line
  return { fence: match[1], language: /^[ \t]*([\w+#.-]*)/.exec(behind)[1] };
}

/** Whether a line ends the paragraph before it. Of numbered lists only one that begins with 1 does. */
function interrupts(line) {
  const item = ITEM.exec(line);
  const list = item && (!/\d/.test(item[2]) || parseInt(item[2], 10) === 1);
  return list || opened(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line);
}

function blocks(lines, depth = 0) {
  const made = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    let match;
    if (!line.trim()) {
      at += 1;
    } else if ((match = opened(line))) {
      const { fence, language } = match;
      const inside = [];
      const closes = new RegExp(`^ {0,3}${fence[0]}{${fence.length},}[ \\t]*$`);
      for (at += 1; at < lines.length && !closes.test(lines[at]); at += 1) inside.push(lines[at]);
      at += 1;
      const code = make("code", language ? { "data-language": language } : {}, inside.join("\n"));
      made.push(make("pre", { tabIndex: 0 }, code));
    } else if ((match = HEADING.exec(line))) {
      made.push(make(`h${Math.min(4, match[1].length + 1)}`, {}, ...inline(title(match[2]))));
      at += 1;
    } else if (RULE.test(line)) {
      made.push(make("hr"));
      at += 1;
    } else if (QUOTE.test(line) && depth < DEEPEST) {
      const inside = [];
      for (; at < lines.length && QUOTE.test(lines[at]); at += 1) inside.push(lines[at].replace(QUOTE, ""));
      made.push(make("blockquote", {}, ...blocks(inside, depth + 1)));
    } else if (ITEM.test(line) && depth < DEEPEST) {
      const [list, next] = items(lines, at, depth);
      made.push(list);
      at = next;
    } else if (ROW.test(line) && DIVIDER.test(lines[at + 1] ?? "")) {
      const rows = [];
      for (; at < lines.length && ROW.test(lines[at]); at += 1) rows.push(lines[at]);
      made.push(table(rows));
    } else {
      const inside = [line];
      for (at += 1; at < lines.length && lines[at].trim() && !interrupts(lines[at]); at += 1) inside.push(lines[at]);
      made.push(make("p", {}, ...inline(inside.join("\n"))));
    }
  }
  return made;
}

/** What a heading says, without signs that close it. */
function title(text) {
  const trimmed = text.trimEnd();
  let end = trimmed.length;
  while (trimmed[end - 1] === "#") end -= 1;
  return end === 0 || /\s/.test(trimmed[end - 1]) ? trimmed.slice(0, end).trimEnd() : trimmed;
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

/** The cells of a row. Neither a bar behind a backslash divides them nor one within code. */
function cells(row) {
  const hidden = row.trim().slice(1, -1).replace(/`[^`]*`/g, (code) => code.replaceAll("|", "\0"));
  return hidden.split(/(?<!\\)\|/).map((cell) => cell.replaceAll("\0", "|").trim());
}

function table(rows) {
  const line = (row, tag) => make("tr", {}, ...cells(row).map((cell) => make(tag, {}, ...inline(cell))));
  const body = rows.slice(2).map((row) => line(row, "td"));
  return make("table", {}, make("thead", {}, line(rows[0], "th")), make("tbody", {}, ...body));
}

const strong = (match, depth) => make("strong", {}, ...inline(match[1], depth));
const emphasis = (match, depth) => make("em", {}, ...inline(match[1], depth));

// Code first, as nothing in it is a sign; then links, and the longer signs before the shorter.
const SPANS = [
  [/(?<!`)(`{1,8})(?!`)([^]{0,1000}?[^`])\1(?!`)/g, (match) => make("code", {}, match[2].replace(/^ (.*) $/, "$1"))],
  [/\\([!-/:-@[-`{-~])/g, (match) => match[1]],
  [/!?\[([^\]\n]{0,300})\]\( {0,4}<?((?:[^\s()<>]|\([^\s()<>]{0,300}\)){1,2000})>?(?: {1,4}"[^"\n]{0,300}")? {0,4}\)/g, (match, depth) => link(match[2], inline(match[1], depth))],
  [/\bhttps?:\/\/[^\s<>"')\]]{0,2000}[\w/#=&-]/g, (match) => link(match[0], [match[0]])],
  [/\*\*\*(?=\S)([^]{0,1000}?\S)\*\*\*/g, (match, depth) => make("strong", {}, emphasis(match, depth))],
  [/\*\*(?=\S)([^]{0,1000}?\S)\*\*/g, strong],
  [/(?<!\w)__(?=\S)([^]{0,1000}?\S)__(?!\w)/g, strong],
  [/~~(?=\S)([^]{0,1000}?\S)~~/g, (match, depth) => make("del", {}, ...inline(match[1], depth))],
  [/\*(?=[^\s*])([^*]{0,1000}?[^\s*])\*/g, emphasis],
  [/(?<!\w)_(?=[^\s_])([^_]{0,1000}?[^\s_])_(?!\w)/g, emphasis],
];

function inline(text, depth = 0) {
  if (depth > DEEPEST) return [text];
  const made = [];
  const next = SPANS.map(() => undefined); // of each kind the next one; null where there is none left
  let at = 0;
  for (;;) {
    let first = -1;
    SPANS.forEach(([expression], kind) => {
      if (next[kind] === undefined || next[kind]?.index < at) {
        expression.lastIndex = at;
        next[kind] = expression.exec(text);
      }
      if (next[kind] && (first < 0 || next[kind].index < next[first].index)) first = kind;
    });
    if (first < 0) break;
    const match = next[first];
    made.push(text.slice(at, match.index), SPANS[first][1](match, depth + 1));
    at = match.index + match[0].length;
  }
  made.push(text.slice(at));
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
  const named = children.length ? children : [target];
  if (!address || !["http:", "https:", "mailto:"].includes(address.protocol)) {
    return make("span", { title: "This link leads to no page." }, ...named);
  }
  const safe = { href: address.href, title: address.href, target: "_blank", rel: "noopener noreferrer nofollow" };
  return make("a", safe, ...named);
}
