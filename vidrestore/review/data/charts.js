
const SVG = "http://www.w3.org/2000/svg";
const CHARTS = [
  { name: "identity similarity", unit: "", lines: [["similarity", "after", ""]], bounds: similarityBounds,
    help: "cosine similarity of the face embeddings; 1: identical" },
  { name: "strength", unit: "", lines: [["strength", "after", ""]], bounds: () => [0, 1],
    help: "share of the restored face that was taken" },
  { name: "jitter", unit: " px", lines: [["jitter_before", "before", "landmarks found"], ["jitter_after", "after", "smoothed"]],
    bounds: boundsFromZero, help: "jumps of the landmarks, in pixels of the 512 px crop" },
  { name: "flicker", unit: "", lines: [["flicker_before", "before", "source"], ["flicker_after", "after", "result"]],
    bounds: boundsFromZero, help: "change of the face's mean luma from frame to frame, of 255" },
];
const CHART_HEIGHT = 96, LEFT = 40, RIGHT = 10, TOP = 8, BOTTOM = 18;

function shape(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function shownNumber(value) {
  if (value === null) return "–";
  return Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function finite(lists) {
  return lists.flat(2).filter((value) => value !== null);
}

function similarityBounds(lists) {
  const least = Math.min(1, ...finite(lists));
  return [least < 0 ? -1 : least < 0.5 ? 0 : 0.5, 1];
}

function boundsFromZero(lists) {
  const most = Math.max(0, ...finite(lists));
  if (most === 0) return [0, 1];
  const step = 10 ** Math.floor(Math.log10(most));
  return [0, [1, 2, 5, 10].map((times) => times * step).find((top) => top >= most)];
}

/* The range of a value over time: an area between the least and the greatest of every bin, which
   is a line where a bin is one frame. It is broken where the face or the value is absent. */
function areaPath(curves, low, high, x, y) {
  const runs = [];
  let run = [];
  const { number } = curves;
  for (let at = 0; at < number.length; at++) {
    if (run.length && number[at] !== number[at - 1] + 1) { runs.push(run); run = []; }
    if (low[at] === null) { if (run.length) runs.push(run); run = []; continue; }
    run.push(at);
  }
  if (run.length) runs.push(run);
  return runs.map((each) => {
    const there = each.map((at) => x(at).toFixed(1) + " " + y(high[at]).toFixed(1));
    const back = each.map((at) => x(at).toFixed(1) + " " + y(low[at]).toFixed(1)).reverse();
    return "M" + there.join("L") + "L" + back.join("L") + "Z";
  }).join("");
}

class TrackCharts {
  constructor(track, onChoose) {
    this.track = track;
    this.curves = track.curves;
    this.onChoose = onChoose;
    this.shownFrame = null;
    this.at = null;
    this.readout = element("p", { class: "readout", "aria-live": "polite" });
    this.node = element("div", {
      class: "charts", tabindex: "0", role: "group",
      "aria-label": "curves of track " + track.number + "; the arrow keys read values",
    });
    this.charts = CHARTS.map((chart) => this.chartOf(chart));
    this.node.append(...this.charts.map((each) => each.node), this.readout);
    this.node.addEventListener("pointermove", (event) => this.point(event));
    this.node.addEventListener("pointerleave", () => this.read(null));
    this.node.addEventListener("click", (event) => this.choose(event));
    this.node.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.node);
    this.read(null);
  }

  chartOf(chart) {
    const head = element("div", { class: "head", title: chart.help }, element("span", { class: "name" }, chart.name));
    const known = chart.lines.filter(([name]) => finite(this.curves.values[name]).length);
    for (const [, side, label] of known) if (label) head.append(element("span", { class: "key " + side }, label));
    if (!known.length) head.append(element("span", { class: "quiet" }, "not measured"));
    const svg = shape("svg", { role: "img", "aria-label": chart.name + " over time: " + chart.help });
    const node = element("div", { class: "chart" }, head);
    if (known.length) node.append(svg);
    return { ...chart, lines: known, svg, node };
  }

  x(at) {
    const { seconds } = this.curves, { first, last } = this.track;
    const share = last > first ? ((seconds[0][at] + seconds[1][at]) / 2 - first) / (last - first) : 0.5;
    return LEFT + share * (this.width - LEFT - RIGHT);
  }

  xOfSeconds(seconds) {
    const { first, last } = this.track;
    const share = last > first ? (seconds - first) / (last - first) : 0.5;
    return LEFT + share * (this.width - LEFT - RIGHT);
  }

  draw() {
    this.width = this.node.clientWidth;
    if (this.width < LEFT + RIGHT + 20) return;
    for (const chart of this.charts) if (chart.lines.length) this.drawChart(chart);
    this.drawCursor();
  }

  drawChart(chart) {
    const values = chart.lines.map(([name]) => this.curves.values[name]);
    const [low, high] = chart.bounds(values);
    const y = (value) => TOP + (1 - (value - low) / (high - low)) * (CHART_HEIGHT - TOP - BOTTOM);
    const parts = [];
    for (const value of [low, (low + high) / 2, high]) {
      parts.push(shape("line", { class: "grid", x1: LEFT, x2: this.width - RIGHT, y1: y(value), y2: y(value) }));
      parts.push(shape("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, String(+value.toPrecision(3)) + chart.unit));
    }
    const { first, last } = this.track;
    parts.push(shape("text", { x: LEFT, y: CHART_HEIGHT - 2 }, clock(first)));
    if (last > first) parts.push(shape("text", { x: this.width - RIGHT, y: CHART_HEIGHT - 2, "text-anchor": "end" }, clock(last)));
    for (const frame of this.track.shown) {
      const at = this.xOfSeconds(frame.seconds), shown = frame.frame === this.shownFrame;
      parts.push(shape("line", { class: shown ? "mark shown" : "mark", x1: at, x2: at, y1: TOP, y2: CHART_HEIGHT - BOTTOM }));
    }
    for (const [name, side] of chart.lines) {
      const [least, most] = this.curves.values[name];
      const path = shape("path", { d: areaPath(this.curves, least, most, (at) => this.x(at), y) });
      parts.push(shape("g", { class: side, "data-curve": name }, path));
    }
    chart.cursor = shape("line", { class: "cursor", y1: TOP, y2: CHART_HEIGHT - BOTTOM, visibility: "hidden" });
    chart.svg.replaceChildren(...parts, chart.cursor);
  }

  show(frame) {
    this.shownFrame = frame.frame;
    this.draw();
  }

  nearest(event) {
    const x = event.clientX - this.node.getBoundingClientRect().left;
    let best = 0;
    for (let at = 1; at < this.curves.number.length; at++)
      if (Math.abs(this.x(at) - x) < Math.abs(this.x(best) - x)) best = at;
    return best;
  }

  point(event) { this.read(this.nearest(event)); }

  choose(event) {
    const x = event.clientX - this.node.getBoundingClientRect().left;
    const near = this.track.shown.filter((frame) => Math.abs(this.xOfSeconds(frame.seconds) - x) < 8);
    if (near.length) this.onChoose(near[0]);
  }

  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const last = this.curves.number.length - 1;
    this.read(this.at === null ? 0 : Math.min(last, Math.max(0, this.at + step)));
  }

  read(at) {
    this.at = at;
    this.drawCursor();
    if (at === null) {
      const { framesPerBin } = this.curves;
      const each = framesPerBin > 1 ? " Areas span the least and the greatest of every " + framesPerBin + " frames." : "";
      this.readout.textContent = "Point at a curve to read it. Vertical lines mark the frames shown beside the chart." + each;
      return;
    }
    const { frame, seconds, values } = this.curves;
    const [from, to] = [frame[0][at], frame[1][at]];
    const parts = [(from === to ? "frame " + from : "frames " + from + "–" + to) + " at " + clock(seconds[0][at])];
    for (const chart of this.charts) for (const [name, , label] of chart.lines) {
      const [least, most] = [values[name][0][at], values[name][1][at]];
      const range = least === most ? shownNumber(least) : shownNumber(least) + "–" + shownNumber(most);
      parts.push(chart.name + (label ? " (" + label + ") " : " ") + range + (least === null ? "" : chart.unit));
    }
    this.readout.textContent = parts.join(" · ");
  }

  drawCursor() {
    for (const { cursor } of this.charts) if (cursor) {
      cursor.setAttribute("visibility", this.at === null ? "hidden" : "visible");
      if (this.at !== null) for (const side of ["x1", "x2"]) cursor.setAttribute(side, this.x(this.at));
    }
  }
}
