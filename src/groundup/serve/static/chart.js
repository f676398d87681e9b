// Curves in one plot: axes with round numbers, and a cross that reads their values.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 860;
const HEIGHT = 440;
const EDGE = { top: 14, right: 14, bottom: 40, left: 64 };

function draw(tag, properties, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A number as short as can be, and as exact as a plot needs. */
export function short(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e4 || size < 1e-3) {
    const power = Math.floor(Math.log10(size) + 1e-12);
    const units = { 9: "G", 6: "M", 3: "k" };
    const unit = Math.min(9, Math.floor(power / 3) * 3);
    if (unit in units) return `${Number((value / 10 ** unit).toPrecision(4))} ${units[unit]}`;
    return value.toExponential(2).replace("e", " · 10^").replace("+", "");
  }
  return String(Number(value.toPrecision(4)));
}

/** From a range of numbers to a range of points, and where its marks stand. */
function scale(low, high, from, to, logarithm) {
  const curve = logarithm ? Math.log10 : (value) => value;
  const near = high - low <= 1e-9 * Math.max(Math.abs(low), Math.abs(high));
  if (near) [low, high] = logarithm ? [low / 2, high * 2] : [low - wide(low), high + wide(high)];
  const [a, b] = [curve(low), curve(high)];
  const at = (value) => from + ((curve(value) - a) / (b - a)) * (to - from);
  const back = (point) => {
    const value = a + ((point - from) / (to - from)) * (b - a);
    return logarithm ? 10 ** value : value;
  };
  return { at, back, marks: logarithm ? powers(low, high) : round(low, high) };
}

const wide = (value) => Math.abs(value) / 2 || 0.5;

function round(low, high) {
  const rough = (high - low) / 6;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * unit).find((size) => size >= rough);
  const marks = [];
  const first = Math.ceil(low / step);
  for (let i = 0; i <= 12 && (first + i) * step <= high; i += 1) marks.push((first + i) * step);
  return marks;
}

function powers(low, high) {
  const wide = Math.log10(high / low) > 2.5;
  const marks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
    for (const times of wide ? [1] : [1, 2, 3, 5, 7]) {
      const value = times * 10 ** power;
      if (value >= low && value <= high) marks.push(value);
    }
  }
  return marks.length > 1 ? marks : round(low, high);
}

/** What is shown of noise: an exponential average, corrected at its beginning. */
export function smoothed(points, amount) {
  if (!amount) return points;
  let sum = 0;
  let weight = 0;
  return points.map(([x, y]) => {
    sum = amount * sum + (1 - amount) * y;
    weight = amount * weight + (1 - amount);
    return [x, sum / weight];
  });
}

/** Which points an axis of logarithms can show. */
const fitting = (logX, logY) => ([a, b]) => (!logX || a > 0) && (!logY || b > 0);

const path = (points, x, y) => points.map(([a, b], i) => `${i ? "L" : "M"}${x.at(a).toFixed(1)},${y.at(b).toFixed(1)}`).join("");

/**
 * A plot. curves: `{name, series, points: [[x, y], …], faint}`, with x in order.
 * at: the x where the cross stands; null where there is none. The pointer moves it.
 * tell: is given this x, and the nearest value of each curve.
 */
export function chart(curves, { xName, yName, logX, logY, at = null, tell }) {
  const all = curves.flatMap((curve) => curve.points);
  const fits = fitting(logX, logY);
  const seen = all.filter(fits);
  const svg = draw("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${yName} against ${xName}` });
  if (!seen.length) {
    tell(null, []);
    return svg;
  }
  const range = (i) => seen.reduce(([low, high], point) => [Math.min(low, point[i]), Math.max(high, point[i])], [Infinity, -Infinity]);
  const x = scale(...range(0), EDGE.left, WIDTH - EDGE.right, logX);
  const y = scale(...range(1), HEIGHT - EDGE.bottom, EDGE.top, logY);
  for (const mark of y.marks) {
    const at = y.at(mark);
    svg.append(draw("line", { class: "grid", x1: EDGE.left, x2: WIDTH - EDGE.right, y1: at, y2: at }));
    svg.append(draw("text", { x: EDGE.left - 8, y: at + 4, "text-anchor": "end" }, short(mark)));
  }
  const floor = HEIGHT - EDGE.bottom;
  svg.append(draw("line", { class: "axis", x1: EDGE.left, x2: WIDTH - EDGE.right, y1: floor, y2: floor }));
  for (const mark of x.marks) svg.append(draw("text", { x: x.at(mark), y: floor + 18, "text-anchor": "middle" }, short(mark)));
  svg.append(draw("text", { x: (EDGE.left + WIDTH - EDGE.right) / 2, y: HEIGHT - 4, "text-anchor": "middle" }, xName));
  for (const { points, series, faint } of curves) {
    const some = points.filter(fits);
    if (some.length) svg.append(draw("path", { class: `line s${series}${faint ? " faint" : ""}`, d: path(some, x, y) }));
  }
  const stand = crossed(svg, curves.filter((curve) => !curve.faint), x, y, tell);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    stand(x.back(((event.clientX - box.left) / box.width) * WIDTH));
  });
  svg.addEventListener("pointerleave", () => stand(null));
  stand(at);
  return svg;
}

/** Draw a cross. Returns what lets it stand at an x, or, where null is given or no curve is there, go. */
function crossed(svg, curves, x, y, tell) {
  const cross = draw("line", { class: "cross", y1: EDGE.top, y2: HEIGHT - EDGE.bottom, visibility: "hidden" });
  const dots = draw("g", {});
  svg.append(cross, dots);
  return (value) => {
    const at = value === null ? NaN : x.at(value);
    // The ends themselves are inside, however they are rounded.
    const inside = at > EDGE.left - 1 && at < WIDTH - EDGE.right + 1;
    cross.setAttribute("visibility", inside ? "visible" : "hidden");
    dots.replaceChildren();
    if (!inside) {
      tell(null, []);
      return;
    }
    const near = curves.map((curve) => ({ curve, point: nearest(curve.points, value) })).filter((one) => one.point);
    cross.setAttribute("x1", at);
    cross.setAttribute("x2", at);
    dots.append(
      ...near
        .filter(({ point }) => Number.isFinite(x.at(point[0])) && Number.isFinite(y.at(point[1])))
        .map(({ curve, point }) => draw("circle", { class: `dot s${curve.series}`, cx: x.at(point[0]), cy: y.at(point[1]), r: 4 })),
    );
    tell(value, near);
  };
}

/** Where a key leads the cross: a hundredth of the curves' points on, and at least to the next. Null for other keys. */
export function led(curves, { at, logX, logY }, key) {
  const steps = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity };
  if (!(key in steps)) return null;
  const known = curves.flatMap(({ points }) => points.filter(fitting(logX, logY)).map(([x]) => x));
  const all = [...new Set(known)].sort((a, b) => a - b);
  const before = all.findLastIndex((x) => x <= (at ?? -Infinity));
  const to = before + steps[key] * Math.ceil(all.length / 100);
  return all[Math.min(all.length - 1, Math.max(0, to))] ?? null;
}

function nearest(points, value) {
  if (!points.length) return null;
  let low = 0;
  let high = points.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < value) low = middle;
    else high = middle;
  }
  return value - points[low][0] < points[high][0] - value ? points[low] : points[high];
}
