// The room where captions become pictures.

import { postForm, stream, streamForm } from "./api.js";
import { $, make, takeFiles } from "./dom.js";
import { Mask } from "./mask.js";
import { blobOf, factsOf } from "./png.js";
import { forget, remember, remembered } from "./store.js";
import { PATTERNS, say, spoken } from "./words.js";

const SHOWN = 4;
const FORM = ["prompt", "count", "seed", "temperature", "guidance"];

export function startDraw(about, { run, tell }) {
  const drawing = about.draw;
  if (!drawing) {
    $("go").disabled = true;
    $("status").textContent = say("no_painter");
    return {};
  }
  const mask = new Mask();
  let results = [];
  let chosen = null;
  let controller = null;
  let all = false;

  // The form

  function fillPatterns() {
    const titles = PATTERNS[spoken()].map((pattern) => pattern.map((part) => Array.isArray(part) ? part[0] : part).join(""));
    $("pattern").replaceChildren(...titles.map((title, at) => new Option(title, at)), new Option(say("own_words"), "own"));
  }

  function fillWords() {
    const pattern = PATTERNS[spoken()][$("pattern").value];
    $("words").hidden = !pattern;
    if (!pattern) return;
    const spread = () => { $("prompt").value = [...$("words").childNodes].map((node) => node.value ?? node.textContent).join(""); };
    $("words").replaceChildren(...pattern.map((part) => {
      if (!Array.isArray(part)) return part;
      const list = make("select", { "aria-label": `${say("word")}: ${part[0]}`, onchange: spread });
      list.append(...part.map((word) => new Option(word)));
      return list;
    }));
    spread();
  }

  function restoreForm() {
    const kept = JSON.parse(localStorage.getItem("form") ?? "{}");
    for (const name of FORM) if (kept[name]) $(name).value = kept[name];
    if (kept.prompt && kept.prompt !== "") $("pattern").value = "own";
    if ($("pattern").value === "own") $("words").hidden = true;
  }

  function keepForm() {
    localStorage.setItem("form", JSON.stringify(Object.fromEntries(FORM.map((name) => [name, $(name).value]))));
  }

  function number(name) {
    return $(name).value.trim() === "" ? undefined : Number($(name).value);
  }

  function useFacts(facts) {
    $("pattern").value = "own";
    $("words").hidden = true;
    $("prompt").value = facts.caption ?? "";
    $("seed").value = facts.seed ?? "";
    $("temperature").value = facts.temperature ?? "";
    $("guidance").value = facts.guidance ?? "";
    if (facts.candidates) $("count").value = Math.min(facts.candidates, drawing.count);
    keepForm();
    $("status").textContent = say("restored", facts.caption ?? "");
  }

  // The pictures

  function note(entry) {
    const text = entry.score == null ? say("candidate", entry.index) : say("score", entry.score.toFixed(3));
    const parts = [make("span", {}, entry.rank == null ? "" : `${entry.rank + 1}.`), make("span", {}, text)];
    return make("span", { className: "note" }, ...parts);
  }

  function tile(entry) {
    const image = make("img", { src: entry.url, alt: entry.rank == null ? say("drawing") : say("rank", entry.rank + 1, entry.caption) });
    if (entry.rank == null) return make("li", {}, make("figure", {}, image, note(entry)));
    const button = make("button", { type: "button", onclick: () => choose(entry) }, image, note(entry));
    if (entry.score != null) {
      button.append(make("meter", { min: -1, max: 1, value: entry.score, "aria-hidden": "true" }));
    }
    return make("li", {}, button);
  }

  function show() {
    const whole = results.length && results.every((entry) => entry.rank != null);
    const some = whole && !all ? results.slice(0, SHOWN) : results;
    $("results").replaceChildren(...some.map(tile));
    $("more").hidden = some.length === results.length;
    $("more").textContent = say("more", results.length);
  }

  function entryOf(told, caption) {
    const blob = blobOf(told.b64_json);
    return { ...told, b64_json: undefined, blob, caption, url: URL.createObjectURL(blob), rank: told.rank };
  }

  /** Show pictures while they grow; `begin` gives the server's events. Gives the whole ones, best first. */
  async function grow(caption, begin) {
    const begun = performance.now();
    controller = new AbortController();
    $("stop").disabled = false;
    $("progress").hidden = false;
    $("progress").value = 0;
    $("status").textContent = say("drawing");
    for (const old of results) if (!old.kept) URL.revokeObjectURL(old.url);
    results = [];
    all = false;
    const whole = [];
    let told = 0;
    try {
      for await (const event of begin(controller.signal)) {
        const entry = entryOf(event, caption);
        if (event.type.endsWith("partial_image")) {
          results = [...results.filter((one) => one.index !== entry.index), entry].sort((one, two) => one.index - two.index);
          $("progress").value = event.done;
          if (event.done - told >= 0.25) { told = event.done; $("status").textContent = say("part", Math.round(100 * told)); }
        } else {
          whole.push(entry);
          entry.kept = true;
          results = [...whole];
          $("progress").value = 1;
        }
        show();
      }
      await keep(whole, begun);
    } catch (error) {
      if (error.name === "AbortError") $("status").textContent = say("stopped");
      else { $("status").textContent = ""; throw error; }
    } finally {
      $("stop").disabled = true;
      $("progress").hidden = true;
    }
    return whole;
  }

  async function keep(whole, begun) {
    $("status").textContent = say("drawn", whole.length, ((performance.now() - begun) / 1000).toFixed(1));
    for (const entry of whole.slice(0, SHOWN)) await remember({ blob: entry.blob, caption: entry.caption });
    await showHistory();
  }

  async function draw() {
    const prompt = $("prompt").value.trim();
    const count = number("count") ?? 4;
    $("chosen").hidden = true;
    const wish = {
      prompt, n: count, candidates: count, stream: true, partial_images: 3, seed: number("seed"),
      temperature: number("temperature"), guidance: number("guidance"), cut: true,
    };
    await grow(prompt, (signal) => stream("/v1/images/generations", wish, signal));
  }

  // One picture

  async function choose(entry) {
    chosen = entry;
    const facts = factsOf(await entry.blob.arrayBuffer()) ?? {};
    $("chosen").hidden = false;
    $("chosen-title").textContent = say("chosen", (entry.rank ?? 0) + 1, entry.caption);
    $("chosen-image").src = entry.url;
    $("chosen-image").alt = entry.caption;
    const score = facts.score == null ? "–" : facts.score.toFixed(3);
    $("chosen-facts").textContent = say("facts", facts.seed ?? "–", facts.index ?? "–", score);
    $("download").href = entry.url;
    $("download").download = `${entry.caption.slice(0, 40).replace(/[^\p{L}\p{N}]+/gu, "-")}-${facts.seed ?? 0}-${facts.index ?? 0}.png`;
    $("redraw-prompt").value = entry.caption;
    mask.open(drawing.resolution, drawing.cell);
    $("chosen").focus();
    $("chosen").scrollIntoView({ block: "nearest" });
  }

  async function vary() {
    $("status").textContent = say("drawing");
    const begun = performance.now();
    const { caption, blob } = chosen;
    const answer = await postForm("/v1/images/variations", { prompt: caption, n: 4, cut: "true", image: blob });
    results = answer.data.map((told, rank) => ({ ...entryOf({ ...told, rank }, caption), kept: true }));
    all = false;
    show();
    await keep(results, begun);
    await choose(results[0]);
  }

  async function redraw() {
    const marked = await mask.png();
    if (!marked) { $("status").textContent = say("nothing_marked"); tell(new Error(say("nothing_marked"))); return; }
    const caption = $("redraw-prompt").value.trim();
    const wish = {
      prompt: caption, image: chosen.blob, mask: marked, n: 4, seed: number("seed"), temperature: number("temperature"),
      guidance: number("guidance"), cut: "true", stream: "true", partial_images: 3,
    };
    const [best] = await grow(caption, (signal) => streamForm("/v1/images/edits", wish, signal));
    if (best) await choose(best);
  }

  async function showHistory() {
    const old = await remembered();
    $("history-part").hidden = !old.length;
    $("history").replaceChildren(...old.map((one) => {
      const entry = { ...one, url: URL.createObjectURL(one.blob) };
      const image = make("img", { src: entry.url, alt: one.caption, loading: "lazy" });
      return make("li", {}, make("button", { type: "button", onclick: () => choose(entry) }, image));
    }));
  }

  async function restore([file]) {
    const facts = factsOf(await file.arrayBuffer());
    if (!facts) { tell(new Error(say("no_facts"))); return; }
    tell(null);
    useFacts(facts);
  }

  $("temperature").value = drawing.temperature;
  $("guidance").value = drawing.guidance;
  $("count").max = drawing.count;
  fillPatterns();
  fillWords();
  restoreForm();
  showHistory();
  $("pattern").addEventListener("change", () => { fillWords(); if ($("pattern").value === "own") $("prompt").focus(); });
  $("prompt").addEventListener("input", () => { $("pattern").value = "own"; $("words").hidden = true; });
  $("prompt").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); $("draw-form").requestSubmit(); }
  });
  $("draw-form").addEventListener("submit", (event) => {
    event.preventDefault();
    keepForm();
    if (document.body.dataset.state === "idle") run(draw);
  });
  $("stop").addEventListener("click", () => controller?.abort());
  $("more").addEventListener("click", () => { all = true; show(); $("results").querySelectorAll("button")[SHOWN]?.focus(); });
  $("vary").addEventListener("click", () => run(vary));
  $("reuse").addEventListener("click", async () => useFacts(factsOf(await chosen.blob.arrayBuffer()) ?? {}));
  $("close").addEventListener("click", () => { $("chosen").hidden = true; $("results").querySelector("button")?.focus(); });
  $("redraw-form").addEventListener("submit", (event) => { event.preventDefault(); run(redraw); });
  $("forget").addEventListener("click", async () => { await forget(); await showHistory(); $("status").focus(); });
  takeFiles($("drop-settings"), $("restore"), (files) => run(() => restore(files)));
  return {
    spoken: () => { fillPatterns(); fillWords(); show(); },
    dropped: (files) => run(() => restore(files)),
  };
}
