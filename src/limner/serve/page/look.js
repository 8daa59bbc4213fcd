// The room where pictures are told apart, and found.

import { picture, post, postForm } from "./api.js";
import { $, make, takeFiles } from "./dom.js";
import { say } from "./words.js";

const BARS = 5;
const SVG = "http://www.w3.org/2000/svg";

/** A bar of `share` (0 … 1): an attribute, since the page allows no styles of its own making. */
function bar(share) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 100 10");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const rect = document.createElementNS(SVG, "rect");
  rect.setAttribute("width", 100 * share);
  rect.setAttribute("height", 10);
  svg.append(rect);
  return svg;
}

export function startLook(about, { run, tell }) {
  if (!about.look) {
    $("look-status").textContent = say("no_looker");
    for (const node of $("look-form").elements) node.disabled = true;
    return {};
  }
  let files = [];
  $("search-form").hidden = !about.search;

  async function look() {
    const labels = $("labels").value.split(/[,，、]/).map((label) => label.trim()).filter(Boolean);
    if (!files.length || !labels.length) { tell(new Error(say("choose_first"))); return; }
    $("look-status").textContent = say("looking");
    const answer = await postForm("/v1/classify", { image: files, labels, template: $("template").value });
    $("looked").replaceChildren(...answer.data.map((row, at) => {
      const list = make("dl", {});
      for (const { label, score } of row.slice(0, BARS)) {
        const percent = `${(100 * score).toFixed(1)} %`;
        list.append(make("dt", {}, make("span", {}, label), make("span", {}, percent)), make("dd", {}, bar(score)));
      }
      return make("li", {}, make("img", { src: URL.createObjectURL(files[at]), alt: files[at].name }), list);
    }));
    $("look-status").textContent = say("looked", answer.data.length);
  }

  async function show(asked) {
    $("search-status").textContent = say("looking");
    const answer = await asked;
    const tiles = await Promise.all(answer.data.map(async (hit) => {
      const image = make("img", { src: await picture(hit.url), alt: hit.id });
      const note = make("span", { className: "note" }, make("span", {}, hit.id.split("/").pop()), make("span", {}, hit.similarity.toFixed(3)));
      const like = () => run(() => show(post("/v1/search", { like: hit.id })));
      return make("li", {}, make("button", { type: "button", title: say("like", hit.id), onclick: like }, image, note));
    }));
    $("hits").replaceChildren(...tiles);
    $("search-status").textContent = say("found", tiles.length, answer.pictures);
  }

  async function search() {
    const [text, image] = [$("query").value.trim(), $("query-file").files[0]];
    if (!text && !image) { tell(new Error(say("no_query"))); return; }
    await show(postForm("/v1/search", { text, image }));
  }

  function take(dropped) {
    files = dropped.filter((file) => file.type.startsWith("image/"));
    if ($("labels").value.trim()) run(look);
  }

  takeFiles($("drop-look"), $("files"), take);
  takeFiles($("drop-search"), $("query-file"), ([file]) => {
    const box = new DataTransfer();
    box.items.add(file);
    $("query-file").files = box.files;
  });
  $("look-form").addEventListener("submit", (event) => { event.preventDefault(); run(look); });
  $("search-form").addEventListener("submit", (event) => { event.preventDefault(); run(search); });
  return { dropped: take };
}
