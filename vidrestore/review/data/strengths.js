
/* The strengths of tracks that someone changed, and the command that restores the film with them.

   A page that holds this one in a frame is told of every change, so that it can run the command. */
class Strengths {
  constructor(data) {
    this.again = data.again;
    this.strength = data.strength;
    this.values = new Map();
    for (const track of data.tracks) if (track.setting !== null) this.values.set(track.number, track.setting);
    this.before = this.option();
    this.line = element("code");
    this.copy = element("button", { type: "button", "aria-label": "copy the command for the changed strengths" }, "copy");
    this.copy.addEventListener("click", () => copied(this.line.textContent, this.copy));
    this.hint = element("p", { class: "quiet small" });
    this.node = element("section", { class: "panel strengths", "aria-label": "strengths" },
      this.hint, element("div", { class: "command" }, this.line, this.copy));
    this.draw();
  }

  sliderOf(track) {
    const value = this.values.get(track.number) ?? this.strength;
    const slider = element("input", { type: "range", min: "0", max: "1", step: "0.05", value: String(value) });
    const shown = element("output", {}, String(value));
    slider.addEventListener("input", () => {
      shown.textContent = slider.value;
      this.set(track.number, Number(slider.value));
    });
    return element("label", { class: "strength" }, "strength of track " + track.number + " ", slider, " ", shown);
  }

  set(number, value) {
    if (value === this.strength) this.values.delete(number);
    else this.values.set(number, value);
    this.draw();
    if (window.parent !== window) window.parent.postMessage({ trackStrengths: this.list() }, "*");
  }

  list() {
    return [...this.values].sort(([one], [other]) => one - other).map(([number, value]) => number + "=" + value).join(",");
  }

  option() {
    return this.values.size ? " --track-strength=" + this.list() : "";
  }

  draw() {
    const option = this.option(), changed = option !== this.before;
    this.line.textContent = this.again + option;
    this.node.classList.toggle("changed", changed);
    this.hint.textContent = changed
      ? "This command restores the film again with the changed strengths:"
      : "The sliders above say how much of the restored face each track gets. Move one, and this command restores the film with it:";
  }
}
