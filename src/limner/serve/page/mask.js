// Marking a region of a picture: a rectangle or a brush by pointer, or four numbers by keyboard.

import { $ } from "./dom.js";

const FIELDS = ["mask-x", "mask-y", "mask-w", "mask-h"];

/** The region of a picture of `side` × `side` pixels; one for the page. */
export class Mask {
  constructor() {
    this.canvas = $("mask");
    this.paint = this.canvas.getContext("2d", { willReadFrequently: true });
    this.from = null;
    this.canvas.addEventListener("pointerdown", (event) => this.#down(event));
    this.canvas.addEventListener("pointermove", (event) => this.#move(event));
    this.canvas.addEventListener("pointerup", () => { this.from = null; });
    this.canvas.addEventListener("pointercancel", () => { this.from = null; });
    for (const field of FIELDS) $(field).addEventListener("input", () => this.#typed());
    $("clear").addEventListener("click", () => this.clear());
  }

  /** Begin with nothing marked. */
  open(side, cell) {
    [this.canvas.width, this.canvas.height, this.side, this.cell] = [side, side, side, cell];
    for (const field of FIELDS) $(field).max = side;
    this.clear();
  }

  clear() {
    this.paint.clearRect(0, 0, this.side, this.side);
    for (const field of FIELDS) $(field).value = 0;
    this.marked = false;
  }

  /** A PNG that is transparent where to redraw and black elsewhere; null where nothing is marked. */
  async png() {
    if (!this.marked) return null;
    const sheet = new OffscreenCanvas(this.side, this.side);
    const paint = sheet.getContext("2d");
    const drawn = this.paint.getImageData(0, 0, this.side, this.side);
    for (let at = 0; at < drawn.data.length; at += 4) {
      const open = drawn.data[at + 3] > 0;
      drawn.data.set([0, 0, 0, open ? 0 : 255], at);
    }
    paint.putImageData(drawn, 0, 0);
    return sheet.convertToBlob({ type: "image/png" });
  }

  #place(event) {
    const box = this.canvas.getBoundingClientRect();
    const within = (value) => Math.max(0, Math.min(this.side, Math.round(value)));
    return [within((event.clientX - box.left) / box.width * this.side), within((event.clientY - box.top) / box.height * this.side)];
  }

  #down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.from = this.#place(event);
    this.#move(event);
  }

  #move(event) {
    if (!this.from) return;
    const [x, y] = this.#place(event);
    if (document.querySelector("[name=tool]:checked").value === "brush") {
      const half = this.cell * 0.75;
      this.#fill(Math.round(x - half), Math.round(y - half), Math.round(2 * half), Math.round(2 * half));
      return;
    }
    const [left, right] = [this.from[0], x].sort((one, two) => one - two);
    const [top, bottom] = [this.from[1], y].sort((one, two) => one - two);
    this.#rectangle(left, top, right - left, bottom - top);
    [left, top, right - left, bottom - top].forEach((value, at) => { $(FIELDS[at]).value = value; });
  }

  #typed() {
    this.#rectangle(...FIELDS.map((field) => Number($(field).value) || 0));
  }

  #rectangle(left, top, width, height) {
    this.paint.clearRect(0, 0, this.side, this.side);
    this.marked = false;
    if (width > 0 && height > 0) this.#fill(left, top, width, height);
  }

  #fill(left, top, width, height) {
    this.paint.fillStyle = "rgb(11 107 93)";
    this.paint.fillRect(left, top, width, height);
    this.marked = true;
  }
}
