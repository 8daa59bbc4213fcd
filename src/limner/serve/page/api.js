// The server's calls: JSON, forms, streams; one error type with the server's own words.

import { say } from "./words.js";

export class ApiError extends Error {
  constructor(message, status) { super(message); this.status = status; }
}

const key = () => sessionStorage.getItem("key");
export const keepKey = (value) => sessionStorage.setItem("key", value);

async function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  if (key()) headers.set("authorization", `Bearer ${key()}`);
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(say("unreachable"), 0);
  }
  if (answer.ok) return answer;
  let message = `${answer.status}`;
  try { message = (await answer.json()).error.message; } catch { /* not JSON: the number says it */ }
  throw new ApiError(message, answer.status);
}

export const get = async (path, options) => (await ask(path, options)).json();

const asJson = (table, signal) => ({
  method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(table), signal,
});

export const post = async (path, table, signal) => (await ask(path, asJson(table, signal))).json();

/** A multipart form: values that are undefined or empty stay out. */
function asForm(table, signal) {
  const body = new FormData();
  for (const [name, value] of Object.entries(table)) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined && one !== "") body.append(name, one);
  }
  return { method: "POST", body, signal };
}

export const postForm = async (path, table, signal) => (await ask(path, asForm(table, signal))).json();
export const stream = (path, table, signal) => events(path, asJson(table, signal));
export const streamForm = (path, table, signal) => events(path, asForm(table, signal));

/** Server-sent events as they come. */
async function* events(path, options) {
  const reader = (await ask(path, options)).body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const data = event.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
      if (!data || data === "[DONE]") continue;
      const told = JSON.parse(data);
      if (told.error) throw new ApiError(told.error.message, 500);
      yield told;
    }
  }
}

/** A picture of the server's as an address for <img>; the key goes along. */
export async function picture(path) {
  return URL.createObjectURL(await (await ask(path)).blob());
}
