// The room where runs are watched: curves, live, two side by side, and their sample sheets.

import { get, picture } from "./api.js";
import { $, make } from "./dom.js";
import { say } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const [HIGH, LEFT, RIGHT, TOP, BOTTOM] = [340, 60, 20, 15, 35];
const EVERY = 5000;

function node(tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

const short = (value) => Number(value.toPrecision(3)).toString();

/** Curves [(class, points)] as an inline picture. */
function chart(curves, logarithmic, title) {
  const scale = logarithmic ? (value) => Math.log10(Math.max(value, 1e-12)) : (value) => value;
  // As wide as it stands there, so that its words keep their size on a narrow page.
  const wide = Math.max(300, $("chart").clientWidth);
  const points = curves.flatMap(([, one]) => one);
  const svg = node("svg", { viewBox: `0 0 ${wide} ${HIGH}`, role: "img", "aria-label": title });
  if (!points.length) return svg;
  const steps = points.map(([step]) => step);
  const values = points.map(([, value]) => scale(value));
  const [first, last] = [Math.min(...steps), Math.max(...steps, Math.min(...steps) + 1)];
  const low = Math.min(...values);
  const high = Math.max(...values) > low ? Math.max(...values) : low + 1;
  const x = (step) => LEFT + (wide - LEFT - RIGHT) * (step - first) / (last - first);
  const y = (value) => HIGH - BOTTOM - (HIGH - TOP - BOTTOM) * (scale(value) - low) / (high - low);
  for (let part = 0; part <= 4; part++) {
    const level = low + (high - low) * part / 4;
    const at = HIGH - BOTTOM - (HIGH - TOP - BOTTOM) * part / 4;
    svg.append(node("path", { class: "axis", d: `M${LEFT} ${at}H${wide - RIGHT}` }));
    svg.append(node("text", { x: LEFT - 8, y: at + 4, "text-anchor": "end" }, short(logarithmic ? 10 ** level : level)));
    const step = Math.round(first + (last - first) * part / 4);
    svg.append(node("text", { x: x(step), y: HIGH - 10, "text-anchor": "middle" }, step));
  }
  for (const [name, one] of curves) {
    const line = one.map(([step, value], at) => `${at ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    svg.append(node("path", { class: name, d: line }));
  }
  return svg;
}

export function startTrain(about, { run }) {
  let timer = null;
  const sheets = new Map();

  async function list() {
    const { data } = about.runs ? await get("/api/runs") : { data: [] };
    $("no-runs").hidden = data.length > 0;
    $("runs-form").hidden = !data.length;
    const [a, b] = [$("run-a").value, $("run-b").value];
    const names = data.sort((one, two) => two.changed - one.changed).map((one) => one.id);
    $("run-a").replaceChildren(...names.map((name) => new Option(name)));
    $("run-b").replaceChildren(new Option(say("none"), ""), ...names.map((name) => new Option(name)));
    if (names.includes(a)) $("run-a").value = a;
    if (names.includes(b)) $("run-b").value = b;
    return data.length > 0;
  }

  async function show() {
    const names = [$("run-a").value, $("run-b").value].filter(Boolean);
    const runs = await Promise.all(names.map((name) => get(`/api/runs/${encodeURIComponent(name)}`)));
    const curves = [...new Set(runs.flatMap((one) => Object.keys(one.curves)))];
    const wanted = curves.includes($("curve").value) ? $("curve").value : curves.includes("loss") ? "loss" : curves[0];
    $("curve").replaceChildren(...curves.map((name) => new Option(name)));
    if (wanted) $("curve").value = wanted;
    const lines = runs.map((one, at) => ["ab"[at], one.curves[wanted] ?? []]);
    const legend = make("figcaption", { className: "legend" }, ...names.map((name, at) => make("span", { className: "ab"[at] }, `${at ? "╌" : "─"} ${name}`)));
    $("chart").replaceChildren(chart(lines, $("log-scale").checked, say("chart", wanted)), legend);
    table(names, lines);
    $("train-status").textContent = runs.map(({ run: one }) => say("at_step", one.id, one.step, one.steps ?? "–")).join(" · ");
    await samples(names, runs);
  }

  function table(names, lines) {
    const rows = new Map();
    lines.forEach(([, points], at) => points.forEach(([step, value]) => {
      rows.set(step, { ...rows.get(step), [at]: short(value) });
    }));
    $("chart-table").hidden = !rows.size;
    const head = make("tr", {}, make("th", { scope: "col" }, say("step")), ...names.map((name) => make("th", { scope: "col" }, name)));
    const every = Math.max(1, Math.ceil(rows.size / 100));
    const body = [...rows].sort(([one], [two]) => one - two).filter((_, at) => at % every === 0);
    $("chart-table").querySelector("table").replaceChildren(head, ...body.map(([step, values]) =>
      make("tr", {}, make("th", { scope: "row" }, step), ...names.map((_, at) => make("td", {}, values[at] ?? "–")))));
  }

  async function samples(names, runs) {
    const shown = await Promise.all(runs.map(async ({ samples: all }, at) => {
      const newest = all.at(-1);
      if (!newest) return null;
      const path = `/api/runs/${encodeURIComponent(names[at])}/samples/${encodeURIComponent(newest)}`;
      if (!sheets.has(path)) sheets.set(path, await picture(path));
      const title = say("sample", names[at], parseInt(newest, 10));
      return make("figure", {}, make("img", { src: sheets.get(path), alt: title }), make("figcaption", { className: "quiet" }, title));
    }));
    $("samples").replaceChildren(...shown.filter(Boolean));
  }

  async function watch() {
    clearTimeout(timer);
    if ($("room-train").hidden) return;
    if (!document.hidden) await show().catch(() => {}); // a server that is away for a moment may come back
    timer = setTimeout(watch, EVERY);
  }

  const again = () => run(show);
  for (const name of ["run-a", "run-b", "curve", "log-scale"]) $(name).addEventListener("change", again);
  return { opened: () => run(async () => { if (await list()) { await show(); clearTimeout(timer); timer = setTimeout(watch, EVERY); } }) };
}
