
/* Before and after in one place; the slider is a real one, so that keys and readers can use it. */
class Compare {
  constructor(track, onShow) {
    this.track = track;
    this.onShow = onShow;
    this.after = element("img", { alt: "", draggable: "false" });
    this.before = element("img", { alt: "", class: "before", draggable: "false" });
    this.left = element("span", { class: "side left" }, "before");
    this.right = element("span", { class: "side right" }, "after");
    this.slider = element("input", {
      type: "range", min: "0", max: "100", step: "1", value: "50",
      "aria-label": "track " + track.number + ": share of the picture that shows the source",
    });
    this.box = element("div", { class: "compare" },
      this.after, this.before, element("span", { class: "edge" }), this.left, this.right, this.slider);
    this.values = element("p", { class: "values" });
    this.buttons = track.shown.map((frame) => {
      const button = element("button", { type: "button" }, frame.roles.join(", "));
      button.addEventListener("click", () => this.show(frame));
      return button;
    });
    this.node = element("div", {}, this.box, element("div", { class: "frames" }, ...this.buttons), this.values);
    this.slider.addEventListener("input", () => this.move());
    this.move();
  }

  move() {
    const at = Number(this.slider.value);
    this.box.style.setProperty("--at", at + "%");
    this.left.classList.toggle("hidden", at < 18);
    this.right.classList.toggle("hidden", at > 82);
  }

  start() {
    const typical = this.track.shown.find((frame) => frame.roles.includes("typical"));
    this.show(typical || this.track.shown[0]);
  }

  show(frame) {
    this.buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(this.track.shown[at] === frame)));
    for (const image of [this.before, this.after]) {
      image.width = frame.width;
      image.height = frame.height;
    }
    this.before.src = frame.before;
    this.after.src = frame.after;
    this.after.alt = "track " + this.track.number + ", frame " + frame.frame;
    const parts = ["frame " + frame.frame + " at " + clock(frame.seconds), "face " + shownNumber(frame.side) + " px"];
    if (frame.similarity !== null) parts.push("identity similarity " + shownNumber(frame.similarity));
    parts.push("strength " + shownNumber(frame.strength), "mean change " + shownNumber(frame.change) + " of 255");
    this.values.textContent = parts.join(" · ");
    this.onShow(frame);
  }
}
