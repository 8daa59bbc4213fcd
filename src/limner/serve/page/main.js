// The frame: rooms as tabs, the language, errors, and what the server can do.

import { ApiError, get, keepKey } from "./api.js";
import { $ } from "./dom.js";
import { startDraw } from "./draw.js";
import { startLook } from "./look.js";
import { startTrain } from "./train.js";
import { LANGUAGES, say, speak, spoken, translate } from "./words.js";

const ROOMS = ["draw", "look", "train"];
const rooms = {};

/** Say an error, or take it away. */
function tell(error) {
  $("error").hidden = !error;
  $("error").textContent = error ? error.message : "";
  if (error instanceof ApiError && error.status === 401) { $("key-form").hidden = false; $("key").focus(); }
}

/** Run something the user asked for; `busy` can be seen from outside. */
async function run(work) {
  tell(null);
  document.body.dataset.state = "busy";
  try { await work(); } catch (error) {
    if (error.name !== "AbortError") { tell(error); if (!(error instanceof ApiError)) throw error; }
  } finally { document.body.dataset.state = "idle"; }
}

function open(room, focus = false) {
  for (const one of ROOMS) {
    $(`room-${one}`).hidden = one !== room;
    $(`tab-${one}`).setAttribute("aria-selected", one === room);
    $(`tab-${one}`).tabIndex = one === room ? 0 : -1;
  }
  if (focus) $(`tab-${room}`).focus();
  rooms[room]?.opened?.();
}

function startTabs() {
  const named = () => ROOMS.find((room) => `#${room}` === location.hash) ?? "draw";
  for (const room of ROOMS) $(`tab-${room}`).addEventListener("click", () => { location.hash = room; });
  $("tabs").addEventListener("keydown", (event) => {
    const turn = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const at = ROOMS.indexOf(named());
    const to = event.key === "Home" ? 0 : event.key === "End" ? ROOMS.length - 1 : turn ? (at + turn + ROOMS.length) % ROOMS.length : -1;
    if (to < 0) return;
    event.preventDefault();
    history.replaceState(null, "", `#${ROOMS[to]}`);
    open(ROOMS[to], true);
  });
  addEventListener("hashchange", () => open(named()));
  open(named());
}

/** A file dropped beside every zone goes to the room that is open, never in the page's place. */
function startDrop() {
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    const files = [...event.dataTransfer.files];
    if (files.length) rooms[ROOMS.find((room) => !$(`room-${room}`).hidden)]?.dropped?.(files);
  });
}

function startLanguage() {
  const wanted = localStorage.getItem("language") ?? navigator.language.slice(0, 2);
  speak(LANGUAGES.includes(wanted) ? wanted : "en");
  $("language").value = spoken();
  $("language").addEventListener("change", () => {
    speak($("language").value);
    localStorage.setItem("language", spoken());
    translate();
    for (const room of Object.values(rooms)) room.spoken?.();
  });
  translate();
}

async function begin() {
  const about = await get("/api/about");
  $("about").textContent = [...new Set([`limner ${about.version}`, about.draw?.model, about.look?.model])].filter(Boolean).join(" · ");
  rooms.draw = startDraw(about, { run, tell });
  rooms.look = startLook(about, { run, tell });
  rooms.train = startTrain(about, { run, tell });
  startTabs();
  document.body.dataset.ready = "yes";
  performance.mark("ready");
}

startLanguage();
startDrop();
$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  keepKey($("key").value);
  $("key-form").hidden = true;
  run(begin);
});
run(begin);
