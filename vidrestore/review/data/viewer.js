"use strict";

/* The viewer of frames before and after, in the review page and in `vidrestore web`. */

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function clock(seconds) {
  const sign = seconds < 0 ? "-" : "", all = Math.abs(seconds);
  const hours = Math.floor(all / 3600), minutes = Math.floor(all / 60) % 60;
  const rest = (all % 60).toFixed(2).padStart(5, "0");
  return sign + (hours ? hours + ":" + String(minutes).padStart(2, "0") : minutes) + ":" + rest;
}

async function copied(text, button) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Some browsers keep the clipboard from pages that are files.
    const area = element("textarea", { readonly: "" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  button.textContent = "copied";
  setTimeout(() => { button.textContent = label; }, 1500);
}

/* Times that someone marked, with what was seen there: a list that is exported as text. */
class Marks {
  constructor() {
    this.marks = [];
    this.list = element("ul", { "aria-live": "polite" });
    this.count = element("span", { class: "quiet" });
    const copy = element("button", { type: "button" }, "copy the list");
    const save = element("button", { type: "button" }, "save as a file");
    copy.addEventListener("click", () => copied(this.text(), copy));
    save.addEventListener("click", () => this.save());
    this.buttons = [copy, save];
    this.node = element("section", { class: "marks", "aria-label": "marks" },
      element("strong", {}, "Marks "), this.count, this.list, element("div", { class: "tools" }, copy, save));
    this.draw();
  }

  add(mark) {
    if (this.marks.some((other) => other.seconds === mark.seconds && other.name === mark.name)) return;
    this.marks.push(mark);
    this.marks.sort((first, second) => first.seconds - second.seconds);
    this.draw();
  }

  text() {
    return this.marks.map(({ seconds, name }) => clock(seconds) + "\t" + name + "\n").join("");
  }

  save() {
    const url = URL.createObjectURL(new Blob([this.text()], { type: "text/plain" }));
    element("a", { href: url, download: "marks.txt" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }

  draw() {
    this.count.textContent = this.marks.length ? String(this.marks.length) : "none yet; “mark” notes the time of a frame";
    for (const button of this.buttons) button.disabled = !this.marks.length;
    this.list.replaceChildren(...this.marks.map((mark) => {
      const remove = element("button", { type: "button", "aria-label": "remove the mark at " + clock(mark.seconds) }, "remove");
      remove.addEventListener("click", () => {
        this.marks = this.marks.filter((other) => other !== mark);
        this.draw();
      });
      return element("li", {}, clock(mark.seconds) + "  " + mark.name + " ", remove);
    }));
  }
}

/* One of several buttons is pressed. */
function choiceOf(label, choices, onChoose) {
  const buttons = choices.map(([value, text, hint]) => {
    const button = element("button", { type: "button", title: hint, "data-value": value }, text);
    button.addEventListener("click", () => choose(value));
    return button;
  });
  function choose(value) {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.value === value));
    onChoose(value);
  }
  return { node: element("div", { class: "choice", role: "group", "aria-label": label }, ...buttons), choose };
}

const MODES = [["slider", "slider", "one picture, divided where you drag"], ["wipe", "wipe", "the edge moves by itself"],
  ["side", "side by side", "both pictures in full"], ["difference", "difference", "black where nothing changed, four times as bright"]];
const ZOOMS = [["fit", "fit", "as wide as there is room"], ["100", "100 %", "one pixel of the picture is one of the page"],
  ["400", "400 %", "four times as large, without smoothing"]];
const WIPE_MILLISECONDS = 3000;

/* Frames before and after in one place. The slider is a real one, so that keys and readers can use it.

   A frame has before, after (addresses of images), width, height, label, caption and seconds. */
class Viewer {
  constructor(frames, { name, marks = null, loopMilliseconds = 500, onShow = () => {} }) {
    Object.assign(this, { frames, name, marks, loopMilliseconds, onShow, at: 0, loop: null, wipe: null });
    this.after = element("img", { alt: "", draggable: "false" });
    this.before = element("img", { alt: "", class: "before", draggable: "false" });
    this.left = element("span", { class: "side left" }, "before");
    this.right = element("span", { class: "side right" }, "after");
    this.slider = element("input", {
      type: "range", min: "0", max: "100", step: "1", value: "50",
      "aria-label": name + ": share of the picture that shows the source",
    });
    this.box = element("div", { class: "compare" },
      this.after, this.before, element("span", { class: "edge" }), this.left, this.right, this.slider);
    this.stage = element("div", { class: "stage" }, this.box);
    this.values = element("p", { class: "values" });
    this.slider.addEventListener("input", () => { this.stopWipe(); this.move(); });
    this.node = element("div", { class: "viewer" }, this.stage, this.tools(), this.frameButtons(), this.values);
    this.move();
  }

  tools() {
    this.modes = choiceOf("view", MODES, (mode) => this.setMode(mode));
    this.zooms = choiceOf("size", ZOOMS, (zoom) => this.setZoom(zoom));
    this.loopButton = element("button", { type: "button", "aria-pressed": "false", title: "show the frames one after the other, again and again" }, "loop");
    this.loopButton.addEventListener("click", () => this.toggleLoop());
    this.loopButton.hidden = this.frames.length < 2;
    const mark = element("button", { type: "button", title: "note the time of this frame" }, "mark");
    mark.addEventListener("click", () => this.mark());
    mark.hidden = this.marks === null;
    this.modes.choose("slider");
    this.zooms.choose("fit");
    return element("div", { class: "tools" }, this.modes.node, this.zooms.node, this.loopButton, mark);
  }

  frameButtons() {
    this.buttons = this.frames.map((frame, at) => {
      const button = element("button", { type: "button" }, frame.label);
      button.addEventListener("click", () => { this.stopLoop(); this.show(at); });
      return button;
    });
    return element("div", { class: "frames" }, ...this.buttons);
  }

  setMode(mode) {
    this.node?.setAttribute("data-mode", mode);
    this.box.dataset.mode = mode;
    this.stopWipe();
    if (mode === "wipe") this.startWipe();
    this.slider.disabled = mode === "side" || mode === "difference";
    this.move();
  }

  setZoom(zoom) {
    this.box.dataset.zoom = zoom;
    this.stage.toggleAttribute("data-zoomed", zoom !== "fit");
    // A part that scrolls can be reached by keys.
    if (zoom === "fit") this.stage.removeAttribute("tabindex");
    else this.stage.setAttribute("tabindex", "0");
    this.size();
  }

  size() {
    const frame = this.frames[this.at], zoom = this.box.dataset.zoom;
    const width = zoom === "fit" ? "" : frame.width * Number(zoom) / 100 + "px";
    this.box.style.setProperty("--width", width || "100%");
  }

  move() {
    const at = Number(this.slider.value);
    this.box.style.setProperty("--at", at + "%");
    const both = this.box.dataset.mode === "side";
    this.left.classList.toggle("hidden", !both && at < 18);
    this.right.classList.toggle("hidden", !both && at > 82);
  }

  startWipe() {
    const began = performance.now();
    const step = (now) => {
      const turn = ((now - began) / WIPE_MILLISECONDS) % 2;
      this.slider.value = String(100 * (turn < 1 ? turn : 2 - turn));
      this.move();
      this.wipe = this.node.isConnected ? requestAnimationFrame(step) : null;
    };
    this.wipe = requestAnimationFrame(step);
  }

  stopWipe() {
    if (this.wipe !== null) cancelAnimationFrame(this.wipe);
    this.wipe = null;
  }

  toggleLoop() {
    if (this.loop !== null) { this.stopLoop(); return; }
    this.loop = setInterval(() => {
      if (this.node.isConnected) this.show((this.at + 1) % this.frames.length);
      else this.stopLoop();
    }, this.loopMilliseconds);
    this.loopButton.setAttribute("aria-pressed", "true");
  }

  stopLoop() {
    clearInterval(this.loop);
    this.loop = null;
    this.loopButton.setAttribute("aria-pressed", "false");
  }

  mark() {
    const frame = this.frames[this.at];
    this.marks.add({ seconds: frame.seconds, name: this.name + (frame.frame === undefined ? "" : ", frame " + frame.frame) });
  }

  show(at) {
    this.at = at;
    const frame = this.frames[at];
    this.buttons.forEach((button, number) => button.setAttribute("aria-pressed", String(number === at)));
    for (const image of [this.before, this.after]) {
      image.width = frame.width;
      image.height = frame.height;
    }
    this.before.src = frame.before;
    this.after.src = frame.after;
    this.after.alt = this.name + ", " + (frame.frame === undefined ? frame.label : "frame " + frame.frame);
    this.values.textContent = frame.caption;
    this.size();
    this.onShow(frame);
  }
}
